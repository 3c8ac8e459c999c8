"""A quick test by which most arguments are found to fit their JSON Schema, without the full validator.

`quick_check(schema)` gives a function that says True only where the validator would find no fault, or None where the
schema is more than plain types, enumerations and nested objects; whoever gets False asks the validator. Used by
`checks.py`: converting a data set asks this question for every call (notebook 01).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

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
        elif key == "required" and _names(value):
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


def _names(value: Any) -> bool:
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
