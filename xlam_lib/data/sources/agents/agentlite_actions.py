"""AgentLite's way to write an action: `Search[{"query": "Oslo"}]` <-> name and arguments, and its action documents.

Used by `sources/agents/agentlite.py` and `sources/exchange/agentohana.py` (notebook 01):
`parse_action('Finish[{"response": "4"}]')`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from xlam_lib.data.formats.api_requests import json_or_literal
from xlam_lib.trajectory import Tool

ACTION = re.compile(r"(?:Action: ?)?(?P<name>\w+)\[(?P<arguments>.*)\]", re.DOTALL)
DOCUMENT = re.compile(r"\[Action_Doc\]\n(.*?)\n\[End of Action_Doc\]", re.DOTALL)


def parse_action(text: str) -> tuple[str, dict[str, Any]] | None:
    """(name, arguments) of an action, whose arguments are JSON or a Python literal; None when it is none."""
    found = ACTION.fullmatch(text.strip())
    arguments = json_or_literal(found["arguments"]) if found else None
    return (found["name"], arguments) if found and isinstance(arguments, dict) else None


def render_action(name: str, arguments: dict[str, Any]) -> str:
    """The action as AgentLite writes it: `render_action("Finish", {"n": 4})` -> 'Finish[{"n": 4}]'."""
    return f"{name}[{json.dumps(arguments)}]"


def tool_of_document(raw: Any) -> Tool | None:
    """A tool from {"name", "description", "parameters": {parameter: what it is}}; a schema may stand there, too."""
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str) or not raw["name"]:
        return None
    parameters, about = raw.get("parameters") or {}, raw.get("description") or ""
    if not isinstance(parameters, dict):
        return None
    if not isinstance(parameters.get("properties"), dict):
        properties = {
            key: {"type": "string", "description": text} if isinstance(text, str) else {}
            for key, text in parameters.items()
        }
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(raw["name"], about if isinstance(about, str) else "", parameters)


def action_tools(prompt: str) -> list[Tool]:
    """The tools of a prompt's [Action_Doc] block: a list of documents, or an object of descriptions."""
    found = DOCUMENT.search(prompt)
    value = json_or_literal(found[1]) if found else None
    if isinstance(value, dict):
        value = [{"name": name, "description": text} for name, text in value.items()]
    tools = [tool_of_document(raw) for raw in value] if isinstance(value, list) else []
    return [tool for tool in tools if tool is not None]
