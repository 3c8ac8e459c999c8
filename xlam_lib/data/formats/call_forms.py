"""Calls as data sets spell them: OpenAI's `tool_calls`, {"name", "arguments"} objects, and texts in tags.

Shared by the chat-shaped sources of notebook 01. What is found are `FoundCall`s: a `RawCall` with the repair that its
text needed. `split_calls('Sure. <tool_call>{"name": "f", "arguments": {}}</tool_call>')` -> ("Sure.", [f], [text]).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.chat import RawCall
from xlam_lib.data.formats.literals import decode, decode_all, decode_repaired
from xlam_lib.serialize import loads

NAMES = ("name", "tool_name", "function_name", "function", "tool")
ARGUMENTS = ("arguments", "parameters", "args", "kwargs", "input", "tool_input")
IDS = ("id", "tool_call_id", "call_id")
TAGGED = re.compile(
    r"<tool_call>(.*?)(?:</tool_call>|(?=<tool_call>)|\Z)"
    r"|<functioncall>(.*?)(?:</functioncall>|<\|endoftext\|>|(?=<functioncall>)|\Z)",
    re.DOTALL,
)
QUOTES = "quotes around the arguments taken off"
QUOTED = re.compile(  # {"name": "f", "arguments": '{...}'}: JSON within quotes that don't escape what is in them
    r"""\s*\{\s*["']name["']\s*:\s*["'](?P<name>[^"'\n]*)["']\s*,
        \s*["'](?:arguments|parameters)["']\s*:\s*(?P<quote>['"`])(?P<text>.*)(?P=quote)\s*\}?\s*""",
    re.DOTALL | re.VERBOSE,
)


class FoundCall(RawCall, frozen=True):
    """A call and the repair that reading it took, "" mostly: `FoundCall("f", {"a": 1}, "", QUOTES)`."""

    repair: str = ""


def found_call(value: Any, repair: str = "") -> FoundCall:
    """The call of an object in any spelling: `found_call({"function": {"name": "f", "arguments": "{}"}, "id": "x"})`.

    Arguments that are Python literals in a text, or an empty list, are read; what isn't understood stays as it is, for
    `parse_arguments` to judge.
    """
    outer = value if isinstance(value, dict) else {}
    inner = outer["function"] if isinstance(outer.get("function"), dict) else outer
    name = next((inner[key] for key in NAMES if isinstance(inner.get(key), str) and inner[key]), None)
    if name is None:
        raise Drop("call without a name", f"found {value!r}"[:200])
    arguments = next((inner[key] for key in ARGUMENTS if inner.get(key) is not None), None)
    id_ = next((outer[key] for key in IDS if isinstance(outer.get(key), str)), "")
    if arguments == []:
        return FoundCall(name, {}, id_, repair or "empty list read as {}")
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments, note = decode(arguments)
            repair = repair or note
        except ValueError:
            pass
    return FoundCall(name, arguments, id_, repair)


def found_calls(value: Any) -> list[FoundCall]:
    """The calls of a list, one object, or a text of them; nothing gives []."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return calls_of_text(value)
    if isinstance(value, dict):
        inner = next((value[key] for key in ("tool_calls", "calls") if isinstance(value.get(key), list)), None)
        return [found_call(value)] if inner is None else found_calls(inner)
    if not isinstance(value, list):
        raise Drop("calls are not a list", f"found {type(value).__name__}")
    return [call for item in value for call in (calls_of_text(item) if isinstance(item, str) else [found_call(item)])]


def calls_of_text(text: str) -> list[FoundCall]:
    """The calls of a text such as '{"name": "f", "arguments": {"a": 1}}', a list of them, or several in a row."""
    if "<tool_call>" in text or "<functioncall>" in text:
        return split_calls(text)[1]
    if not _is_json(text) and (quoted := _quoted(text)):
        return [quoted]
    try:
        values, note = decode_all(text)
    except ValueError as error:
        raise Drop("call text can't be read", f"{error}: {text.strip()[:80]!r}") from error
    return [] if values == [None] else [found_call(value, note) for value in values]


def _quoted(text: str) -> FoundCall | None:
    """A call whose arguments stand in quotes: the last quote ends them, whatever quotes are in between."""
    found = QUOTED.fullmatch(text)
    if found is None:
        return None
    inner = found["text"].strip()
    for tried in (inner, inner.replace("\\'", "'")):
        try:
            value, note = decode_repaired(tried)
        except ValueError:
            continue
        if isinstance(value, dict):
            return FoundCall(found["name"], value, "", f"{QUOTES}; {note}" if note else QUOTES)
    return None


def _is_json(text: str) -> bool:
    try:
        loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def split_calls(
    content: str, read: Callable[[str], list[FoundCall]] = calls_of_text
) -> tuple[str, list[FoundCall], list[str]]:
    """(the text around the calls, the calls, their texts with the tags) of an assistant's message."""
    if "<tool_call>" not in content and "<functioncall>" not in content:
        return content, [], []
    calls: list[FoundCall] = []
    texts: list[str] = []
    for found in TAGGED.finditer(content):
        inner = read(found[1] if found[1] is not None else found[2])
        if not inner:
            raise Drop("call text can't be read", f"{found[0][:80]!r} is empty")
        calls += inner
        texts.append(found[0].removesuffix("<|endoftext|>"))
    return (TAGGED.sub("\n", content).strip() if texts else content), calls, texts
