"""Calls as data sets spell them: OpenAI's `tool_calls`, {"name", "arguments"} objects, and texts of those.

Shared by the chat-shaped sources of notebook 01. What is found are `FoundCall`s: a `RawCall` with the repair that its
text needed. Calls within what an assistant says are found by `dialects/`. `found_calls('[{"name": "f"}]')` -> [f].
"""

from __future__ import annotations

import re
from typing import Any

from xlam_lib.arguments import argument_faults
from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.chat import RawCall
from xlam_lib.data.formats.literals import decode, decode_all, decode_repaired
from xlam_lib.serialize import loads
from xlam_lib.trajectory import Tool

NAMES = ("name", "tool_name", "function_name", "function", "tool", "toolName", "api_name", "API_name", "action")
ARGUMENTS = (
    *("arguments", "parameters", "args", "kwargs", "input", "tool_input", "params", "api_params", "API_params"),
    *("action_input", "tool_args", "tool_arguments"),
)
IDS = ("call_id", "tool_call_id", "tool_use_id", "toolCallId", "toolUseId", "id")
BESIDE = frozenset((*NAMES, *IDS, "type", "index"))  # what a call without arguments may have
TYPES = ("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref")  # keywords by which a text is no value
QUOTES = "quotes around the arguments taken off"
QUOTED = re.compile(  # {"name": "f", "arguments": '{...}'}: JSON within quotes that don't escape what is in them
    r"""\s*\{\s*["']name["']\s*:\s*["'](?P<name>[^"'\n]*)["']\s*,
        \s*["'](?:arguments|parameters)["']\s*:\s*(?P<quote>['"`])(?P<text>.*)(?P=quote)\s*+(?:\}\s*+)?""",
    re.DOTALL | re.VERBOSE,
)


class FoundCall(RawCall, frozen=True):
    """A call and the repair that reading it took, "" mostly: `FoundCall("f", {"a": 1}, "", QUOTES)`."""

    repair: str = ""
    as_text: bool = False  # written as XML: each value is text, whatever its type


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
    id_ = next((str(outer[key]) for key in IDS if type(outer.get(key)) in (str, int)), "")
    if arguments is None and not inner.keys() <= BESIDE:
        _need_no_arguments(name, inner)
    if arguments == []:
        return FoundCall(name, {}, id_, repair or "empty list read as {}")
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments, note = decode(arguments)
            repair = repair or note
        except ValueError:
            pass
    return FoundCall(name, arguments, id_, repair)


def _need_no_arguments(name: str, given: dict[str, Any]) -> None:
    """A Drop where a call without arguments has another field, which may be them: it would be lost."""
    for key, value in given.items():
        if key not in BESIDE and value not in (None, "", [], {}):
            raise Drop("call with a field that isn't read", f"{name}: {key!r}: {str(value)[:80]}")


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


def typed_arguments(arguments: dict[str, Any], tool: Tool) -> dict[str, Any]:
    """Values that were written as text, of the types that the tool's schema asks for.

    Example: `typed_arguments({"days": "3", "city": "4"}, tool)` -> {"days": 3, "city": "4"}. Where the schema takes a
    text, or the text is nothing that it takes, it stays as it is.
    """
    found = dict(arguments)
    for name in _ill_typed(tool, found):
        try:
            value = decode(found[name].strip())[0]
        except ValueError:
            continue
        if name not in _ill_typed(tool, {**found, name: value}):
            found[name] = value
    return found


def _ill_typed(tool: Tool, arguments: dict[str, Any]) -> set[Any]:
    """The arguments that are of another kind than the schema says; what is wrong within them doesn't matter."""
    faults = argument_faults(tool, arguments)
    return {fault.path[0] for fault in faults if len(fault.path) == 1 and fault.kind in TYPES}
