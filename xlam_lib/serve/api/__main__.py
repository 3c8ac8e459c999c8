"""The program behind `serve/engines/api.py`: a backend and our API, until it is ended.

    python -m xlam_lib.serve.api llamacpp runs/sft.gguf --tokenizer runs/sft --port 8000

The key is read from the environment (XLAM_API_KEY) and nowhere shown. Start it through `xlam_lib.serve.server`, which
waits until it answers and ends it with its owner.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from xlam_lib.errors import as_command
from xlam_lib.serve.api.backends import arguments, backend_of
from xlam_lib.serve.api.generation import Backend
from xlam_lib.serve.engines.authentication import HOST, KEY, check

GRACE = 3  # seconds for answers on their way when it is ended
FASTCHAT = "fastchat"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["transformers", "runs/sft", "--port", "8000"])`."""
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.serve.api", description="Serve a model with a backend of our own API."
    )
    arguments(parser, more=(FASTCHAT,))
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args(argv)
    return as_command(lambda: _serve(given), status=1)


def _serve(given: argparse.Namespace) -> None:
    key = os.environ.pop(KEY, "")
    check(given.host, key)
    given.name = given.name or given.model
    backend = _fastchat(given) if given.backend == FASTCHAT else backend_of(given)

    import uvicorn

    from xlam_lib.serve.api.app import application

    uvicorn.run(
        application(backend, given.name, key),
        host=given.host,
        port=given.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE,
    )


def _fastchat(given: argparse.Namespace) -> Backend:
    """FastChat's processes; when one of them ends by itself, this one ends, too."""
    from xlam_lib.serve.api.fastchat.backend import FastChat

    return FastChat(given, ended=lambda: os.kill(os.getpid(), signal.SIGTERM))


if __name__ == "__main__":
    sys.exit(main())
