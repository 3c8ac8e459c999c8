"""Results of tools: which call one answers, whether the tool failed, and texts in <tool_response> tags (notebook 01).

    ids_of({"role": "tool", "tool_call_ids": ["b"], "content": "4"}) -> ("b",)
    failure_of({"content": "", "error": {"type": "timeout", "message": "30 s"}}) -> (True, "timeout: 30 s")
    blocks_of("<tool_response>4</tool_response>") -> Blocks(("4",), ("4",), "")

The tags are those of Qwen's and Hermes' chat forms and what others write instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IDS = (
    "tool_call_id",
    "tool_call_ids",
    "call_id",
    "call_ids",
    "tool_use_id",
    "toolUseId",
    "toolCallId",
    "function_call_id",
)
NAMES = ("name", "tool_name", "function_name", "toolName")
FLAGS = ("is_error", "isError", "error", "failed")  # true where the tool failed; `error` may also say how
OPPOSITES = ("success", "ok")  # false where it failed
STATUS = "status"
FAILURES = frozenset((*FLAGS, *OPPOSITES, STATUS))
FAILED = frozenset(("error", "errored", "failed", "failure", "timeout", "timed_out", "exception", "incomplete"))
SAID = ("message", "msg", "detail", "text", "error")  # in an object of an error, what happened
KIND = ("type", "code", "name", "kind")  # and what kind of error it is
MARKS = ("<tool_re", "<TOOL_RE", "<tool_output", "<function_re")  # how the tags begin: quicker to look for than by RE
OPENING = re.compile(
    r"<(tool_response|TOOL_RESPONSE|tool_results?|TOOL_RESULTS?|tool_output|function_response|function_results?)>"
)


def ids_of(message: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the calls that a result answers, mostly one: `ids_of({"call_id": 7})` -> ("7",)."""
    for key in IDS:
        value = message.get(key)
        found = value if isinstance(value, list) else [value]
        if ids := [str(one) for one in found if is_id(one)]:
            return tuple(dict.fromkeys(ids))
    return ()


def is_id_or_ids(value: Any) -> bool:
    """Whether a value is an id of a call or a list of such: `is_id_or_ids(["a", 7])` -> True."""
    return all(map(is_id, value)) if isinstance(value, list) else is_id(value)


def is_id(value: Any) -> bool:
    """Whether a value can name a call or a record: `is_id("")` -> False."""
    return (isinstance(value, str) and value != "") or (isinstance(value, int) and not isinstance(value, bool))


def name_of(message: Mapping[str, Any]) -> str:
    """The tool that a result says it is of, or "": `name_of({"tool_name": "f"})` -> "f"."""
    return next((message[key] for key in NAMES if isinstance(message.get(key), str)), "")


def failure_of(message: Mapping[str, Any]) -> tuple[bool, str]:
    """(whether the tool failed, what the fields say about it): `failure_of({"success": False})` -> (True, "")."""
    if FAILURES.isdisjoint(message):
        return False, ""
    status = message.get(STATUS)
    failed = isinstance(status, str) and status.strip().lower() in FAILED
    failed = failed or any(message.get(key) is False for key in OPPOSITES)
    failed = failed or any(message.get(key) is True for key in FLAGS)
    error = message.get("error")
    said = "" if error is None or isinstance(error, bool) else error_text(error)
    return failed or bool(said), said


def error_text(error: Any) -> str:
    """What an error says, as text: `error_text({"type": "timeout", "message": "30 s"})` -> "timeout: 30 s"."""
    if isinstance(error, str):
        return error
    if not error:
        return ""
    if isinstance(error, dict):
        said = next((error[key] for key in SAID if isinstance(error.get(key), str) and error[key]), "")
        kinds = [str(error[key]) for key in KIND if isinstance(error.get(key), str | int)]
        text = ": ".join([*kinds, *([said] if said else [])])
        if said and len(kinds) + 1 == sum(value is not None for value in error.values()):
            return text
        return "\n".join([*([text] if said else []), json.dumps(error, ensure_ascii=False)])
    return json.dumps(error, ensure_ascii=False)


def with_words(content: str, said: str) -> str:
    """A content with what a field says besides, once: `with_words("", "timeout: 30 s")` -> "timeout: 30 s"."""
    return content if said in content else _lines(content, said)


@dataclass(frozen=True)
class Blocks:
    """Texts in tags: `Blocks(("4", "5"), ("4", "5\\nby met"), "by met")` of two blocks and a text behind them."""

    inner: tuple[str, ...]  # what stands within the tags
    whole: tuple[str, ...]  # the same with the text around: before the first goes with it, others with the one before
    around: str  # that text alone


def blocks_of(text: str) -> Blocks | None:
    """The blocks in tags that a text has, None where it has none."""
    if "<" not in text or not any(mark in text for mark in MARKS):
        return None
    inner: list[str] = []
    around: list[str] = []
    end = at = 0
    open_ended: set[str] = set()  # tags that nothing closes any more
    while opening := OPENING.search(text, at):
        at, closing = opening.end(), f"</{opening[1]}>"
        close = -1 if closing in open_ended else text.find(closing, at)
        if close < 0:
            open_ended.add(closing)
            continue
        around.append(text[end : opening.start()].strip())
        inner.append(text[at:close].strip())
        end = at = close + len(closing)
    if not inner:
        return None
    around.append(text[end:].strip())
    whole = [_lines(one, after) for one, after in zip(inner, around[1:], strict=True)]
    whole[0] = _lines(around[0], whole[0])
    return Blocks(tuple(inner), tuple(whole), _lines(*around))


def _lines(*texts: str) -> str:
    return "\n".join(filter(None, texts))
