"""What readers of logs share: texts of content parts, and JSON files that are one record as a list (notebook 01).

Some programs save a run as a bare list of its events, or a line each. `split_list` tells such a file from one of
several records; NaN and Infinity, which Python's programs write, become texts in it.

    list(split_list('[{"action": "run"}, {"observation": "run"}]', is_event, "history"))
        -> [(1, {"history": [{"action": "run"}, {"observation": "run"}]})]
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import as_reward
from xlam_lib.data.streams import elements_of
from xlam_lib.trajectory import Outcome

SPACE = re.compile(r"[ \t\r\n]*")
FORMAT = "a word of the format, which steps say in their own way"
SUCCESS = ("success", "resolved", "target", "passed")
REWARDS = ("reward", "score")
TEXTS = ("text", "input_text", "output_text", "summary_text", "reasoning_text")


def text_of(content: Any, where: str) -> str:
    """The text of a message: `text_of([{"type": "text", "text": "Hi"}], "message 3")` -> "Hi".

    A part that isn't text, an image perhaps, loses the record, and the reason names it.
    """
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and part.get("type", "text") in TEXTS and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise Drop("message content is not text", f"{where}: a part of type {str(kind)[:40]!r}")
    return "\n".join(texts)


def filled(values: dict[str, Any]) -> dict[str, Any]:
    """The entries that say something: `filled({"a": 1, "b": None, "c": ""})` -> {"a": 1}."""
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}


def outcome_of(record: dict[str, Any], termination: str = "unknown", checks: dict[str, Any] | None = None) -> Outcome:
    """How a run ended, where its record says so plainly: `outcome_of({"reward": 1, "resolved": True}).success` -> True.

    An error of the infrastructure says nothing about the model: it has neither reward nor success.
    """
    success = next((record[key] for key in SUCCESS if isinstance(record.get(key), bool)), None)
    numbers = (as_reward(record.get(key)) for key in REWARDS)
    reward = next((number for number in numbers if number is not None), None)
    if termination == "infra_error":
        success = reward = None
    return Outcome(success, reward, termination, checks or {})


def split_list(text: str, belongs: Callable[[Any], bool], key: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line, record) of a JSON file: a list, or lines, of nothing but what `belongs` together are one, under `key`.

    Any others are records, each with its line; what is no object among them becomes {key: [it]}, for the converter to
    say what it is. A record among others that isn't JSON becomes (line, what is wrong with it). A run of which a part
    can't be read, and text that isn't JSON at all, raise ValueError.
    """
    start = SPACE.match(text).end()
    try:
        values = list(_elements(text, start))
    except (json.JSONDecodeError, RecursionError) as error:
        yield from _readable(text, start, belongs, error)
        return
    several = text.startswith("[", start) or len(values) > 1
    if several and values and all(belongs(value) for _, value in values):
        yield 1 + text[:start].count("\n"), {key: [value for _, value in values]}
        return
    line, counted = 1, 0
    for at, value in values:
        line, counted = line + text.count("\n", counted, at), at
        yield line, value if isinstance(value, dict) else {key: [value]}


def _readable(
    text: str, start: int, belongs: Callable[[Any], bool], error: Exception
) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The records beside those that aren't JSON, and what is wrong with these."""
    values = list(elements_of(text) if text.startswith("[", start) else _lines(text))
    records = [value for _, value in values if isinstance(value, dict)]
    if not records or all(map(belongs, records)):
        raise error
    yield from values


def _lines(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The same of a text with a record on each line; nothing where a line doesn't begin one."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for number, line in lines if all(line.startswith("{") for _, line in lines) else ():
        try:
            yield number, json.loads(line, parse_constant=str)
        except json.JSONDecodeError as error:
            yield number, f"not JSON: {error.msg} at character {error.pos + 1} of the line"
        except RecursionError as error:
            yield number, f"not JSON: {error}"


def _elements(text: str, at: int) -> Iterator[tuple[int, Any]]:
    """(where it begins, value) of each element of a list, or of each value of a text of several."""
    decode = json.JSONDecoder(parse_constant=str).raw_decode
    listed = text.startswith("[", at)
    at = SPACE.match(text, at + listed).end()
    more = at < len(text) and not (listed and text[at] == "]")
    while more:
        value, end = decode(text, at)
        yield at, value
        at = SPACE.match(text, end).end()
        more = text.startswith(",", at) if listed else at < len(text)
        at = SPACE.match(text, at + 1).end() if listed and more else at
    if listed and not text.startswith("]", at):
        raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
    if listed and text[at + 1 :].strip():
        raise json.JSONDecodeError("Extra data", text, at + 1)
