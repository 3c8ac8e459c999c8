"""The JSON Schema of an answer with calls: what a server's grammar holds the model to.

Used by `tool_parser.py` and by our own API for `tool_choice="required"` and for a named function, and by the xLAM
client where it reads the answer itself (`exchange.py`, notebook 04_serving). The schema is that of the v1 object, so a
constrained answer looks like the answers the model was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xlam_lib.answers import json_text
from xlam_lib.json_schema.references import DATA, DEFINITIONS, TABLES, pointed, without_references
from xlam_lib.trajectory import Tool


def answer_schema(tools: Sequence[Tool], parallel: bool = True, required: bool = True) -> dict[str, Any]:
    """Schema of an answer with calls of the tools: at least one where `required`, at most one if not `parallel`.

    Example: `answer_schema([Tool("now")])["required"]` -> ["thought", "tool_calls"]
    """
    if not tools:
        raise ValueError("no tools: a call can't be required where nothing can be called")
    definitions: dict[str, Any] = {}
    calls = [_call_schema(tool, definitions) for tool in tools]
    array = {"type": "array", "minItems": int(required), "items": calls[0] if len(calls) == 1 else {"anyOf": calls}}
    schema = _object({"thought": {"type": "string"}, "tool_calls": array if parallel else {**array, "maxItems": 1}})
    return {**schema, "$defs": definitions} if definitions else schema


def answer_grammar(schema: dict[str, Any]) -> str:
    """The schema as xgrammar's EBNF with the codec's own spacing; an engine's own way allows any amount of it.

    Example: `answer_grammar(answer_schema([Tool("now")]))` -> 'basic_escape ::= ...'. A ValueError where it makes none.
    """
    from xgrammar import Grammar

    try:
        return str(Grammar.from_json_schema(json_text(schema), any_whitespace=False, separators=(", ", ": ")))
    except RuntimeError as error:
        raise ValueError(f"the tools' parameters make no grammar, so a call can't be required: {error}") from error


def _call_schema(tool: Tool, definitions: dict[str, Any]) -> dict[str, Any]:
    """One call of the tool; what its schema refers to is written out, or moves to the root where it contains itself."""
    arguments = without_references(tool.parameters)
    if arguments is None:
        own = {key: item for key, item in tool.parameters.items() if key not in DEFINITIONS}
        arguments = _Mover(tool, definitions).moved(own)
    if "$ref" not in arguments:
        arguments = {"type": "object", "properties": {}, **arguments}
    return _object({"name": {"const": tool.name}, "arguments": arguments})


class _Mover:
    """Moves what one tool's schema refers to among the answer's definitions, under names that no other tool uses."""

    def __init__(self, tool: Tool, definitions: dict[str, Any]) -> None:
        self.tool, self.definitions = tool, definitions
        self.names: dict[str, str] = {}

    def moved(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.moved(item) for item in value]
        if not isinstance(value, dict):
            return value
        moved = {
            key: item if key in DATA else self._moved_table(item) if key in TABLES else self.moved(item)
            for key, item in value.items()
        }
        reference = value.get("$ref")
        if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
            moved["$ref"] = f"#/$defs/{self.names.get(reference) or self._define(reference)}"
        return moved

    def _moved_table(self, table: Any) -> Any:
        return {name: self.moved(item) for name, item in table.items()} if isinstance(table, dict) else table

    def _define(self, reference: str) -> str:
        target = pointed(self.tool.parameters, reference)
        if not isinstance(target, dict | bool):
            raise ValueError(
                f"tool {self.tool.name!r}: its parameters refer to {reference!r}, where nothing is defined"
            )
        if isinstance(target, dict):
            target = {key: item for key, item in target.items() if key not in DEFINITIONS}
        self.names[reference] = name = f"definition_{len(self.definitions)}"
        self.definitions[name] = True  # so that the next one gets another name
        self.definitions[name] = self.moved(target)
        return name


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
