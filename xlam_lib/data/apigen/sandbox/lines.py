"""Lines of JSON between processes that don't trust each other: nothing in them is deep, endless or no JSON.

    line_of({"a": [1]})      # b'{"a": [1]}\n'
    value_of(b"[[[...]]]")   # a LineError: nested deeper than 100

Used by `line_child.py` and `bench/tasks/bfcl_check.py`. Whoever gets such a value can walk through it by recursion.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any

from xlam_lib.errors import XlamError

DEEPEST = 100  # lists and objects within each other
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class LineError(XlamError, ValueError):
    """A value that can't go to another process, or a line that isn't one; the message says why."""


class AnswerError(LineError):
    """What came back is no such line, or longer than is taken."""


def line_of(value: Any) -> bytes:
    """The value as a line of JSON; a LineError when it isn't JSON or too deep."""
    try:
        line = json.dumps(value, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise LineError(f"not JSON ({error})") from error
    _check_depth(line)
    return line


def value_of(line: bytes) -> Any:
    """The value in a line of JSON; a LineError when it is too deep, or no JSON as other programs read it."""
    _check_depth(line)
    try:
        value = json.loads(line.decode(), parse_constant=_no_number, parse_float=_finite)
        if b"\\u" in line:
            json.dumps(value, ensure_ascii=False).encode()  # half a character, which no file can hold
    except ValueError as error:
        raise LineError(f"not JSON ({str(error)[:200]})") from error
    return value


def depth(line: bytes) -> int:
    """How deep lists and objects lie in each other in a text of JSON: b'{"a": ["[", []]}' -> 3."""
    brackets = _TEXT.sub(b"", line).translate(None, _NO_BRACKET)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _check_depth(line: bytes) -> None:
    if line.count(b"[") + line.count(b"{") > DEEPEST and depth(line) > DEEPEST:
        raise LineError(f"nested deeper than {DEEPEST}")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"{digits[:20]} is too large")
    return value
