"""JSON by msgspec, several times as fast as Python's json, with the very results of json (notebook 01's conversions).

    loads('{"city": "Oslo"}')           what json.loads gives, and its errors
    dumps({"celsius": 4})               b'{"celsius": 4}': json.dumps(value, ensure_ascii=False) as bytes
    plain_bytes({"at": (59.9, 10.7)})   None: a tuple reads back as a list

msgspec refuses what json lets pass (lone surrogates, NaN, 1e999), and then json is asked: nothing depends on which of
the two did the work (tests/test_exact_json.py). In one point the text is another, not the value: floats that json
writes with an exponent, 1e+16 and 1e-05, are written as 1e16 and 0.00001.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

REFUSED = (msgspec.MsgspecError, UnicodeError, RecursionError)
UNWRITTEN = (*REFUSED, TypeError, ValueError)
fast = msgspec.json.Decoder().decode  # raises one of REFUSED where json.loads may know better
_fast_sorted = msgspec.json.Encoder(order="sorted").encode
_sorted = json.JSONEncoder(sort_keys=True).encode
DIGITS = bytes.maketrans(b"123456789", b"000000000")
fast_bytes = msgspec.json.Encoder().encode  # of values that are known to be plain: NaN would become null


def spaced(line: bytes) -> bytes:
    """A line that `fast_bytes` wrote, with json's spaces: `spaced(b'{"a":1}')` -> b'{"a": 1}'."""
    return msgspec.json.format(line, indent=0)


def sorted_bytes(value: Any) -> bytes:
    """As json.dumps with sorted keys, for values whose keys are texts: `sorted_bytes({"b": 1, "a": "é"})`."""
    try:
        line = spaced(_fast_sorted(value))
    except UNWRITTEN:
        return _sorted(value).encode()
    if not line.isascii() or b"\x7f" in line or b"null" in line:  # written with a backslash, or NaN
        return _sorted(value).encode()
    digits = line.translate(DIGITS)
    return _sorted(value).encode() if b"0e0" in digits or b"0e-" in digits else line  # 1e16: json has 1e+16


def loads(text: str | bytes) -> Any:
    """As `json.loads`: `loads("[1, 2.5]")` -> [1, 2.5]."""
    try:
        return fast(text)
    except REFUSED:
        return json.loads(text)


def spaced_bytes(value: Any) -> bytes:
    """A line with json's spaces, of values that are known to be plain: `spaced_bytes({"a": 1})` -> b'{"a": 1}'."""
    return spaced(fast_bytes(value))


def dumps(value: Any) -> bytes:
    """One line of JSON without its end; raises what json.dumps raises, also over NaN: `dumps(["é"])`."""
    line = plain_bytes(value)
    if line is None:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        line = spaced(fast_bytes(json.loads(text)))
    return line


def plain_bytes(value: Any) -> bytes | None:
    """The same line for a value that reads back equal, else None: `plain_bytes({1: 2})` -> None, as keys are texts."""
    try:
        line = fast_bytes(value)
        return spaced(line) if fast(line) == value else None
    except UNWRITTEN:
        return None
