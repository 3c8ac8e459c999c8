"""Engines that are our own API (`serve/api`) over a backend; here plain transformers, for machines without vLLM.

    with TransformersServer("runs/quickstart/sft") as server:
        server.openai().chat.completions.create(model=server.model, messages=..., tools=...)

llama.cpp (`llama_cpp.py`) and FastChat (`fastchat.py`) are the others. Used by notebook 04_serving. From a shell:

    python -m xlam_lib.serve.server MODEL --engine transformers
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from xlam_lib import processes
from xlam_lib.models.bases import name_of
from xlam_lib.models.folders import checked
from xlam_lib.serve.engines.authentication import CHILDS_KEY, HOST, KEY
from xlam_lib.serve.engines.base import Capabilities, ServerError
from xlam_lib.serve.engines.local import LocalServer


class ApiServer(LocalServer):
    """A model served by our API; subclasses name the backend and check what they are given.

    `max_model_len` are tokens of prompt and answer together, or all that the model can if that is less; `max_num_seqs`
    requests are answered at once, others wait; `threads` compute (0: what suits the backend).
    """

    backend = ""  # as `python -m xlam_lib.serve.api` calls it
    dtypes: tuple[str, ...] = ()  # the first one is the default
    capabilities = Capabilities(tools=True, streaming=True, completions=True)

    def __init__(
        self,
        model_dir: str | Path,
        port: int = 0,
        log: str | Path | None = None,
        stalled_after: float = processes.STALLED,
        *,
        model_name: str = "",
        max_model_len: int = 2048,
        max_num_seqs: int = 8,
        dtype: str = "",
        threads: int = 0,
        host: str = HOST,
        api_key: str = "",
    ) -> None:
        self.model_dir = self.checked(model_dir)
        self.dtype = dtype or self.dtypes[0]
        if self.dtype not in self.dtypes:
            raise ServerError(f"{self.program} can't serve in {dtype!r}; expected one of {', '.join(self.dtypes)}")
        self.max_model_len, self.max_num_seqs, self.threads = max_model_len, max_num_seqs, threads
        name = model_name or name_of(self.model_dir)[0] or self.model_dir.resolve().name.removesuffix(".gguf")
        super().__init__(name, port, log, stalled_after, host=host, api_key=api_key)

    def checked(self, model_dir: str | Path) -> Path:
        """The folder or file to serve, or an error that says why it can't be."""
        return checked(model_dir)

    def source(self) -> list[str]:
        """What the program is given as its model."""
        return [str(self.model_dir)]

    def command(self) -> list[str]:
        """The child's command line, never with the key."""
        options = {
            "--name": self.model,
            "--host": self.host,
            "--port": self.port,
            "--max-model-len": self.max_model_len,
            "--max-num-seqs": self.max_num_seqs,
            "--dtype": self.dtype,
            "--threads": self.threads,
        }
        line = [sys.executable, "-m", "xlam_lib.serve.api", self.backend, *self.source()]
        return line + [str(word) for pair in options.items() for word in pair]

    def environment(self) -> dict[str, str]:
        """Ours, offline, and of keys the server's own, which it asks for."""
        ours = {name: value for name, value in os.environ.items() if name not in (KEY, CHILDS_KEY)}
        made = processes.environment({"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", **ours})
        return made | ({KEY: self.api_key} if self.api_key else {})


class TransformersServer(ApiServer):
    """A checkpoint that transformers decodes, requests that wait together: `TransformersServer("runs/sft")`."""

    program = "transformers"
    backend = "transformers"
    dtypes = ("float32", "bfloat16", "float16")
