"""Answers as clients get them: a choice with message, finish reason and problems, from text, from calls, or a stream.

Used by `client.py` and notebook 04_serving. A choice is what the original xLAM client returned, and a little more:

    {"index": 0, "message": {"role": "assistant", "content": "", "tool_calls": [{"id", "name", "arguments"}]},
     "finish_reason": "tool_calls", "problems": []}

What was thought before the message and isn't part of it stands in its "reasoning", where there is any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from xlam_lib.answers import read_arguments
from xlam_lib.codec import Answer, parse_answer, render_answer
from xlam_lib.serve.streaming import read_message
from xlam_lib.trajectory import Tool, ToolCall
from xlam_lib.views import field, given_calls, raw_call, reasoning_of

CUT = "cut off: the answer reached max_tokens"
FORMATS = ("structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar")  # vLLM's own wishes
AS_TEXT = (
    "the calls came as text: start the server with the tool parser xlam_json (VllmServer does), or use mode='prompt'"
)


def choice_of_text(text: str, finish_reason: str | None, tools: Sequence[Tool], ids: Iterator[str]) -> dict[str, Any]:
    """The choice of a model's text, read by the codec; a call of a tool that was not offered stays text."""
    message = read_message(text, tools=tools)
    problems = list(message.parsed.problems)
    return _choice(message.content, [(next(ids), call) for call in message.calls], finish_reason, problems)


def sets_format(options: dict[str, Any]) -> bool:
    """Whether a request asks for another form than the model's: `sets_format({"response_format": {...}})` -> True."""
    asked = {**options, **(options.get("extra_body") or {})}
    return field(asked.get("response_format"), "type") not in (None, "text") or any(map(asked.get, FORMATS))


def choice_as_written(text: str, finish_reason: str | None) -> dict[str, Any]:
    """The choice of a text that nobody reads, as its form is the client's own: its content is the text."""
    return _choice(text, [], finish_reason, [])


def choice_of_calls(message: Any, finish_reason: str | None, tools: Sequence[Tool]) -> dict[str, Any]:
    """The choice of an OpenAI message whose calls the server has read; calls that can't be made are problems."""
    calls, problems = [], []
    for call in map(raw_call, given_calls(message) or []):
        try:
            arguments, repair = read_arguments(call.arguments)
        except (TypeError, ValueError):
            found = f"its arguments are no JSON object: {call.arguments!r}"
            problems.append(f"a call of {call.name!r} was left out, {found}")
            continue
        calls.append((call.id, ToolCall(call.name, arguments)))
        problems += [f"call of {call.name!r}: {repair}"] if repair and call.arguments is not None else []
    content = field(message, "content") or ""
    if tools and not calls and parse_answer(content, tools).answer.calls:
        problems.append(AS_TEXT)
    if tools and calls:
        problems += parse_answer(render_answer(Answer("", tuple(call for _, call in calls))), tools).problems
    return _choice(content, calls, finish_reason, problems, reasoning_of(message))


def collect_stream(chunks: Iterable[Any], index: int = 0) -> dict[str, Any]:
    """What the chunks of the stock client add up to; the same as the message and finish reason without streaming.

    Example: {"message": {"role": "assistant", "content": "", "tool_calls": [...]}, "finish_reason": "stop"}; of several
    choices (`n=2`), it is the one of that index.
    """
    return collect_choices(chunks).get(index) or _Collected().choice()


def collect_choices(chunks: Iterable[Any]) -> dict[int, dict[str, Any]]:
    """The same for each choice of a stream, by its index: {0: {"message": {...}, "finish_reason": "stop"}, 1: ...}."""
    found: dict[int, _Collected] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            found.setdefault(choice.index or 0, _Collected()).add(choice)
    return {index: found[index].choice() for index in sorted(found)}


class _Collected:
    """One choice of a stream, as far as it has come."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, dict[str, Any]] = {}
        self.pieces: dict[int, tuple[list[str], list[str]]] = {}  # of their names and arguments
        self.finish_reason: str | None = None

    def add(self, choice: Any) -> None:
        self.content.append(choice.delta.content or "")
        self.reasoning.append(reasoning_of(choice.delta))
        self.finish_reason = choice.finish_reason or self.finish_reason
        for piece in choice.delta.tool_calls or []:
            call = self.calls.setdefault(piece.index, {"id": "", "type": "function"})
            call["id"] = piece.id or call["id"]
            names, arguments = self.pieces.setdefault(piece.index, ([], []))
            if piece.function:
                names.append(piece.function.name or "")
                arguments.append(piece.function.arguments or "")

    def choice(self) -> dict[str, Any]:
        texts = {index: tuple(map("".join, pieces)) for index, pieces in self.pieces.items()}
        in_order = [
            {**self.calls[index], "function": {"name": texts[index][0], "arguments": texts[index][1]}}
            for index in sorted(self.calls)
        ]
        message = {"role": "assistant", "content": "".join(self.content), "tool_calls": in_order}
        reasoning = "".join(self.reasoning)
        message |= {"reasoning": reasoning} if reasoning else {}
        return {"message": message, "finish_reason": self.finish_reason}


def _choice(
    content: str,
    calls: Sequence[tuple[str, ToolCall]],
    finish_reason: str | None,
    problems: list[str],
    reasoning: str = "",
) -> dict[str, Any]:
    if finish_reason == "length":
        problems = [CUT, *problems]
    elif calls:
        finish_reason = "tool_calls"
    listed = [{"id": call_id, "name": call.name, "arguments": call.arguments} for call_id, call in calls]
    message = {"role": "assistant", "content": content, "tool_calls": listed}
    return {
        "index": 0,
        "message": {**message, "reasoning": reasoning} if reasoning else message,
        "finish_reason": finish_reason,
        "problems": problems,
    }
