"""Any OpenAI-compatible endpoint, asked many things at once: bounded concurrency, retries, cost (notebook 01).

    with Endpoint("http://127.0.0.1:8000/v1", "M", concurrency=8) as model:
        model.ask_all([[{"role": "user", "content": "Hi"}]])[0].text

Plain functions outside, asynchronous inside, in a thread of its own; usable in a notebook and from many threads. Time-
outs, status 429 and 5xx are tried again with growing pauses. What can't be had is an answer with an `error`, but
for a wrong key, model or address, which raise EndpointError at once. The key comes from the environment.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlparse

from xlam_lib.errors import XlamError

LOOPBACK = ("127.0.0.1", "localhost", "::1")  # spoken to directly, whatever proxy the environment names
Message = dict[str, Any]


class EndpointError(XlamError, RuntimeError):
    """The endpoint refuses for good: key, model or address are wrong."""


@dataclass(frozen=True)
class Said:
    """One answer: its text, or calls as OpenAI has them, or the error that kept it away."""

    text: str = ""
    calls: tuple[dict[str, Any], ...] = ()
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class Endpoint:
    """Whom to ask and how; a context manager. `tokens` adds up what was read and written."""

    base_url: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout: float = 120.0  # seconds an answer may take
    attempts: int = 4  # of one request
    longest_pause: float = 30.0
    max_tokens: int = 1500  # 0: left out of the request, as is a temperature below 0; some endpoints refuse them
    temperature: float = 0.7
    tokens: tuple[int, int] = (0, 0)

    def __enter__(self) -> Endpoint:
        import openai  # here, since it takes a second and most runs need no model

        self._openai, self._lock = openai, threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        self._thread.start()
        self._client, self._gate = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def ask_all(self, requests: Sequence[Sequence[Message]], seeds: Sequence[int] = (), **more: Any) -> list[Said]:
        """The answers to some lists of messages, in order; `more` goes into each request (tools, ...)."""
        options = [{**more, **({"seed": seeds[number]} if seeds else {})} for number in range(len(requests))]
        waiting: list[Future[Said]] = [
            asyncio.run_coroutine_threadsafe(self._one(list(messages), option), self._loop)
            for messages, option in zip(requests, options, strict=True)
        ]
        try:
            answers = [one.result() for one in waiting]
        finally:
            for one in waiting:
                one.cancel()
        read, written = (sum(getattr(one, key) for one in answers) for key in ("prompt_tokens", "completion_tokens"))
        with self._lock:
            self.tokens = (self.tokens[0] + read, self.tokens[1] + written)
        return answers

    def ask(self, messages: Sequence[Message], **more: Any) -> Said:
        """The answer to one list of messages."""
        return self.ask_all([messages], **more)[0]

    async def _open(self) -> tuple[Any, asyncio.Semaphore]:
        options: dict[str, Any] = {"timeout": self.timeout, "max_retries": 0}
        if urlparse(self.base_url).hostname in LOOPBACK:
            options["http_client"] = self._openai.DefaultAsyncHttpxClient(trust_env=False)
        key = os.environ.get(self.api_key_env) or "EMPTY"
        client = self._openai.AsyncOpenAI(base_url=self.base_url, api_key=key, **options)
        return client, asyncio.Semaphore(self.concurrency)

    async def _one(self, messages: list[Message], more: dict[str, Any]) -> Said:
        openai = self._openai
        async with self._gate:
            try:
                told = await self._ask(messages, more)
            except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as refusal:
                raise EndpointError(
                    f"{self.base_url} refused model {self.model!r} with status {refusal.status_code}: "
                    f"{refusal.message}; check address, model and the key in {self.api_key_env}"
                ) from refusal
            except openai.APIStatusError as failure:
                return Said(error=f"status {failure.status_code}: {failure.message}"[:500])
            except openai.APITimeoutError:
                return Said(error=f"no answer within {self.timeout:g} s")
            except openai.APIConnectionError as failure:
                return Said(error=f"connection: {failure.__cause__ or failure}"[:500])
            except (openai.APIError, ValueError) as failure:
                return Said(error=f"broken answer: {failure}"[:500])
        return _said(told)

    async def _ask(self, messages: list[Message], more: dict[str, Any]) -> Any:
        import tenacity

        limit = {"max_tokens": self.max_tokens} if self.max_tokens else {}
        warmth = {"temperature": self.temperature} if self.temperature >= 0 else {}
        openai = self._openai
        passing = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError, openai.ConflictError)
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(passing),
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=self.longest_pause),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                told = await self._client.chat.completions.create(
                    model=self.model, messages=messages, **limit, **warmth, **more
                )
        return told


def _said(told: Any) -> Said:
    usage = getattr(told, "usage", None)
    counts = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens} if usage else {}
    if not getattr(told, "choices", None):
        return Said(error="broken answer: no choices in it", **counts)
    message = told.choices[0].message
    calls = tuple(
        {"name": call.function.name, "arguments": call.function.arguments}
        for call in (message.tool_calls or ())
        if call.type == "function"
    )
    return Said((message.content or "").rpartition("</think>")[2].strip(), calls, **counts)
