"""Masking after Hammer (arXiv 2410.04587): names that mean nothing, and requests that no tool fits (notebook 02).

A model that learnt what `get_weather(city)` does by its name fails on tools that it has never seen. With the names of
functions and arguments replaced by made-up words, only descriptions tell; and with the fitting tool taken away, the
right answer is no call.

    masked = mask(trajectory, random.Random(0))     # tools, calls, results and mentions renamed alike
    unmask(masked) == trajectory                    # exactly; the old names are kept in `extra`
    nothing = without_tool(trajectory, random.Random(0))
    with_tool(nothing) == trajectory

Native texts of a source are made from what was unmasked: `native(unmask(t))`.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from xlam_lib.data.augment.distractors import LOOK_ALIKE, likeness
from xlam_lib.data.augment.names import Names, pseudo_word, rename
from xlam_lib.trajectory import Outcome, Step, Tool, Trajectory

__all__ = ["mask", "unmask", "with_tool", "without_tool"]

MASKED = "masked"  # keys of Trajectory.extra
REMOVED = "tool removed"
IRRELEVANT = "irrelevance"  # a tag
PLAIN_KEYS = {  # of a schema that can be renamed within; any other might speak of arguments by name
    "type", "properties", "required", "additionalProperties", "title", "description", "$schema",
}  # fmt: skip
WORD_LIKE = re.compile(r"\w(?:.*\w)?", re.DOTALL)  # begins and ends within a word
ORDINARY = re.compile(r"[A-Za-z][a-z]*")
NEVER = r"(?!)"
REFUSALS = (
    "None of the available tools can do this.",
    "I have no tool for this request.",
    "No function of the list fits the request, so I call none.",
    "The given functions don't cover what is asked for.",
    "This can't be done with the tools at hand.",
)


def mask(trajectory: Trajectory, rng: random.Random, functions: float = 1.0, arguments: float = 1.0) -> Trajectory:
    """The trajectory with made-up names for functions and arguments, each with this probability.

    A name mentioned in instructions, descriptions or the model's content and reasoning is replaced there, too, if it
    differs from an ordinary word: "get_time", "search[", "`search`", but not "search".
    """
    if MASKED in trajectory.extra:
        raise ValueError(f"trajectory {trajectory.trajectory_id!r} is masked already; unmask it first")
    text = json.dumps(trajectory.to_dict(), ensure_ascii=False)
    names = _new_names(trajectory, text, rng, functions, arguments)
    new = _mentions(rename(trajectory, names), names.functions)
    back = names.inverse()
    kept = {"functions": dict(back.functions), "arguments": dict(back.arguments)}
    return replace(new, trajectory_id=f"{trajectory.trajectory_id}+{MASKED}", extra={**trajectory.extra, MASKED: kept})


def unmask(trajectory: Trajectory) -> Trajectory:
    """The trajectory that `mask` was given; one that isn't masked comes back as it is."""
    kept = trajectory.extra.get(MASKED)
    if kept is None:
        return trajectory
    names = Names(kept["functions"], kept["arguments"])
    old = rename(_mentions(trajectory, names.functions, everywhere=True), names)
    extra = {key: value for key, value in trajectory.extra.items() if key != MASKED}
    return replace(old, trajectory_id=trajectory.trajectory_id.removesuffix(f"+{MASKED}"), extra=extra)


def _new_names(trajectory: Trajectory, text: str, rng: random.Random, functions: float, arguments: float) -> Names:
    """Words that stand nowhere in the trajectory, so that they can be taken back wherever they stand later."""
    used: set[str] = set()

    def fresh() -> str:
        word = pseudo_word(rng)
        while word in used or word in text:
            word = f"{word}_{rng.randrange(10)}"
        used.add(word)
        return word

    new_functions, new_arguments = {}, {}
    for tool in trajectory.tools:
        if rng.random() < functions:
            new_functions[tool.name] = fresh()
        names = [name for name in _renamable(tool) if rng.random() < arguments]
        if names:
            new_arguments[tool.name] = {name: fresh() for name in names}
    return Names(new_functions, new_arguments)


def _renamable(tool: Tool) -> list[str]:
    """The arguments whose names stand in the schema's properties and list of required ones, and nowhere else."""
    if not tool.parameters.keys() <= PLAIN_KEYS or '"#/properties' in json.dumps(tool.parameters):
        return []
    return list(tool.parameters.get("properties", {}))


def _mentions(trajectory: Trajectory, names: Mapping[str, str], everywhere: bool = False) -> Trajectory:
    """With names replaced in instructions, descriptions and the model's content and reasoning; never within a word.

    `everywhere` means that none of the names is an ordinary word: they were made up.
    """
    pattern = _pattern(names, everywhere)

    def renamed(text: str) -> str:
        return pattern.sub(lambda found: names[found[0]], text) if text else text

    tools = tuple(replace(tool, description=renamed(tool.description)) for tool in trajectory.tools)
    steps = tuple(
        replace(step, content=renamed(step.content), reasoning=renamed(step.reasoning))
        if step.role in ("assistant", "system")
        else step
        for step in trajectory.steps
    )
    task = replace(trajectory.task, instruction=renamed(trajectory.task.instruction))
    return replace(trajectory, task=task, tools=tools, steps=steps)


def _pattern(names: Iterable[str], everywhere: bool) -> re.Pattern[str]:
    """Finds mentions of names: whole words, those that are ordinary words only where they stand as code."""
    known = sorted(filter(WORD_LIKE.fullmatch, names), key=len, reverse=True)
    plain = "|".join(re.escape(name) for name in known if not everywhere and ORDINARY.fullmatch(name)) or NEVER
    special = "|".join(re.escape(name) for name in known if everywhere or not ORDINARY.fullmatch(name)) or NEVER
    return re.compile(rf"(?<!\w)(?:{special})(?!\w)|(?<!\w)(?:{plain})(?=[(\[])|(?<=`)(?:{plain})(?=`)")


def without_tool(trajectory: Trajectory, rng: random.Random) -> Trajectory | None:
    """The conversation up to its first call, without the tools called there: the right answer is now no call.

    Tools much like those (`distractors.likeness`) go, too, since they might do. None where nothing is called.
    """
    first = next((index for index, step in enumerate(trajectory.steps) if step.tool_calls), None)
    if first is None:
        return None
    called = {call.name for call in trajectory.steps[first].tool_calls}
    gone = [tool for tool in trajectory.tools if tool.name in called]
    tools = tuple(tool for tool in trajectory.tools if all(likeness(tool, one) < LOOK_ALIKE for one in gone))
    kept = {key: trajectory.to_dict().get(key) for key in ("tools", "outcome", "quality", "tags")}
    kept["steps"] = [step.to_dict() for step in trajectory.steps[first:]]
    return replace(
        trajectory,
        trajectory_id=f"{trajectory.trajectory_id}+{IRRELEVANT}",
        tools=tools,
        steps=(*trajectory.steps[:first], Step("assistant", rng.choice(REFUSALS))),
        outcome=Outcome(),
        quality=(),
        tags=(*trajectory.tags, IRRELEVANT),
        extra={**trajectory.extra, REMOVED: {key: value for key, value in kept.items() if value}},
    )


def with_tool(trajectory: Trajectory) -> Trajectory:
    """The trajectory that `without_tool` was given; any other comes back as it is."""
    kept: dict[str, Any] | None = trajectory.extra.get(REMOVED)
    if kept is None:
        return trajectory
    plain = trajectory.to_dict()
    for key in ("tools", "outcome", "quality", "tags"):
        plain.pop(key, None)
    plain |= {
        **{key: value for key, value in kept.items() if key != "steps"},
        "trajectory_id": trajectory.trajectory_id.removesuffix(f"+{IRRELEVANT}"),
        "steps": [step.to_dict() for step in trajectory.steps[:-1]] + kept["steps"],
        "extra": {key: value for key, value in trajectory.extra.items() if key != REMOVED},
    }
    return Trajectory.from_dict(plain)
