"""Texts as OpenAI's responses: messages with tool calls, whole and as server-sent events.

What the text means, `serve/streaming.py` decides, piece by piece; here it gets OpenAI's form. The calls come whole, at
the end, since nobody should act on half an answer.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from xlam_lib.serve.api.generation import BackendError, Piece
from xlam_lib.serve.streaming import AnswerStream, AsWritten
from xlam_lib.trajectory import ToolCall
from xlam_lib.views import function_to_openai

DONE = "data: [DONE]\n\n"


@dataclass
class Usage:
    """Tokens of a request: `Usage(prompt=167)`."""

    prompt: int
    completion: int = 0

    def as_dict(self) -> dict[str, int]:
        """As OpenAI counts them."""
        total = self.prompt + self.completion
        return {"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": total}


@dataclass
class Response:
    """One response on its way: its id, the model's name, and what goes along with it."""

    kind: str  # "chat.completion" or "text_completion"
    model: str
    usage: Usage
    extra: dict[str, Any] = field(default_factory=dict)  # such as the prompt's text
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, choice: dict[str, Any]) -> dict[str, Any]:
        """The response of one choice."""
        choice = {"index": 0, "logprobs": None, **choice}
        return {**self._head(self.kind), "choices": [choice], "usage": self.usage.as_dict(), **self.extra}

    def event(self, choice: dict[str, Any] | None) -> str:
        """A piece of it as an event; None: the last one, which counts the tokens."""
        kind = "chat.completion.chunk" if self.kind == "chat.completion" else self.kind
        choices = [] if choice is None else [{"index": 0, "logprobs": None, "finish_reason": None, **choice}]
        usage = {"usage": self.usage.as_dict()} if choice is None else {}
        return _event({**self._head(kind), "choices": choices, **usage, **self.extra})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


Reader = AnswerStream | AsWritten


async def text_of(pieces: AsyncIterator[Piece], usage: Usage) -> tuple[str, str]:
    """(the whole text, why it ended) of a generation."""
    texts, reason = [], ""
    async for piece in pieces:
        texts.append(piece.text)
        usage.completion, reason = piece.tokens, piece.finish_reason
    return "".join(texts), reason


def chat_choice(text: str, reason: str, reader: Reader, parallel: bool) -> dict[str, Any]:
    """The choice of a whole answer: {"message": {"role", "content", "tool_calls"}, "finish_reason": "tool_calls"}."""
    content = reader.feed(text)
    rest = reader.finish()
    calls = _calls(rest.calls, parallel)
    message = {"role": "assistant", "content": content + rest.content or None}
    return {
        "message": message | ({"tool_calls": calls} if calls else {}),
        "finish_reason": "tool_calls" if calls else reason,
    }


async def chat_events(
    pieces: AsyncIterator[Piece], response: Response, reader: Reader, parallel: bool, with_usage: bool
) -> AsyncIterator[str]:
    """The same answer as events; an error on the way is the last of them."""
    yield response.event({"delta": {"role": "assistant", "content": ""}})
    reason = ""
    try:
        async for piece in pieces:
            response.usage.completion, reason = piece.tokens, piece.finish_reason
            if content := reader.feed(piece.text):
                yield response.event({"delta": {"content": content}})
    except BackendError as error:
        yield _event(error_body(500, str(error)))
        yield DONE
        return
    rest = reader.finish()
    if rest.content:
        yield response.event({"delta": {"content": rest.content}})
    calls = [{"index": index, **call} for index, call in enumerate(_calls(rest.calls, parallel))]
    if calls:
        yield response.event({"delta": {"tool_calls": calls}})
    yield response.event({"delta": {}, "finish_reason": "tool_calls" if calls else reason})
    if with_usage:
        yield response.event(None)
    yield DONE


async def completion_events(pieces: AsyncIterator[Piece], response: Response, with_usage: bool) -> AsyncIterator[str]:
    """A continued text as events."""
    try:
        async for piece in pieces:
            response.usage.completion = piece.tokens
            yield response.event({"text": piece.text, "finish_reason": piece.finish_reason or None})
    except BackendError as error:
        yield _event(error_body(500, str(error)))
        yield DONE
        return
    if with_usage:
        yield response.event(None)
    yield DONE


def error_body(status: int, message: str) -> dict[str, Any]:
    """An error as clients of OpenAI read it: {"error": {"message": ..., "type": "BadRequestError", "code": 400}}."""
    kinds = {400: "BadRequestError", 404: "NotFoundError", 405: "MethodNotAllowed", 413: "RequestTooLarge"}
    return {"error": {"message": message, "type": kinds.get(status, "InternalServerError"), "code": status}}


def _calls(calls: tuple[ToolCall, ...], parallel: bool) -> list[dict[str, Any]]:
    """As OpenAI writes them, each with an id of its own; the first one only where several weren't allowed."""
    return [
        {"id": f"chatcmpl-tool-{uuid.uuid4().hex[:16]}", "type": "function", "function": function_to_openai(call)}
        for call in (calls if parallel else calls[:1])
    ]


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
