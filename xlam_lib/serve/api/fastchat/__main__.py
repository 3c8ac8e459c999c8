"""The program of each of FastChat's three parts: its controller, its API server, and a worker of ours.

    python -m xlam_lib.serve.api.fastchat worker transformers runs/sft --controller http://localhost:21001 --port 31005

`python -m xlam_lib.serve.server MODEL --engine fastchat` starts all three (`backend.py`), with addresses and listening
sockets in their environment: FastChat's applications are served as they are, below a path that is a secret. By hand
only the worker is of use, for a controller that runs already; `python -m fastchat.serve.controller` starts such a one.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from xlam_lib.errors import XlamError, as_command
from xlam_lib.serve.api.backends import arguments, backend_of
from xlam_lib.serve.api.fastchat.backend import ADDRESSES, GRACE, SOCKET
from xlam_lib.serve.engines.authentication import HOST

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.applications import Starlette


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["worker", "transformers", "runs/sft", "--controller", "http://localhost:21001"])`."""
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.serve.api.fastchat", description="One of the three parts of FastChat."
    )
    parts = parser.add_subparsers(dest="part", required=True)
    for name in ("controller", "api"):
        parts.add_parser(name, help="FastChat's own; started by `xlam_lib.serve.server --engine fastchat`")
    worker = parts.add_parser("worker", help="a model for a controller")
    arguments(worker)
    worker.add_argument("--controller", default="http://localhost:21001", help="where the controller listens")
    worker.add_argument("--host", default=HOST, help="where to listen: a worker knows no keys")
    worker.add_argument("--port", type=int, default=31005)
    worker.add_argument("--address", default="", help="where the controller reaches it (default: by --host and --port)")
    given = parser.parse_args(argv)
    return as_command(lambda: _serve(given), status=1)


def _serve(given: argparse.Namespace) -> None:
    addresses = json.loads(os.environ.pop(ADDRESSES, "{}"))
    if given.part == "worker":
        name = given.name or os.path.basename(os.path.abspath(given.model))
        address = addresses.get("worker") or given.address or f"http://{given.host}:{given.port}"
        _run(_worker(given, name, address, addresses.get("controller") or given.controller), given)
    elif not addresses:
        raise XlamError(
            f"FastChat's {given.part} is started by `python -m xlam_lib.serve.server MODEL --engine fastchat`; "
            "by hand it is a program of FastChat's own: python -m fastchat.serve.controller, ....openai_api_server"
        )
    else:
        application = _controller() if given.part == "controller" else _api(addresses["controller"])
        _run(_below(urlsplit(addresses[given.part]).path, application))


def _worker(given: argparse.Namespace, name: str, address: str, controller: str) -> Starlette:
    from xlam_lib.serve.api.fastchat.worker import Worker

    return Worker(backend_of(given), name, address, controller).application()


def _controller() -> Any:
    """FastChat's controller, as its own program makes it."""
    from fastchat.serve import controller

    controller.controller = controller.Controller("shortest_queue")
    controller.logger.setLevel(logging.WARNING)  # else each heart beat makes the log longer
    return controller.app


def _api(controller: str) -> Any:
    """FastChat's API server, as its own program makes it; the key is asked for by our API before it."""
    from fastchat.protocol import openai_api_protocol as protocol
    from fastchat.serve import openai_api_server

    for event in (protocol.ChatCompletionStreamResponse, protocol.CompletionStreamResponse):
        event.json = _event_json
    openai_api_server.app_settings.controller_address = controller
    return openai_api_server.app


def _event_json(event: BaseModel, ensure_ascii: bool = False, **options: Any) -> str:
    """FastChat 0.2.36 asks events for `json(ensure_ascii=False)`, which pydantic 2 refuses: no stream would come."""
    return event.model_dump_json(**options)


def _below(path: str, application: Any) -> Starlette:
    """The application below a path; nothing else answers."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    return Starlette(routes=[Mount(path, app=application)])


def _run(application: Starlette, given: argparse.Namespace | None = None) -> None:
    """Serve until it is ended, at the socket that was handed over or where the command line says."""
    import uvicorn

    handed = os.environ.pop(SOCKET, "")
    where = {} if handed or given is None else {"host": given.host, "port": given.port}
    config = uvicorn.Config(
        application, **where, log_level="warning", access_log=False, timeout_graceful_shutdown=int(GRACE) // 2
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(handed))] if handed else None)


if __name__ == "__main__":
    sys.exit(main())
