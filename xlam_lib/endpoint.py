"""The one client of OpenAI-compatible servers: many requests at once, retries, time-outs, cost, proxies, named errors.

    with Endpoint("http://127.0.0.1:8000/v1", "sft", max_tokens=200) as endpoint:
        endpoint.ask([{"role": "user", "content": "Weather in Oslo?"}], tools=tools).calls
        endpoint.ask(prompt="<|user|>\\nWeather in Oslo?<|assistant|>\\n").content    # a plain completion
        await endpoint.complete(messages)                                          # the same from any event loop

Used by APIGen, by the judge (notebook 01), by benchmarks (02, 03, 05) and by the clients of `serve/` (04), which take
the openai package's own client from here. Connection errors, time-outs and statuses 408, 409, 429 and 5xx are tried
again with growing pauses. What can't be had is an answer with an `error`; a wrong key, model or address is a
`ClientError` at once. The key comes from the environment; servers on this machine are spoken to without any proxy.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlparse, urlsplit, urlunsplit

from xlam_lib.errors import XlamError
from xlam_lib.journal import Journal

if TYPE_CHECKING:  # importing them takes a second, and most runs of APIGen need no model
    import openai
    import tenacity

LOOPBACK = ("127.0.0.1", "localhost", "::1")  # spoken to directly, whatever proxy the environment names
FINAL = (401, 403, 404)  # statuses after which asking again is no use
TRANSIENT = (408, 409, 429)  # those that may pass, as 5xx may
LOST = ("connection", "timeout", "status 5")  # how an error begins when the server may be gone

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Message = dict[str, Any]
Progress = Callable[[int, int], None]  # is given how many are done, and of how many
Item = TypeVar("Item")
Result = TypeVar("Result")


class ClientError(XlamError, RuntimeError):
    """A request got no answer; subclasses say why."""


class ServerUnreachableError(ClientError):
    """Nobody answers at the URL, not in time, or not any more."""


class UnknownModelError(ClientError):
    """The server serves other models, or the URL is no OpenAI API."""


class RequestRefusedError(ClientError):
    """The server understood the request and refused it, e.g. because of the key, or because the prompt is too long."""


class ServerFailedError(ClientError):
    """The server met an error of its own (status 5xx)."""


@dataclass(frozen=True)
class Completion:
    """One answer, as the server returned it, or the `error` that kept it away (never a wrong answer)."""

    content: str = ""
    calls: tuple[dict[str, Any], ...] = ()  # {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    reasoning: str = ""  # where the server parts it from the content
    finish_reason: str = ""  # "stop", "tool_calls", "length"
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0  # with all attempts

    @property
    def text(self) -> str:
        """The content without a thought in think tags: `Completion("<think>Hm</think> Hi").text` -> "Hi"."""
        return self.content.rpartition("</think>")[2].strip()


@dataclass(repr=False)
class Endpoint:
    """A server and how it is asked, greedily by default; a context manager that several threads may share."""

    base_url: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"  # the name of a variable, never the key itself
    concurrency: int = 8  # requests on their way at once
    timeout: float = 120.0  # seconds an answer may take
    attempts: int = 4  # of one request
    longest_pause: float = 30.0  # seconds between two attempts
    max_tokens: int = 256  # 0: left out of the request, as is a temperature below 0; some endpoints refuse them
    temperature: float = 0.0
    price_in: float = 0.0  # per million tokens, as is the next
    price_out: float = 0.0
    tokens: tuple[int, int] = (0, 0)  # read and written so far

    def __post_init__(self) -> None:
        if not VARIABLE.fullmatch(self.api_key_env):
            raise ClientError("api_key_env is the name of an environment variable (letters, digits, _), not a key")

    _depth = 0  # how many blocks use it
    _stopping = False  # whether something went wrong for good, so that nothing is tried again

    def __repr__(self) -> str:
        return f"Endpoint({shown_url(self.base_url)!r}, {self.model!r})"

    def __enter__(self) -> Endpoint:
        self._depth += 1
        if self._depth == 1:
            import openai

            options = _client_options(
                self.base_url, os.environ.get(self.api_key_env, ""), openai.DefaultAsyncHttpxClient
            )
            self._client = openai.AsyncOpenAI(timeout=self.timeout, max_retries=0, **options)
            self._gate = asyncio.Semaphore(self.concurrency)
            self._loop = asyncio.new_event_loop()  # in a thread of its own: a notebook's kernel already runs one
            self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._submit(self._close()).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def ask(self, messages: Sequence[Message] = (), prompt: str = "", **options: Any) -> Completion:
        """The answer to a chat, or what goes on from `prompt`; `options` go into the request (tools, seed, ...)."""
        running = self._submit(self._complete(messages, prompt, options))
        try:
            return running.result()
        finally:
            running.cancel()

    async def complete(self, messages: Sequence[Message] = (), prompt: str = "", **options: Any) -> Completion:
        """The same, to be awaited in any event loop."""
        return await asyncio.wrap_future(self._submit(self._complete(messages, prompt, options)))

    def ask_all(
        self,
        requests: Sequence[Sequence[Message]],
        seeds: Sequence[int] = (),
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Completion]:
        """The answers to some chats, in order: `endpoint.ask_all([messages, others])[1].text`."""
        answers: dict[int, Completion] = {}

        async def ask(number: int) -> Completion:
            seed = {"seed": seeds[number]} if seeds else {}
            answers[number] = answer = await self.complete(requests[number], **{**options, **seed})
            return answer

        for done, _ in enumerate(self.each(range(len(requests)), ask), start=1):
            if progress is not None:
                progress(done, len(requests))
        return [answers[number] for number in range(len(requests))]

    def each(
        self,
        items: Iterable[Item],
        work: Callable[[Item], Coroutine[Any, Any, Result]],
        journal: Journal[Any] | None = None,
    ) -> Iterator[Result]:
        """What `work` makes of each item, as it is done; `concurrency` at once, and no item is taken before its turn.

        With a journal every result (anything with an `error`) is appended before it is returned, and as many lost ones
        in a row as are on their way at once end it all: the server is gone. After an error, or an interrupt from the
        keyboard, what is on its way is still returned, so that nothing paid for is lost; then it is raised.
        """
        waiting, running, lost = iter(items), set[Future[Result]](), 0
        failure: BaseException | None = None
        try:
            while True:
                try:
                    if failure is None:
                        for item in islice(waiting, self.concurrency - len(running)):
                            running.add(self._submit(work(item)))
                    finished = wait(running, return_when=FIRST_COMPLETED).done if running else set()
                except (XlamError, OSError, KeyboardInterrupt) as error:  # of the items, or from the keyboard
                    if failure is not None:
                        raise
                    failure, self._stopping, finished = error, True, set()
                    continue
                if not running:
                    break
                running -= finished
                for future in finished:
                    if error := future.exception():
                        failure, self._stopping = failure or error, True
                        continue
                    result = future.result()
                    if journal is not None:
                        journal.append(result)
                        lost = lost + 1 if result.error.startswith(LOST) else 0
                        if lost >= max(4, self.concurrency) and failure is None:
                            failure, self._stopping = self._gone(result.error, lost, journal), True
                    yield result
            if failure is not None:
                raise failure
        finally:
            self._stopping = False
            for future in running:
                future.cancel()

    def cost(self, tokens: tuple[int, int] | None = None) -> float:
        """The price of tokens read and written, or of all so far: `endpoint.cost((1_000_000, 0)) == price_in`."""
        read, written = self.tokens if tokens is None else tokens
        return (read * self.price_in + written * self.price_out) / 1e6

    def _gone(self, error: str, lost: int, journal: Journal[Any]) -> ServerUnreachableError:
        return ServerUnreachableError(
            f"{shown_url(self.base_url)} stopped answering: {error} ({lost} in a row); {journal.status()}; "
            "start the server and run again"
        )

    def _submit(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.close()

    async def _complete(self, messages: Sequence[Message], prompt: str, options: dict[str, Any]) -> Completion:
        import openai

        async with self._gate:
            began = time.monotonic()
            try:
                response = await self._request(messages, prompt, options)
            except openai.APITimeoutError:
                answer = Completion(error=f"timeout: no answer within {self.timeout:g} s")
            except openai.APIConnectionError as error:
                answer = Completion(error=f"connection: {error.__cause__ or error}"[:500])
            except openai.APIStatusError as error:
                if error.status_code in FINAL:
                    raise client_error(error, self.base_url, self.model, self.api_key_env) from error
                answer = Completion(error=f"status {error.status_code}: {error.message}"[:500])
            except (openai.APIError, ValueError) as error:  # ValueError: the body is no JSON
                answer = Completion(error=f"broken answer: {error}"[:500])
            else:
                answer = _completion(response, chat=not prompt)
            self.tokens = (self.tokens[0] + answer.prompt_tokens, self.tokens[1] + answer.completion_tokens)
            return replace(answer, seconds=round(time.monotonic() - began, 3))

    async def _request(self, messages: Sequence[Message], prompt: str, options: dict[str, Any]) -> Any:
        import tenacity

        request: dict[str, Any] = {"model": self.model}
        request |= {"max_tokens": self.max_tokens} if self.max_tokens else {}
        request |= {"temperature": self.temperature} if self.temperature >= 0 else {}
        request |= {"prompt": prompt} if prompt else {"messages": list(messages)}
        api = self._client.completions if prompt else self._client.chat.completions
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_any(tenacity.stop_after_attempt(self.attempts), lambda _: self._stopping),
            wait=self._pause,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                response = await api.create(**{**request, **options})
        return response

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """What the server asks for by Retry-After, else twice as long each time, never in step with the others."""
        import tenacity

        failure = state.outcome.exception() if state.outcome else None
        response = getattr(failure, "response", None)
        seconds = response.headers.get("retry-after", "") if response is not None else ""
        if seconds.replace(".", "", 1).isdigit():
            return min(float(seconds), self.longest_pause)
        return tenacity.wait_random_exponential(multiplier=0.5, max=self.longest_pause)(state)


def _may_pass(error: BaseException) -> bool:
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in TRANSIENT or error.status_code >= 500
    return isinstance(error, openai.APIConnectionError)  # time-outs are some of these


def _completion(response: Any, chat: bool) -> Completion:
    usage = getattr(response, "usage", None)
    counts = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens} if usage else {}
    if not getattr(response, "choices", None):
        return Completion(error="broken answer: no choices in it", **counts)
    choice = response.choices[0]
    finish_reason = choice.finish_reason or ""
    if not chat:
        return Completion(choice.text or "", finish_reason=finish_reason, **counts)
    message = choice.message
    calls = tuple(
        {"name": call.function.name, "arguments": call.function.arguments}
        for call in (message.tool_calls or ())
        if call.type == "function"
    )
    reasoning = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or ""
    return Completion(message.content or "", calls, reasoning, finish_reason, **counts)


def openai_client(base_url: str, api_key: str = "", **options: Any) -> openai.OpenAI:
    """The openai package's own client; the key is `api_key`, else the environment's OPENAI_API_KEY, else "EMPTY".

    Example: `openai_client("http://localhost:8000/v1").models.list()`
    """
    import openai

    key = api_key or os.environ.get("OPENAI_API_KEY", "")
    return openai.OpenAI(**{**_client_options(base_url, key, openai.DefaultHttpxClient), **options})


def async_openai_client(base_url: str, api_key: str = "", **options: Any) -> openai.AsyncOpenAI:
    """The same for event loops: `await async_openai_client("http://localhost:8000/v1").models.list()`."""
    import openai

    key = api_key or os.environ.get("OPENAI_API_KEY", "")
    return openai.AsyncOpenAI(**{**_client_options(base_url, key, openai.DefaultAsyncHttpxClient), **options})


def _client_options(base_url: str, key: str, http_client: Callable[..., Any]) -> dict[str, Any]:
    options = {"base_url": base_url, "api_key": key or "EMPTY"}
    direct = urlparse(base_url).hostname in LOOPBACK
    return {**options, "http_client": http_client(trust_env=False)} if direct else options


def shown_url(url: str) -> str:
    """A URL as messages show it, without user, password and query: "http://***@host:8000/v1"."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, f"***@{host}" if at else host, parts.path, "", ""))


@contextmanager
def named_errors(base_url: str, model: str) -> Iterator[None]:
    """Turns errors of the openai package into ours, which name the server, the model and the way out."""
    import openai

    try:
        yield
    except openai.APIError as error:
        raise client_error(error, base_url, model) from error


def client_error(error: openai.APIError, base_url: str, model: str, key_env: str = "OPENAI_API_KEY") -> ClientError:
    """Our error for one of the openai package: `client_error(error, "http://localhost:8000/v1", "sft")`."""
    import openai

    body, base_url = error.body, shown_url(base_url)
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body
    words = str(body or error.message)  # the server's own
    check = f"check base_url, model and api_key (environment variable {key_env})"
    match error:
        case openai.APITimeoutError():
            text = "did not answer in time; raise timeout in the config, or ask for fewer tokens (max_tokens)"
            return ServerUnreachableError(f"{base_url} {text}")
        case openai.APIConnectionError():
            return ServerUnreachableError(
                f"no server answers at {base_url} ({error.__cause__ or error}); start one with "
                "'python -m xlam_lib.serve.server MODEL_DIR --port 8000'"
            )
        case openai.NotFoundError():
            return UnknownModelError(
                f"{base_url} refused model {model!r} with status 404: it knows no model {model!r}: {words}; {check}: "
                "the model's name is what the server was started with, the URL ends with /v1"
            )
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return RequestRefusedError(
                f"{base_url} refused model {model!r} with status {error.status_code}: {words}; {check}"
            )
        case openai.InternalServerError():
            status = error.status_code
            return ServerFailedError(f"{base_url} failed with status {status}: {words}; see the server's log")
        case openai.APIStatusError():
            return RequestRefusedError(f"{base_url} refused the request with status {error.status_code}: {words}")
    return ServerFailedError(f"{base_url} broke off its answer: {words}")  # e.g. an error in the midst of a stream
