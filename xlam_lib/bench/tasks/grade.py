"""One answer held against the expected calls: right, readable, and if wrong, in what way.

Used by `heldout.py` (notebooks 02, 03 and 05). The rule and the names of the failures are those of `grading.py`, so
that a failure means the same in a benchmark and in a preference pair; here an answer that met the limit of tokens is
told apart, since a server reports it.

    >>> grade('{"thought": "", "tool_calls": []}', (ToolCall("now"),), (Tool("now"),))
    {'exact': False, 'parsed': True, 'failure': 'no_call', 'problems': []}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xlam_lib import grading
from xlam_lib.codec import parse_answer
from xlam_lib.trajectory import Tool, ToolCall

FAILURES = grading.FAILURES | {"cut_off": "not the JSON that was asked for, since it reached the limit of tokens"}


def grade(text: str, expected: Sequence[ToolCall], tools: Sequence[Tool], *, cut_off: bool = False) -> dict[str, Any]:
    """exact, parsed, failure ("" when exact, else a key of FAILURES) and the codec's problems with the text."""
    read = parse_answer(text)
    if read.problems:
        failure = "cut_off" if cut_off else "invalid_json"
    else:
        failure = grading.failure_of(expected, read.answer.calls, tools)
    return {"exact": not failure, "parsed": not read.problems, "failure": failure, "problems": list(read.problems)}
