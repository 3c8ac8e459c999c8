"""FastChat as an engine: its controller, its API server and a worker of ours, behind our API (notebook 04).

    with FastChatServer("runs/quickstart/sft") as server:
        server.openai().chat.completions.create(model=server.model, messages=..., tools=...)

From a shell, until Ctrl-C:  python -m xlam_lib.serve.server runs/quickstart/sft --engine fastchat --port 8000

The worker computes with transformers, or with llama.cpp if it is given a GGUF file. `serve/api/fastchat` says why our
API stands before FastChat's, and how a worker joins a cluster that is there already.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from xlam_lib.models.folders import checked
from xlam_lib.serve.engines.api import ApiServer, TransformersServer
from xlam_lib.serve.engines.base import Capabilities, ServerError
from xlam_lib.serve.engines.llama_cpp import checked_file

NEEDED = {  # what FastChat's controller and API server import: the package that has it
    "fastchat": "fschat",
    "aiohttp": "aiohttp",
    "fastapi": "fastapi",
    "requests": "requests",
    "shortuuid": "shortuuid",
    "tiktoken": "tiktoken",
}


class FastChatServer(ApiServer):
    """A checkpoint or GGUF file that FastChat serves: `FastChatServer("runs/sft")`; a file has its own dtype."""

    program = "FastChat"
    backend = "fastchat"
    dtypes = TransformersServer.dtypes
    capabilities = Capabilities(
        tools=True,  # by our API: FastChat's own knows none
        streaming=True,
        completions=True,
        responses=False,
        adapters=False,  # the worker holds one model; merge an adapter first
        tensor_parallel=False,
    )

    def checked(self, model_dir: str | Path) -> Path:
        """What can be served; a ServerError where a package is missing."""
        if missing := missing_packages():
            raise ServerError(
                f"FastChat needs packages that are missing: pip install --no-deps {' '.join(missing)}, or run "
                "`make install`; what fschat asks for besides is for its web pages and its own workers"
            )
        return checked_file(model_dir) if Path(model_dir).is_file() else checked(model_dir)


def missing_packages() -> list[str]:
    """Packages without which FastChat can't start, by the names to install them: ["fschat", "shortuuid"].

    Where fschat is there alone, its controller would end with a traceback after the model has been loaded.
    """
    return [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
