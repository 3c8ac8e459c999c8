"""The command that serves a checkpoint as an OpenAI-compatible API until Ctrl-C (notebook 04).

    python -m xlam_lib.serve.server runs/quickstart/sft --port 8000
    XLAM_API_KEY=... python -m xlam_lib.serve.server runs/quickstart/sft --host 0.0.0.0

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

from xlam_lib.errors import as_command
from xlam_lib.models.bases import base
from xlam_lib.processes import STALLED
from xlam_lib.serve.engines.authentication import HOST, KEY
from xlam_lib.serve.engines.vllm import ServerFlags, VllmServer


def main(argv: Sequence[str] | None = None) -> int:
    """The command line, e.g. `main(["runs/sft", "--port", "0"])`; what follows `--` goes to vLLM as it is."""
    argv = list(sys.argv[1:] if argv is None else argv)
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.serve.server",
        description=(
            "Serve a checkpoint with vLLM as an OpenAI-compatible API until Ctrl-C. "
            "What follows -- is passed to vLLM, e.g. -- --tensor-parallel-size 4"
        ),
    )
    parser.add_argument("model_dir", help="folder of the checkpoint, or a base by name")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--host", default=HOST, help="where to listen; others than this machine's own need a key")
    parser.add_argument("--api-key", default="", help=f"what clients must send; better in the environment, as {KEY}")
    parser.add_argument("--model-name", default="", help="what clients call it (default: the folder's name)")
    parser.add_argument("--max-model-len", type=int, default=2048, help="tokens of prompt and answer together")
    parser.add_argument("--dtype", help="default: float32 on a CPU, else the checkpoint's")
    parser.add_argument("--tool-parser", default="xlam_json", help="'' returns answers as text")
    parser.add_argument(
        "--stalled-after", type=float, default=STALLED, help="seconds for which the log may not grow at the start"
    )
    given = parser.parse_args(argv[:cut])

    def serve() -> None:
        flags = ServerFlags(
            given.model_name,
            given.max_model_len,
            dtype=given.dtype,
            tool_parser=given.tool_parser,
            extra=tuple(argv[cut + 1 :]),
        )
        options = {"host": given.host, "api_key": given.api_key or os.environ.get(KEY, "")}
        with VllmServer(
            base(given.model_dir), given.port, flags, stalled_after=given.stalled_after, **options
        ) as server:
            print(f"serving {server.model} at {server.base_url} (log: {server.log_file}); Ctrl-C ends it", flush=True)
            while True:
                time.sleep(1)
                server.check()

    try:
        return as_command(serve, status=1)
    except KeyboardInterrupt:
        print("stopped")
        return 0


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # both end it in order, also where the shell ignores Ctrl-C
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
