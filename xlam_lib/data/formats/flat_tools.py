"""Tools as several data sets write them: a flat table of parameters with Python types -> JSON Schema.

API-Bank, the tests of Hammer, RLLA and BFCL say {"city": {"type": "str", "description": "..."}} or a schema whose types
are Python's ("dict", "float"). Used by their converters (notebook 01): `tool("f", "", {"city": {"type": "str"}}, [])`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import cached_by_value
from xlam_lib.data.formats.schemas import parse_annotation, tool_of_calls
from xlam_lib.data.formats.tool_forms import keywords
from xlam_lib.trajectory import Step, Tool

ALIASES = {"hashmap": "dict", "hashtable": "dict", "arraylist": "list", "bigint": "int", "char": "str"}
OURS = ("type", "required", "properties", "items", "additionalProperties")


def tool(name: Any, description: Any, parameters: Any, notes: list[str], required: Any = None) -> Tool:
    """A tool from what a source says; types that aren't understood allow anything and are noted.

    Required is what the source calls required, in a list beside the table or in the parameter's own "required".
    """
    return _tool(notes, name, description, parameters, required)


@cached_by_value
def _tool(notes: list[str], name: Any, description: Any, parameters: Any, required: Any) -> Tool:
    if not isinstance(name, str) or not name:
        raise Drop("tool without a name", f"found {name!r}"[:120])
    if description is not None and not isinstance(description, str):
        raise Drop("tool description is not text", f"{name}: {str(description)[:80]!r}")
    table = parameters or {}
    if not isinstance(table, dict):
        raise Drop("tool parameters are not an object", f"{name}: {str(table)[:80]!r}")
    if isinstance(table.get("properties"), dict):
        schema = schema_of({**table, "type": "object"}, notes, name)
        return Tool(name, description or "", {"type": "object", **schema})
    names = _texts(required) if isinstance(required, list) else [key for key in table if _marked_required(table[key])]
    properties = {key: schema_of(spec, notes, f"{name}.{key}") for key, spec in table.items()}
    schema = {"type": "object", "properties": properties, "required": [key for key in names if key in properties]}
    return Tool(name, description or "", schema)


def _marked_required(spec: Any) -> bool:
    return isinstance(spec, dict) and spec.get("required") is True


def _texts(values: list[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def schema_of(spec: Any, notes: list[str], where: str) -> dict[str, Any]:
    """JSON Schema of one parameter: {"type": "str", "description": "..."} -> {"type": "string", ...}; nested, too."""
    if not isinstance(spec, dict):
        raise Drop("a parameter is not an object", f"{where}: {str(spec)[:80]!r}")
    schema = dict(_type(spec.get("type"), notes, where))
    schema |= keywords({key: value for key, value in spec.items() if key not in OURS}, where, notes)
    if isinstance(spec.get("properties"), dict):
        schema["properties"] = {k: schema_of(v, notes, f"{where}.{k}") for k, v in spec["properties"].items()}
        if isinstance(spec.get("required"), list):
            schema["required"] = [key for key in _texts(spec["required"]) if key in schema["properties"]]
    if isinstance(spec.get("items"), dict):
        schema["items"] = schema_of(spec["items"], notes, f"{where}[]")
    if isinstance(spec.get("additionalProperties"), dict):
        schema["additionalProperties"] = schema_of(spec["additionalProperties"], notes, f"{where}.*")
    return schema


def _type(text: Any, notes: list[str], where: str) -> dict[str, Any]:
    if not isinstance(text, str):
        return {}
    annotation = parse_annotation(ALIASES.get(text.strip().lower(), text))
    if not annotation.known:
        notes.append(f"{where}: {text}")
    return annotation.schema


def with_inferred(declared: Iterable[Tool], steps: Iterable[Step]) -> tuple[tuple[Tool, ...], list[str]]:
    """(all tools, names of those that only the calls show), for records that don't declare every tool they call."""
    tools = list({tool.name: tool for tool in declared}.values())
    known = {tool.name for tool in tools}
    calls: dict[str, list[dict[str, Any]]] = {}
    for call in (call for step in steps for call in step.tool_calls if call.name not in known):
        calls.setdefault(call.name, []).append(call.arguments)
    return (*tools, *(tool_of_calls(name, calls[name]) for name in sorted(calls))), sorted(calls)
