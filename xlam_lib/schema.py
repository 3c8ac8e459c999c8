"""The unified format, field by field, and how its records are read strictly and written compactly.

The types come last, one page of them: what a trajectory is made of (`trajectory.py` reads and writes it). Every
notebook speaks these types: every source is converted into them once, and every trainer, server and benchmark reads
them from `xlam_lib.trajectory`. `to_dict` leaves out fields that hold their default; `from_dict` puts the defaults back
and refuses unknown keys, missing keys and values of the wrong type, saying in which trajectory and step it met them.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
import typing
from typing import Any, Literal

import msgspec
from msgspec import field

from xlam_lib.errors import TrajectoryError

SCHEMA_VERSION = "1.0"  # of the unified format


class _DataclassFields:
    """By which `dataclasses.replace`, `fields` and `asdict` take a struct for the dataclass that it stands for."""

    def __get__(self, record: Any, cls: type) -> dict[str, dataclasses.Field]:
        return _dataclass_fields(cls)


class Frozen(msgspec.Struct, frozen=True):
    """A frozen dataclass in all that matters, made and compared in C: conversion makes many records."""

    __dataclass_fields__: typing.ClassVar[Any] = _DataclassFields()


@functools.cache
def _dataclass_fields(cls: type) -> dict[str, dataclasses.Field]:
    specs = []
    for one in msgspec.structs.fields(cls):
        given = {"default": one.default, "default_factory": one.default_factory}
        known = {key: value for key, value in given.items() if value is not msgspec.NODEFAULT}
        specs.append((one.name, one.type, dataclasses.field(**known)))
    made = dataclasses.make_dataclass(cls.__name__, specs, init=False, repr=False, eq=False)
    return made.__dataclass_fields__


class Record(Frozen, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of the types in `trajectory.py`. Dictionaries inside them are shared, not copied: don't edit them."""

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON values, without the fields at their default: {'role': 'user', 'content': 'Hi'}."""
        found = typed_dict(self)
        if found is None:  # whatever an ill-typed record holds
            pairs = ((name, getattr(self, name), default) for name, default in _defaults(type(self)))
            found = {name: _plain(value) for name, value, default in pairs if value != default}
        return found

    @classmethod
    def from_dict(cls, data: dict[str, Any], where: str = ""):
        """The record that `to_dict` wrote. `where` begins every error: "trajectory 'weather-7', step 3"."""
        try:
            return _quick(cls, data)
        except _Mismatch:  # read again, slowly, to say what is wrong and where
            where = where or cls.__name__
        if not isinstance(data, dict):
            raise TrajectoryError(f"{where}: expected an object, found {_show(data)}")
        hints = _hints(cls)
        unknown = sorted(map(str, data.keys() - hints.keys()))
        if unknown:
            raise TrajectoryError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(hints)}")
        for one in dataclasses.fields(cls):
            if one.name not in data and _default(one) is dataclasses.MISSING:
                raise TrajectoryError(f"{where}: key {one.name!r} is missing")
        return cls(**{key: _typed(hints[key], value, where, key) for key, value in data.items()})


class _Mismatch(Exception):
    """Something isn't as expected; who cares what looks again."""


def typed_dict(record: Record, without: str = "") -> dict[str, Any] | None:
    """`to_dict` of a record whose fields, at every depth of records, hold the types that they declare; else None.

    What dictionaries hold is not looked at: `typed_dict(Step("user", "Hi"))` -> {'role': 'user', 'content': 'Hi'}.
    The field `without` is neither looked at nor given.
    """
    try:
        return _typed_writer(type(record), without)(record)
    except _Mismatch:
        return None


@functools.cache
def _typed_writer(cls: type, without: str = "") -> Any:
    """`to_dict` of a class that raises _Mismatch over an ill type, as code of its own, as dataclasses make theirs.

    It is quicker than a loop over fields, of which most hold their default.
    """
    known: dict[str, Any] = {"cls": cls, "Mismatch": _Mismatch}
    lines = ["def write(self):", " if type(self) is not cls: raise Mismatch", " kept = {}"]
    for number, (name, default) in enumerate(pair for pair in _defaults(cls) if pair[0] != without):
        hint, d, e, w = _hints(cls)[name], f"d{number}", f"e{number}", f"w{number}"
        known[d] = known[e] = default
        lines += [f" value = self.{name}", f" if value is not {d}:"]
        origin, inside = typing.get_origin(hint), typing.get_args(hint)
        if isinstance(hint, type) and issubclass(hint, Record):
            known[w] = _typed_writer(hint)
            known[e] = known[w](default) if default is not dataclasses.MISSING else default
            lines += [f"  value = {w}(value)"]
        elif origin is tuple and isinstance(inside[0], type) and issubclass(inside[0], Record):
            known[w], known[e] = _typed_writer(inside[0]), [] if default == () else default
            lines += ["  if type(value) is not tuple: raise Mismatch", f"  value = [{w}(item) for item in value]"]
        elif origin is tuple:
            known[w], known[e] = _reader(hint)[1], [] if default == () else default
            lines += [f"  if not {w}(value): raise Mismatch", "  value = list(value)"]
        elif hint in (str, bool, dict):
            lines += [f"  if type(value) is not {hint.__name__}: raise Mismatch"]
        else:
            known[w] = _reader(hint)[1]
            lines += [f"  if not {w}(value): raise Mismatch"]
        lines += [f"  if value != {e}: kept[{name!r}] = value"]
    exec("\n".join([*lines, " return kept"]), known)
    return known["write"]


def _quick(cls: type, data: Any) -> Any:
    """`from_dict` for data without a fault, in a third of the time; anything else is a _Mismatch."""
    if type(data) is not dict:
        raise _Mismatch
    made, left = {}, len(data)
    for name, read in _shape(cls):
        if name in data:
            left -= 1
            made[name] = read(data[name])
    if left or _required(cls) - made.keys():
        raise _Mismatch
    return cls(**made)


@functools.cache
def _shape(cls: type) -> list[tuple[str, Any]]:
    """(name, reads a value or raises _Mismatch) of each field."""
    return [(name, _reader(hint)[0]) for name, hint in _hints(cls).items()]


@functools.cache
def _required(cls: type) -> frozenset[str]:
    return frozenset(name for name, default in _defaults(cls) if default is dataclasses.MISSING)


@functools.cache
def _defaults(cls: type) -> list[tuple[str, Any]]:
    return [(field.name, _default(field)) for field in dataclasses.fields(cls)]


def _reader(hint: Any) -> tuple[Any, Any]:
    """(reads a value of this type or raises _Mismatch, says whether a value fits)."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, Record):
        return functools.partial(_quick, hint), lambda value: type(value) is hint and typed_dict(value) is not None
    if origin is types.UnionType:
        read, fits = _reader(inside[0])
        return lambda value: None if value is None else read(value), lambda value: value is None or fits(value)
    if origin is tuple:
        read, fits = _reader(inside[0])
        return (
            lambda value: tuple(map(read, _of(list, value))),
            lambda value: type(value) is tuple and all(map(fits, value)),
        )
    if origin is typing.Literal:
        fits = functools.partial(_among, frozenset(inside))
    elif hint is float:
        fits = functools.partial(_is_type, (float, int))
        return lambda value: _float(_of(float, value, int)), fits
    else:
        fits = functools.partial(_is_type, (hint,))
    return lambda value: value if fits(value) else _mismatch(), fits


def _is_type(kinds: tuple[type, ...], value: Any) -> bool:
    return type(value) in kinds


def _among(values: frozenset[str], value: Any) -> bool:
    return type(value) is str and value in values


def _of(kind: type, value: Any, other: type | None = None) -> Any:
    return value if type(value) in (kind, other) else _mismatch()


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return _mismatch()


def _mismatch() -> Any:
    raise _Mismatch


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _show(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _typed(hint: Any, value: Any, where: str, key: str) -> Any:
    """`value` as the type `hint` asks for, or a TrajectoryError."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, Record):
        return hint.from_dict(value, f"{where}, {key}")
    if origin is types.UnionType:
        return None if value is None else _typed(inside[0], value, where, key)
    if origin is tuple and isinstance(value, list):
        return tuple(_item(inside[0], item, where, f"{key.removesuffix('s')} {i}") for i, item in enumerate(value))
    if origin is typing.Literal:
        if value in inside:
            return value
        raise TrajectoryError(f"{where}: {key!r} is {_show(value)}, expected one of {', '.join(inside)}")
    if hint is float and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    if type(value) is hint:
        return value
    expected = "list" if origin is tuple else getattr(hint, "__name__", str(hint))
    raise TrajectoryError(f"{where}: {key!r} is {_show(value)}, expected {expected}")


def _item(hint: Any, value: Any, where: str, label: str) -> Any:
    if issubclass(hint, Record):
        return hint.from_dict(value, f"{where}, {label}")
    return _typed(hint, value, where, label)


class Tool(Record, frozen=True):
    """What can be called: `Tool("weather", "Weather of a city", {"type": "object", "properties": {...}})`."""

    name: str
    description: str = ""
    parameters: dict = field(default_factory=lambda: {"type": "object", "properties": {}})  # JSON Schema


class ToolCall(Record, frozen=True):
    """One call: `ToolCall("weather", {"city": "Oslo"}, "call_0")`; ids are unique within a trajectory."""

    name: str
    arguments: dict = field(default_factory=dict)
    id: str = ""


class Step(Record, frozen=True):
    """One message. `reasoning` is the thought, `content` the text; a tool step answers the call `tool_call_id`."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""  # of the tool, on tool steps
    is_error: bool = False  # the tool failed
    trainable: bool = True  # assistant steps that may be learnt from
    reward: float | None = None
    reasoning_origin: Literal["native", "generated", "none"] = "none"


class Source(Record, frozen=True):
    """Where it comes from: `Source("toolbench", "Apache-2.0", raw_id="G1_answer/42")`."""

    name: str
    license: str
    raw_id: str = ""
    split: str = ""
    revision: str = ""
    url: str = ""
    converter: str = ""


class Task(Record, frozen=True):
    """What is to be done: the text of the task block, unless a system step says it."""

    instruction: str = ""
    task_id: str = ""


class Outcome(Record, frozen=True):
    """How it ended. An infrastructure error is a reason to stop, never a reward."""

    success: bool | None = None
    reward: float | None = None
    termination: Literal["success", "failure", "max_steps", "user_stop", "infra_error", "unknown"] = "unknown"
    checks: dict = field(default_factory=dict)


class Rating(Record, frozen=True):
    """What a rater thought of it, from 1 (bad) to 5 (good): `Rating("format", "rule", 5.0)`."""

    rater: str
    kind: Literal["rule", "critic", "human"]
    score: float
    rationale: str = ""


class TrajectoryRecord(Record, frozen=True):
    """The fields of a trajectory; `xlam_lib.trajectory.Trajectory` is this with its behaviour."""

    trajectory_id: str  # unique and stable: source name + raw id (+ variant)
    source: Source
    task: Task = field(default_factory=Task)
    tools: tuple[Tool, ...] = ()
    steps: tuple[Step, ...] = ()
    outcome: Outcome = field(default_factory=Outcome)
    quality: tuple[Rating, ...] = ()
    split: str = ""
    tags: tuple[str, ...] = ()
    extra: dict = field(default_factory=dict)
