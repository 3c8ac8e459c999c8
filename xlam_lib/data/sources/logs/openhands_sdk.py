"""Events of OpenHands' second edition, the SDK; read by `openhands.py` (notebook 01).

    {"kind": "SystemPromptEvent", "source": "agent", "system_prompt": {"type": "text", "text": "You are ..."},
     "tools": [{"kind": "TerminalTool", "description": "Runs a command ...", "action_type": "TerminalAction"}]}
    {"kind": "MessageEvent", "source": "user", "llm_message": {"role": "user", "content": [{"type": "text", ...}]}}
    {"kind": "ActionEvent", "source": "agent", "thought": [{"type": "text", "text": "I look first."}],
     "reasoning_content": "...", "tool_name": "terminal", "tool_call_id": "c1", "llm_response_id": "r1",
     "tool_call": {"id": "c1", "name": "terminal", "arguments": "{\\"command\\": \\"ls\\"}"}, "action": {...}}
    {"kind": "ObservationEvent", "source": "environment", "tool_name": "terminal", "tool_call_id": "c1",
     "observation": {"kind": "TerminalObservation", "content": [{"type": "text", "text": "setup.py"}]}}

Tools are described, but their parameters aren't: those of tools that were called are inferred from the calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import need, need_objects
from xlam_lib.data.formats.call_forms import FoundCall, found_call
from xlam_lib.data.formats.conversations import Turn, json_text
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.data.sources.logs.values import FORMAT, text_of
from xlam_lib.trajectory import Tool

TEXTS = ("system_prompt", "dynamic_context", "llm_message.content[]", "extended_content[]", "thought[]")
SDK_FIELDS = (
    *("kind", "tools", "reasoning_content", "thinking_blocks", "tool_name", "error", "rejection_reason"),
    *("llm_message.role", "llm_message.reasoning_content", "llm_message.thinking_blocks"),
    *("tool_call.name", "tool_call.arguments", *(f"{at}.text" for at in TEXTS)),
    *("key", "value", "forgotten_event_ids", "summary_offset", "rejection_source"),
)
SDK_LEFT_OUT = {
    **dict.fromkeys(("kind", "source", "llm_message.role", *(f"{at}.type" for at in TEXTS)), FORMAT),
    **{f"{at}.cache_prompt": "for the cache of the model's server" for at in TEXTS},
    **dict.fromkeys(("id", "parent_id"), "an id, which our order replaces"),
    **dict.fromkeys(("action_id", "tool_call_id", "tool_call.id"), "an id, which ours replace"),
    "llm_response_id": "an id, by which calls are put together",
    "tools": "the program's classes of a tool, of which name and description are taken",
    "tool_call.origin": "by which interface the model was asked",
    "action": "the call as the program took it; the model's own is beside it",
    "observation": "what the program knows of a result besides what the model is shown",
    "security_risk": "the program's name for a risk that the arguments hold already",
    "summary": "the program's copy of an argument",
    "activated_skills": "names of the texts that a message was extended by",
    "classification": "the program's kind of an error",
    "responses_reasoning_item": "the model's answer as its server gave it",
}
CALLS, RESULTS = "ActionEvent", ("ObservationEvent", "AgentErrorEvent", "UserRejectObservation")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def sdk_turns(events: Sequence[dict[str, Any]], others: list[dict[str, Any]]) -> Iterator[Turn]:
    """The turns of events; `others` gets the events of which the model sees nothing.

    Example: `next(sdk_turns([{"kind": "MessageEvent", "source": "user", "llm_message": {...}}], [])).role` -> "user".
    """
    answers: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event.get("kind") == CALLS:
            answers.setdefault(_response(event), []).append(event)
    for number, event in enumerate(events):
        kind, where = event.get("kind"), f"event {number}"
        if kind == "SystemPromptEvent":
            texts = [text_of(event.get(key), where) for key in ("system_prompt", "dynamic_context")]
            yield Turn("system", "\n\n".join(filter(None, texts)))
        elif kind == "MessageEvent":
            yield _said(event, where)
        elif kind == CALLS:
            together = answers[_response(event)]
            if event is together[0]:
                yield _called(together, where)
        elif kind in RESULTS:
            yield _result(event, where)
        else:
            others.append(event)


def _response(event: dict[str, Any]) -> str:
    """The response that a call belongs to; an event that names none is one of its own."""
    name = event.get("llm_response_id")
    return name if isinstance(name, str) and name else f"event {id(event)}"


def _said(event: dict[str, Any], where: str) -> Turn:
    message = need(event, "llm_message", dict)
    role = message.get("role")
    if role not in ("user", "assistant", "system"):
        raise Drop("message of an unknown role", f"{str(role)[:80]!r}: {where}")
    texts = [text_of(message.get("content"), where), text_of(event.get("extended_content"), where)]
    return Turn(role, "\n".join(filter(None, texts)), _thoughts(message) if role == "assistant" else "")


def _called(events: Sequence[dict[str, Any]], where: str) -> Turn:
    """All calls of one response."""
    texts = [text_of(event.get("thought"), where) for event in events]
    thoughts = [_thoughts(event) for event in events]
    calls = tuple(map(_call, events))
    return Turn("assistant", "\n".join(filter(None, texts)), "\n".join(dict.fromkeys(filter(None, thoughts))), calls)


def _call(event: dict[str, Any]) -> FoundCall:
    """What the model wrote, or what the program took of it."""
    if isinstance(event.get("tool_call"), dict):
        call = found_call(event["tool_call"])
        return call if call.id else FoundCall(call.name, call.arguments, str(event.get("tool_call_id") or ""))
    action = {key: value for key, value in need(event, "action", dict).items() if key != "kind"}
    return FoundCall(need(event, "tool_name", str), action, str(event.get("tool_call_id") or ""))


def _thoughts(part: dict[str, Any]) -> str:
    """The reasoning of an event or message, however the model's server names it."""
    blocks = need_objects(part.get("thinking_blocks") or [], "thinking_blocks")
    found = [part.get("reasoning_content"), *(block.get("thinking") for block in blocks)]
    return "\n".join(dict.fromkeys(text for text in found if isinstance(text, str) and text))


def _result(event: dict[str, Any], where: str) -> Turn:
    raw_id = str(event.get("tool_call_id") or "")
    if event["kind"] == "AgentErrorEvent":
        return Turn("tool", text_of(event.get("error"), where), raw_id=raw_id, is_error=True)
    if event["kind"] == "UserRejectObservation":
        reason = text_of(event.get("rejection_reason"), where)
        return Turn("tool", f"Action rejected: {reason}", raw_id=raw_id, is_error=True)
    seen = need(event, "observation", dict)
    fields = {key: value for key, value in seen.items() if key not in ("kind", "is_error") and value is not None}
    content = text_of(seen["content"], where) if "content" in seen else json_text(fields)
    texts = [content, text_of(event.get("extended_content"), where)]
    return Turn("tool", "\n".join(filter(None, texts)), raw_id=raw_id, is_error=seen.get("is_error") is True)


def sdk_tools(events: Sequence[dict[str, Any]], inferred: Sequence[Tool]) -> tuple[tuple[Tool, ...], list[Any]]:
    """(the tools that were called, with their descriptions; those that were offered and not called)."""
    listed = [raw for event in events for raw in need_objects(event.get("tools") or [], "tools")]
    by_name = {_name(raw): raw for raw in listed}
    tools = []
    for tool in inferred:
        raw = by_name.pop(tool.name, {})
        described = raw.get("description")
        mcp = raw["mcp_tool"] if isinstance(raw.get("mcp_tool"), dict) else None
        tools += (
            tools_of(mcp, []) if mcp else [replace(tool, description=described if isinstance(described, str) else "")]
        )
    return tuple(tools), list(by_name.values())


def _name(raw: dict[str, Any]) -> str:
    """The name under which a model calls a tool: `_name({"kind": "FileEditorTool"})` -> "file_editor"."""
    mcp = raw["mcp_tool"] if isinstance(raw.get("mcp_tool"), dict) else {}
    given = mcp.get("name") or raw.get("name")
    return str(given) if given else CAMEL.sub("_", str(raw.get("kind") or "").removesuffix("Tool")).lower()
