"""Runs tools in a child process with limits on processor time, memory and wall time.

Used by `embedded.py`: one long-lived child serves thousands of calls, a batch a line. The child is `worker.py`.
Example: `with Executor() as run: run.batch([Request("add_numbers", {"numbers": [1, 2]})])` gives `[{"result": {"sum":
3.0}}]`.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

CALL_SECONDS = 1.0
SLACK_SECONDS = 20.0  # to start the child on a busy machine


@dataclass(frozen=True)
class Request:
    """One call to run; `returns` makes it an echo of a made-up tool (`facts.echo`)."""

    tool: str
    arguments: dict
    returns: dict[str, str] | None = None


class ExecutionError(RuntimeError):
    """A tool failed; the message begins with the kind: "ValueError: amount must be above zero, got 0"."""


class Executor:
    """A child process that runs tools; a context manager. A child that dies or hangs is replaced, its call blamed."""

    def __init__(self, call_seconds: float = CALL_SECONDS, slack_seconds: float = SLACK_SECONDS) -> None:
        self.call_seconds = call_seconds
        self.slack_seconds = slack_seconds
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            root = str(Path(__file__).resolve().parents[3])
            environment = {"PYTHONPATH": root, "PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
            command = [sys.executable, "-m", "xlam_lib.data.apigen.worker", str(self.call_seconds)]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        return self._child

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def batch(self, requests: Sequence[Request]) -> list[dict]:
        """The answers to some calls, in order: `{"result": ...}` or `{"error": "ValueError: ..."}` each."""
        if not requests:
            return []
        answers = self._exchange(requests)
        if answers is not None:
            return answers
        if len(requests) == 1:
            return [{"error": "ProcessError: the tool took its process down or gave no answer in time"}]
        return [answer for request in requests for answer in self.batch([request])]

    def run(self, tool: str, arguments: dict, returns: dict[str, str] | None = None) -> dict:
        """The result of one call; ExecutionError when it fails."""
        return result_of(self.batch([Request(tool, arguments, returns)])[0])

    def _exchange(self, requests: Sequence[Request]) -> list[dict] | None:
        """Sends a batch and reads the answers; None when the child died or hung."""
        child = self._start()
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(json.dumps([asdict(request) for request in requests]).encode() + b"\n")
            child.stdin.flush()
            seconds = self.slack_seconds + self.call_seconds * len(requests)
            line = child.stdout.readline() if select.select([child.stdout], [], [], seconds)[0] else b""
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            self._stop()
            return None
        return json.loads(line)


def result_of(answer: dict) -> dict:
    """The result in an answer of `batch`; ExecutionError when it is an error."""
    if "error" in answer:
        raise ExecutionError(answer["error"])
    return answer["result"]
