"""Answers as clients get them: a choice with message, finish reason and problems, from text, from calls, or a stream.

Used by `client.py` and notebook 04_serving. A choice is what the original xLAM client returned, and a little more:

    {"index": 0, "message": {"role": "assistant", "content": "", "tool_calls": [{"id", "name", "arguments"}]},
     "finish_reason": "tool_calls", "problems": []}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from xlam_lib.codec import Answer, parse_answer, render_answer
from xlam_lib.serve.streaming import read_message
from xlam_lib.trajectory import Tool, ToolCall
from xlam_lib.views import decode_arguments, field, given_calls, raw_call

CUT = "cut off: the answer reached max_tokens"
AS_TEXT = (
    "the calls came as text: start the server with the tool parser xlam_json (VllmServer does), or use mode='prompt'"
)


def choice_of_text(text: str, finish_reason: str | None, tools: Sequence[Tool], ids: Iterator[str]) -> dict[str, Any]:
    """The choice of a model's text, read by the codec; without tools, an answer with calls stays text."""
    message = read_message(text, calls_allowed=bool(tools))
    problems = list(parse_answer(text, tools or None).problems)
    return _choice(message.content, [(next(ids), call) for call in message.calls], finish_reason, problems)


def choice_of_calls(message: Any, finish_reason: str | None, tools: Sequence[Tool]) -> dict[str, Any]:
    """The choice of an OpenAI message whose calls the server has read; calls that can't be made are problems."""
    calls, problems = [], []
    for call in map(raw_call, given_calls(message) or []):
        try:
            arguments = decode_arguments(call.arguments)
        except ValueError:
            arguments = None
        if isinstance(arguments, dict):
            calls.append((call.id, ToolCall(call.name, arguments)))
        else:
            found = f"its arguments are no JSON object: {call.arguments!r}"
            problems.append(f"a call of {call.name!r} was left out, {found}")
    content = field(message, "content") or ""
    if tools and not calls and parse_answer(content).answer.calls:
        problems.append(AS_TEXT)
    if tools and calls:
        problems += parse_answer(render_answer(Answer("", tuple(call for _, call in calls))), tools).problems
    return _choice(content, calls, finish_reason, problems)


def collect_stream(chunks: Iterable[Any]) -> dict[str, Any]:
    """What the chunks of the stock client add up to; the same as the message and finish reason without streaming.

    Example: {"message": {"role": "assistant", "content": "", "tool_calls": [...]}, "finish_reason": "stop"}
    """
    content: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    finish_reason = None
    for chunk in chunks:
        for choice in chunk.choices[:1]:
            content.append(choice.delta.content or "")
            finish_reason = choice.finish_reason or finish_reason
            for piece in choice.delta.tool_calls or []:
                call = calls.setdefault(
                    piece.index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
                )
                call["id"] = piece.id or call["id"]
                if piece.function:
                    call["function"]["name"] += piece.function.name or ""
                    call["function"]["arguments"] += piece.function.arguments or ""
    in_order = [calls[index] for index in sorted(calls)]
    return {
        "message": {"role": "assistant", "content": "".join(content), "tool_calls": in_order},
        "finish_reason": finish_reason,
    }


def _choice(
    content: str, calls: Sequence[tuple[str, ToolCall]], finish_reason: str | None, problems: list[str]
) -> dict[str, Any]:
    if finish_reason == "length":
        problems = [CUT, *problems]
    elif calls:
        finish_reason = "tool_calls"
    listed = [{"id": call_id, "name": call.name, "arguments": call.arguments} for call_id, call in calls]
    return {
        "index": 0,
        "message": {"role": "assistant", "content": content, "tool_calls": listed},
        "finish_reason": finish_reason,
        "problems": problems,
    }
