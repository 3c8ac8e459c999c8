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
from xlam_lib.serve.engines.base import ServerError
from xlam_lib.serve.engines.llama_cpp import checked_file


class FastChatServer(ApiServer):
    """A checkpoint or GGUF file that FastChat serves: `FastChatServer("runs/sft")`; a file has its own dtype."""

    program = "FastChat"
    backend = "fastchat"
    dtypes = TransformersServer.dtypes

    def checked(self, model_dir: str | Path) -> Path:
        """What can be served; a ServerError where the package is missing."""
        if importlib.util.find_spec("fastchat") is None:
            raise ServerError(
                "the package fschat is missing: pip install --no-deps fschat shortuuid (it asks for more than is "
                "needed here), or run `make install`"
            )
        return checked_file(model_dir) if Path(model_dir).is_file() else checked(model_dir)
