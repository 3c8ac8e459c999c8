"""Tools that aren't needed, put among those that are: a model must choose (notebook 02).

    pool = ToolPool(tool for t in trajectories for tool in t.tools)
    harder = add_from_pool(trajectory, pool, random.Random(0), count=4, similar=0.5)
    without_distractors(harder) == trajectory

Half of them are much like the tools that are called, so that the choice isn't easy, the others are anything. What is
all but the same as a called tool, or says the same in other words, is left out: calling it would be right, too. Order
and choice come from the seed.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from xlam_lib.data.augment.names import LEADS, SYNONYMS
from xlam_lib.trajectory import Tool, Trajectory

__all__ = ["LOOK_ALIKE", "ToolPool", "add_from_pool", "likeness", "without_distractors"]

LOOK_ALIKE = 0.6  # tools as like as this may be used for one another
NEAR = 3  # times as many similar tools as are asked for stand for choice
BEFORE = "tools before distractors"  # key of Trajectory.extra
SMALL_WORDS = frozenset("a an the of in on at to for from by with and or is it its".split())
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")


def words(tool: Tool) -> frozenset[str]:
    """The words of a tool's name and description: `words(Tool("getTime", "Of a city"))` -> {"get", "time", ...}."""
    return frozenset(word.lower() for word in WORD.findall(f"{tool.name} {tool.description}"))


def meaning(tool: Tool) -> frozenset[str]:
    """The words that tell what a tool does, one of several synonyms: "Tool to fetch the time" -> {"get", "time"}."""
    found = (word.lower() for word in WORD.findall(tool.description or tool.name))
    return frozenset(SAME.get(word, word) for word in found if word not in NO_MEANING)


def likeness(a: Tool, b: Tool) -> float:
    """How much two tools say the same, from 0 to 1: the share of words, or of meanings, that they have in common."""
    if a.name == b.name:
        return 1.0
    pairs = ((words(a), words(b)), (meaning(a), meaning(b)))
    return max(len(mine & other) / len(mine | other) if mine | other else 0.0 for mine, other in pairs)


def _same() -> dict[str, str]:
    """One word for all that `names.reword` may put for one another: {"fetch": "get", "locate": "find", ...}."""
    same: dict[str, str] = {}
    for verb, others in SYNONYMS.items():
        group = {verb, *(word for other in others for word in other.split())} - SMALL_WORDS
        known = {same[word] for word in group if word in same}
        first = min(known, default=verb)
        same |= dict.fromkeys([*group, *(word for word, one in same.items() if one in known)], first)
    return same


SAME = _same()
NO_MEANING = SMALL_WORDS | {word.lower() for lead in LEADS for word in WORD.findall(lead)}


class ToolPool:
    """Tools to choose distractors from, the first of each name: `ToolPool(tools).tools[0].name`."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        by_name: dict[str, Tool] = {}
        for tool in tools:
            by_name.setdefault(tool.name, tool)
        self.tools = list(by_name.values())
        self.by_word: dict[str, list[int]] = defaultdict(list)  # word -> tools
        for number, tool in enumerate(self.tools):
            for word in words(tool):
                self.by_word[word].append(number)

    def nearest(self, tool: Tool, count: int) -> list[Tool]:
        """The tools that share most of the rarer words with this one, the nearest first; itself, if it is there."""
        scores: Counter[int] = Counter()
        for word in sorted(words(tool)):
            numbers = self.by_word.get(word, [])
            for number in numbers:
                scores[number] += math.log(1 + len(self.tools) / len(numbers))
        best = sorted(scores, key=lambda number: (-scores[number], number))
        return [self.tools[number] for number in best[:count]]

    def distractors(self, trajectory: Trajectory, rng: random.Random, count: int, similar: float = 0.5) -> list[Tool]:
        """So many tools that the trajectory doesn't have, a share of them like those it calls; fewer if there are."""
        called = {call.name for step in trajectory.steps for call in step.tool_calls}
        needed = [tool for tool in trajectory.tools if tool.name in called]
        names = {tool.name for tool in trajectory.tools}
        chosen: dict[str, Tool] = {}

        def take(candidates: list[Tool], up_to: int) -> None:
            for tool in candidates:
                if len(chosen) >= up_to:
                    return
                if tool.name not in names and all(likeness(tool, one) < LOOK_ALIKE for one in needed):
                    chosen.setdefault(tool.name, tool)

        near = {tool.name: tool for one in needed for tool in self.nearest(one, NEAR * count + len(names))}
        take(rng.sample(list(near.values()), len(near)), round(similar * count))
        take(rng.sample(self.tools, len(self.tools)), count)
        return list(chosen.values())


def add_from_pool(
    trajectory: Trajectory, pool: ToolPool, rng: random.Random, count: int = 4, similar: float = 0.5
) -> Trajectory:
    """The trajectory with distractors and all its tools shuffled; `extra` keeps the order there was."""
    if BEFORE in trajectory.extra:
        raise ValueError(f"trajectory {trajectory.trajectory_id!r} has distractors already; take them out first")
    tools = [*trajectory.tools, *pool.distractors(trajectory, rng, count, similar)]
    extra = {**trajectory.extra, BEFORE: [tool.name for tool in trajectory.tools]}
    return replace(trajectory, tools=tuple(rng.sample(tools, len(tools))), extra=extra)


def without_distractors(trajectory: Trajectory) -> Trajectory:
    """The trajectory that `add_from_pool` was given; any other comes back as it is."""
    before = trajectory.extra.get(BEFORE)
    if before is None:
        return trajectory
    by_name = {tool.name: tool for tool in trajectory.tools}
    extra = {key: value for key, value in trajectory.extra.items() if key != BEFORE}
    return replace(trajectory, tools=tuple(by_name[name] for name in before), extra=extra)
