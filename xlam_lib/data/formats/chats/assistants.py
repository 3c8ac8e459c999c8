"""Thoughts and calls of an assistant that stand in fields of their message (notebook 01).

    thoughts_of({"role": "assistant", "content": "4", "thoughts": "I need data."}) -> ["I need data."]
    calls_in_fields({"role": "assistant", "actions": [{"API_name": "f", "API_params": {"n": 1}}]}, 2) -> [f]

Fields that are there for calls must hold calls that can be read, or the record is lost. Others may hold calls or
anything else (`action` is also what dialogue acts are called): they are read where they look like calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.call_forms import ARGUMENTS, IDS, NAMES, FoundCall, found_call, found_calls
from xlam_lib.data.formats.literals import decode_all

THOUGHTS = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "thought",
    "thoughts",
    "rationale",
    "chain_of_thought",
    "cot",
    "inner_monologue",
    "thinking_blocks",
    "reasoning_details",
)
TEXTS = ("text", "content", "value", "thinking", "reasoning", "summary", "thought")
CALLS = (
    "tool_calls",
    "function_call",
    "function_calls",
    "tool_call",
    "tool_uses",
    "tool_use",
    "toolCalls",
    "functionCall",
    "calls",
    "api_calls",
    "api_call",
    "API_calls",
)
ACTIONS = ("actions", "action")
THINKING, CALLING = frozenset(THOUGHTS), frozenset((*CALLS, *ACTIONS))
SPREAD = frozenset(("arguments", *NAMES)) - {"name", "function", "tool", "action"}  # a message with these is a call
WRITTEN = re.compile(r"\s*[\w.-]+\s*[(\[].*[)\]]\s*", re.DOTALL)  # a call as a text: search[x], f(a=1)


def thoughts_of(message: Mapping[str, Any]) -> list[str]:
    """The thoughts in the fields of a message, each once: several fields often say the same."""
    found: list[str] = []
    for key in THINKING.intersection(message):
        if message[key] and (text := thought_text(message[key])) and not any(text in other for other in found):
            found.append(text)
    return found


def thought_text(value: Any) -> str | None:
    """A thought as text, however it is kept: `thought_text([{"type": "thinking", "thinking": "hm"}])` -> "hm"."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = [thought_text(item) for item in value]
        return "\n".join(text for text in texts if text) if all(text is not None for text in texts) else None
    if isinstance(value, dict):
        return next((value[key] for key in TEXTS if isinstance(value.get(key), str)), None)
    return None


def is_thought(value: Any) -> bool:
    """Whether a thought is all that a value holds: a signature beside it says more than `thought_text` gives."""
    if isinstance(value, list):
        return all(map(is_thought, value))
    if isinstance(value, dict):
        return thought_text(value) is not None and len(value.keys() - {"type"}) == 1
    return isinstance(value, str)


def calls_in_fields(
    message: Mapping[str, Any],
    number: int,
    read: Callable[[Any], list[FoundCall]] = found_calls,
    in_content: Sequence[FoundCall] = (),
) -> tuple[list[FoundCall], list[str]]:
    """(the calls in the fields of the message of that number, or in its content; their texts, if they are texts).

    `read` makes calls of the value of a field. Several fields may say the same; different calls in two are a Drop.
    """
    found, first, texts = list(in_content), "content", []
    for key in CALLING.intersection(message):
        if not message[key]:
            continue
        calls = _read(message, key, number, read)
        if calls and found and [(c.name, c.arguments) for c in calls] != [(c.name, c.arguments) for c in found]:
            raise Drop("two fields with different calls", f"{first!r} and {key!r} of message {number}")
        if calls:
            items = message[key] if isinstance(message[key], list) else [message[key]]
            texts += [item for item in items if isinstance(item, str) and not is_named_action(message)]
        if calls and not found:
            found, first = calls, key
    if spread := spread_call(message):
        calls = [found_call(spread)]
        if found and [(c.name, c.arguments) for c in calls] != [(c.name, c.arguments) for c in found]:
            raise Drop("two fields with different calls", f"{first!r} and {next(iter(spread))!r} of message {number}")
        found = found or calls
    return found, texts


def spread_call(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields of a message that are a call together: of {"role": "gpt", "tool_name": "f", "args": {}} the last two.

    A "name" is the speaker's where "arguments" don't stand beside it.
    """
    if SPREAD.isdisjoint(message):
        return None
    keys = [next((key for key in names if message.get(key) is not None), None) for names in (NAMES, ARGUMENTS, IDS)]
    call = {key: message[key] for key in keys if key is not None and key != "function"}
    return call if is_call(call) else None


def _read(message: Mapping[str, Any], key: str, number: int, read: Callable[[Any], list[FoundCall]]) -> list[FoundCall]:
    value = message[key]
    if key in ACTIONS:
        if key == "action" and is_named_action(message):
            value = {"name": value, "arguments": message["action_input"]}
        elif not holds_calls(value):
            if isinstance(value, str) and WRITTEN.fullmatch(value):
                raise Drop("call text can't be read", f"{key!r} of message {number}: {value[:80]!r}")
            return []
    try:
        return read(value)
    except Drop as drop:
        raise Drop(drop.reason, f"{key!r} of message {number}: {drop.detail}") from drop


def is_named_action(message: Mapping[str, Any]) -> bool:
    """Whether an action and its input are a call, as in {"action": "weather", "action_input": {"city": "Oslo"}}."""
    return isinstance(message.get("action"), str) and isinstance(message.get("action_input"), dict)


def is_call(value: Any) -> bool:
    """Whether an object is a call and no tool: a name and arguments, `is_call({"name": "f", "arguments": {}})`."""
    if not isinstance(value, dict):
        return False
    inner = value["function"] if isinstance(value.get("function"), dict) else value
    arguments = next((inner[key] for key in ARGUMENTS if inner.get(key) is not None), None)
    if isinstance(arguments, str):
        try:
            arguments = decode_all(arguments)[0][0] if arguments.strip() else {}
        except (ValueError, IndexError):
            return False
    named = any(isinstance(inner.get(key), str) and inner[key] for key in NAMES)
    schema = isinstance(arguments, dict) and isinstance(arguments.get("properties"), dict)
    return named and isinstance(arguments, dict) and not schema and "description" not in inner


def holds_calls(value: Any, depth: int = 0) -> bool:
    """Whether a value is a call or has one in it, at most three levels down, also as JSON text.

    Example: `holds_calls({"plan": [{"name": "f", "arguments": "{}"}]})` -> True; a list of tools is none.
    """
    if isinstance(value, str):
        if not value.lstrip().startswith(("{", "[")):
            return False
        try:
            value = decode_all(value)[0]
        except ValueError:
            return False
    if isinstance(value, list):
        return depth < 4 and any(holds_calls(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return is_call(value) or (depth < 4 and any(holds_calls(item, depth + 1) for item in value.values()))
    return False
