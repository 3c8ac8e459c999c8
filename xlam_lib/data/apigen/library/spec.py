"""A tool of the embedded data: one python function with an annotated signature, a docstring and a few query frames.

Used by notebook 01 (through `xlam_lib.data.apigen`). The decorator `tool` reads all it needs from the function:
argument types and value pools from the annotations, descriptions from the docstring; `ToolSpec.schema` derives the
JSON Schema a model sees.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from xlam_lib.data.apigen.library.frames import Frame
from xlam_lib.data.apigen.library.values import Pool
from xlam_lib.trajectory import Tool


@dataclass(frozen=True)
class Request:
    """One call to run; `returns` makes it an echo of a made-up tool (`facts.echo`)."""

    tool: str
    arguments: dict
    returns: dict[str, str] | None = None


@dataclass(frozen=True)
class Param:
    """One argument of a tool, e.g. `Param("city", "name of the city", {"type": "string"}, True, POOLS["city"])`."""

    name: str
    description: str
    schema: dict
    required: bool = True
    pool: Pool | None = None  # None: closed class (enum or boolean)

    def draw(self, rng: random.Random, split: str) -> Any:
        """A fresh value: from the pool's half of the split, or any of a closed class."""
        if self.pool is not None:
            return self.pool.draw(rng, split)
        return rng.choice(self.schema.get("enum", (True, False)))

    @property
    def json_schema(self) -> dict:
        """The schema with the description, as a model sees it."""
        head = {"type": self.schema["type"], "description": self.description}
        return head | {key: value for key, value in self.schema.items() if key != "type"}


@dataclass(frozen=True)
class ToolSpec:
    """A tool as the generator needs it; a made-up one has no `function`, `returns` says what it echoes."""

    name: str
    domain: str
    description: str
    params: tuple[Param, ...]
    frames: tuple[Frame, ...]
    answer: str = ""
    function: Callable[..., dict] | None = None
    returns: dict[str, str] = field(default_factory=dict)
    noun: str = ""  # of a made-up tool: what it is about

    def param(self, name: str) -> Param:
        """The argument of that name."""
        return next(p for p in self.params if p.name == name)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the arguments that a call needs."""
        return tuple(p.name for p in self.params if p.required)

    def request(self, arguments: dict) -> Request:
        """The call with these arguments, as the executor wants it."""
        return Request(self.name, arguments, None if self.function else self.returns)

    @cached_property
    def schema(self) -> Tool:
        """The tool as a model sees it."""
        parameters: dict = {"type": "object", "properties": {p.name: p.json_schema for p in self.params}}
        if self.required:
            parameters["required"] = list(self.required)
        return Tool(name=self.name, description=self.description, parameters=parameters)


TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _schema_of(hint: Any, where: str) -> tuple[dict, Pool | None]:
    if get_origin(hint) is Annotated:
        pool = get_args(hint)[1]
        return dict(pool.schema), pool
    if get_origin(hint) is Literal:
        return {"type": "string", "enum": list(get_args(hint))}, None
    if hint is bool:
        return {"type": "boolean"}, None
    raise TypeError(f"{where}: annotate the argument with a value pool, a Literal or bool, not {hint!r}")


def _descriptions(function: Callable, where: str) -> tuple[str, dict[str, str]]:
    lines = [line.strip() for line in (inspect.getdoc(function) or "").splitlines() if line.strip()]
    if not lines:
        raise TypeError(f"{where}: a tool needs a docstring whose first line describes it")
    pairs = dict(line.split(": ", 1) for line in lines[1:])
    return lines[0].rstrip("."), pairs


def read_tool(function: Callable[..., dict], domain: str, ask: tuple[str, ...], answer: str = "") -> ToolSpec:
    """The ToolSpec of a function, e.g. of `def get_weather_forecast(city: City, date: Date) -> dict`."""
    name = function.__name__
    description, texts = _descriptions(function, name)
    hints = get_type_hints(function, include_extras=True)
    params = []
    for key, parameter in inspect.signature(function).parameters.items():
        schema, pool = _schema_of(hints[key], f"{name}({key})")
        if key not in texts:
            raise TypeError(f"{name}: the docstring lacks a line '{key}: ...'")
        params.append(Param(key, texts[key], schema, parameter.default is inspect.Parameter.empty, pool))
    frames = tuple(Frame.parse(text) for text in ask)
    known = {p.name for p in params}
    for frame in frames:
        if not set(frame.slots) <= known or not {p.name for p in params if p.required} <= set(frame.slots):
            raise TypeError(f"{name}: frame {frame.text!r} has slots {frame.slots}, the function has {sorted(known)}")
    return ToolSpec(name, domain, description, tuple(params), frames, answer, function)


class Domain:
    """Collects the tools of one domain: `weather = Domain("weather")`, then `@weather.tool("get it< for {city}>")`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.specs: list[ToolSpec] = []

    def tool(self, *ask: str, answer: str = "") -> Callable[[Callable[..., dict]], Callable[..., dict]]:
        """Decorator: registers the function with its query frames and the template of the closing answer."""

        def register(function: Callable[..., dict]) -> Callable[..., dict]:
            self.specs.append(read_tool(function, self.name, ask, answer))
            return function

        return register
