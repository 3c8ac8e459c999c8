"""References within a tool's JSON Schema.

Written out, because who reads a prompt has nowhere to look them up:

    parameters_of(schema)                the parameters, each reference replaced by what it points to
    without_references(schema)           the whole schema like that
    pointed(schema, "#/$defs/Guest")     what one reference points to

References of every local kind are followed: `#/$defs/Guest`, `#/definitions/Guest`, `#/properties/a/items`, `#`. What
can't be written out, because it contains itself, points out of the schema or would be too long, is None: then the whole
schema is to be shown, definitions and all. `chat_template.py` says the same in Jinja. Used by prompts (`codec.py`), the
check of arguments and the grammar of required calls (`serve/schema.py`); notebooks 01 to 04.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from typing import Any

MAX_WRITTEN = 200  # references of one schema
TABLES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")  # of schemas, by name
DATA = ("enum", "const", "default", "examples", "example")  # values, in which nothing is a reference
DEFINITIONS = ("$defs", "definitions")
BRANCHES = ("allOf", "anyOf", "oneOf")
ESCAPES = (  # in a reference, with what they stand for; they are read in this order
    *(("%24", "$"), ("%3C", "<"), ("%3E", ">"), ("%5B", "["), ("%5D", "]"), ("%2C", ","), ("%20", " "), ("%25", "%")),
    *(("~1", "/"), ("~0", "~")),
)


class _Remains(Exception):
    """A reference can't be written out."""


def pointed(schema: Any, reference: str) -> Any:
    """What a local reference points to, None for nothing: `pointed({"$defs": {"A": {}}}, "#/$defs/A")` -> {}."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    value = schema
    for part in reference.split("/")[1:]:
        for escape, sign in ESCAPES:
            part = part.replace(escape, sign)
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and len(part) < 10 and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def without_references(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema with its references written out, without the definitions that only they need; None: see above.

    Example: `without_references({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}})`
    -> {"type": "object", "properties": {"a": {}}}
    """
    if not _refers(schema):
        return schema
    try:
        return _Writer(schema).write({key: item for key, item in schema.items() if key not in DEFINITIONS})
    except _Remains:
        return None


def parameters_of(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]] | None:
    """(properties, names of the required ones), references written out; None where that isn't what a schema says.

    Example: `parameters_of({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}})` -> ({"a": {}}, [])
    """
    writer = _Writer(schema)
    try:
        root, inside = writer.followed(schema, ())
        root = root if isinstance(root, dict) else {}
        known = root.get("properties") or {}
        if not known and any(map(root.get, BRANCHES)):
            return None
        return (writer.write_table(known, inside) if _refers(schema) else known), root.get("required") or []
    except _Remains:
        return None


def _refers(schema: dict[str, Any]) -> bool:
    """Whether there may be a reference: most tools have none, and are written into many prompts."""
    try:
        return b"$ref" in marshal.dumps(schema, 2)
    except ValueError:
        return True


def root_parts(schema: Any) -> Iterator[dict[str, Any]]:
    """All that a schema says of the object itself: itself, what it refers to, and its branches.

    Example: the schema, and what `{"$ref": "#/$defs/A"}` in its "allOf" points to.
    """
    waiting, seen = [schema], set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict) and id(part) not in seen:
            seen.add(id(part))
            yield part
            if isinstance(part.get("$ref"), str):
                waiting.append(pointed(schema, part["$ref"]))
            for key in BRANCHES:
                waiting += part[key] if isinstance(part.get(key), list) else []


class _Writer:
    """Writes out what one schema refers to."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self.written = 0

    def followed(self, value: Any, inside: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
        """(what stands in the place of a reference, the references within which it stands)."""
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            reference = value["$ref"]
            target = None if reference in inside else pointed(self.schema, reference)
            self.written += 1
            if not isinstance(target, dict | bool) or self.written > MAX_WRITTEN:
                raise _Remains
            beside = {key: item for key, item in value.items() if key != "$ref"}  # it says more, or says it better
            value = {**target, **beside} if isinstance(target, dict) else beside or target
            inside = (*inside, reference)
        return value, inside

    def write(self, value: Any, inside: tuple[str, ...] = ()) -> Any:
        if isinstance(value, list):
            return [self.write(item, inside) for item in value]
        value, inside = self.followed(value, inside)
        if not isinstance(value, dict):
            return value
        return {
            key: item if key in DATA else self.write_table(item, inside) if key in TABLES else self.write(item, inside)
            for key, item in value.items()
        }

    def write_table(self, table: Any, inside: tuple[str, ...]) -> Any:
        if not isinstance(table, dict):
            return table
        return {name: self.write(item, inside) for name, item in table.items()}
