"""The JSON Schema of an answer that must call: what a server's grammar holds the model to when a call is required.

Used by `tool_parser.py` for `tool_choice="required"` and for a named function (notebook 04_serving). The schema is that
of the v1 object, so a constrained answer looks like the answers the model was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xlam_lib.trajectory import Tool


def answer_schema(tools: Sequence[Tool], parallel: bool = True) -> dict[str, Any]:
    """Schema of an answer with at least one call, of one of the tools; not `parallel`: with exactly one.

    Example: `answer_schema([Tool("now")])["required"]` -> ["thought", "tool_calls"]
    """
    if not tools:
        raise ValueError("no tools: a call can't be required where nothing can be called")
    definitions: dict[str, Any] = {}
    calls = [_call_schema(tool, definitions) for tool in tools]
    array = {"type": "array", "minItems": 1, "items": calls[0] if len(calls) == 1 else {"anyOf": calls}}
    schema = _object({"thought": {"type": "string"}, "tool_calls": array if parallel else {**array, "maxItems": 1}})
    return {**schema, "$defs": definitions} if definitions else schema


def _call_schema(tool: Tool, definitions: dict[str, Any]) -> dict[str, Any]:
    """One call of the tool; what its schema defines for itself moves to the root, where references look for it."""
    arguments = {key: value for key, value in tool.parameters.items() if key != "$defs"}
    for name, definition in (tool.parameters.get("$defs") or {}).items():
        if definitions.setdefault(name, definition) != definition:
            raise ValueError(f"tool {tool.name!r}: another tool defines $defs/{name} otherwise; rename one of them")
    return _object({"name": {"const": tool.name}, "arguments": {"type": "object", "properties": {}, **arguments}})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
