"""What the next query shall be about: which functions, how many calls, which are offered beside, which examples.

    sampler = Sampler(library, seed=0)
    sampler.plan(7)    # Plan(number=7, kind="parallel", expected=("weather", "weather"), offered=("stock", "weather"))
    Sampler(library, seed=0, questions_per_list=8)     # plans 0 to 7 offer the same functions in the same order

A plan depends on the library, the seed and its number alone, so any part of a run can be made again or elsewhere. Every
function is the first one expected equally often (to within one), in an order that changes from round to round. Several
questions about one list are read as one trie by SFT, the list once (`train/mixture/examples.py`). These
are the samplers of APIGen (arXiv 2406.18518, section 3.1); kinds have the names of the Berkeley leaderboard. Used by
`stages.py`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from xlam_lib.data.apigen.apis import Api, ApigenError, Library

KINDS = {"simple": 0.35, "multiple": 0.25, "parallel": 0.15, "parallel_multiple": 0.15, "irrelevant": 0.10}
STYLES = (
    "short, as a busy person types it",
    "a polite, complete sentence",
    "casual, with a little background of why it is wanted",
    "an order in the imperative",
    "a question",
    "detailed, with every value spelled out",
)
OFFERED = (2, 2, 3, 3, 4, 5)  # how many functions a prompt of several lists
SAME_GROUP = 0.5  # how often a function beside comes from the same group, which makes the choice harder


@dataclass(frozen=True)
class Plan:
    """One sample to be made: `expected` are the functions to call, one more than once where a kind says so."""

    number: int
    kind: str
    expected: tuple[str, ...]
    offered: tuple[str, ...]  # in the order of the prompt
    absent: str = ""  # of an irrelevant query: the function it is about, which isn't offered
    style: str = STYLES[0]
    examples: tuple[dict[str, Any], ...] = ()

    def rng(self, attempt: int = 0) -> random.Random:
        """A generator of its own for each attempt, e.g. `plan.rng(0).random()`."""
        return random.Random(f"{self.number}:{self.kind}:{self.expected}:{self.offered}:{attempt}")


class Sampler:
    """Plans by number: `Sampler(library, seed=0, kinds={"simple": 1.0})`; `examples` are shown to models."""

    def __init__(
        self,
        library: Library,
        seed: int = 0,
        kinds: Mapping[str, float] | None = None,
        examples: Sequence[dict[str, Any]] = (),
        examples_each: int = 2,
        most_calls: int = 3,
        questions_per_list: int = 1,
    ) -> None:
        shares = dict(KINDS if kinds is None else kinds)
        if unknown := sorted(shares.keys() - KINDS.keys()):
            raise ApigenError(f"kind {unknown[0]!r} is unknown; there are {', '.join(KINDS)}")
        if not len(library) or most_calls < 2 or questions_per_list < 1:
            raise ApigenError("a sampler needs a function, most_calls of 2 or more, questions_per_list of 1 or more")
        if len(library) == 1:  # nothing to choose from, and nothing that could be absent
            shares = {kind: share for kind, share in shares.items() if kind in ("simple", "parallel")}
        if sum(shares.values()) <= 0:
            raise ApigenError(f"no kind is left to draw; with {len(library)} functions give some of simple, parallel")
        self.library, self.seed, self.kinds = library, seed, shares
        self.examples, self.examples_each, self.most_calls = tuple(examples), examples_each, most_calls
        self.names = [api.name for api in library]
        self.questions_per_list = questions_per_list
        self._round = lru_cache(maxsize=4)(self._shuffled)
        self._list = lru_cache(maxsize=4)(self._questions)

    def plan(self, number: int) -> Plan:
        """The plan of that number."""
        if self.questions_per_list > 1:
            return self._list(number // self.questions_per_list)[number % self.questions_per_list]
        rng = random.Random(f"{self.seed}:plan:{number}")
        first = self._first(number)
        kind = self._kind(rng)
        expected, absent = self._expected(rng, first, kind)
        offered = self._offered(rng, first, kind, expected, absent)
        shown = self._examples(rng, {*expected, absent})
        return Plan(number, kind, expected, offered, absent, rng.choice(STYLES), shown)

    def plans(self, count: int, start: int = 0) -> list[Plan]:
        """So many plans in a row."""
        return [self.plan(number) for number in range(start, start + count)]

    def _questions(self, group: int) -> list[Plan]:
        """The plans that share a list: what they call is on it, and what an irrelevant one is about is not.

        Where nothing can be left out, a question that was to be irrelevant calls its function instead.
        """
        start, count = group * self.questions_per_list, self.questions_per_list
        rngs = [random.Random(f"{self.seed}:plan:{start + at}") for at in range(count)]
        drawn = [(self._first(start + at), self._kind(rng)) for at, rng in enumerate(rngs)]
        called = tuple(dict.fromkeys(first.name for first, kind in drawn if kind != "irrelevant"))
        vain = [first.name for first, kind in drawn if kind == "irrelevant" and first.name not in called]
        vain = vain[: max(0, len(self.names) - max(2, len(called)))]  # a list of two at least
        rng = random.Random(f"{self.seed}:list:{group}")
        offered = self._offered(rng, drawn[0][0], "multiple", called, *vain)
        missing = [name for name in self.names if name not in offered]
        plans = []
        for at, (own, (first, kind)) in enumerate(zip(rngs, drawn, strict=True)):
            if kind == "irrelevant" and first.name in offered:
                kind, first = (kind, self.library[own.choice(missing)]) if missing else ("multiple", first)
            kind = "multiple" if kind == "simple" and len(offered) > 1 else kind  # there is a choice to be made
            expected, absent = self._expected(own, first, kind, offered)
            shown = self._examples(own, {*expected, absent})
            plans.append(Plan(start + at, kind, expected, offered, absent, own.choice(STYLES), shown))
        return plans

    def _first(self, number: int) -> Api:
        lap, place = divmod(number, len(self.names))
        return self.library[self._round(lap)[place]]

    def _kind(self, rng: random.Random) -> str:
        return rng.choices(list(self.kinds), list(self.kinds.values()))[0]

    def _shuffled(self, lap: int) -> list[str]:
        names = list(self.names)
        random.Random(f"{self.seed}:round:{lap}").shuffle(names)
        return names

    def _expected(
        self, rng: random.Random, first: Api, kind: str, offered: tuple[str, ...] = ()
    ) -> tuple[tuple[str, ...], str]:
        """(what is called, what is asked for in vain); several different ones are of those `offered`, if any are."""
        if kind == "irrelevant":
            return (), first.name
        if kind in ("simple", "multiple"):
            return (first.name,), ""
        count = rng.randint(2, self.most_calls)
        if kind == "parallel":
            if not first.tool.parameters.get("properties"):  # without arguments two calls would be the same call
                return (first.name,), ""
            return (first.name,) * count, ""
        others = [name for name in offered or self.names if name != first.name]
        return (first.name, *rng.sample(others, min(count - 1, len(others)))), ""

    def _offered(
        self, rng: random.Random, first: Api, kind: str, expected: tuple[str, ...], *absent: str
    ) -> tuple[str, ...]:
        chosen = list(dict.fromkeys(expected))
        size = 1 if kind == "simple" else max(rng.choice(OFFERED), len(chosen))
        size = len(chosen) if kind == "parallel" and rng.random() < 0.5 else size
        others = [name for name in self.names if name not in chosen and name not in absent]
        near = [name for name in others if self.library[name].group == first.group]
        while len(chosen) < size and others:
            name = rng.choice(near) if near and rng.random() < SAME_GROUP else rng.choice(others)
            chosen.append(name)
            others.remove(name)
            if name in near:
                near.remove(name)
        rng.shuffle(chosen)
        return tuple(chosen)

    def _examples(self, rng: random.Random, about: set[str]) -> tuple[dict[str, Any], ...]:
        """Examples of other functions: to copy one's own would teach nothing."""
        fitting = [one for one in self.examples if not about & {call["name"] for call in one.get("tool_calls", ())}]
        return tuple(rng.sample(fitting, min(self.examples_each, len(fitting))))
