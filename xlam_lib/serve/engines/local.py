"""Ports and plain HTTP on this machine, and the errors of a server that runs here.

Used by `vllm.py` (notebook 04_serving); needs the standard library only.
"""

from __future__ import annotations

import http.client
import socket

from xlam_lib.errors import XlamError
from xlam_lib.serve.engines.flags import HOST


class ServerError(XlamError, RuntimeError):
    """The server can't be used; subclasses say why."""


class PortInUseError(ServerError):
    """Another program listens on the port asked for."""


class ServerDiedError(ServerError):
    """The child process ended by itself; the message ends with the tail of its log."""


class ServerTimeoutError(ServerError):
    """The child process runs, but does not answer in time."""


def free_port() -> int:
    """A port that nobody uses now, e.g. 46205; vLLM binds it within seconds."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def checked_port(port: int) -> int:
    """The port, unless it can't be had: better told now than after half a minute of loading."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise PortInUseError(
                f"port {port} on {HOST} can't be used ({error}); stop the program that listens there, "
                "or take port=0 for a free one"
            ) from error
    return port


def get(port: int, path: str) -> bytes | None:
    """The body of a local answer 200; None when there is no such answer (yet). Proxies are not asked."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if response.status == 200 else None
