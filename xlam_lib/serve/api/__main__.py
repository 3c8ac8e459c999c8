"""The program behind `serve/engines/api.py`: a backend and our API, until it is ended.

    python -m xlam_lib.serve.api llamacpp runs/sft.gguf --tokenizer runs/sft --port 8000

The key is read from the environment (XLAM_API_KEY) and nowhere shown. Start it through `xlam_lib.serve.server`, which
waits until it answers and ends it with its owner.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from xlam_lib.errors import as_command
from xlam_lib.serve.api.generation import Backend
from xlam_lib.serve.engines.authentication import HOST, KEY, check

GRACE = 3  # seconds for answers on their way when it is ended


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["transformers", "runs/sft", "--port", "8000"])`."""
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.serve.api", description="Serve a model with a backend of our own API."
    )
    parser.add_argument("backend", choices=tuple(BACKENDS))
    parser.add_argument("model", help="a GGUF file for llamacpp, the folder of a checkpoint for transformers")
    parser.add_argument("--tokenizer", default="", help="folder whose tokenizer.json makes the ids for llamacpp")
    parser.add_argument("--name", default="", help="what clients call the model")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-model-len", type=int, default=2048, help="tokens of prompt and answer together")
    parser.add_argument("--max-num-seqs", type=int, default=4, help="requests that are answered at once")
    parser.add_argument("--dtype", default="float32", help="in which transformers computes")
    parser.add_argument("--threads", type=int, default=0, help="that compute; 0: what suits the backend")
    given = parser.parse_args(argv)
    return as_command(lambda: _serve(given), status=1)


def _serve(given: argparse.Namespace) -> None:
    key = os.environ.pop(KEY, "")
    check(given.host, key)
    backend = BACKENDS[given.backend](given)

    import uvicorn

    from xlam_lib.serve.api.app import application

    uvicorn.run(
        application(backend, given.name or given.model, key),
        host=given.host,
        port=given.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE,
    )


def _llama_cpp(given: argparse.Namespace) -> Backend:
    from xlam_lib.serve.api.llama_cpp import LlamaCpp

    return LlamaCpp(given.model, given.tokenizer, given.max_model_len, given.max_num_seqs, given.threads)


def _transformers(given: argparse.Namespace) -> Backend:
    from xlam_lib.serve.api.transformers import Transformers

    return Transformers(given.model, given.max_model_len, given.max_num_seqs, given.dtype, given.threads)


BACKENDS: dict[str, Callable[[argparse.Namespace], Backend]] = {
    "llamacpp": _llama_cpp,
    "transformers": _transformers,
}


if __name__ == "__main__":
    sys.exit(main())
