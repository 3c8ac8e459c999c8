"""An answer, its two written forms, and when two turns make the same calls.

Two forms of text are known: the v1 object `{"thought": "", "tool_calls": [{"name": "", "arguments": {}}]}` and the
v2 list `[{"name": "", "arguments": {}}]`, whose thought stands before it between <think> and </think>.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xlam_lib.schema import ToolCall


@dataclass(frozen=True)
class Answer:
    """One model turn: `Answer("Look it up.", (ToolCall("get_weather", {"city": "Oslo"}),))`. Without call ids."""

    thought: str = ""
    calls: tuple[ToolCall, ...] = ()


def json_text(value: Any) -> str:
    """JSON as it stands in prompts and answers: '{"city": "Malmö"}', default separators, no escapes beyond need."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def calls_as_dicts(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """Calls as a model writes them: [{"name": "get_weather", "arguments": {"city": "Oslo"}}]."""
    return [{"name": call.name, "arguments": call.arguments} for call in calls]


def render_answer(answer: Answer, form: Literal["object", "list"] = "object") -> str:
    """The text of an answer; `parse_answer` reads both forms back to an equal answer.

    Example: `render_answer(Answer("Nothing to do."))` -> '{"thought": "Nothing to do.", "tool_calls": []}'
    """
    calls = calls_as_dicts(answer.calls)
    if form == "object":
        return json_text({"thought": answer.thought, "tool_calls": calls})
    if form == "list":
        return (f"<think>\n{answer.thought}\n</think>\n" if answer.thought else "") + json_text(calls)
    raise ValueError(f"form is {form!r}, expected 'object' or 'list'")


def same_calls(a: Sequence[ToolCall], b: Sequence[ToolCall]) -> bool:
    """Whether two turns make the same calls, in any order: equal names and arguments, 1 == 1.0 but True != 1.

    Example: `same_calls([ToolCall("add", {"n": 1})], [ToolCall("add", {"n": 1.0})])` -> True
    """
    return Counter(map(_key, a)) == Counter(map(_key, b))


def _key(value: Any) -> Any:
    """A hashable that is equal exactly when the values are the same JSON."""
    if isinstance(value, ToolCall):
        return value.name, _key(value.arguments)
    if isinstance(value, dict):
        return dict, frozenset((key, _key(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return list, tuple(map(_key, value))
    return (bool, value) if isinstance(value, bool) else value
