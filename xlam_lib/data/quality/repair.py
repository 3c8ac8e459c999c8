"""Arguments held against their schema, and the repairs that change no meaning. Used by `verify.py` (notebook 01).

Safe is what the schema leaves only one reading for: "5" is 5 where a whole number is expected, "true" is true, 5.0 is
5, 5 is "5" where text is expected, '["a"]' or "['a']" is ["a"] where a list is, "Celsius" is "celsius" where the enum
has just that. A single value where a list of it is expected, "yes" for true, or 4.5 for a whole number stay as they
are: another reading is as good.
"""

from __future__ import annotations

import ast
import copy
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from xlam_lib.trajectory import Tool, Trajectory
from xlam_lib.validation import ArgumentFault, argument_faults

REPAIRED = "repaired"  # key of Trajectory.extra: the arguments that stood there, by step and call

WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?")
RULE_OF = {"required": "missing required argument", "unknown": "unknown argument", "type": "wrongly typed argument"}
Repair = tuple[tuple[str | int, ...], Any]  # (path, new value)
OTHER = "argument against its schema"
NOTHING = object()
TRIED = 50  # repairs that are tried one by one, where they don't all help
LONGEST = 10_000  # characters of a list or object in Python's spelling


def repaired(tool: Tool, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(arguments, repairs made): `repaired(tool, {"n": "5"})` -> ({"n": 5}, ["n: '5' read as 5"]).

    A repair stays only if it leaves fewer faults. The arguments come back as they are when none was made, else copied.
    """
    faults = argument_faults(tool, arguments)
    repairs = list(_repairs(faults))
    if repairs and not _all_help(tool, arguments, faults, repairs):
        repairs = _helpful(tool, arguments, faults, repairs)
    result = _with(arguments, repairs)
    floats = list(_floats(tool, result))
    notes = [_note(arguments, *repair) for repair in repairs] + [_note(result, *repair) for repair in floats]
    return _with(result, floats), notes


def _all_help(tool: Tool, arguments: dict[str, Any], faults: list[ArgumentFault], repairs: list[Repair]) -> bool:
    """Whether repairs that are made together mend what they are made for and change nothing else."""
    paths = {path for path, _ in repairs}
    if len(paths) < len(repairs) or any(path[:size] in paths for path in paths for size in range(1, len(path))):
        return False
    expected = Counter((fault.path, fault.kind) for fault in faults if fault.path not in paths)
    after = argument_faults(tool, _with(arguments, repairs))
    return Counter((fault.path, fault.kind) for fault in after) == expected


def _helpful(tool: Tool, arguments: dict[str, Any], faults: list[ArgumentFault], repairs: list[Repair]) -> list[Repair]:
    """Of repairs that are made one by one, those that leave fewer faults; each takes a look at all arguments."""
    kept, left = [], len(faults)
    for repair in repairs[:TRIED]:
        if (after := len(argument_faults(tool, _with(arguments, [*kept, repair])))) < left:
            kept, left = [*kept, repair], after
    return kept


def _note(arguments: dict[str, Any], path: tuple[str | int, ...], value: Any) -> str:
    return f"{'.'.join(map(str, path))}: {_show(_at(arguments, path))} read as {_show(value)}"


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def _with(arguments: dict[str, Any], repairs: list[Repair]) -> dict[str, Any]:
    """A copy with the repairs made; the arguments themselves where there are none."""
    result = copy.deepcopy(arguments) if repairs else arguments
    for path, value in repairs:
        _at(result, path[:-1])[path[-1]] = value
    return result


def argument_findings(tool: Tool, arguments: dict[str, Any]) -> list[tuple[str, str]]:
    """(rule, what was found) for each fault: [("unknown argument", "weather: unknown argument 'town'")]."""
    found = []
    for fault in argument_faults(tool, arguments):
        path = ".".join(map(str, fault.path))
        found.append((rule_of(fault), f"{tool.name}: {path + ': ' if path else ''}{fault.text}"))
    return sorted(set(found))


def rule_of(fault: ArgumentFault) -> str:
    """The rule of `findings.py` that a fault breaks; a union that no branch of fits counts as a wrong type."""
    if fault.kind in ("anyOf", "oneOf") and all(error.validator == "type" for error in fault.error.context):
        return RULE_OF["type"]
    return RULE_OF.get(fault.kind, OTHER)


def _repairs(faults: list[ArgumentFault]) -> Iterator[Repair]:
    """(path, new value) for each fault with exactly one safe repair."""
    for fault in faults:
        if not fault.path or fault.kind not in ("type", "enum", "anyOf", "oneOf"):
            continue
        value, candidates = fault.error.instance, []
        for error in [fault.error, *fault.error.context]:
            new = _candidate(value, error) if error.instance is value else NOTHING
            if new is not NOTHING and not any(_same(new, other) for other in candidates):
                candidates.append(new)
        if len(candidates) == 1:
            yield fault.path, candidates[0]


def _candidate(value: Any, error: Any) -> Any:
    """The one reading of a value that a type or an enum of the schema asks for, or NOTHING."""
    if error.validator == "enum" and isinstance(value, str):
        fitting = [one for one in error.validator_value if isinstance(one, str) and one.casefold() == value.casefold()]
        return fitting[0] if len(fitting) == 1 else NOTHING
    if error.validator != "type":
        return NOTHING
    expected = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    readings = [new for kind in expected if (new := _read(value, kind)) is not NOTHING]
    return readings[0] if readings and all(_same(one, readings[0]) for one in readings) else NOTHING


def _read(value: Any, kind: str) -> Any:
    """A value as another type, if that changes no meaning: `_read("5", "integer")` -> 5."""
    if kind == "string":
        return str(value) if type(value) is int else NOTHING
    if not isinstance(value, str):
        return NOTHING
    text = value.strip()
    if kind in ("integer", "number") and WHOLE.fullmatch(text):
        return int(text)
    if kind == "number" and DECIMAL.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in ("array", "object") and text[:1] == {"array": "[", "object": "{"}[kind]:
        return _decoded(text)
    return NOTHING


def _decoded(text: str) -> Any:
    """The list or object that a text writes down, as JSON or in Python's spelling: "['a', True]" -> ["a", True]."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        pass
    try:
        value = ast.literal_eval(text) if len(text) <= LONGEST else NOTHING  # parsed, not run
        return value if json.loads(json.dumps(value, allow_nan=False)) == value else NOTHING
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return NOTHING


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _floats(tool: Tool, arguments: dict[str, Any]) -> Iterator[Repair]:
    """5.0 where a whole number is expected: JSON Schema accepts it, but a program that is called may not."""
    properties = tool.parameters.get("properties")
    for name, value in list(arguments.items()):
        schema = properties.get(name) if isinstance(properties, dict) else None
        if not isinstance(schema, dict):
            continue
        if schema.get("type") == "integer" and _is_whole_float(value):
            yield (name,), int(value)
        items = schema.get("items")
        if isinstance(value, list) and isinstance(items, dict) and items.get("type") == "integer":
            yield from (((name, i), int(item)) for i, item in enumerate(value) if _is_whole_float(item))


def _is_whole_float(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer() and abs(value) < 2**53


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def unrepaired(trajectory: Trajectory) -> Trajectory:
    """As it was before `verify` repaired it: `unrepaired(verify(t)[0]) == t`; native texts are made from this."""
    before = trajectory.extra.get(REPAIRED, {})
    if not before:
        return trajectory
    steps = tuple(
        replace(
            step,
            tool_calls=tuple(
                replace(call, arguments=before.get(f"{index}.{number}", call.arguments))
                for number, call in enumerate(step.tool_calls)
            ),
        )
        for index, step in enumerate(trajectory.steps)
    )
    extra = {key: value for key, value in trajectory.extra.items() if key != REPAIRED}
    return replace(trajectory, steps=steps, extra=extra)
