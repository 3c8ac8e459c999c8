"""The key of a server: what it may look like, who may do without, and the check of each request.

vLLM asks for a key at some of its paths only (`/v1` and a few others), not where tokens are counted or texts scored. A
server that is started here with a key asks for it everywhere but at `/health`: vLLM is given `WithKey` as a middleware,
and the key in its environment, which `ps` doesn't show; our own API (`serve/api`) has it around all its paths.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from xlam_lib.serve.engines.base import ServerError

HOST = "127.0.0.1"  # this machine only
KEY = "XLAM_API_KEY"  # in our environment
CHILDS_KEY = "VLLM_API_KEY"  # in that of vLLM
MIDDLEWARE = f"{__name__}.WithKey"
OPEN = ("/health",)
REFUSED = 1008  # as a websocket is closed

Message = dict[str, Any]


def check(host: str, key: str) -> None:
    """A ServerError for a host that needs a key, or a key that no client can send; it never shows the key.

    Example: `check("127.0.0.1", "")` and `check("0.0.0.0", "3f9a...")` are fine, `check("0.0.0.0", "")` is not.
    """
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ServerError("the key holds spaces or characters that can't be sent; give ASCII letters, digits and signs")
    if not key and not is_loopback(host):
        raise ServerError(
            f"serving at {host} needs a key, or whoever reaches it may ask: set {KEY} in the environment (or give "
            f"--api-key); without one the server listens at {HOST} only"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host: "127.0.0.1", "::1", "localhost"."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def reached_at(host: str) -> str:
    """Where this machine reaches a server that listens at the host: `reached_at("0.0.0.0")` -> "127.0.0.1"."""
    return {"0.0.0.0": HOST, "::": "::1"}.get(host, host)


class WithKey:
    """An ASGI middleware that lets requests pass which bring the key: `WithKey(app)`, the key from the environment."""

    def __init__(self, app: Callable[..., Awaitable[None]], key: str = "") -> None:
        self.app = app
        self._header = f"Bearer {key or os.environ[CHILDS_KEY]}".encode()

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN or self._may_pass(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": REFUSED})
        else:
            headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            error = {"message": "no key, or another one than the server's", "type": "Unauthorized", "code": 401}
            await send({"type": "http.response.body", "body": json.dumps({"error": error}).encode()})

    def _may_pass(self, scope: Message) -> bool:
        if scope.get("method") == "OPTIONS":  # what a browser asks before it sends the key; it gets no answer by it
            return True
        given = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], self._header)
