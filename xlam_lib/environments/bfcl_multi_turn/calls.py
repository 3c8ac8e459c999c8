"""Calls as Python source and back, with nothing in them but the name of a known function and literals.

BFCL's executor hands the source of a call to `eval`, so what reaches it is made here, out of a call's name and values,
and never taken from a model's text. Used by this environment (notebook 05).

    call_text(ToolCall("cd", {"folder": "temp"}), {"cd", "ls"})     # "cd(folder='temp')"
    call_text(ToolCall("cd", {"folder=exit()#": 1}), {"cd", "ls"})  # a CallError
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Collection, Mapping
from typing import Any

from xlam_lib.data.formats.bracket_calls import bracket_calls
from xlam_lib.errors import XlamError
from xlam_lib.schema import ToolCall

LONGEST = 100_000  # characters and values in the arguments of one call
DEEPEST = 30  # lists and objects within each other


class CallError(XlamError, ValueError):
    """A call that isn't executed; the message is what the agent reads."""


class PythonCalls:
    """One call as Python source: `PythonCalls().parse("cd(folder='temp')")` -> ("cd", {"folder": "temp"})."""

    def parse(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """The call of a text, which may stand in a list of one: "[ls(a=True)]" -> ("ls", {"a": True}); else None."""
        text = text.strip()
        found = bracket_calls(text if text.startswith("[") else f"[{text}]")
        if not found or len(found) != 1 or not isinstance(found[0].arguments, dict):
            return None
        return found[0].name, found[0].arguments

    def render(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The source of a call: ("cd", {"folder": "temp"}) -> "cd(folder='temp')"."""
        return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def call_text(call: ToolCall, names: Collection[str]) -> str:
    """The call as source that is safe to evaluate; a CallError says what is wrong with it."""
    if call.name not in names or not _is_name(call.name):
        raise CallError(f"name {call.name[:100]!r} is not defined")
    if bad := [name for name in call.arguments if not _is_name(name)]:
        raise CallError(f"{bad[0][:100]!r} is no name of an argument")
    _check(call.arguments)
    try:
        return PythonCalls().render(call.name, call.arguments)
    except ValueError as error:  # a number of thousands of digits
        raise CallError(str(error)) from error


def _is_name(text: str) -> bool:
    """Whether Python reads it as the very name: "\ufb01le" would become "file"."""
    return text.isascii() and text.isidentifier() and not keyword.iskeyword(text)


def _check(arguments: Mapping[str, Any]) -> None:
    """Whether the values are literals of a sane size; they are walked through, not copied."""
    left, waiting = LONGEST, [(value, 1) for value in arguments.values()]
    while waiting:
        value, depth = waiting.pop()
        inner: list[Any] = []
        if isinstance(value, str):
            left -= len(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise CallError(f"{value!r} is no number that can be written")
        elif isinstance(value, dict):
            inner = [*value.keys(), *value.values()]
        elif isinstance(value, list):
            inner = value
        elif not (value is None or isinstance(value, bool | int | float)):
            raise CallError(f"a value of type {type(value).__name__} can't be written")
        left -= 1 + len(inner)
        if left < 0 or depth > DEEPEST:
            raise CallError(f"the arguments are longer than {LONGEST} characters or nested deeper than {DEEPEST}")
        waiting += [(item, depth + 1) for item in inner]
