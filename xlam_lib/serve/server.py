"""The command that serves a checkpoint as an OpenAI-compatible API until Ctrl-C (notebook 04).

    python -m xlam_lib.serve.server runs/quickstart/sft --port 8000
    python -m xlam_lib.serve.server runs/quickstart/sft --engine llamacpp --dtype q8_0
    python -m xlam_lib.serve.server runs/sft.gguf --engine llamacpp
    python -m xlam_lib.serve.server runs/quickstart/sft --engine fastchat
    XLAM_API_KEY=... python -m xlam_lib.serve.server runs/quickstart/sft --host 0.0.0.0

vLLM is the engine for GPUs and for many requests at once; llama.cpp needs the least and rounds weights to eight bits
if asked; transformers is there wherever a model was trained; FastChat is the controller and the API server that xLAM's
models were first served with. All four are given the same prompts and return the same messages;
`python -m xlam_lib.serve.compare` holds them against one another.

With a key, clients must send it: `xLAMConfig(..., api_key=...)`. It is best given in the environment, for other users
of the machine see command lines.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from xlam_lib.errors import as_command
from xlam_lib.models.bases import base
from xlam_lib.processes import STALLED
from xlam_lib.serve.engines.api import TransformersServer
from xlam_lib.serve.engines.authentication import HOST, KEY
from xlam_lib.serve.engines.base import ServerError
from xlam_lib.serve.engines.fastchat import FastChatServer
from xlam_lib.serve.engines.llama_cpp import LlamaCppServer
from xlam_lib.serve.engines.local import LocalServer
from xlam_lib.serve.engines.vllm import ServerFlags, VllmServer

ENGINES = ("vllm", "llamacpp", "transformers", "fastchat")
OF_FILES = {"llamacpp": LlamaCppServer, "fastchat": FastChatServer}  # those that also serve a GGUF file


def engine_of(name: str, model: str, port: int = 0, **options: Any) -> LocalServer:
    """The engine of a name for a folder, a base by name or a GGUF file (not for all engines); not started yet.

    Example: `engine_of("llamacpp", "runs/sft", dtype="q8_0")`. Options are `model_name`, `max_model_len`,
    `max_num_seqs`, `dtype`, `tool_parser` and `extra` (vLLM only), and those of every `LocalServer`.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if name == "vllm":
        flags = {key: given.pop(key) for key in [field.name for field in fields(ServerFlags)] if key in given}
        return VllmServer(base(model), port, ServerFlags(**flags), **given)
    if name not in ENGINES:
        raise ServerError(f"no engine is called {name!r}; expected one of {', '.join(ENGINES)}")
    if unknown := [key for key in ("tool_parser", "extra") if given.pop(key, ()) != ()]:
        raise ServerError(f"{name} has no {' and no '.join(unknown)}: these are options of vLLM")
    if kind := OF_FILES.get(name):
        return kind(model if Path(model).is_file() else base(model), port, **given)
    return TransformersServer(base(model), port, **given)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line, e.g. `main(["runs/sft", "--port", "0"])`; what follows `--` goes to vLLM as it is."""
    argv = list(sys.argv[1:] if argv is None else argv)
    cut = argv.index("--") if "--" in argv else len(argv)
    given = _parser().parse_args(argv[:cut])
    try:
        return as_command(lambda: _serve(given, tuple(argv[cut + 1 :])), status=1)
    except KeyboardInterrupt:
        print("stopped")
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.serve.server",
        description=(
            "Serve a checkpoint as an OpenAI-compatible API until Ctrl-C. "
            "What follows -- is passed to vLLM, e.g. -- --tensor-parallel-size 4"
        ),
    )
    parser.add_argument(
        "model_dir", help="folder of the checkpoint, a base by name, or a GGUF file (llamacpp, fastchat)"
    )
    parser.add_argument("--engine", choices=ENGINES, default="vllm", help="what runs the model")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--host", default=HOST, help="where to listen; others than this machine's own need a key")
    parser.add_argument("--api-key", default="", help=f"what clients must send; better in the environment, as {KEY}")
    parser.add_argument("--model-name", default="", help="what clients call it (default: the folder's name)")
    parser.add_argument("--max-model-len", type=int, default=2048, help="tokens of prompt and answer together")
    parser.add_argument("--max-num-seqs", type=int, help="requests that are answered at once")
    parser.add_argument(
        "--dtype", help="default: float32 on a CPU, else the checkpoint's; llamacpp also has bfloat16, float16, q8_0"
    )
    parser.add_argument("--tool-parser", help="of vLLM (default: xlam_json); '' returns answers as text")
    parser.add_argument(
        "--stalled-after", type=float, default=STALLED, help="seconds for which the log may not grow at the start"
    )
    return parser


def _serve(given: argparse.Namespace, extra: tuple[str, ...]) -> None:
    options = {name: getattr(given, name) for name in ("model_name", "max_model_len", "max_num_seqs", "dtype")}
    options |= {"tool_parser": given.tool_parser, "extra": extra, "stalled_after": given.stalled_after}
    options |= {"host": given.host, "api_key": given.api_key or os.environ.get(KEY, "")}
    with engine_of(given.engine, given.model_dir, given.port, **options) as server:
        print(f"serving {server.model} at {server.base_url} (log: {server.log_file}); Ctrl-C ends it", flush=True)
        while True:
            time.sleep(1)
            server.check()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # both end it in order, also where the shell ignores Ctrl-C
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
