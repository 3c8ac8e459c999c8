"""JSON Schema, and what data sets write instead of it: flat tables, Python annotations as text, values seen in calls.

xlam-function-calling-60k says "List[int]" or "str, optional" where a schema should stand; tau-bench records have calls
but no tools. Used by the converters of `sources/` (notebook 01). Nothing is evaluated: annotations are only parsed.

Whether parameters are a schema or a table of them is decided by the shapes of their values, not by their names: there
are schemas without `properties` ({"$ref": "#/$defs/Args", "$defs": {...}}), and parameters that are called `type`.
"""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from xlam_lib.serialize import loads
from xlam_lib.trajectory import Tool

LONGEST = 300  # an annotation is short; whatever is longer is prose
PLAIN = {
    "string": "str string text char bytes path uuid datetime date time timedelta timestamp callable function decimal",
    "integer": "int integer long",
    "number": "float number double complex",
    "boolean": "bool boolean",
    "null": "none null nonetype",
    "array": "list array sequence iterable iterator collection generator tuple set frozenset ndarray",
    "object": "dict object mapping json defaultdict ordereddict counter dictionary",
}
BY_WORD = {word: kind for kind, words in PLAIN.items() for word in words.split()}
UNIQUE = ("set", "frozenset")
ANYTHING = ("any", "typevar", "t")
MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas", "dependentRequired")
CHOICES = ("anyOf", "oneOf", "allOf")
BELOW = ("additionalProperties", "unevaluatedProperties", "propertyNames", "not", "if", "then", "else")
OF_OTHERS = ("additionalProperties", "unevaluatedProperties", "propertyNames")  # of these few are parameters
LISTED = ("required", "enum", "examples")
COUNTS = ("minProperties", "maxProperties")
WORDED = ("title", "description")
VALUES = ("default", "const")
BESIDE_TYPES = ("optional", "required")  # words that may stand behind a type
DECISIVE = (*MAPS, *CHOICES, "$ref")  # where one of these is a keyword, the root is a schema
OF_PARAMETERS = frozenset(  # what the description of a parameter may have
    "type description title enum default items properties required optional format examples example minimum maximum"
    " pattern minLength maxLength minItems maxItems anyOf oneOf allOf nullable const additionalProperties".split()
)


@dataclass(frozen=True)
class Annotation:
    """`parse_annotation("int, optional")` -> Annotation({"type": "integer"}, optional=True, known=True)."""

    schema: dict[str, Any]
    optional: bool = False
    known: bool = True  # False: not understood, so the schema allows anything


def parse_annotation(text: str) -> Annotation:
    """The schema of a Python type written as text.

    "List[int]" -> {"type": "array", "items": {"type": "integer"}}, "int | str" -> {"type": ["integer", "string"]}.
    "Optional[str]" and "str, optional" are optional. "Tuple[int, ...]", "Literal['a', 'b']", "int | None" work too.
    """
    schema, optional, known = _parse(text.strip())
    return Annotation(loads(schema), optional, known)


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[str, bool, bool]:
    main, *notes = _split(text)
    optional = any(re.match(r"optional\b", note, re.IGNORECASE) for note in notes)
    many = re.fullmatch(r"(?:list|array)\s+of\s+(\w+?)s?", main, re.IGNORECASE)
    unknown: list[str] = []
    try:
        schema = _schema(_tree(f"List[{many[1]}]" if many else main), unknown)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        schema, unknown = {}, [main]
    optional = optional or bool(re.match(r"(typing\.)?optional\[", main, re.IGNORECASE))
    return json.dumps(schema), optional, not unknown


def _split(text: str) -> list[str]:
    """ "Dict[str, int], optional" -> ["Dict[str, int]", "optional"]; "str (optional)" -> ["str", "optional"]."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "[(") - (char in "])")
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    first, _, bracketed = parts[0].partition("(")
    if bracketed and first.strip():
        parts = [first, bracketed.rstrip(") "), *parts[1:]]
    return [part.strip() for part in parts]


def _tree(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise ValueError(f"an annotation of {len(text)} characters")
    return ast.parse(text, mode="eval").body


def _schema(node: ast.expr, unknown: list[str]) -> dict[str, Any]:
    if isinstance(node, ast.Constant):
        if node.value is None:
            return {"type": "null"}
        if isinstance(node.value, str):
            return _schema(_tree(node.value), unknown)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _either([_schema(node.left, unknown), _schema(node.right, unknown)])
    if isinstance(node, ast.Subscript):
        arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return _generic(_word(node.value), arguments, unknown)
    return _plain(_word(node), unknown)


def _word(node: ast.expr) -> str:
    """The last word of a name: typing.List -> "list"."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.lower() if isinstance(name, str) else ""


def _plain(word: str, unknown: list[str]) -> dict[str, Any]:
    if word not in BY_WORD:
        if word not in ANYTHING:
            unknown.append(word)
        return {}
    return {"type": BY_WORD[word], "uniqueItems": True} if word in UNIQUE else {"type": BY_WORD[word]}


def _generic(word: str, arguments: Sequence[ast.expr], unknown: list[str]) -> dict[str, Any]:
    """The schema of word[arguments], e.g. dict[str, int]."""
    if word == "literal":
        return _literal(arguments, unknown)
    if word == "callable":
        return {"type": "string"}
    if word == "annotated":
        return _schema(arguments[0], unknown)
    endless = isinstance(arguments[-1], ast.Constant) and arguments[-1].value is ...
    parts = [_schema(argument, unknown) for argument in (arguments[:-1] if endless else arguments)]
    if word == "union":
        return _either(parts)
    if word == "optional":
        return _either([*parts, {"type": "null"}])
    schema = _plain(word, unknown)
    if schema.get("type") == "object":
        return schema | ({"additionalProperties": parts[1]} if len(parts) > 1 and parts[1] else {})
    if word == "tuple" and not endless:
        return schema | {"prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
    return schema | ({"items": parts[0]} if parts and parts[0] else {})


def _literal(arguments: Sequence[ast.expr], unknown: list[str]) -> dict[str, Any]:
    """Literal['a', 'b'] -> {"type": "string", "enum": ["a", "b"]}."""
    values = [argument.value for argument in arguments if isinstance(argument, ast.Constant)]
    if len(values) < len(arguments) or not all(isinstance(value, str | int | float | None) for value in values):
        unknown.append("literal")
        return {}
    return {**_either([schema_of_value(value) for value in values]), "enum": values}


def _either(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Any of the schemas, in the shortest form: [{"type": "integer"}, {"type": "null"}] -> {"type": [...]}."""
    distinct: list[dict[str, Any]] = []
    for part in parts:
        if not part:
            return {}
        for one in part.get("anyOf", [part]) if part.keys() == {"anyOf"} else [part]:
            kinds = one["type"] if one.keys() == {"type"} and isinstance(one["type"], list) else None
            distinct += [s for s in ([{"type": kind} for kind in kinds] if kinds else [one]) if s not in distinct]
    if {"type": "number"} in distinct:
        distinct = [part for part in distinct if part != {"type": "integer"}]
    if len(distinct) == 1:
        return distinct[0]
    if all(part.keys() == {"type"} for part in distinct):
        return {"type": [part["type"] for part in distinct]}
    return {"anyOf": distinct}


def schema_of_value(value: Any) -> dict[str, Any]:
    """The loosest plain schema of one value: [1, 2] -> {"type": "array", "items": {"type": "integer"}}."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {key: schema_of_value(item) for key, item in value.items()}}
    if isinstance(value, list):
        items = _either([schema_of_value(item) for item in value]) if value else {}
        return {"type": "array", "items": items} if items else {"type": "array"}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return {"type": kinds[type(value)]}


def tool_of_calls(name: str, calls: Sequence[dict[str, Any]]) -> Tool:
    """A tool as its calls show it: `tool_of_calls("add", [{"a": 1}, {"a": 2.5}])`; required is what every call has."""
    names = list(dict.fromkeys(key for arguments in calls for key in arguments))
    properties = {key: _either([schema_of_value(a[key]) for a in calls if key in a]) for key in names}
    required = [key for key in names if all(key in arguments for arguments in calls)]
    return Tool(name, "", {"type": "object", "properties": properties, "required": required})


def schema_and_table(raw: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what of a tool's parameters is JSON Schema, what is a flat table of parameters beside it).

    Example: `schema_and_table({"type": {"type": "str"}, "required": ["type"]})` -> ({"required": ["type"]}, the rest)
    """
    kind = raw.get("type")
    is_object = isinstance(kind, str) and _names_object(kind)
    table = {key: value for key, value in raw.items() if not _is_keyword(key, value, is_object)}
    schema = {key: value for key, value in raw.items() if key not in table}
    if any(key in schema for key in DECISIVE) or (is_object and not any(map(_may_be_parameter, table.values()))):
        return raw, {}
    if table and not is_object:  # what may be either is of the kind of those beside it
        words = any(isinstance(value, str) for value in table.values())
        either = {key for key in schema if (words and key in WORDED) or (key in BELOW and _is_described(schema[key]))}
        table = {key: value for key, value in raw.items() if key in table or key in either}
        schema = {key: value for key, value in raw.items() if key not in table}
    return schema, table


def _names_object(kind: str) -> bool:
    return kind == "object" or parse_annotation(kind).schema == {"type": "object"}


def _is_keyword(key: str, value: Any, is_object: bool) -> bool:
    """Whether a key at the root is a keyword of JSON Schema, which has such a value; `is_object`: the root says so."""
    if key == "type":
        return is_object or isinstance(value, list)
    if key in MAPS:
        return isinstance(value, dict) and (is_object or not _is_described(value))
    if key in BELOW:
        if not isinstance(value, dict):
            return isinstance(value, bool)
        return is_object or not _is_described(value) or (key in OF_OTHERS and "description" not in value)
    if key in (*CHOICES, *LISTED):
        return isinstance(value, list) or (key == "required" and (value is None or isinstance(value, bool)))
    if key in COUNTS:
        return isinstance(value, int)
    if key in WORDED:
        return isinstance(value, str) and (is_object or not _is_type(value))
    if key in VALUES:
        return is_object or not _may_be_parameter(value)
    return key.startswith("$") and isinstance(value, str) and not _is_type(value)


def _is_described(value: Any) -> bool:
    """Whether a value describes one parameter: {"type": "string", "description": "..."}."""
    if not isinstance(value, dict):
        return False
    says = isinstance(value.get("type"), str | list) or isinstance(value.get("description"), str)
    return says and value.keys() <= OF_PARAMETERS


def _may_be_parameter(value: Any) -> bool:
    """Whether a value can stand for a parameter in a flat table, where it is described or its type is named."""
    if isinstance(value, dict):
        return not value.keys().isdisjoint(("type", "description", "enum", "items", "$ref", *CHOICES))
    return isinstance(value, str) and _is_type(value)


def _is_type(text: str) -> bool:
    """Whether a text is nothing but a type: "int, optional" is, "None, whatever one might think" isn't."""
    notes = _split(text)[1:]
    return bool(text) and all(note.lower() in BESIDE_TYPES for note in notes) and parse_annotation(text).known
