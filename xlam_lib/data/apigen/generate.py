"""Makes candidate trajectories of five kinds: single, parallel, irrelevant, multi_step and multi_turn.

Used by `pipeline.py`, which runs the calls, checks what comes out of here and counts what fails. `World("train", ...)`
holds the tools of a split. `candidate(rng, world, "single")` is a generator: it yields the calls to be executed, is
sent their results, and returns the steps and tools of one sample.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from xlam_lib.data.apigen import ask
from xlam_lib.data.apigen.ask import Clause, clause, requests
from xlam_lib.data.apigen.library.registry import Link
from xlam_lib.data.apigen.library.spec import Request, ToolSpec
from xlam_lib.errors import XlamError
from xlam_lib.trajectory import Step, ToolCall

NO_TOOL = "None of the tools can do this."
LISTED = (1, 2, 2, 2, 2, 3, 3, 3, 4)  # how many tools a prompt lists


class Rejected(XlamError, ValueError):
    """A candidate that does not count; the message is the reason, e.g. "semantic: ambiguous tools"."""


@dataclass
class World:
    """The tools of one split, the ones that may stand beside them in a prompt, and the links between them."""

    half: str  # which half of the values: "train" or "test"
    specs: list[ToolSpec]
    others: list[ToolSpec]
    links: list[Link]
    same_domain: float = 0.3
    by_domain: dict[str, list[ToolSpec]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for spec in self.others:
            self.by_domain.setdefault(kin(spec), []).append(spec)

    def pick(self, rng: random.Random, fits: Callable[[ToolSpec], object] = bool) -> ToolSpec:
        """A tool of the split that fits."""
        for _ in range(1000):
            spec = rng.choice(self.specs)
            if fits(spec):
                return spec
        raise ValueError("no tool of this split fits what was asked for")


def kin(spec: ToolSpec) -> str:
    """What groups a tool with its nearest others: the domain, or for a twin its last noun."""
    return spec.domain if spec.domain != "twin" else f"twin {spec.noun}"


Calling = Generator[list[Request], list[dict], list[dict]]  # yields calls to run, is sent their results


@dataclass
class Dialogue:
    """A trajectory being written: steps so far, and the tools they need."""

    world: World
    steps: list[Step] = field(default_factory=list)
    gold: dict[str, ToolSpec] = field(default_factory=dict)
    calls: int = 0
    about: tuple[ToolSpec, ...] = ()  # tools that were asked for but are not there

    def user(self, text: str) -> None:
        """The user says something."""
        self.steps.append(Step(role="user", content=text))

    def says(self, text: str) -> None:
        """The assistant says something without calling a tool."""
        self.steps.append(Step(role="assistant", content=text))

    def call(self, *clauses: Clause) -> Calling:
        """The assistant calls tools; whoever drives the generator runs them and sends the results."""
        calls = []
        for one in clauses:
            self.gold[one.spec.name] = one.spec
            calls.append(ToolCall(name=one.spec.name, arguments=one.arguments, id=f"call_{self.calls}"))
            self.calls += 1
        self.steps.append(Step(role="assistant", tool_calls=tuple(calls)))
        results = yield [one.spec.request(one.arguments) for one in clauses]
        for call, result in zip(calls, results, strict=True):
            self.steps.append(Step(role="tool", content=json.dumps(result), tool_call_id=call.id, name=call.name))
        return results

    def close(self, one: Clause, result: dict) -> None:
        """The assistant sums a result up in the words of the tool's template."""
        self.says(one.spec.answer.format_map({**one.texts, **result}))


Making = Generator[list[Request], list[dict], Dialogue]


def single(rng: random.Random, world: World) -> Making:
    """One query, one call."""
    dialogue = Dialogue(world)
    asked = clause(rng, world.pick(rng), world.half)
    dialogue.user(ask.say(rng, asked))
    yield from dialogue.call(asked)
    return dialogue


def parallel(rng: random.Random, world: World) -> Making:
    """One query, two calls (seldom three): the same tool with other values, or different tools."""
    dialogue = Dialogue(world)
    if rng.random() < 0.55:
        spec = world.pick(rng, requests)
        first = clause(rng, spec, world.half, requests(spec))
        count = 3 if rng.random() < 0.1 else 2
        clauses = [first]
        while len(clauses) < count:
            other = clause(rng, spec, world.half, (first.frame,))
            if set(other.arguments) == set(first.arguments):
                clauses.append(other)
        dialogue.user(ask.say_same(rng, clauses))
    else:
        one = world.pick(rng)
        two = world.pick(rng, lambda spec: spec.name != one.name)
        clauses = [clause(rng, one, world.half), clause(rng, two, world.half)]
        dialogue.user(ask.say_both(rng, clauses))
    yield from dialogue.call(*clauses)
    return dialogue


def irrelevant(rng: random.Random, world: World) -> Making:
    """A query that no listed tool can serve."""
    dialogue = Dialogue(world)
    dialogue.about = (world.pick(rng),)
    dialogue.user(ask.say(rng, clause(rng, dialogue.about[0], world.half)))
    dialogue.says(NO_TOOL)
    yield from ()
    return dialogue


def multi_step(rng: random.Random, world: World) -> Making:
    """A query whose second call needs a result of the first."""
    dialogue = Dialogue(world)
    link = rng.choice(world.links)
    specs = {spec.name: spec for spec in world.specs}
    first_spec, second_spec = specs[link.first], specs[link.second]
    first = clause(rng, first_spec, world.half, requests(first_spec), link.given)
    frames = tuple(frame for frame in requests(second_spec) if link.argument in frame.slots)
    second = clause(rng, second_spec, world.half, frames, {**link.fixed, link.argument: ask.MARK})
    dialogue.user(ask.say_chain(rng, first, second, link))
    result = (yield from dialogue.call(first))[0]
    found = Clause(second_spec, second.frame, {**second.arguments, link.argument: result[link.result]})
    found = Clause(
        second_spec,
        second.frame,
        found.arguments,
        {name: ask.text_of(value) for name, value in found.arguments.items()},
    )
    dialogue.close(found, (yield from dialogue.call(found))[0])
    return dialogue


def multi_turn(rng: random.Random, world: World) -> Making:
    """Either a needed argument is missing and the assistant asks for it, or the user asks again with other values."""
    return (yield from (clarified if rng.random() < 0.5 else repeated)(rng, world))


def _may_miss(spec: ToolSpec) -> list[str]:
    return [name for name in spec.required if any(name in frame.droppable for frame in requests(spec))]


def clarified(rng: random.Random, world: World) -> Making:
    """The user forgets a needed argument, is asked, and answers."""
    dialogue = Dialogue(world)
    spec = world.pick(rng, _may_miss)
    missing = rng.choice(_may_miss(spec))
    asked = clause(rng, spec, world.half, tuple(frame for frame in requests(spec) if missing in frame.droppable))
    dialogue.user(ask.say(rng, asked, without=missing))
    dialogue.says(f"What is the {spec.param(missing).description}?")
    dialogue.user(ask.say_value(rng, asked, missing))
    yield from dialogue.call(asked)
    return dialogue


def repeated(rng: random.Random, world: World) -> Making:
    """The user asks, gets an answer, and asks the same with other values."""
    dialogue = Dialogue(world)
    spec = world.pick(rng, lambda one: any(frame.has_tail for frame in one.frames))
    first = clause(rng, spec, world.half, tuple(frame for frame in spec.frames if frame.has_tail))
    dialogue.user(ask.say(rng, first))
    dialogue.close(first, (yield from dialogue.call(first))[0])
    other = clause(rng, spec, world.half, (first.frame,))
    dialogue.user(ask.say_again(rng, other))
    yield from dialogue.call(other)
    return dialogue


KINDS: dict[str, Callable[[random.Random, World], Making]] = {
    "single": single,
    "parallel": parallel,
    "irrelevant": irrelevant,
    "multi_step": multi_step,
    "multi_turn": multi_turn,
}  # fmt: skip


def listed(rng: random.Random, world: World, dialogue: Dialogue) -> list[ToolSpec]:
    """The tools a prompt lists: those needed and some others, shuffled."""
    chosen = dict(dialogue.gold)
    size = max(rng.choice(LISTED), len(chosen))
    needed = (*dialogue.gold.values(), *dialogue.about)
    near = [spec for one in needed for spec in world.by_domain.get(kin(one), ()) if spec not in dialogue.about]
    for _ in range(50):
        if len(chosen) >= size:
            break
        spec = rng.choice(near) if near and rng.random() < world.same_domain else rng.choice(world.others)
        chosen.setdefault(spec.name, spec)
    specs = list(chosen.values())
    rng.shuffle(specs)
    return specs


def candidate(
    rng: random.Random, world: World, kind: str
) -> Generator[list[Request], list[dict], tuple[Dialogue, list[ToolSpec]]]:
    """A sample and the tools its prompt lists, returned at last; until then yields calls and is sent results."""
    dialogue = yield from KINDS[kind](rng, world)
    return dialogue, listed(rng, world, dialogue)
