"""Augmentation for training: other names, order and words for the same tools, so that a model reads their list.

Used by notebooks 01 and 02. After Hammer (arXiv 2410.04587): names of functions and arguments are masked while
descriptions stay. Everything is a pure function of a trajectory and a `random.Random`, keeps tools, calls and results
consistent, and can be undone: `rename(rename(t, names), inverse)` is `t` again. Try it: `augment(trajectory,
random.Random(0))`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xlam_lib.data.wordlists import SYLLABLES
from xlam_lib.trajectory import Step, Tool, ToolCall, Trajectory

SYNONYMS = {
    "get": ("fetch", "return", "read"), "find": ("look up", "search for", "locate"), "book": ("reserve", "arrange"),
    "compute": ("calculate", "work out"), "create": ("make", "add"), "send": ("deliver", "dispatch"),
    "search": ("look through", "browse"), "show": ("display", "present"), "check": ("verify", "test"),
    "log": ("record", "note"), "count": ("work out", "total"), "list": ("show", "enumerate"),
    "delete": ("remove", "erase"), "report": ("tell", "state"), "measure": ("determine", "compute"),
    "convert": ("turn", "change"), "add": ("put", "insert"), "print": ("output", "produce"),
    "start": ("launch", "begin"),
}  # fmt: skip
LEADS = ("Tool to {}", "Used to {}", "Function to {}", "Can {}", "Lets you {}")


@dataclass(frozen=True)
class Names:
    """New names of functions, and of arguments by function: `Names({"get": "vola"}, {"get": {"city": "x"}})`."""

    functions: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def inverse(self) -> Names:
        """The names that undo these."""
        back = {new: old for old, new in self.functions.items()}
        turned = {
            self.functions.get(tool, tool): {new: old for old, new in names.items()}
            for tool, names in self.arguments.items()
        }
        return Names(back, turned)


def _renamed_tool(tool: Tool, names: Names) -> Tool:
    new = names.arguments.get(tool.name, {})
    parameters = dict(tool.parameters)
    if "properties" in parameters:
        parameters["properties"] = {new.get(key, key): value for key, value in parameters["properties"].items()}
    if "required" in parameters:
        parameters["required"] = [new.get(key, key) for key in parameters["required"]]
    return replace(tool, name=names.functions.get(tool.name, tool.name), parameters=parameters)


def _renamed_call(call: ToolCall, names: Names) -> ToolCall:
    new = names.arguments.get(call.name, {})
    arguments = {new.get(key, key): value for key, value in call.arguments.items()}
    return replace(call, name=names.functions.get(call.name, call.name), arguments=arguments)


def _renamed_step(step: Step, names: Names) -> Step:
    calls = tuple(_renamed_call(call, names) for call in step.tool_calls)
    return replace(step, tool_calls=calls, name=names.functions.get(step.name, step.name))


def rename(trajectory: Trajectory, names: Names) -> Trajectory:
    """The trajectory with new names everywhere; a ValueError when two tools or arguments would share one."""
    tools = tuple(_renamed_tool(tool, names) for tool in trajectory.tools)
    if len({tool.name for tool in tools}) < len(tools):
        raise ValueError(
            f"trajectory {trajectory.trajectory_id!r}: renaming gives two tools one name, "
            f"in {[tool.name for tool in tools]}"
        )
    for old, new in zip(trajectory.tools, tools, strict=True):
        if len(new.parameters.get("properties", {})) < len(old.parameters.get("properties", {})):
            raise ValueError(
                f"trajectory {trajectory.trajectory_id!r}: renaming gives two arguments of {old.name!r} one name"
            )
    return replace(trajectory, tools=tools, steps=tuple(_renamed_step(step, names) for step in trajectory.steps))


def pseudo_word(rng: random.Random) -> str:
    """A word that means nothing, such as "veloka"."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 2, 3))))


def mask_function(name: str, rng: random.Random) -> str:
    """Another name for a function: "get_time" -> "veloka", "fetch_time", "getTime" or "time_get"."""
    words = [word for word in re.split(r"[_\W]+|(?<=[a-z])(?=[A-Z])", name) if word]
    roll = rng.random()
    if roll < 0.45 or len(words) < 2:
        return pseudo_word(rng) if rng.random() < 0.6 else f"{pseudo_word(rng)}_{rng.randrange(10, 100)}"
    if roll < 0.75:
        lead = words[0].lower()
        other = rng.choice(SYNONYMS[lead]) if lead in SYNONYMS else rng.choice(("do", "run", "call", "use"))
        return "_".join([*other.split(), *(words[1:] if lead in SYNONYMS else words)])
    if roll < 0.9:
        return words[0].lower() + "".join(word.capitalize() for word in words[1:])
    return "_".join([*words[1:], words[0]])


def mask_argument(name: str, description: str, rng: random.Random) -> str:
    """Another name for an argument: "city" -> "veloka", "x3" or, from its description, "name_of_city"."""
    roll = rng.random()
    words = [
        word
        for word in re.findall(r"[a-z]+", description.lower())
        if word not in ("the", "a", "an", "to", "in", "or", "not", "it", "is", "when")
    ]
    if roll < 0.4 or not words:
        return pseudo_word(rng)
    if roll < 0.55:
        return f"{rng.choice('abcpqvxyz')}{rng.randrange(1, 10)}"
    if roll < 0.8:
        return "_".join(words)
    return rng.choice((words[0], words[-1], f"the_{words[-1]}", f"{words[-1]}_value"))


def random_names(trajectory: Trajectory, rng: random.Random, functions: float, arguments: float) -> Names:
    """New names for tools and arguments, each with its probability; booleans keep theirs."""
    taken = {tool.name for tool in trajectory.tools}
    new_functions: dict[str, str] = {}
    new_arguments: dict[str, dict[str, str]] = {}
    for tool in trajectory.tools:
        if rng.random() < functions:
            name = mask_function(tool.name, rng)
            if name not in taken:
                new_functions[tool.name] = name
                taken.add(name)
        properties: dict[str, Any] = tool.parameters.get("properties", {})
        used = set(properties)
        for key, schema in properties.items():
            if schema.get("type") == "boolean" or rng.random() >= arguments:
                continue
            name = mask_argument(key, schema.get("description", ""), rng)
            if name not in used:
                new_arguments.setdefault(tool.name, {})[key] = name
                used.add(name)
    return Names(new_functions, new_arguments)


def shuffle_tools(trajectory: Trajectory, rng: random.Random) -> Trajectory:
    """The same tools in another order."""
    return replace(trajectory, tools=tuple(rng.sample(trajectory.tools, len(trajectory.tools))))


def shuffle_arguments(trajectory: Trajectory, rng: random.Random) -> Trajectory:
    """The arguments of each tool in another order, in the schema and in the calls."""
    orders: dict[str, list[str]] = {}
    tools = []
    for tool in trajectory.tools:
        properties = tool.parameters.get("properties", {})
        order = orders[tool.name] = rng.sample(list(properties), len(properties))
        parameters = {**tool.parameters, "properties": {key: properties[key] for key in order}}
        if "required" in parameters:
            parameters["required"] = sorted(parameters["required"], key=order.index)
        tools.append(replace(tool, parameters=parameters))
    steps = []
    for step in trajectory.steps:
        calls = tuple(
            replace(call, arguments=_ordered(call.arguments, orders.get(call.name, []))) for call in step.tool_calls
        )
        steps.append(replace(step, tool_calls=calls))
    return replace(trajectory, tools=tuple(tools), steps=tuple(steps))


def _ordered(arguments: dict, order: list[str]) -> dict:
    known = [key for key in order if key in arguments]
    return {key: arguments[key] for key in [*known, *(key for key in arguments if key not in known)]}


def reword(description: str, rng: random.Random) -> str:
    """The description with another verb or opening: "Get the time" -> "Fetch the time" or "Tool to get the time"."""
    head, _, rest = description.partition(" ")
    if head.lower() in SYNONYMS and rng.random() < 0.6:
        text = f"{rng.choice(SYNONYMS[head.lower()])} {rest}"
        return text[:1].upper() + text[1:]
    if not head[:1].isupper() or head.lower() in ("tool", "used", "function", "can", "lets"):
        return description
    return rng.choice(LEADS).format(f"{head[:1].lower()}{head[1:]} {rest}".strip())


def reword_descriptions(trajectory: Trajectory, rng: random.Random, share: float = 0.5) -> Trajectory:
    """Tool descriptions reworded, each with this probability."""
    tools = tuple(
        replace(tool, description=reword(tool.description, rng)) if rng.random() < share else tool
        for tool in trajectory.tools
    )
    return replace(trajectory, tools=tools)


def add_distractors(trajectory: Trajectory, others: Sequence[Tool], rng: random.Random, count: int = 1) -> Trajectory:
    """So many tools more, of names not yet there, at random places; fewer when the others do not suffice."""
    names = {tool.name for tool in trajectory.tools}
    fresh = list({tool.name: tool for tool in others if tool.name not in names}.values())
    tools = list(trajectory.tools)
    for tool in rng.sample(fresh, min(count, len(fresh))):
        tools.insert(rng.randint(0, len(tools)), tool)
    return replace(trajectory, tools=tuple(tools))


def augment(
    trajectory: Trajectory,
    rng: random.Random,
    functions: float = 0.4,
    arguments: float = 0.25,
    order: float = 0.5,
    descriptions: float = 0.3,
) -> Trajectory:
    """One variant: names masked, arguments and tools reordered, descriptions reworded, each with its probability."""
    if rng.random() < order:
        trajectory = shuffle_arguments(shuffle_tools(trajectory, rng), rng)
    trajectory = reword_descriptions(trajectory, rng, descriptions)
    return rename(trajectory, random_names(trajectory, rng, functions, arguments))
