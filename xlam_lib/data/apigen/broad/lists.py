"""Lists of tools on which several questions are asked: tools of the catalogue, near ones and far ones, and real others.

    world = World.of("train", read_catalogue())
    chosen = world.draw(random.Random(0))
    [tool.name for tool in chosen.tools]     # 1 to 8, as a model sees them: with other names or order now and then

All questions on a list share its tools and its system text exactly, so that training reads the list once.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from xlam_lib.data.apigen.broad.answers import SYSTEM
from xlam_lib.data.apigen.broad.signatures import real_tools
from xlam_lib.data.apigen.broad.tools import BroadTool, split_words
from xlam_lib.data.augment.distractors import LOOK_ALIKE, ToolPool, likeness
from xlam_lib.data.augment.names import Names, random_names, reword
from xlam_lib.trajectory import Source, Tool, ToolCall, Trajectory

SPLITS = ("train", "test_seen", "test_unseen")
SIZES, WEIGHTS = (1, 2, 3, 4, 5, 6, 7, 8), (12, 14, 16, 16, 12, 10, 10, 10)
NEAR, REAL = 0.5, 0.2  # shares of the listed tools that are of the first one's domain, or no tool of the catalogue
UNLIKE = 0.34  # tools of different domains less alike than this can't stand for one another
KIN = 0.9  # those of one domain are told apart by whoever wrote them: spheres from cones
MASKED, STYLED, PROMPTED = 0.2, 0.2, 0.35  # shares of lists with made-up names, another style of names, a system text
TRIES = 40


@dataclass(frozen=True)
class ToolList:
    """Tools as they are listed, and what is behind them: `asked` holds those that can be asked for, by their names."""

    tools: tuple[Tool, ...]
    asked: Mapping[str, BroadTool]
    everything: tuple[Tool, ...]  # the same tools under their own names
    names: Names
    system: str = ""

    def call(self, tool: BroadTool, arguments: dict, number: int) -> ToolCall:
        """A call under the names of the list, with its arguments in the order of the schema."""
        new = self.names.arguments.get(tool.name, {})
        renamed = {new.get(key, key): value for key, value in arguments.items()}
        name = self.names.functions.get(tool.name, tool.name)
        order = next(one for one in self.tools if one.name == name).parameters["properties"]
        return ToolCall(name, {key: renamed[key] for key in order if key in renamed}, f"call_{number}")


@dataclass
class World:
    """The tools of a split: those that are asked for, and all that may be listed beside them."""

    split: str
    asked: list[BroadTool]
    listed: list[BroadTool]
    real: ToolPool
    taken: frozenset[str] = frozenset()  # names that no made-up name may be, those of a benchmark
    by_domain: dict[str, list[BroadTool]] = field(default_factory=dict)
    alike: dict[tuple[str, str], float] = field(default_factory=dict)
    near_real: dict[str, list[Tool]] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, split: str, tools: Mapping[str, BroadTool], taken: Iterable[str] = ()) -> World:
        """The world of a split: training knows no tool of the unseen test, not even beside others."""
        if split not in SPLITS:
            raise ValueError(f"the split is {split!r}, expected one of {', '.join(SPLITS)}")
        asked = [tool for tool in tools.values() if tool.unseen == (split == "test_unseen")]
        listed = asked if split == "train" else list(tools.values())
        if not asked:
            raise ValueError(f"none of the {len(tools)} tools is of the split {split!r}")
        taken = frozenset(taken)
        real = ToolPool(tool for tool in real_tools() if tool.name not in tools and tool.name not in taken)
        world = cls(split, asked, listed, real, taken)
        world.domains.update((tool.name, tool.domain) for tool in listed)
        for tool in listed:
            world.by_domain.setdefault(tool.domain, []).append(tool)
        return world

    @property
    def half(self) -> str:
        """Which half of the values the questions hold."""
        return "train" if self.split == "train" else "test"

    def _same(self, one: Tool, other: Tool, limit: float) -> bool:
        """Whether two tools may stand for one another: they are that much alike, or nearly the same in one domain."""
        key = (one.name, other.name)
        if key not in self.alike:
            self.alike[key] = self.alike[key[::-1]] = likeness(one, other)
        domain = self.domains.get(one.name)
        return self.alike[key] >= (KIN if domain and domain == self.domains.get(other.name) else limit)

    def draw(self, rng: random.Random) -> ToolList:
        """A list with a tool that can be asked for, as a model sees it."""
        first = rng.choice(self.asked)
        size = rng.choices(SIZES, WEIGHTS)[0]
        chosen: dict[str, Tool] = {first.name: first.schema}
        behind = {first.name: first}
        for _ in range(TRIES):
            if len(chosen) >= size:
                break
            tool, broad = self._other(rng, first)
            if tool.name not in chosen and not any(self._same(tool, one, LOOK_ALIKE) for one in chosen.values()):
                chosen[tool.name] = tool
                behind |= {broad.name: broad} if broad and broad.unseen == first.unseen else {}
        order = rng.sample(list(chosen), len(chosen))
        return self._shown(
            rng, [chosen[name] for name in order], {name: behind[name] for name in order if name in behind}
        )

    def _other(self, rng: random.Random, first: BroadTool) -> tuple[Tool, BroadTool | None]:
        roll = rng.random()
        if roll < REAL and self.real.tools:
            near = self.near_real.get(first.name)
            if near is None:
                near = self.near_real[first.name] = self.real.nearest(first.schema, 12)
            return rng.choice(near if near and rng.random() < 0.5 else self.real.tools), None
        far = self.asked if rng.random() < 0.5 else self.listed
        broad = rng.choice(self.by_domain[first.domain] if roll < REAL + NEAR else far)
        return broad.schema, broad

    def _shown(self, rng: random.Random, tools: list[Tool], asked: dict[str, BroadTool]) -> ToolList:
        functions: dict[str, str] = {}
        arguments: Mapping[str, Mapping[str, str]] = {}
        if rng.random() < MASKED:
            names = random_names(Trajectory("x", Source("x", "x"), tools=tuple(tools)), rng, 0.6, 0.35)
            functions, arguments = dict(names.functions), names.arguments
        elif rng.random() < STYLED:
            style = rng.choice(STYLES)
            functions = {tool.name: style(tool.name, asked[tool.name].domain) for tool in tools if tool.name in asked}
        kept: dict[str, str] = {}
        for old, new in functions.items():
            if new not in self.taken and new not in kept.values() and not any(tool.name == new for tool in tools):
                kept[old] = new
        names = Names(kept, arguments)
        shown = tuple(varied(rng, renamed(tool, names)) for tool in tools)
        system = rng.choice(SYSTEM) if rng.random() < PROMPTED else ""
        return ToolList(shown, asked, tuple(tools), names, system)

    def absent(self, rng: random.Random, chosen: ToolList) -> BroadTool | None:
        """A tool that can be asked for and that no listed one can stand for; half the time of the same domain."""
        domains = [tool.domain for tool in chosen.asked.values()]
        for _ in range(TRIES):
            near = rng.random() < 0.55
            pool = self.by_domain[rng.choice(domains)] if near else self.asked
            tool = rng.choice(pool)
            fits = tool.unseen == (self.split == "test_unseen") and tool.name not in chosen.asked
            if fits and not any(self._same(tool.schema, one, UNLIKE) for one in chosen.everything):
                return tool
        return None


def renamed(tool: Tool, names: Names) -> Tool:
    """A tool under other names: `renamed(tool, Names({"get": "fetch"})).name` -> "fetch"."""
    new = names.arguments.get(tool.name, {})
    parameters = {**tool.parameters}
    parameters["properties"] = {new.get(key, key): value for key, value in parameters["properties"].items()}
    if "required" in parameters:
        parameters["required"] = [new.get(key, key) for key in parameters["required"]]
    return Tool(names.functions.get(tool.name, tool.name), tool.description, parameters)


def varied(rng: random.Random, tool: Tool) -> Tool:
    """The tool as another developer might have written it: other order, end marks, defaults told in words."""
    properties = tool.parameters["properties"]
    roll = rng.random()
    order = rng.sample(list(properties), len(properties)) if roll < 0.25 else list(properties)
    shown = {key: _varied_parameter(rng, properties[key]) for key in order}
    parameters = {**tool.parameters, "properties": shown}
    required = parameters.pop("required", [])
    if required:
        places = sorted(required) if roll > 0.85 else sorted(required, key=order.index)
        parameters["required"] = places
    elif rng.random() < 0.3:
        parameters["required"] = []
    description = tool.description
    if rng.random() < 0.15:
        description = description.rstrip(".")
    elif rng.random() < 0.1:
        description = reword(description, rng)
    return replace(tool, description=description, parameters=parameters)


def _varied_parameter(rng: random.Random, schema: dict) -> dict:
    roll = rng.random()
    if roll > 0.3:
        return schema
    made = {**schema}
    if "default" in made and roll < 0.12:
        default = made.pop("default")
        if "default" not in made.get("description", "").lower() and default is not None:
            made["description"] = f"{made.get('description', '').rstrip('.')}. Defaults to {_told(default)}.".lstrip(
                ". "
            )
        return made
    if roll < 0.2 and "description" in made:
        return {"description": made.pop("description"), **made}
    if "description" in made:
        made["description"] = made["description"].rstrip(".")
    return made


def _told(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"'{value}'" if isinstance(value, str) else str(value)


def _snake(name: str, domain: str) -> str:
    return "_".join(split_words(name))


def _camel(name: str, domain: str) -> str:
    first, *rest = split_words(name)
    return first + "".join(word.capitalize() for word in rest)


def _pascal(name: str, domain: str) -> str:
    return "".join(word.capitalize() for word in split_words(name))


def _dotted(name: str, domain: str) -> str:
    return f"{domain}.{_snake(name.rpartition('.')[2], domain)}"


STYLES = (_snake, _camel, _pascal, _dotted)


def without_names(tools: Mapping[str, BroadTool], taken: Iterable[str]) -> tuple[dict[str, BroadTool], int, int]:
    """(the tools, how many were renamed, how many left out), so that none has a name of a benchmark's function.

    A tool of such a name gets another style of it, the first that is free: `get_time` -> `getTime`.
    """
    taken, kept, changed = frozenset(taken), {}, 0
    for tool in tools.values():
        names = [tool.name, *(style(tool.name, tool.domain) for style in (_dotted, _camel, _snake))]
        free = [name for name in names if name not in taken and name not in kept and re.fullmatch(r"[\w.]+", name)]
        if free:
            changed += free[0] != tool.name
            kept[free[0]] = tool if free[0] == tool.name else replace(tool, name=free[0], key=tool.key)
    return kept, changed, len(tools) - len(kept)
