"""API-Bank's way to write a call: `[QueryStock(stock_code='NFLX', date='2022-02-17')]` <-> name and arguments.

Values stand in single quotes without escaping ('[{'name': 'blood_pressure'}]' is one of them), sometimes in double
quotes or bare (location=New York). Quoted is text; bare is a number, list or object if Python reads it so, else text.
Used by the converters of API-Bank in `sources/` (notebook 01): `parse_request("F(a='1')")` -> ("F", {"a": "1"}).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.flat_tools import tool
from xlam_lib.data.formats.literals import NOT_QUICK, quick_literal
from xlam_lib.data.formats.schemas import schema_of_value
from xlam_lib.serialize import loads
from xlam_lib.trajectory import Step, Tool

CALL = re.compile(r"\s*([A-Za-z_][\w.]*)\s*\((.*)\)\s*", re.DOTALL)
KEY = re.compile(r",?\s*([A-Za-z_]\w*)\s*=\s*")
NEXT_KEY = re.compile(r",\s*[A-Za-z_]\w*\s*=")
NEXT = rf"(?=\s*(?:{NEXT_KEY.pattern}|$))"
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


def parse_request(text: str) -> tuple[str, dict[str, Any]] | None:
    """(name, arguments) of `Name(key='value', ...)`, or None when it is no such text."""
    found = CALL.fullmatch(text)
    if found is None:
        return None
    arguments = _arguments(found[2].strip())
    return None if arguments is None else (found[1], arguments)


def render_request(name: str, arguments: dict[str, Any]) -> str:
    """The request as API-Bank writes it: `render_request("F", {"a": "1", "n": 2})` -> "F(a='1', n=2)"."""
    return f"{name}({', '.join(f'{key}={_text(value)}' for key, value in arguments.items())})"


def _text(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else repr(value)


def _arguments(inside: str) -> dict[str, Any] | None:
    """{"a": "1", "b": "x, y"} of "a='1', b='x, y'": a value ends at its quote, or bare where the next key begins."""
    arguments: dict[str, Any] = {}
    at = 0
    while at < len(inside):
        key = KEY.match(inside, at)
        if key is None or key[1] in arguments:
            return None
        end = _end(inside, key.end())
        if end is None:
            return None
        arguments[key[1]] = _value(inside[key.end() : end].strip())
        at = end
    return arguments


def _end(inside: str, start: int) -> int | None:
    """Where the value that begins at `start` ends."""
    quote = inside[start : start + 1]
    if quote in ("'", '"'):
        closing = re.compile(quote + NEXT).search(inside, start + 1)
        return closing.start() + 1 if closing else None
    at, depth = start, 0
    for end in (*(found.start() for found in NEXT_KEY.finditer(inside, start)), len(inside)):
        piece, at = inside[at:end], end
        depth += sum(map(piece.count, "([{")) - sum(map(piece.count, ")]}"))
        if not depth:
            return start + len(inside[start:end].rstrip())
    return None


def _value(text: str) -> Any:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if NUMBER.fullmatch(text):
        return json.loads(text)
    if text in ("True", "False", "None"):
        return ast.literal_eval(text)
    if text[:1] in ("[", "{"):
        return literal(text, text)
    return text


def literal(text: str, default: Any = None) -> Any:
    """The JSON value that a Python literal is, else `default`: `literal("(1,)")` -> None, since tuples are none."""
    if text[:1] in ("[", "{") and (value := quick_literal(text, names=False)) is not NOT_QUICK:
        return value
    try:
        value = ast.literal_eval(text)
        schema_of_value(value)
        return value if json.loads(json.dumps(value, allow_nan=False)) == value else default
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError, KeyError):
        return default


def described(raw: Any) -> Tool | None:
    """The tool that API-Bank describes by this, or None: {"name" or "apiCode", "description", "input_parameters"}."""
    name = (raw.get("name") or raw.get("apiCode")) if isinstance(raw, dict) else None
    if not isinstance(name, str):
        return None
    try:
        return tool(name, raw.get("description"), raw.get("input_parameters") or raw.get("parameters"), [])
    except Drop:
        return None


def searched_tools(steps: Iterable[Step]) -> dict[str, Tool]:
    """The tools that a search for tools gave, by name; its results are JSON or Python literals, one tool or a list."""
    found = {}
    for step in steps:
        if step.role == "tool" and step.name == "ToolSearcher":
            value = json_or_literal(step.content)
            value = value.get("output", value) if isinstance(value, dict) else value
            for item in map(described, value if isinstance(value, list) else [value]):
                if item is not None:
                    found.setdefault(item.name, item)
    return found


def json_or_literal(text: str) -> Any:
    """The value of a text that is JSON or a Python literal, else None."""
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return literal(text)
