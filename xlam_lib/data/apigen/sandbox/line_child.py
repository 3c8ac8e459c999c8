"""A child process that answers each line of JSON with a line of JSON; one that dies or hangs is replaced.

The base of `executor.py` (embedded tools) and `sandbox.py` (any function); used by notebook 01 through them.
Example: `Executor().ask([], seconds=20.0)` -> [], or None when no whole line came back in time.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from xlam_lib.processes import Child, environment

PIECE = 1 << 16


class LineChild:
    """A context manager around the child process `python -m MODULE ARGUMENTS`; it starts with the first question.

    Of our environment the child sees only PATH.
    """

    def __init__(self, module: str, arguments: Sequence[str] = ()) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._child: Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, question: Any, seconds: float) -> Any:
        """The answer, or None when the child died or gave no whole line in so many seconds."""
        line = json.dumps(question, allow_nan=False).encode() + b"\n"
        try:
            child = self._started()
            assert child.stdin is not None
            child.stdin.write(line)
            child.stdin.flush()
            answer = self._read(child, time.monotonic() + seconds)
        except BrokenPipeError:
            answer = b""
        if not answer.endswith(b"\n"):
            self.stop()
            return None
        return json.loads(answer)

    def stop(self) -> None:
        """Ends the child, if there is one; the next question starts another."""
        if self._child is not None:
            self._child.end(grace=0)
            self._child = None

    def greeting(self) -> dict[str, Any] | None:
        """The first line that a child gets, when it starts; none unless a subclass gives one."""
        return None

    def _started(self) -> Child:
        if self._child is None or self._child.poll() is not None:
            self.stop()
            bare = environment({"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0", "TZ": "UTC"})
            self._child = Child(self._command, bare, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if (greeting := self.greeting()) is not None:
                assert self._child.stdin is not None
                self._child.stdin.write(json.dumps(greeting).encode() + b"\n")
        return self._child

    @staticmethod
    def _read(child: Child, deadline: float) -> bytes:
        """One line; less when the child died, or stopped in the middle of it."""
        assert child.stdout is not None
        handle, answer = child.stdout.fileno(), bytearray()
        while not answer.endswith(b"\n") and (left := deadline - time.monotonic()) > 0:
            if select.select([handle], [], [], left)[0]:
                piece = os.read(handle, PIECE)
                if not piece:
                    break
                answer += piece
        return bytes(answer)
