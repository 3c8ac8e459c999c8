"""The paths of our API, over any backend: /health, /v1/models, /v1/completions, /v1/chat/completions.

    uvicorn.run(application(backend, "sft", api_key), host="127.0.0.1", port=8000)

With a key every path but /health asks for it. A body over `MAX_BODY` bytes gets status 413, a request that can't be
served 400 with the reason, another model's name 404; a client that goes away ends its generation.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from xlam_lib.serve.api import responses
from xlam_lib.serve.api.generation import Backend, BackendError, Piece, RefusedError
from xlam_lib.serve.api.requests import ChatRequest, ChatTemplate, CompletionRequest
from xlam_lib.serve.api.responses import Response, Usage, error_body
from xlam_lib.serve.engines.authentication import WithKey
from xlam_lib.serve.messages import MessageError
from xlam_lib.serve.streaming import AnswerStream, AsWritten

MAX_BODY = 4 << 20  # bytes
MAX_CHARACTERS = 64  # of a prompt, for each token of the context: longer ones are not even cut into tokens
EVENTS = "text/event-stream"
Asked = TypeVar("Asked", ChatRequest, CompletionRequest)
Result = TypeVar("Result")


def application(backend: Backend, name: str, api_key: str = "") -> Starlette:
    """The ASGI application that serves a backend under a name; it closes the backend when it ends."""
    api = _Api(backend, name)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        backend.close()

    return Starlette(
        routes=[
            Route("/health", api.health),
            Route("/v1/models", api.models),
            Route("/v1/completions", api.completions, methods=["POST"]),
            Route("/v1/chat/completions", api.chat, methods=["POST"]),
        ],
        middleware=[Middleware(WithKey, key=api_key)] if api_key else [],
        exception_handlers={
            HTTPException: lambda _, error: _error(error.status_code, error.detail),
            RefusedError: lambda _, error: _error(400, str(error)),
            MessageError: lambda _, error: _error(400, str(error)),
            BackendError: lambda _, error: _error(500, str(error)),
        },
        lifespan=lifespan,
        max_body_size=MAX_BODY,
    )


class _Api:
    """The handlers, with what they share."""

    def __init__(self, backend: Backend, name: str) -> None:
        self.backend, self.name, self.created = backend, name, int(time.time())
        self.template = ChatTemplate(backend.template, backend.specials)

    async def health(self, _: Request) -> HttpResponse:
        self.backend.check()
        return HttpResponse()

    async def models(self, _: Request) -> HttpResponse:
        one = {"id": self.name, "object": "model", "created": self.created, "owned_by": "xlam"}
        return JSONResponse({"object": "list", "data": [{**one, "max_model_len": self.backend.context}]})

    async def completions(self, request: Request) -> HttpResponse:
        asked = await self._asked(request, CompletionRequest)
        ids = asked.prompt if isinstance(asked.prompt, list) else await tokens_of(self.backend, asked.prompt)
        sampling = asked.sampling(len(ids), self.backend.context)
        extra = {"prompt_text": asked.prompt} if asked.return_prompt_text else {}
        response = Response("text_completion", self.name, Usage(len(ids)), extra)
        pieces = await _begun(self.backend.generate(ids, sampling))
        if asked.stream:
            return StreamingResponse(responses.completion_events(pieces, response, asked.with_usage), media_type=EVENTS)
        text, reason = await _unless_gone(request, responses.text_of(pieces, response.usage))
        return JSONResponse(response.whole({"text": text, "finish_reason": reason}))

    async def chat(self, request: Request) -> HttpResponse:
        asked = await self._asked(request, ChatRequest)
        tools, (schema, own_format) = asked.offered(), asked.schema()
        text = await asyncio.to_thread(self.template.render, asked.messages, tools)
        ids = await tokens_of(self.backend, text)
        sampling = asked.sampling(len(ids), self.backend.context, schema)
        extra = {"prompt_text": text} if asked.return_prompt_text else {}
        response = Response("chat.completion", self.name, Usage(len(ids)), extra)
        reader = AsWritten() if own_format else AnswerStream(asked.calls_allowed, tools)
        parallel = asked.parallel_tool_calls is not False
        pieces = await _begun(self.backend.generate(ids, sampling))
        if asked.stream:
            events = responses.chat_events(pieces, response, reader, parallel, asked.with_usage)
            return StreamingResponse(events, media_type=EVENTS)
        text, reason = await _unless_gone(request, responses.text_of(pieces, response.usage))
        return JSONResponse(response.whole(responses.chat_choice(text, reason, reader, parallel)))

    async def _asked(self, request: Request, kind: type[Asked]) -> Asked:
        """The request, if it is one."""
        try:
            body = json.loads(await request.body())
            asked = kind.model_validate(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            raise RefusedError(f"{'.'.join(map(str, first['loc'])) or 'the request'}: {first['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise RefusedError(f"the request's body is no JSON that can be read ({error})") from error
        asked.check()
        if asked.model not in ("", self.name):
            raise HTTPException(404, f"the model {asked.model[:200]!r} does not exist; this server has {self.name!r}")
        return asked


async def tokens_of(backend: Backend, text: str) -> list[int]:
    """The ids of a model text; a RefusedError for what no text of a model can be, or that is far too long for it."""
    if len(text) > MAX_CHARACTERS * backend.context:
        raise RefusedError(
            f"the prompt has {len(text):,} characters, far more than this model's context of "
            f"{backend.context} tokens can hold: shorten the messages"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RefusedError(f"the text holds half a surrogate pair at character {error.start}") from error
    return await backend.tokens(text)


async def _begun(pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    """The same pieces, once the first one is there: a generation that can't begin gets a status of its own."""
    first = await anext(pieces)

    async def all_pieces() -> AsyncIterator[Piece]:
        async with contextlib.aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    return all_pieces()


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of some work, which is given up when the client goes away."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request.receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise HTTPException(499, "the client has gone away")
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


async def _disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse(error_body(status, message), status)
