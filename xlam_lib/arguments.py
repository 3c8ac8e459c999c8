"""Holding the arguments of a call against the JSON Schema of its tool, with a cache of schemas (notebook 01).

    argument_problems(tool, {"town": "Oslo"})     ["weather: 'city' is a required property", ...]
    argument_faults(tool, {"town": "Oslo"})       the same with where and what kind

Used by the checks of a trajectory, the codec and the data checks. `quick_check` finds most arguments to fit; only
the others are given to jsonschema, which is imported then.
"""

from __future__ import annotations

import functools
import json
import marshal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from xlam_lib.errors import TrajectoryError
from xlam_lib.json_schema.references import root_parts
from xlam_lib.json_schema.validator import UNFIT, JsonValidator, json_validator, schema_fault
from xlam_lib.schema import Tool

Accepts = Callable[[Any], bool]
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
TEXTS = ("title", "description", "format", "$comment")  # they restrict no value, but must be text
ASKED = frozenset(  # keywords that are left to the full validator; a word that is no keyword restricts nothing
    """$schema $vocabulary $id $anchor $dynamicAnchor $ref $dynamicRef $recursiveRef $recursiveAnchor $defs definitions
    prefixItems items contains additionalProperties properties patternProperties dependentSchemas dependencies
    propertyNames if then else allOf anyOf oneOf not unevaluatedItems unevaluatedProperties type const enum multipleOf
    maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems minItems uniqueItems
    maxContains minContains maxProperties minProperties required dependentRequired deprecated readOnly writeOnly
    examples contentEncoding contentMediaType contentSchema""".split()
)
DEPTH = 20
CACHE_SIZE = 8192  # schemas
_cache: dict[bytes | str, Rules] = {}


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
        for error in () if rules.accepts(arguments) else validator_of(rules).errors(arguments):
            kind = "unknown" if error.validator == "additionalProperties" else str(error.validator)
            faults.append(ArgumentFault(kind, tuple(error.absolute_path), _short(error.message), error))
    except UNFIT as error:
        faults.append(ArgumentFault("schema", (), f"its schema cannot be applied ({_short(str(error))})"))
    if rules and rules.names.issuperset(arguments):
        return faults
    parts = list(root_parts(tool.parameters))
    if not any("additionalProperties" in part or "patternProperties" in part for part in parts):
        listed = set().union(*map(_names, parts))
        faults += [ArgumentFault("unknown", (), f"unknown argument {n!r}") for n in arguments if n not in listed]
    return faults


class Rules(NamedTuple):
    """What is cached of a schema."""

    key: bytes | str  # the schema itself, by marshal, which takes a third of JSON's time, or as JSON
    accepts: Accepts  # the quick test
    quick: bool  # whether that test understood the schema, so that it is known to be one
    names: frozenset[str]  # of the arguments that it lists, so that none of them is unknown


def rules_of(schema: Any) -> Rules:
    try:
        key = marshal.dumps(schema, 2)  # version 2: equal values give equal bytes
    except ValueError:
        key = json.dumps(schema)
    rules = _cache.get(key)
    if rules is None:
        accepts = quick_check(schema)
        rules = Rules(key, accepts or _never, accepts is not None, _names(schema))
        if len(_cache) >= CACHE_SIZE:
            _cache.clear()
        _cache[key] = rules
    return rules


def _names(schema: Any) -> frozenset[str]:
    listed = schema.get("properties") if isinstance(schema, dict) else None
    return frozenset(listed) if isinstance(listed, dict) else frozenset()


def _never(value: Any) -> bool:
    return False


@functools.lru_cache(maxsize=4096)
def validator_of(rules: Rules) -> JsonValidator:
    """The full validator of a schema; a TrajectoryError for what is none."""
    parsed = json.loads(rules.key if isinstance(rules.key, str) else json.dumps(marshal.loads(rules.key)))
    try:
        fault = None if rules.quick else schema_fault(parsed)
    except (RecursionError, ArithmeticError) as error:  # nested too deeply, or a pattern with a count of many digits
        raise TrajectoryError(f"parameters can't be read as JSON Schema: {_short(str(error))}") from error
    if fault is not None:
        raise TrajectoryError(
            f"parameters are not JSON Schema: {_short(fault.message)} at {fault.json_path}"
        ) from fault
    return json_validator(parsed)


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def quick_check(schema: Any, depth: int = 0) -> Accepts | None:
    """A test for values of this schema: `quick_check({"type": "integer"})(3)` -> True; None if it says too much."""
    if not isinstance(schema, dict) or depth > DEPTH:
        return None
    kinds: tuple[type, ...] | None = None
    allowed: tuple[Any, ...] | None = None
    inner: dict[str, Accepts] = {}
    required: tuple[str, ...] = ()
    items: Accepts | None = None
    closed = False
    for key, value in schema.items():
        if key == "type":
            kinds = _kinds(value)
            if kinds is None:
                return None
        elif key == "properties" and isinstance(value, dict):
            for name, part in value.items():
                test = quick_check(part, depth + 1)
                if test is None:
                    return None
                inner[name] = test
        elif key == "required" and _are_names(value):
            required = tuple(value)
        elif key == "items":
            items = quick_check(value, depth + 1)
            if items is None:
                return None
        elif key == "enum" and isinstance(value, list) and value and all(type(one) is str for one in value):
            allowed = tuple(value)
        elif key == "additionalProperties" and isinstance(value, bool):
            closed = not value
        elif key in ASKED or (key in TEXTS and not isinstance(value, str)):
            return None
    if inner or required or items or closed:
        return _test(kinds, allowed, inner, required, items, closed)
    return _leaf(kinds, allowed)


@functools.lru_cache(maxsize=256)
def _leaf(kinds: tuple[type, ...] | None, allowed: tuple[str, ...] | None) -> Accepts:
    """Most parameters are a text or a number like a thousand others: one test does for all of them."""
    return _test(kinds, allowed, {}, (), None, False)


def _kinds(value: Any) -> tuple[type, ...] | None:
    if isinstance(value, str):
        return TYPES.get(value)
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name in TYPES for name in names) or len(set(names)) < len(names):
        return None
    return tuple({kind for name in names for kind in TYPES[name]})


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is str for one in value) and len(set(value)) == len(value)


def _test(
    kinds: tuple[type, ...] | None,
    allowed: tuple[Any, ...] | None,
    inner: dict[str, Accepts],
    required: tuple[str, ...],
    items: Accepts | None,
    closed: bool,
) -> Accepts:
    def accepts(value: Any) -> bool:
        kind = type(value)
        if (kinds is not None and kind not in kinds) or (allowed is not None and value not in allowed):
            return False
        if kind is dict:
            for name in required:
                if name not in value:
                    return False
            for name in value:
                if name in inner:
                    if not inner[name](value[name]):
                        return False
                elif closed:
                    return False
        elif kind is list and items is not None:
            return all(map(items, value))
        return True

    return accepts
