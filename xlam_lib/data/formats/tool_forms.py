"""Tools as data sets spell them -> `Tool`s with JSON Schema.

Shared by the chat-shaped sources of notebook 01. Understood are OpenAI's {"type": "function", "function": {...}}, bare
{"name", "description", "parameters"}, `input_schema` and `inputSchema`, each of them also as JSON text or a Python
literal; parameters as JSON Schema, with Python's type names in it, as a flat table, or as a list:
`tools_of('[{"name": "f", "parameters": {"x": {"type": "int"}}}]', [])[0].parameters`. Keywords that JSON Schema would
refuse (`"required": true` on a parameter, "minimum": "0") are taken out; types that aren't understood allow anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from xlam_lib.arguments import rules_of, validator_of
from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import cached_by_value, unique_tools
from xlam_lib.data.formats.literals import decode, decode_all
from xlam_lib.data.formats.schemas import Annotation, parse_annotation, schema_and_table
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Tool

NAMES = ("name", "tool_name", "function_name", "api_name")
DESCRIPTIONS = ("description", "tool_description", "desc", "api_description")
PARAMETERS = (
    *("parameters", "input_schema", "inputSchema", "args_schema", "arguments", "args", "params"),
    *("parameters_json_schema", "parametersJsonSchema", "json_schema"),
)
OF_TOOLS = frozenset((*NAMES, *DESCRIPTIONS, *PARAMETERS, "type", "function", "required"))
JSON_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
DEEPEST = 40
TABLES = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
PARTS = ("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
NESTED = frozenset((*TABLES, *PARTS, *LISTS))
TEXTS = ("description", "title", "pattern", "format", "$ref", "$schema", "$comment", "contentEncoding")
NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
FLAGS = ("uniqueItems", "deprecated", "readOnly", "writeOnly")


def tools_of(value: Any, notes: list[str]) -> tuple[Tool, ...]:
    """The tools of a list, a mapping or a text; nothing gives (). `notes` gets the types that aren't understood."""
    return _tools_of(notes, value)


@cached_by_value
def _tools_of(notes: list[str], value: Any) -> tuple[Tool, ...]:
    return unique_tools([_tool(raw, notes) for raw in _raw_tools(value)])


def _raw_tools(value: Any, depth: int = 0) -> list[dict[str, Any]]:
    if isinstance(value, str) and value.strip():
        try:
            value = decode_all(value)[0]
        except ValueError as error:
            raise Drop("tools are not JSON", f"{error}: {value.strip()[:80]!r}") from error
    if not value:
        return []
    if isinstance(value, dict):
        if isinstance(value.get("function"), dict) or any(isinstance(value.get(key), str) for key in NAMES):
            return [value]
        inner = next((value[key] for key in ("tools", "functions") if key in value), None)
        if inner is None:
            mapping = all(isinstance(spec, dict) for spec in value.values())
            return [{"name": name, **spec} for name, spec in value.items()] if mapping else [value]
        value = inner
    if not isinstance(value, list) or depth > 3:
        raise Drop("tools are not a list", f"found {type(value).__name__} {str(value)[:80]!r}")
    return [raw for item in value for raw in _raw_tools(item, depth + 1)]


def _tool(raw: dict[str, Any], notes: list[str]) -> Tool:
    spec = raw["function"] if isinstance(raw.get("function"), dict) else raw
    name = next((spec[key] for key in NAMES if isinstance(spec.get(key), str) and spec[key]), None)
    if name is None:
        raise Drop("tool without a name", f"found {str(raw)[:80]!r}")
    description = next((spec[key] for key in DESCRIPTIONS if spec.get(key)), "")
    if not isinstance(description, str):
        raise Drop("tool description is not text", f"{name}: {str(description)[:80]!r}")
    parameters = next((spec[key] for key in PARAMETERS if spec.get(key)), {})
    if isinstance(parameters, str):
        try:
            parameters = decode(parameters)[0]
        except ValueError as error:
            raise Drop("tool parameters are not an object", f"{name}: {parameters[:80]!r}") from error
    parts = [spec] if spec is raw else [spec, raw]
    notes += [f"{name}.{key}: {value}" for part in parts for key, value in part.items() if _is_unread(key, value)]
    beside = spec.get("required") or raw.get("required")  # some put it beside the parameters
    return Tool(name, description, parameters_schema(parameters, name, notes, beside))


def _is_unread(key: str, value: Any) -> bool:
    """Whether a tool says something besides that a `Tool` has no place for, as text of some length."""
    return key not in OF_TOOLS and value not in (None, "", [], {}) and not isinstance(value, bool | int | float)


def parameters_schema(raw: Any, name: str, notes: list[str], required: Any = None) -> dict[str, Any]:
    """The JSON Schema of a tool's parameters, however they are spelt.

    Example: `parameters_schema({"n": {"type": "int, optional"}}, "f", [])["properties"]` -> {"n": {"type": "integer"}}.
    """
    if isinstance(raw, list) and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in raw):
        raw = {item["name"]: {key: value for key, value in item.items() if key != "name"} for item in raw}
    if not isinstance(raw, dict):
        raise Drop("tool parameters are not an object", f"{name}: {str(raw)[:80]!r}")
    keywords, table = schema_and_table(raw)
    if table or not keywords:
        beside = {key: value for key, value in keywords.items() if key not in ("type", "required")}
        return {**_table(table, name, notes, required or keywords.get("required")), **_schema(beside, name, notes)}
    schema = _schema(keywords, name, notes)
    if not any(key in schema for key in ELSEWHERE):
        schema = {"properties": {}, **schema}
    if "required" not in schema and _names(required):
        schema["required"] = _names(required)
    return {"type": "object", **schema, **OBJECT}


OBJECT = {"type": "object"}
ELSEWHERE = ("$ref", "anyOf", "oneOf", "allOf")  # where the properties of a schema may stand instead


def _table(raw: dict[str, Any], name: str, notes: list[str], required: Any) -> dict[str, Any]:
    """A flat table of parameters; one is required if it is marked so, or is neither optional nor has a default."""
    properties, needed = {}, []
    for parameter, spec in raw.items():
        if spec is None:  # a table that has the parameters of all tools
            notes.append(f"{name}.{parameter}: null")
            continue
        spec = {"type": spec} if isinstance(spec, str) else spec
        if not isinstance(spec, dict):
            raise Drop("a parameter is not an object", f"{name}.{parameter}: {str(spec)[:80]!r}")
        properties[parameter] = _schema(spec, f"{name}.{parameter}", notes)
        kind, flag = spec.get("type"), spec.get("required")
        optional = isinstance(kind, str) and _annotation(kind).optional or spec.get("optional") is True
        default = spec.get("default", "") not in ("", None)
        if flag is True or (flag is not False and not optional and not default):
            needed.append(parameter)
    needed = _names(required) or needed
    return {"type": "object", "properties": properties, **({"required": needed} if needed else {})}


def _names(value: Any) -> list[str]:
    return list(dict.fromkeys(item for item in value if isinstance(item, str))) if isinstance(value, list) else []


def _annotation(text: str) -> Annotation:
    return Annotation({"type": text}) if text in JSON_TYPES else parse_annotation(text)


def _schema(raw: Any, where: str, notes: list[str], depth: int = 0) -> Any:
    """One schema with everything in it made legal."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        raw = {"type": raw}
    if not isinstance(raw, dict) or depth > DEEPEST:
        notes.append(f"{where}: {str(raw)[:60]}")
        return {}
    schema = _types(raw.get("type"), where, notes)
    needed = _names(raw.get("required"))
    for key, value in raw.items():
        if key not in NESTED:
            if key not in ("type", "required") and legal(key, value):
                schema[key] = value
        elif key in TABLES and isinstance(value, dict):
            notes += [f"{where}.{name}: null" for name, part in value.items() if part is None]
            schema[key] = {
                name: _schema(part, f"{where}.{name}", notes, depth + 1)
                for name, part in value.items()
                if part is not None
            }
            if key == "properties" and "required" not in raw:
                needed = [n for n, part in value.items() if isinstance(part, dict) and part.get("required") is True]
        elif key == "items" and isinstance(value, list):
            schema["prefixItems"] = [_schema(part, f"{where}.{key}", notes, depth + 1) for part in value]
        elif key in PARTS and isinstance(value, dict | bool | str):
            schema[key] = _schema(value, f"{where}.{key}", notes, depth + 1)
        elif key in LISTS and isinstance(value, list) and value:
            schema[key] = [_schema(part, f"{where}.{key}", notes, depth + 1) for part in value]
    if needed:
        schema["required"] = needed
    if not schema.get("prefixItems", True):
        del schema["prefixItems"]
    return schema


def _types(kind: Any, where: str, notes: list[str]) -> dict[str, Any]:
    """`"type"` in the words of JSON Schema: "str" -> {"type": "string"}, ["int", "null"] -> {"type": [...]}."""
    if isinstance(kind, str) and kind:
        if kind in JSON_TYPES:
            return {"type": kind}
        annotation = _annotation(kind)
        if not annotation.known:
            notes.append(f"{where}: {kind}")
        return dict(annotation.schema)
    if isinstance(kind, list):
        schemas = [_annotation(word).schema for word in kind if isinstance(word, str) and word]
        words = [schema.get("type") for schema in schemas]
        if words and all(isinstance(word, str) for word in words):
            return {"type": list(dict.fromkeys(words))}
    if kind:
        notes.append(f"{where}: {str(kind)[:60]}")
    return {}


def legal(key: str, value: Any) -> bool:
    """Whether JSON Schema lets a keyword have that value: `legal("examples", "a, b")` -> False.

    Keywords that it doesn't know may have any.
    """
    if key in TEXTS:
        return isinstance(value, str)
    if key in NUMBERS:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        return good and (key != "multipleOf" or value > 0)
    if key in COUNTS:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if key in FLAGS:
        return isinstance(value, bool)
    if key in ("enum", "examples"):
        return isinstance(value, list)
    return key not in NESTED and not key.startswith("$")


def keywords(spec: dict[str, Any], where: str, notes: list[str]) -> dict[str, Any]:
    """What a parameter says besides its type, as far as JSON Schema lets it; `notes` gets the rest.

    Example: `keywords({"type": "str", "default": "a", "examples": "a, b"}, "f.x", [])` -> {"default": "a"}
    """
    made: dict[str, Any] = {}
    for key, value in spec.items():
        if key in NESTED:
            inner = _schema({key: value}, where, notes)
            made |= inner
            if key not in inner and not (key == "items" and inner):
                notes.append(f"{where}.{key}: {value}")
        elif key not in ("type", "required"):
            if legal(key, value):
                made[key] = value
            else:
                notes.append(f"{where}.{key}: {value}")
    if made.get("properties") and _names(spec.get("required")):
        made["required"] = [name for name in _names(spec["required"]) if name in made["properties"]]
    return made


def lawful_tools(tools: Iterable[Tool], notes: list[str]) -> list[Tool]:
    """The tools with parameters as `lawful` gives them: `lawful_tools([Tool("now")], [])` -> [Tool("now")]."""
    return [replace(tool, parameters=lawful(tool.parameters, tool.name, notes)) for tool in tools]


def lawful(schema: dict[str, Any], name: str, notes: list[str]) -> dict[str, Any]:
    """The parameters of a tool as they are; where JSON Schema refuses them, what it refuses taken out and noted.

    Example: `lawful({"type": "object", "properties": {"n": {"type": "int"}}}, "f", [])["properties"]` -> an integer
    """
    rules = rules_of(schema)
    try:
        if not rules.quick:
            validator_of(rules)
        if schema.get("type") == "object":
            return schema
    except TrajectoryError as error:
        notes.append(f"{name}: {error}")
    return parameters_schema(schema, name, notes)
