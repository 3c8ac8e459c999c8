"""The openai package's client, made ready for a server of ours: key, proxies, and errors that say what to do.

Used by `vllm.py` and `client.py` (notebooks 04_serving and 05_benchmarking).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlparse

import openai

from xlam_lib.errors import XlamError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ClientError(XlamError, RuntimeError):
    """A request got no answer; subclasses say why."""


class ServerUnreachableError(ClientError):
    """Nobody answers at the URL, or not in time."""


class UnknownModelError(ClientError):
    """The server serves other models, or the URL is no OpenAI API."""


class RequestRefusedError(ClientError):
    """The server understood the request and refused it, e.g. because the prompt is too long."""


class ServerFailedError(ClientError):
    """The server met an error of its own (status 5xx)."""


def openai_client(base_url: str, api_key: str = "", **options: object) -> openai.OpenAI:
    """A client for `base_url`; the key is `api_key`, else the environment's OPENAI_API_KEY, else "EMPTY".

    Servers on this machine are spoken to directly, whatever proxy the environment names.
    Example: `openai_client("http://localhost:8000/v1").models.list()`
    """
    if urlparse(base_url).hostname in LOOPBACK:
        options.setdefault("http_client", openai.DefaultHttpxClient(trust_env=False))
    return openai.OpenAI(base_url=base_url, api_key=api_key or os.environ.get("OPENAI_API_KEY") or "EMPTY", **options)


@contextmanager
def named_errors(base_url: str, model: str) -> Iterator[None]:
    """Turns errors of the openai package into ours, which name the server, the model and the way out."""
    try:
        yield
    except openai.APITimeoutError as error:
        raise ServerUnreachableError(
            f"{base_url} did not answer in time; raise timeout in the config, or ask for fewer tokens (max_tokens)"
        ) from error
    except openai.APIConnectionError as error:
        raise ServerUnreachableError(
            f"no server answers at {base_url} ({error.__cause__ or error}); start one with "
            "'python -m xlam_lib.serve.server MODEL_DIR --port 8000'"
        ) from error
    except openai.NotFoundError as error:
        raise UnknownModelError(
            f"{base_url} knows no model {model!r}: {_said(error)}; the model's name is what "
            "the server was started with, the URL ends with /v1"
        ) from error
    except openai.InternalServerError as error:
        raise ServerFailedError(
            f"{base_url} failed with status {error.status_code}: {_said(error)}; see the server's log"
        ) from error
    except openai.APIStatusError as error:
        raise RequestRefusedError(
            f"{base_url} refused the request with status {error.status_code}: {_said(error)}"
        ) from error
    except openai.APIError as error:  # e.g. an error in the midst of a stream
        raise ServerFailedError(f"{base_url} broke off its answer: {_said(error)}") from error


def _said(error: openai.APIError) -> str:
    """The server's own words."""
    body = error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body
    return str(body or error.message)
