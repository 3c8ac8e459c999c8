"""JSON as data sets really write it: JSON, JSON with raw line breaks, or Python literals. Nothing is evaluated.

Shared by the chat-shaped sources of notebook 01. Each way of reading that isn't plain JSON is named, so that it can be
counted: `decode("{'a': True}")` -> ({"a": True}, "Python literal read as JSON").
"""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from typing import Any

from xlam_lib.answers.values import RAW_BREAKS
from xlam_lib.serialize import DECODE_ERRORS, fast

LONGEST = 1_000_000  # characters of a literal that is given to Python's parser
CONSTANTS = {"true": True, "false": False, "null": None}
PYTHON = "Python literal read as JSON"
BRACKETS = "a missing or doubled closing bracket put right"
PYTHON_NAMES = (("True", "true"), ("False", "false"), ("None", "null"))
BRACKET, DEEP = re.compile(r"[\[\]{}]"), 90
STRING = re.compile(r"""('[^'\n]*'|"[^"\n]*")""")
NOT_QUICK = object()
GAP = re.compile(r"[\s,;]*")


def decode(text: str) -> tuple[Any, str]:
    """(value, how it was read) of one text, or a ValueError: `decode('{"a": 1}')` -> ({"a": 1}, "")."""
    try:
        return fast(text), ""
    except DECODE_ERRORS:  # no JSON, or such as only json can judge
        pass
    error: Exception = ValueError("no text")
    for strict, note in ((True, ""), (False, RAW_BREAKS)):
        try:
            return json.loads(text, strict=strict, parse_constant=_no_constant), note
        except (ValueError, RecursionError) as found:
            error = error if note else found
    try:
        return literal(text), PYTHON
    except ValueError:
        raise ValueError(str(error)) from error


def decode_repaired(text: str) -> tuple[Any, str]:
    """As `decode`; also an object whose last closing brackets are missing or stand there once too often.

    Example: `decode_repaired('{"a": {"b": 1}')` -> ({"a": {"b": 1}}, BRACKETS). A text that ends within a string or
    behind a comma is cut off, not repaired.
    """
    try:
        return decode(text)
    except ValueError:
        text = text.strip()
        for tried in (text[:-1], text + "}", text + "]") if text.endswith(("}", "]")) else ():
            try:
                return json.loads(tried, strict=False, parse_constant=_no_constant), BRACKETS
            except (ValueError, RecursionError):
                continue
        raise


def decode_all(text: str) -> tuple[list[Any], str]:
    """(values, how they were read) of one list, one value, or several values behind one another.

    Example: `decode_all('{"a": 1}\\n{"b": 2}')` -> ([{"a": 1}, {"b": 2}], "").
    """
    try:
        value, note = decode_repaired(text)
        return (value if isinstance(value, list) else [value]), note
    except ValueError:
        several = _sequence(text)
        if several is None:
            raise
        return several


def _sequence(text: str) -> tuple[list[Any], str] | None:
    """JSON values one after the other, or a literal on each line; None when it is neither."""
    decoder = json.JSONDecoder(strict=False, parse_constant=_no_constant)
    values, at = [], GAP.match(text).end()
    try:
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            values.append(value)
            at = GAP.match(text, at).end()
    except (ValueError, RecursionError):
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return ([literal(line) for line in lines], PYTHON) if len(lines) > 1 else None
        except ValueError:
            return None
    return values, ""


def literal(text: str) -> Any:
    """The JSON value of a Python literal; true, false and null are understood too.

    Example: `literal("{'a': (1, None)}")` -> {"a": [1, None]}. What has no place in JSON (sets, calls, names, keys that
    aren't text) is a ValueError.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a literal of {len(text)} characters")
    if (value := quick_literal(text)) is not NOT_QUICK:
        return value
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a string is a warning
            return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"no Python literal ({type(error).__name__})") from error


def quick_literal(text: str, names: bool = True) -> Any:
    """The value of a literal that is JSON but for its quotes and for True, False and None, or else NOT_QUICK.

    It is much quicker than Python's parser, by which everything else is read. With `names`, true, false and null may
    stand for themselves.
    """
    if "\\" in text:
        return NOT_QUICK
    parts = STRING.split(text)
    bare = "'".join(parts[::2])
    if bare.count("'") != len(parts) // 2 or '"' in bare or (not names and any(name in bare for name in CONSTANTS)):
        return NOT_QUICK
    if bare.count("[") + bare.count("{") > DEEP:  # Python's parser has a limit to how deep they may be nested
        depth = 0
        for bracket in BRACKET.findall(bare):
            depth += 1 if bracket in "[{" else -1
            if depth > DEEP:
                return NOT_QUICK
    for name, spelt in PYTHON_NAMES:
        bare = bare.replace(name, spelt)
    parts[::2] = bare.split("'")
    parts[1::2] = [string[1:-1].replace('"', '\\"') if '"' in string[1:-1] else string[1:-1] for string in parts[1::2]]
    try:
        return fast('"'.join(parts))
    except DECODE_ERRORS:
        return NOT_QUICK


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        if node.value is None or isinstance(node.value, str | bool | int):
            return node.value
        if isinstance(node.value, float) and math.isfinite(node.value):
            return node.value
    elif isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    elif isinstance(node, ast.Dict):
        keys = [_value(key) if key is not None else None for key in node.keys]
        if all(isinstance(key, str) for key in keys):
            return dict(zip(keys, map(_value, node.values), strict=True))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        number = _value(node.operand)
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number if isinstance(node.op, ast.USub) else number
    elif isinstance(node, ast.Name) and node.id in CONSTANTS:
        return CONSTANTS[node.id]
    raise ValueError(f"{type(node).__name__} has no place in JSON")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
