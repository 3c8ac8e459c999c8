"""FastChat as a backend of our API: starts its controller, its API server and our worker, and asks them.

    backend = FastChat(given)                                   # what `backends.arguments` has read
    async for piece in backend.generate(ids, Sampling(64)): ...

All three listen on 127.0.0.1, at ports that are held open for them and below paths that nobody else knows, since
FastChat's parts know no keys among themselves. They end with this process however it ends (`processes.Child`).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx

from xlam_lib.processes import Child, environment, how_ended
from xlam_lib.serve.api.backends import words
from xlam_lib.serve.api.fastchat import wire
from xlam_lib.serve.api.fastchat.wire import REFUSED
from xlam_lib.serve.api.generation import Backend, BackendError, Piece, RefusedError, Sampling
from xlam_lib.serve.engines.authentication import HOST

logger = logging.getLogger(__name__)
PARTS = ("controller", "api", "worker")
ADDRESSES, SOCKET = "XLAM_FASTCHAT_ADDRESSES", "XLAM_FASTCHAT_SOCKET"  # in the environment of the parts
GRACE = 2.0  # seconds for each part to end; all three together must not take as long as `processes.GRACE`


class FastChat(Backend):
    """The model of `given`, served by FastChat; `ended` is called in a thread when a part ends by itself."""

    def __init__(self, given: argparse.Namespace, ended: Callable[[], None] = lambda: None) -> None:
        self._name, self._over = given.name, threading.Event()
        self._children: dict[str, Child] = {}
        sockets = {part: socket.create_server((HOST, 0), backlog=128) for part in PARTS}
        secret = secrets.token_urlsafe(32)
        self._at = {part: f"http://{HOST}:{one.getsockname()[1]}/{secret}" for part, one in sockets.items()}
        try:
            for part, one in sockets.items():
                self._children[part] = Child(self.line(part, given), self._environment(one), pass_fds=[one.fileno()])
            for one in sockets.values():  # from now on they are the parts' alone
                one.close()
            details = self._wait()
        except BaseException:
            self.close()
            raise
        self.context, self.template = details["context_length"], details["chat_template"]
        self.specials = details["special_tokens"]
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = httpx.AsyncClient(timeout=None, limits=limits, trust_env=False)
        threading.Thread(target=self._watch, args=(ended,), name="fastchat", daemon=True).start()

    def line(self, part: str, given: argparse.Namespace) -> list[str]:
        """The command line of a part; a GGUF file is llama.cpp's, a folder that of transformers."""
        kind = "llamacpp" if Path(given.model).is_file() else "transformers"
        more = [kind, *words(given)] if part == "worker" else []
        return [sys.executable, "-m", "xlam_lib.serve.api.fastchat", part, *more]

    def _environment(self, one: socket.socket) -> dict[str, str]:
        """Of a part: no log files of FastChat's own, no limit on an answer's seconds, no proxy on this machine."""
        ours = {
            ADDRESSES: json.dumps(self._at),
            SOCKET: str(one.fileno()),
            "LOGDIR": "",
            "FASTCHAT_WORKER_API_TIMEOUT": str(24 * 3600),
            "NO_PROXY": HOST,
            "no_proxy": HOST,
        }
        return environment({**os.environ, **ours})

    def _wait(self) -> dict[str, Any]:
        """What the worker says of its model, once FastChat's API server knows it."""
        with httpx.Client(timeout=5, trust_env=False) as client:
            while True:
                self.check()
                try:
                    models = client.get(f"{self._at['api']}/v1/models").raise_for_status().json()["data"]
                    if self._name in [model["id"] for model in models]:
                        return client.post(f"{self._at['worker']}/model_details", json={}).raise_for_status().json()
                except httpx.HTTPError as error:
                    logger.debug("not yet: %r", error)
                time.sleep(0.2)

    async def tokens(self, text: str) -> list[int]:
        try:
            answer = await self._client.post(f"{self._at['worker']}/token_ids", json={"text": text})
            return answer.raise_for_status().json()["ids"]
        except httpx.HTTPError as error:
            raise BackendError(f"FastChat's worker does not answer any more ({error!r})") from error

    async def generate(self, ids: list[int], sampling: Sampling) -> AsyncIterator[Piece]:
        asked = {"model": self._name, "prompt": wire.order(ids, sampling), "max_tokens": sampling.max_tokens}
        held = ""
        try:
            async with self._client.stream(
                "POST", f"{self._at['api']}/v1/completions", json={**asked, "stream": True}
            ) as response:
                if response.status_code != httpx.codes.OK:
                    raise BackendError(f"FastChat: {(await response.aread())[:500].decode(errors='replace')}")
                async for event in response.aiter_lines():
                    if not event.startswith("data: {"):
                        continue
                    *lines, held = (held + _text(json.loads(event[len("data: ") :]))).split("\n")
                    for line in lines:
                        piece = wire.read_line(line)
                        yield piece
                        if piece.finish_reason:
                            return
        except httpx.HTTPError as error:
            raise BackendError(f"FastChat does not answer any more ({error!r})") from error
        raise BackendError("FastChat broke off the answer")

    def check(self) -> None:
        for part, child in self._children.items():
            if (code := child.poll()) is not None:
                raise BackendError(f"FastChat's {part} {how_ended(code)}")

    def close(self) -> None:
        self._over.set()
        for child in reversed(self._children.values()):  # the worker first, which speaks to the controller
            child.end(GRACE)

    def _watch(self, ended: Callable[[], None]) -> None:
        while not self._over.wait(0.5):
            try:
                self.check()
            except BackendError as error:
                logger.error("%s", error)
                ended()
                return


def _text(event: dict[str, Any]) -> str:
    """The text of an event of FastChat's stream, or the error that the event is."""
    if "choices" in event:
        return event["choices"][0]["text"]
    refused = event.get("error_code") == REFUSED
    raise (RefusedError if refused else BackendError)(event.get("text") or "FastChat failed and says no more")
