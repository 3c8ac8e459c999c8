"""One answer held against the expected calls: right, readable, and if wrong, in what way.

Used by `heldout.py` (notebooks 02, 03 and 05). Right means: the answer can be read and makes the same calls with the
same arguments, in any order, as often. Text that can't be read is never right, also where no call was expected.

    >>> grade('{"thought": "", "tool_calls": []}', (ToolCall("now"),), (Tool("now"),))
    {'exact': False, 'parsed': True, 'failure': 'no_call', 'problems': []}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from xlam_lib.codec import parse_answer, same_calls
from xlam_lib.trajectory import Tool, ToolCall

FAILURES = {
    "unreadable": "no answer in the text, or malformed JSON",
    "cut_off": "unreadable, for the answer reached the limit of tokens",
    "no_call": "answers without a call where one was expected",
    "needless_call": "calls a tool where no call was expected",
    "too_few_calls": "makes fewer calls than expected",
    "too_many_calls": "makes more calls than expected",
    "unknown_tool": "calls a tool that isn't offered",
    "wrong_tool": "calls another of the offered tools",
    "unknown_argument": "uses an argument that the tool doesn't have",
    "missing_argument": "leaves an expected argument out",
    "extra_argument": "gives an argument that wasn't expected",
    "wrong_value": "gives an argument another value",
}

NAMES_AT_FAULT = ("unknown_argument", "missing_argument", "extra_argument")


def grade(text: str, expected: Sequence[ToolCall], tools: Sequence[Tool], *, cut_off: bool = False) -> dict[str, Any]:
    """exact, parsed, failure ("" when exact, else a key of FAILURES) and the codec's problems with the text."""
    read = parse_answer(text)
    exact = read.form != "text" and same_calls(expected, read.answer.calls)
    failure = ""
    if not exact and read.form == "text":
        failure = "cut_off" if cut_off else "unreadable"
    elif not exact:
        failure = _failure(expected, read.answer.calls, tools)
    return {"exact": exact, "parsed": not read.problems, "failure": failure, "problems": list(read.problems)}


def _failure(expected: Sequence[ToolCall], calls: Sequence[ToolCall], tools: Sequence[Tool]) -> str:
    if not calls or not expected:
        return "needless_call" if calls else "no_call"
    offered = {tool.name: tool for tool in tools}
    if any(call.name not in offered for call in calls):
        return "unknown_tool"
    if len(calls) != len(expected):
        return "too_few_calls" if len(calls) < len(expected) else "too_many_calls"
    if Counter(call.name for call in calls) != Counter(call.name for call in expected):
        return "wrong_tool"
    wanted, made = _unmatched(expected, calls)
    return _arguments(wanted, made, offered)


def _unmatched(expected: Sequence[ToolCall], calls: Sequence[ToolCall]) -> tuple[list[ToolCall], list[ToolCall]]:
    """The calls of either side that have no equal on the other, both sorted by name."""
    made, wanted = list(calls), []
    for call in expected:
        equal = next((other for other in made if same_calls([call], [other])), None)
        if equal is None:
            wanted.append(call)
        else:
            made.remove(equal)
    return sorted(wanted, key=lambda call: call.name), sorted(made, key=lambda call: call.name)


def _arguments(wanted: Sequence[ToolCall], made: Sequence[ToolCall], offered: dict[str, Tool]) -> str:
    """The gravest difference: a name the tool doesn't know, then one left out, one too many, another value."""
    found = set()
    for want, call in zip(wanted, made, strict=True):
        names, given = set(want.arguments), set(call.arguments)
        known = set(offered[call.name].parameters.get("properties", {}))
        found |= {"unknown_argument"} if given - known - names else set()
        found |= {"missing_argument"} if names - given else set()
        found |= {"extra_argument"} if given - names else set()
    return next((kind for kind in NAMES_AT_FAULT if kind in found), "wrong_value")
