"""Many questions put to an OpenAI-compatible server at once, with answers that survive a crash of either side.

Used by `heldout.py` and notebook 05. Each answer is appended to a JSON Lines file as soon as it is there; a rerun reads
the file, asks only what is missing, and refuses a file that belongs to other questions or settings. What goes wrong on
the way (no connection, time-out, status 5xx, a prompt that the server finds too long) is a reply with `error`: it is
asked again on the next run and never taken for a wrong answer.

    questions = [Request("q1", messages=({"role": "user", "content": "Weather in Oslo?"},), tools=tools)]
    replies = ask_all(questions, Endpoint("http://127.0.0.1:8000/v1", "sft"), "answers.jsonl")
    replies["q1"].text  # what the model said, as the codec writes it
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import openai

from xlam_lib.bench.answer_log import AnswerLog, AskError, Reply
from xlam_lib.codec import Answer, render_answer

log = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "::1")  # spoken to directly, whatever proxy the environment names
SETTLED = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)  # asking again is no use
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """One question: messages (with tools) for the chat endpoint, or `text` for the model to go on from."""

    id: str
    messages: tuple[dict[str, Any], ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Endpoint:
    """Whom to ask and how: `Endpoint("http://127.0.0.1:8000/v1", "sft", max_tokens=200)`; greedy unless told else."""

    base_url: str
    model: str
    api_key: str = ""  # "": the environment's OPENAI_API_KEY, or none
    max_tokens: int = 256
    temperature: float = 0.0
    concurrency: int = 16  # requests on their way at once
    timeout: float = 120.0  # seconds an answer may take
    retries: int = 2  # by the client, after connection errors and statuses 408, 409, 429 and 5xx


def ask_all(
    requests: Sequence[Request], endpoint: Endpoint, path: str | Path | None = None, *, progress: Progress | None = None
) -> dict[str, Reply]:
    """A reply for each request by its id; call it from a script or a notebook. `path` keeps answers between runs.

    Raises AskError when the server can't be asked at all, or stops answering; what is in the file stays.
    """
    if len({request.id for request in requests}) < len(requests):
        raise AskError("two requests have the same id; ids tell the answers apart")
    prints = {request.id: _fingerprint(request, endpoint) for request in requests}
    journal = AnswerLog(path, prints)
    missing = [request for request in requests if request.id not in journal.answers]
    log.info("%d questions: %d answered before, %d to ask", len(requests), len(journal.answers), len(missing))
    if missing:
        asker = _Asker(endpoint, prints, journal, len(requests), progress)
        _in_own_loop(asker, missing)
    return {request.id: journal.replies[request.id] for request in requests}


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
    return sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def _in_own_loop(asker: _Asker, missing: Sequence[Request]) -> None:
    """Run to the end in a thread with an event loop of its own: a notebook's kernel already runs one here."""
    with ThreadPoolExecutor(1, thread_name_prefix="ask") as pool:
        running = pool.submit(asyncio.run, asker.run(missing))
        try:
            running.result()
        finally:  # after an interrupt from the keyboard the thread only finishes what is on its way
            asker.stop.set()


class _Asker:
    """Workers that share one list of questions and give up together."""

    def __init__(
        self, endpoint: Endpoint, prints: dict[str, str], journal: AnswerLog, total: int, progress: Progress | None
    ) -> None:
        self.endpoint, self.prints, self.journal, self.total = endpoint, prints, journal, total
        self.progress = progress
        self.stop = threading.Event()
        self.failed_in_a_row = 0

    async def run(self, missing: Sequence[Request]) -> None:
        """Ask everything that is missing."""
        options: dict[str, Any] = {"timeout": self.endpoint.timeout, "max_retries": self.endpoint.retries}
        if urlparse(self.endpoint.base_url).hostname in LOOPBACK:
            options["http_client"] = openai.DefaultAsyncHttpxClient(trust_env=False)
        key = self.endpoint.api_key or os.environ.get("OPENAI_API_KEY") or "EMPTY"
        waiting = list(reversed(missing))
        async with openai.AsyncOpenAI(base_url=self.endpoint.base_url, api_key=key, **options) as client:
            workers = [self._work(client, waiting) for _ in range(min(self.endpoint.concurrency, len(missing)))]
            await asyncio.gather(*workers)

    async def _work(self, client: openai.AsyncOpenAI, waiting: list[Request]) -> None:
        while waiting and not self.stop.is_set():
            reply = await self._reply(client, waiting.pop())
            self.journal.add(reply)
            self._count_failures(reply)
            if self.progress is not None:
                self.progress(len(self.journal.answers), self.total)

    async def _reply(self, client: openai.AsyncOpenAI, request: Request) -> Reply:
        began = time.monotonic()
        text, finish, error = None, "", ""
        try:
            text, finish = await self._ask(client, request)
        except SETTLED as settled:
            self.stop.set()
            raise AskError(
                f"{self.endpoint.base_url} refused model {self.endpoint.model!r} with status "
                f"{settled.status_code}: {settled.message}; check base_url, model and api_key"
            ) from settled
        except openai.APITimeoutError:
            error = f"timeout: no answer within {self.endpoint.timeout:g} s"
        except openai.APIConnectionError as failure:
            error = f"connection: {failure.__cause__ or failure}"
        except openai.APIStatusError as failure:
            error = f"status {failure.status_code}: {failure.message}"
        except openai.APIError as failure:
            error = f"broken answer: {failure.message}"
        seconds = round(time.monotonic() - began, 3)
        return Reply(request.id, text, finish, error[:500], seconds, self.prints[request.id])

    async def _ask(self, client: openai.AsyncOpenAI, request: Request) -> tuple[str, str]:
        common = {
            "model": self.endpoint.model,
            "max_tokens": self.endpoint.max_tokens,
            "temperature": self.endpoint.temperature,
        }
        if request.text:
            told = await client.completions.create(prompt=request.text, **common)
            return told.choices[0].text, told.choices[0].finish_reason or ""
        tools = {"tools": list(request.tools)} if request.tools else {}
        told = await client.chat.completions.create(messages=list(request.messages), **tools, **common)
        message, finish = told.choices[0].message, told.choices[0].finish_reason or ""
        return message_text(message, cut_off=finish == "length"), finish

    def _count_failures(self, reply: Reply) -> None:
        """Give up when as many answers as are on their way at once fail in a row: the server is gone."""
        lost = reply.error.startswith(("connection", "timeout", "status 5"))
        self.failed_in_a_row = self.failed_in_a_row + 1 if lost else 0
        if self.failed_in_a_row >= max(4, self.endpoint.concurrency) and not self.stop.is_set():
            self.stop.set()
            answered = f"{len(self.journal.answers)} of {self.total} are answered{self.journal.where()}"
            raise AskError(
                f"{self.endpoint.base_url} stopped answering: {reply.error} ({self.failed_in_a_row} in "
                f"a row); {answered}; start the server and run again"
            )


def message_text(message: Any, cut_off: bool = False) -> str:
    """A served message as the text of an answer, e.g. '{"thought": "", "tool_calls": [{"name": ...}]}'.

    A message in words is an answer without calls, unless it was cut off. What the server's tool parser left as it was
    written (it begins like JSON) stays as it is, so that the codec can say what is wrong with it.
    """
    reasoning = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or ""
    content = message.content or ""
    thought = "\n".join(filter(None, (reasoning, content)))
    if message.tool_calls:
        said = [call.function for call in message.tool_calls]
        calls = [{"name": call.name, "arguments": _arguments(call.arguments)} for call in said]
        return json.dumps({"thought": thought, "tool_calls": calls}, ensure_ascii=False)
    as_written = cut_off or content.lstrip()[:1] in ("{", "[", "`")
    return content if as_written else render_answer(Answer(thought))


def _arguments(text: str) -> Any:
    """The object in a call's arguments, or the text itself when it is none: the codec reports that."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text
