"""Draws samples from the catalogue: several questions on each list of tools, one after the other.

    for trajectory in broad("train", seed=0, count=1000): ...

Each is validated. The same seed gives the same samples, on any machine; they are drawn as they are asked for. Kinds:

* `single`: one call, most of the time among several tools;   * `parallel`: one tool for several values;
* `parallel_multiple`: several tools;                          * `irrelevant`: nothing listed can do it;
* `missing`: a needed value isn't said, and is asked for;      * `talk`: words that need no tool;
* `follow`: a call, its result, an answer, often a next call.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from xlam_lib.data.apigen.broad import answers, wording
from xlam_lib.data.apigen.broad.catalogue import read_catalogue
from xlam_lib.data.apigen.broad.lists import ToolList, World
from xlam_lib.data.apigen.broad.phrasing import Phrasing
from xlam_lib.data.apigen.broad.tools import Asked, BroadTool
from xlam_lib.data.apigen.broad.values import Several
from xlam_lib.trajectory import Source, Step, Trajectory
from xlam_lib.validation import KnownTools, check_and_serialize

QUESTIONS_PER_LIST = 8
MIX = {  # what is drawn; where a list doesn't allow it, another is
    "single": 0.35, "parallel": 0.13, "parallel_multiple": 0.13, "irrelevant": 0.17, "missing": 0.07, "talk": 0.03,
    "follow": 0.12,
}  # fmt: skip
SOURCE = Source("apigen_broad", "Apache-2.0")
PHRASED = 0.25  # share of single questions that are made of a phrase
Steps = list[Step]


def broad(
    split: str,
    seed: int = 0,
    count: int = 1000,
    questions_per_list: int = QUESTIONS_PER_LIST,
    tools: Mapping[str, BroadTool] | None = None,
    taken: Iterable[str] = (),
) -> Iterator[Trajectory]:
    """So many samples of "train", "test_seen" or "test_unseen"; those of a list follow one another and share its tools.

    `tools` is the catalogue unless given, `taken` are names that no renamed tool may get.
    """
    if questions_per_list < 1:
        raise ValueError(f"questions_per_list is {questions_per_list}, expected at least 1")
    world = World.of(split, read_catalogue() if tools is None else tools, taken)
    for number in range(count):
        place, at = divmod(number, questions_per_list)
        if at == 0:
            rng = random.Random(f"{seed}:{split}:{questions_per_list}:{place}")
            chosen, known, said = world.draw(rng), KnownTools(), set()
        yield _sample(rng, world, chosen, f"broad/{split}/{seed}/{place}-{at}", known, said)


def _sample(
    rng: random.Random, world: World, chosen: ToolList, name: str, known: KnownTools, said: set[str]
) -> Trajectory:
    """A sample that asks nothing that was asked on this list before, as far as some tries find one."""
    for _ in range(8):
        kind = rng.choices(list(MIX), list(MIX.values()))[0]
        steps = KINDS[kind](rng, world, chosen)
        if steps and steps[0].content not in said:
            break
    else:
        kind, steps = "single", single(rng, world, chosen)
    said.add(steps[0].content)
    if chosen.system:
        steps = [Step("system", chosen.system), *steps]
    source = replace(SOURCE, raw_id=name, split=world.split)
    trajectory = Trajectory(name, source, tools=chosen.tools, steps=tuple(steps), split=world.split, tags=(kind,))
    check_and_serialize(trajectory, known=known)
    return trajectory


def _user(text: str) -> Step:
    return Step("user", text)


def _says(text: str) -> Step:
    return Step("assistant", text)


def _calls(chosen: ToolList, asked: list[Asked], first: int = 0) -> Step:
    calls = [chosen.call(one.tool, one.arguments, number) for number, one in enumerate(asked, start=first)]
    return Step("assistant", tool_calls=tuple(calls))


def _any(rng: random.Random, chosen: ToolList) -> BroadTool:
    return rng.choice(list(chosen.asked.values()))


def _question(rng: random.Random, world: World, tool: BroadTool) -> Asked:
    return tool.ask(rng, world.half, rng.choice(tool.phrases if rng.random() < PHRASED else tool.questions))


def single(rng: random.Random, world: World, chosen: ToolList) -> Steps:
    """One question, one call."""
    asked = _question(rng, world, _any(rng, chosen))
    return [_user(wording.one(rng, asked)), _calls(chosen, [asked])]


def parallel(rng: random.Random, world: World, chosen: ToolList) -> Steps:
    """One tool for two to four values of a slot, or for wholly different values; none for a tool without values."""
    tool = _any(rng, chosen)
    count = rng.choice((2, 2, 2, 3, 3, 4))
    phrasings = [phrasing for phrasing in (*tool.questions, *tool.phrases) if _repeatable(tool, phrasing)]
    if phrasings and rng.random() < 0.6:
        phrasing = rng.choice(phrasings)
        slot = rng.choice(_repeatable(tool, phrasing))
        asked = _distinct(rng, world, tool.ask(rng, world.half, phrasing), slot, count)
        return [_user(wording.repeated(rng, asked, slot)), _calls(chosen, asked)] if asked else []
    found: list[Asked] = []
    source = tool.phrases if rng.random() < 0.7 else tool.questions
    for _ in range(3 * count):
        one = tool.ask(rng, world.half, rng.choice(source))
        if len(found) < min(count, 3) and all(one.values != other.values for other in found):
            found.append(one)
    return [_user(wording.several(rng, found)), _calls(chosen, found)] if len(found) > 1 else []


def _repeatable(tool: BroadTool, phrasing: Phrasing) -> list[str]:
    """The slots whose value can be several in one sentence: "the weather in Oslo and Rome", no "from 3 and 5 to 9"."""
    return [
        slot
        for slot in phrasing.droppable
        if not isinstance(tool.leaves[slot].kind, Several) and "." not in slot and phrasing.lead(slot) != "from"
    ]


def _distinct(rng: random.Random, world: World, first: Asked, slot: str, count: int) -> list[Asked]:
    """The same question with other values of a slot, none twice; [] if there are too few."""
    found = [first]
    for _ in range(4 * count):
        said = first.tool.leaves[slot].kind.draw(rng, world.half)
        if len(found) < count and all(said.value != other for one in found for other in one.values.values()):
            values, texts = {**first.values, slot: said.value}, {**first.texts, slot: said.text}
            found.append(replace(first, values=values, texts=texts))
    return found if len(found) > 1 else []


def parallel_multiple(rng: random.Random, world: World, chosen: ToolList) -> Steps:
    """Several tools in one message; none where the list has but one."""
    if len(chosen.asked) < 2:
        return []
    tools = rng.sample(list(chosen.asked.values()), min(len(chosen.asked), rng.choice((2, 2, 2, 3))))
    phrased = rng.random() < 0.7
    asked = []
    for tool in tools:
        phrased_one = phrased or rng.random() < 0.3
        asked.append(tool.ask(rng, world.half, rng.choice(tool.phrases if phrased_one else tool.questions)))
    return [_user(wording.several(rng, asked)), _calls(chosen, asked)]


def irrelevant(rng: random.Random, world: World, chosen: ToolList) -> Steps:
    """A question for a tool that isn't there; none where all tools of the split are too much alike."""
    tool = world.absent(rng, chosen)
    if tool is None:
        return []
    return [_user(wording.one(rng, _question(rng, world, tool))), _says(answers.refusal(rng, tool))]


def missing(rng: random.Random, world: World, chosen: ToolList) -> Steps:
    """A needed value is not said: the assistant asks for it, and most of the time gets it."""
    tool = _any(rng, chosen)
    phrasings = [
        (one, slot) for one in (*tool.questions, *tool.phrases) for slot in one.droppable if tool.leaves[slot].required
    ]
    if not phrasings:
        return []
    phrasing, slot = rng.choice(phrasings)
    asked = tool.ask(rng, world.half, phrasing)
    steps = [_user(wording.one(rng, asked, slot)), _says(answers.question_for(rng, tool.leaves[slot]))]
    if rng.random() < 0.65:
        steps += [_user(answers.reply(rng, asked, slot)), _calls(chosen, [asked])]
    return steps


def talk(rng: random.Random, world: World, chosen: ToolList) -> Steps:
    """Words that need no tool."""
    says, answer = answers.talk(rng, world.half)
    return [_user(says), _says(answer)]


def follow(rng: random.Random, world: World, chosen: ToolList) -> Steps:
    """A call, its result and an answer; often a next question. None for a tool whose result can't be made up."""
    asked = _question(rng, world, _any(rng, chosen))
    told = answers.outcome(rng, asked.tool)
    if told is None:
        return []
    result, words = told
    calls = _calls(chosen, [asked])
    call = calls.tool_calls[0]
    answer = Step("tool", json.dumps(result), tool_call_id=call.id, name=call.name, is_error="error" in result)
    steps = [_user(wording.one(rng, asked)), calls, answer, _says(words)]
    if rng.random() < 0.5:
        other = _question(rng, world, _any(rng, chosen))
        steps += [_user(wording.one(rng, other)), _calls(chosen, [other], first=1)]
    return steps


KINDS: dict[str, Callable[[random.Random, World, ToolList], Steps]] = {
    "single": single,
    "parallel": parallel,
    "parallel_multiple": parallel_multiple,
    "irrelevant": irrelevant,
    "missing": missing,
    "talk": talk,
    "follow": follow,
}
