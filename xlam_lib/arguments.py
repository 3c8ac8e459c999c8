"""Holding the arguments of a call against the JSON Schema of its tool, with a memory of schemas (notebook 01).

    argument_problems(tool, {"town": "Oslo"})     ["weather: 'city' is a required property", ...]
    argument_faults(tool, {"town": "Oslo"})       the same with where and what kind

Used by the checks of a trajectory, the codec and the data checks. `schema_quick.py` finds most arguments to fit; only
the others are given to jsonschema, which is imported then.
"""

from __future__ import annotations

import functools
import json
import marshal
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from referencing.exceptions import Unresolvable

from xlam_lib.records import TrajectoryError
from xlam_lib.schema_quick import Accepts, quick_check

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

    from xlam_lib.trajectory import Tool

KNOWN = 8192  # schemas that are remembered
_known: dict[bytes | str, Rules] = {}


@dataclass(frozen=True)
class ArgumentFault:
    """One thing wrong with the arguments of a call; see `argument_faults`."""

    kind: str
    path: tuple[str | int, ...]  # to the value: () for the arguments as a whole
    text: str
    error: Any = None  # the ValidationError, where there is one


def argument_problems(tool: Tool, arguments: dict) -> list[str]:
    """What is wrong with arguments: ["weather: unknown argument 'town'"].

    Stricter than JSON Schema in one point: a name that the schema does not list is a problem
    unless the schema speaks of additionalProperties or patternProperties itself.
    """
    return problems(tool, None, arguments)


def problems(tool: Tool, rules: Rules | None, arguments: dict) -> list[str]:
    texts = []
    for fault in _faults(tool, rules, arguments):
        path = "".join(f"[{part!r}]" for part in fault.path)
        texts.append(f"{tool.name}: {path + ': ' if path else ''}{fault.text}")
    return sorted(texts)


def argument_faults(tool: Tool, arguments: dict) -> list[ArgumentFault]:
    """The same with where and what kind: [ArgumentFault("unknown", (), "unknown argument 'town'")].

    The kind is a keyword of JSON Schema ("type", "required", "enum", ...), "unknown", or "schema" where the schema
    itself cannot be applied.
    """
    return _faults(tool, None, arguments)


def _faults(tool: Tool, rules: Rules | None, arguments: dict) -> list[ArgumentFault]:
    faults = []
    try:
        rules = rules or rules_of(tool.parameters)
        for error in () if rules.accepts(arguments) else validator_of(rules).iter_errors(arguments):
            kind = "unknown" if error.validator == "additionalProperties" else str(error.validator)
            faults.append(ArgumentFault(kind, tuple(error.absolute_path), _short(error.message), error))
    except (TrajectoryError, Unresolvable, re.error, RecursionError) as error:
        faults.append(ArgumentFault("schema", (), f"its schema cannot be applied ({_short(str(error))})"))
    if "additionalProperties" not in tool.parameters and "patternProperties" not in tool.parameters:
        known = tool.parameters.get("properties") or {}
        for name in arguments:
            if name not in known:
                faults.append(ArgumentFault("unknown", (), f"unknown argument {name!r}"))
    return faults


class Rules(NamedTuple):
    """What is remembered of a schema."""

    key: bytes | str  # the schema itself, by marshal, which takes a third of JSON's time, or as JSON
    accepts: Accepts  # the quick test
    quick: bool  # whether that test understood the schema, so that it is known to be one
    names: frozenset[str]  # of the arguments that it lists, so that none of them is unknown


def rules_of(schema: Any) -> Rules:
    try:
        key = marshal.dumps(schema, 2)  # version 2: equal values give equal bytes
    except ValueError:
        key = json.dumps(schema)
    rules = _known.get(key)
    if rules is None:
        accepts = quick_check(schema)
        rules = Rules(key, accepts or _never, accepts is not None, _names(schema))
        if len(_known) >= KNOWN:
            _known.clear()
        _known[key] = rules
    return rules


def _names(schema: Any) -> frozenset[str]:
    listed = schema.get("properties") if isinstance(schema, dict) else None
    return frozenset(listed) if isinstance(listed, dict) else frozenset()


def _never(value: Any) -> bool:
    return False


@functools.lru_cache(maxsize=4096)
def validator_of(rules: Rules) -> Draft202012Validator:
    """The full validator of a schema; a TrajectoryError for what is none."""
    import jsonschema  # here, because its format checkers can take two seconds to import

    parsed = json.loads(rules.key if isinstance(rules.key, str) else json.dumps(marshal.loads(rules.key)))
    try:
        if not rules.quick:
            jsonschema.Draft202012Validator.check_schema(parsed)
    except jsonschema.SchemaError as error:
        fault = f"{_short(error.message)} at {error.json_path}"
        raise TrajectoryError(f"parameters are not JSON Schema: {fault}") from error
    return jsonschema.Draft202012Validator(parsed)


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
