"""JSON as models and data sets write it: the repairs that change no meaning, and what is cut off.

Every repair of a call's JSON is made here, for the parser of answers as for converters, and has a name to be counted:

    read_json('[{"name": "now"')        CutOffError: the text ended before the JSON did
    read_json('{"a": "two⏎lines"}')     ({"a": "two\\nlines"}, 18, ["raw control characters in a string accepted"])
    read_arguments("")                  ({}, "empty text read as {}")
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from xlam_lib.serialize import DECODE_ERRORS, fast

MAX_DEPTH = 100  # levels of nesting that an answer may have
RAW_BREAKS = "raw control characters in a string accepted"
EMPTY = "empty text read as {}"
HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair, which can't be written

_UNFINISHED_VALUE = re.compile(r"(?:t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?|-|\.|[eE][+-]?)?\s*\Z")
_HIGH = r"\\u[dD][89abAB][0-9a-fA-F]{2}"  # the first half of a surrogate pair
_PLAIN_PART = re.compile(r'[^"\\]+')  # of a JSON string
_ESCAPE = re.compile(rf'{_HIGH}\\u[dD][c-fC-F][0-9a-fA-F]{{2}}|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}})')
_UNFINISHED_PART = re.compile(
    rf"(?:\\(?:u[0-9a-fA-F]{{0,3}})?|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)\Z"
)


class CutOffError(ValueError):
    """The text ended before its JSON did."""


def read_json(text: str, start: int = 0) -> tuple[Any, int, list[str]]:
    """(value, end, notes) of the JSON at `start`; ValueError for whatever is not JSON or too much of it.

    Example: `read_json('[1] and more')` -> ([1], 3, [])
    """
    notes: list[str] = []
    try:
        value, end = _decode(text, start, notes)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Invalid control character"):
            raise
        notes.clear()
        value, end = _decode(text, start, notes, strict=False)
        notes.append(RAW_BREAKS)
    return sound(value, notes), end, notes


def _decode(text: str, start: int, notes: list[str], strict: bool = True) -> tuple[Any, int]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(made := dict(items)) < len(items):
            notes.append("a key is repeated; the last one counts")
        return made

    decoder = json.JSONDecoder(object_pairs_hook=pairs, parse_constant=_number, parse_float=_number, strict=strict)
    try:
        return decoder.raw_decode(text, start)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        if _ran_out(text, error):
            raise CutOffError(str(error)) from None
        raise


def _ran_out(text: str, error: json.JSONDecodeError) -> bool:
    """Whether more text could have made JSON of it."""
    if error.msg.startswith("Unterminated string"):
        return True
    if "escape" in error.msg:
        return len(text) - error.pos < 6 and '"' not in text[error.pos :]
    return _UNFINISHED_VALUE.match(text, error.pos) is not None


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a JSON number")
    return value


def sound(value: Any, notes: list[str]) -> Any:
    """The value as it can be written again: not too deep (ValueError), without halves of surrogate pairs (a note)."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            break
    else:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    plain = json.dumps(value, ensure_ascii=False)
    if HALF.search(plain):
        notes.append("half a surrogate pair was replaced by '?'")
        return json.loads(HALF.sub("?", plain))
    return value


def read_arguments(raw: Any) -> tuple[dict[str, Any], str]:
    """(arguments of a call, repair made) of JSON text or an object; "" where none was needed.

    Two repairs change no meaning and are made: no text at all means no arguments, and line breaks may stand unescaped
    in strings. TypeError for what is no object, ValueError for what is no JSON; both say what was found.

    Example: `read_arguments('{"city": "Oslo"}')` -> ({"city": "Oslo"}, "")
    """
    if isinstance(raw, dict):
        return raw, ""
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return {}, EMPTY
    if not isinstance(raw, str):
        raise TypeError(f"found {type(raw).__name__}")
    try:
        value = fast(raw)
        if isinstance(value, dict):
            return value, ""
    except DECODE_ERRORS:  # read again, to say what is wrong
        pass
    constants: list[str] = []
    repair = ""
    try:
        value = json.loads(raw, parse_constant=constants.append)
    except json.JSONDecodeError:
        value, repair = _lenient(raw, constants), RAW_BREAKS
    except RecursionError as error:
        raise ValueError(str(error)) from error
    if constants:
        raise ValueError(f"{constants[0]} is not JSON")
    if not isinstance(value, dict):
        raise TypeError(f"found {type(value).__name__} {raw[:80]!r}")
    return value, repair


def _lenient(raw: str, constants: list[str]) -> Any:
    try:
        return json.loads(raw, strict=False, parse_constant=constants.append)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{error}: {raw[:80]!r}") from error


def string_part(text: str, at: int = 0) -> tuple[str, int, bool]:
    """(characters, where they end, whether the string ends there) of the inside of a JSON string so far.

    It ends at its closing quote, or at what can't stand in a string; an escape that isn't whole may go on:
    `string_part('Look.\\n", "tool')` -> ("Look.\n", 7, True), `string_part("caf\\u00")` -> ("caf", 3, False).
    """
    parts = []
    while not _UNFINISHED_PART.match(text, at):
        if part := _PLAIN_PART.match(text, at):
            parts.append(part[0])
        elif part := _ESCAPE.match(text, at):
            parts.append(HALF.sub("?", json.loads(f'"{part[0]}"')))
        else:
            return "".join(parts), at, at < len(text)
        at = part.end()
    return "".join(parts), at, False
