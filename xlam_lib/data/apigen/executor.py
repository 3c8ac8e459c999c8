"""Runs the tools in a child process with limits on processor time, memory and wall time.

Used by `embedded.py`: one long-lived child serves thousands of calls (one line of JSON each way). Example:
`with Executor() as run: run("add_numbers", {"numbers": [1, 2]})` gives `{"sum": 3.0}`. The child is `worker.py`.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType

CALL_SECONDS = 1.0


class ExecutionError(RuntimeError):
    """A tool failed, ran too long or took its process down; the message names the kind of failure."""


class Executor:
    """A child process that runs tools; a context manager and a function: `run(name, arguments)` -> result."""

    def __init__(self, call_seconds: float = CALL_SECONDS) -> None:
        self.call_seconds = call_seconds
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Executor:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        root = str(Path(__file__).resolve().parents[3])
        environment = {"PYTHONPATH": root, "PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "xlam_lib.data.apigen.worker", str(self.call_seconds)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def _stop(self) -> None:
        if self._child is not None:
            for stream in (self._child.stdin, self._child.stdout):
                if stream is not None:
                    stream.close()
            self._child.kill()
            self._child.wait()
            self._child = None

    def __call__(self, name: str, arguments: dict, returns: dict[str, str] | None = None) -> dict:
        """The result of one call; ExecutionError when the tool fails. `returns` makes it an echo of a made-up tool."""
        request = {"tool": name, "arguments": arguments, "returns": returns}
        if self._child is None:
            self._start()
        assert self._child is not None and self._child.stdin is not None and self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            self._stop()
            raise ExecutionError(f"{name}: the worker is gone") from None
        line = self._child.stdout.readline() if self._ready() else b""
        if not line:
            self._stop()
            raise ExecutionError(f"{name}: the worker died or gave no answer in {self.call_seconds + 10:g} s")
        answer = json.loads(line)
        if "error" in answer:
            raise ExecutionError(answer["error"])
        return answer["result"]

    def _ready(self) -> bool:
        assert self._child is not None
        return bool(select.select([self._child.stdout], [], [], self.call_seconds + 10)[0])
