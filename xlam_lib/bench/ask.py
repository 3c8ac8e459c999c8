"""Questions of a benchmark put to an OpenAI-compatible server, with answers as the codec reads them.

Used by `evaluate.py` (notebook 05). Answers are kept in a journal (`journal.py`), one JSON object a line:

    {"id": "q1", "text": "{\\"thought\\": ...}", "finish": "stop", "error": "", "seconds": 0.41, "asked": "9c0f2a..."}

A rerun asks only what is missing, and refuses a file that belongs to other questions or settings. What goes wrong on
the way (no connection, time-out, status 5xx, a prompt that the server finds too long) is a reply with `error`: it is
asked again on the next run and never taken for a wrong answer.

    questions = [Request("q1", messages=({"role": "user", "content": "Weather in Oslo?"},), tools=tools)]
    replies = ask_all(questions, Endpoint("http://127.0.0.1:8000/v1", "sft"), "answers.jsonl")
    replies["q1"].text  # what the model answered, as the codec writes it
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlam_lib.endpoint import Completion, Endpoint, Progress
from xlam_lib.errors import XlamError
from xlam_lib.journal import Journal, fingerprint
from xlam_lib.views import message_text

log = logging.getLogger(__name__)


class AskError(XlamError, RuntimeError):
    """The questions can't be asked, or their answers not compared."""


@dataclass(frozen=True)
class Request:
    """One question: messages (with tools) for the chat endpoint, or `text` for the model to go on from."""

    id: str
    messages: tuple[dict[str, Any], ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Reply:
    """What came back: the text of the answer, or None and the `error` that kept it away (never a wrong answer)."""

    id: str
    text: str | None
    finish: str = ""  # why the model stopped: "stop", "tool_calls", "length"
    error: str = ""
    seconds: float = 0.0
    asked: str = ""  # fingerprint of the question and the settings

    @property
    def key(self) -> str:
        """What the answer belongs to."""
        return self.id

    @property
    def fingerprint(self) -> str:
        """Of the question and the settings."""
        return self.asked


def ask_all(
    requests: Sequence[Request], endpoint: Endpoint, path: str | Path | None = None, *, progress: Progress | None = None
) -> dict[str, Reply]:
    """A reply for each request by its id; call it from a script or a notebook. `path` keeps answers between runs.

    Raises ClientError when the server can't be asked at all, or stops answering; what is in the file stays.
    """
    if len({request.id for request in requests}) < len(requests):
        raise AskError("two requests have the same id; ids tell the answers apart")
    fingerprints = {request.id: _fingerprint(request, endpoint) for request in requests}
    journal = Journal(path, Reply, "answers", fingerprints)
    missing = [request for request in requests if request.id not in journal.done]
    log.info("%d questions: %d answered before, %d to ask", len(requests), len(journal.done), len(missing))

    async def reply(request: Request) -> Reply:
        tools = {"tools": list(request.tools)} if request.tools and not request.text else {}
        completion = await endpoint.complete(request.messages, request.text, **tools)
        text = None if completion.error else completion.content if request.text else answer_text(completion)
        facts = (completion.finish_reason, completion.error, completion.seconds)
        return Reply(request.id, text, *facts, fingerprints[request.id])

    if missing:
        with endpoint:
            for _ in endpoint.each(missing, reply, journal):
                if progress is not None:
                    progress(len(journal.done), len(requests))
    return {request.id: journal.rows[request.id] for request in requests}


def _fingerprint(request: Request, endpoint: Endpoint) -> str:
    """What an answer depends on, so that a file of other answers is noticed."""
    what = {
        "messages": request.messages,
        "tools": request.tools,
        "text": request.text,
        "model": endpoint.model,
        "max_tokens": endpoint.max_tokens,
        "temperature": endpoint.temperature,
    }
    return fingerprint(json.dumps(what, sort_keys=True))


def answer_text(completion: Completion) -> str:
    """A chat completion as the text of an answer (see `message_text`): '{"thought": "", "tool_calls": [...]}'."""
    message = {"content": completion.content, "reasoning": completion.reasoning, "tool_calls": list(completion.calls)}
    return message_text(message, cut_off=completion.finish_reason == "length")
