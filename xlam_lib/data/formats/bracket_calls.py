"""Calls written as a bracketed list of Python-like calls: `[Get Weather(city="Oslo", days=3), Other()]` (notebook 01).

Nothing is evaluated. Names may hold spaces, dots and slashes; values are JSON or Python literals.
`bracket_calls('[f(a=1)]', ["f"])` -> [FoundCall("f", {"a": 1})], and None for a text that isn't such a list.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from xlam_lib.data.formats.call_forms import FoundCall
from xlam_lib.data.formats.conversations import json_text
from xlam_lib.data.formats.literals import decode
from xlam_lib.trajectory import ToolCall

NAME = re.compile(r"[^()\[\]{}=,\"'\n]+(?=\()")
KEY = re.compile(r"\s*+([^()\[\]{}=,\"'\n]*[^()\[\]{}=,\"'\s])\s*=\s*")
SPACE = re.compile(r"\s*")
CLOSING = {"(": ")", "[": "]", "{": "}"}


def bracket_calls(text: str, names: Collection[str] = ()) -> list[FoundCall] | None:
    """The calls of a text; `names` are tools whose names may themselves hold brackets."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    longest = sorted(names, key=len, reverse=True)
    calls: list[FoundCall] = []
    at = 1
    while True:
        at = SPACE.match(text, at).end()
        name = next((name for name in longest if text.startswith(name + "(", at)), None)
        if name is None and (found := NAME.match(text, at)):
            name = found[0]
        if not name or not name.strip():
            return None
        read = _arguments(text, at + len(name) + 1)
        if read is None:
            return None
        calls.append(FoundCall(name.strip(), read[0]))
        at = SPACE.match(text, read[1]).end()
        if at == len(text) - 1:
            return calls
        if text[at] != ",":
            return None
        at += 1


def _arguments(text: str, at: int) -> tuple[dict[str, Any], int] | None:
    """(arguments, where they end) from behind an opening bracket."""
    arguments: dict[str, Any] = {}
    while True:
        at = SPACE.match(text, at).end()
        if text.startswith(")", at):
            return arguments, at + 1
        key = KEY.match(text, at)
        end = _value_end(text, key.end()) if key else None
        if end is None or key[1] in arguments:
            return None
        try:
            arguments[key[1]] = decode(text[key.end() : end])[0]
        except ValueError:
            return None
        at = end + 1 if text[end] == "," else end


def _value_end(text: str, at: int) -> int | None:
    """Where the comma or bracket stands that ends a value; None if there is none."""
    waiting: list[str] = []
    quote = ""
    while at < len(text):
        char = text[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif not waiting and char in ",)":
            return at
        elif char in CLOSING:
            waiting.append(CLOSING[char])
        elif char in ")]}" and (not waiting or waiting.pop() != char):
            return None
        at += 1
    return None


def render_brackets(calls: Sequence[ToolCall]) -> str:
    """The text of calls: `render_brackets([ToolCall("f", {"a": "x", "b": True})])` -> '[f(a="x", b=True)]'."""
    return f"[{', '.join(f'{call.name}({_pairs(call.arguments)})' for call in calls)}]"


def _pairs(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{key}={_literal(value)}" for key, value in arguments.items())


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"' if value.isprintable() and not {'"', "\\"} & set(value) else _quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _quoted(value: str) -> str:
    return json_text([value])[1:-1]
