"""A worker for FastChat's controller, over a backend of ours.

    worker = Worker(backend, "sft", "http://127.0.0.1:31005", "http://127.0.0.1:21001")
    uvicorn.run(worker.application(), port=31005)

It speaks the protocol of FastChat 0.2 (its modules `fastchat.serve.base_model_worker` and `fastchat.serve.controller`):
it registers, sends a heart beat, and answers /worker_generate, /worker_generate_stream (the text so far, again and
again, each time ended by a null byte), /worker_get_status, /count_token, /model_details and /worker_get_conv_template;
/token_ids is ours.

FastChat's API server writes the messages of a chat as one text, by the conversation template that the worker gives it.
Ours puts a mark before each message that nobody can guess, so the worker reads the messages back and renders them by
the checkpoint's chat template. Any other prompt is the model's text as it stands, or an order (`wire.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route

from xlam_lib.serve.api.app import tokens_of
from xlam_lib.serve.api.fastchat import wire
from xlam_lib.serve.api.generation import Backend, BackendError, Piece, RefusedError, Sampling
from xlam_lib.serve.api.requests import ChatTemplate, CompletionRequest
from xlam_lib.serve.api.responses import Usage
from xlam_lib.serve.messages import MessageError

logger = logging.getLogger(__name__)
HEART_BEAT = 5.0  # seconds; FastChat's controller forgets a worker after 90, or when it once had no time to answer
RETRY = 0.5  # seconds, while there is no controller
NO_COLON_SINGLE = 4  # FastChat's style of a conversation: system text, then role + message + separator for each


class Worker:
    """A backend under a name, known to a controller; addresses are URLs, whose paths may be secrets."""

    def __init__(self, backend: Backend, name: str, address: str, controller: str) -> None:
        self.backend, self.name, self.address, self.controller = backend, name, address, controller
        self._template = ChatTemplate(backend.template, backend.specials)
        self._mark = f"\x1e{secrets.token_hex(8)} "
        self._busy = 0

    def application(self) -> Starlette:
        """The ASGI application, which keeps in touch with the controller and closes the backend when it ends."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            beating = asyncio.create_task(self._beat())
            yield
            beating.cancel()
            self.backend.close()

        handlers = {
            "/worker_generate": self.generate,
            "/worker_generate_stream": self.generate_stream,
            "/worker_get_status": self.status,
            "/worker_get_conv_template": self.conversation,
            "/model_details": self.details,
            "/count_token": self.count,
            "/token_ids": self.token_ids,
        }
        routes = [Route(path, handler, methods=["POST"]) for path, handler in handlers.items()]
        return Starlette(routes=[Mount(urlsplit(self.address).path or "/", routes=routes)], lifespan=lifespan)

    async def generate(self, request: Request) -> JSONResponse:
        states = [state async for state in self._answer(await request.json())]
        return JSONResponse(states[-1])

    async def generate_stream(self, request: Request) -> StreamingResponse:
        answer = self._answer(await request.json())
        return StreamingResponse(json.dumps(state).encode() + b"\0" async for state in answer)

    async def status(self, _: Request) -> JSONResponse:
        return JSONResponse(self._status())

    async def conversation(self, _: Request) -> JSONResponse:
        found = {
            "name": "xlam",
            "system_template": f"{self._mark}system\n{{system_message}}",
            "system_message": "",
            "roles": [f"{self._mark}{role}\n" for role in ("user", "assistant")],
            "messages": [],
            "offset": 0,
            "sep_style": NO_COLON_SINGLE,
            "sep": "",
            "sep2": None,
            "stop_str": None,
            "stop_token_ids": None,
        }
        return JSONResponse({"conv": found})

    async def details(self, _: Request) -> JSONResponse:
        ours = {"chat_template": self.backend.template, "special_tokens": self.backend.specials}
        return JSONResponse({"context_length": self.backend.context, **ours})

    async def count(self, request: Request) -> JSONResponse:
        try:
            ids, _ = await self._read((await request.json())["prompt"])
        except (RefusedError, MessageError):  # it is asked to generate next, and says it there
            ids = []
        return JSONResponse({"count": len(ids), "error_code": 0})

    async def token_ids(self, request: Request) -> JSONResponse:
        return JSONResponse({"ids": await self.backend.tokens((await request.json())["text"])})

    def _status(self) -> dict[str, Any]:
        return {"model_names": [self.name], "speed": 1, "queue_length": self._busy}

    async def _answer(self, given: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The answer as it grows, in the protocol's form; an error is the last one."""
        self._busy += 1
        try:
            ids, sampling, written = await self._asked(given)
            text = ""
            async with contextlib.aclosing(self.backend.generate(ids, sampling)) as pieces:
                async for piece in pieces:
                    text += written(piece)
                    usage = Usage(len(ids), piece.tokens).as_dict()
                    reason = piece.finish_reason or None
                    yield {"text": text, "error_code": 0, "usage": usage, "finish_reason": reason}
        except (RefusedError, MessageError) as error:
            yield {"text": str(error), "error_code": wire.REFUSED}
        except BackendError as error:
            yield {"text": str(error), "error_code": wire.FAILED}
        finally:
            self._busy -= 1

    async def _asked(self, given: dict[str, Any]) -> tuple[list[int], Sampling, Callable[[Piece], str]]:
        """(ids, how to go on, how a piece is written) of a request in the protocol's form."""
        ids, sampling = await self._read(given["prompt"])
        if sampling:
            return ids, sampling, wire.line
        try:
            asked = CompletionRequest.model_validate({**given, "max_tokens": given.get("max_new_tokens")})
        except ValidationError as error:
            raise RefusedError(str(error.errors(include_url=False, include_input=False)[0]["msg"])) from error
        asked.check()
        return ids, asked.sampling(len(ids), self.backend.context), lambda piece: piece.text

    async def _read(self, prompt: str) -> tuple[list[int], Sampling | None]:
        """The tokens of a prompt: of an order, of a conversation that FastChat has written, or of the text itself."""
        if ordered := wire.read_order(prompt):
            return ordered
        if prompt.startswith(self._mark):
            prompt = await asyncio.to_thread(self._template.render, self._messages(prompt))
        return await tokens_of(self.backend, prompt), None

    def _messages(self, written: str) -> list[dict[str, str]]:
        """The messages of a conversation, without the system's if there is none and the one that is asked for."""
        parts = (part.partition("\n") for part in written.split(self._mark)[1:-1])
        return [{"role": role, "content": text} for role, _, text in parts if text or role != "system"]

    async def _beat(self) -> None:
        """Register, and say again and again that the worker lives; register anew with a controller that forgot it."""
        known = False
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            while True:
                try:
                    if known:
                        beat = {"worker_name": self.address, "queue_length": self._busy}
                        answer = await client.post(f"{self.controller}/receive_heart_beat", json=beat)
                        known = answer.raise_for_status().json()["exist"]
                    if not known:
                        one = {"worker_name": self.address, "check_heart_beat": True, "worker_status": self._status()}
                        answer = await client.post(f"{self.controller}/register_worker", json=one)
                        answer.raise_for_status()
                        known = True
                except (httpx.HTTPError, ValueError, KeyError) as error:
                    known = False
                    logger.warning("the controller does not answer: %s", type(error).__name__)
                await asyncio.sleep(HEART_BEAT if known else RETRY)
