"""A child process that answers each line of JSON with a line of JSON; one that dies or hangs is replaced.

The base of `executor.py` (embedded tools), `sandbox.py` (any function) and `interpreter.py` (programs); used by
notebooks 01 and 05 through them.
Example: `Executor().ask([], seconds=20.0)` -> [], or None when no whole line came back in time.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from xlam_lib.data.apigen.sandbox.lines import AnswerError, LineError, line_of, value_of
from xlam_lib.processes import Child, bare_environment

PIECE = 1 << 16
LONGEST = 1 << 28  # bytes of an answer


class LineChild:
    """A context manager around the child process `python -m MODULE ARGUMENTS`; it starts with the first question.

    Of our environment the child sees only PATH.
    """

    def __init__(self, module: str, arguments: Sequence[str] = (), longest: int = LONGEST) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._child: Child | None = None
        self.longest = longest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, question: Any, seconds: float) -> Any:
        """The answer, or None when the child died or gave no whole line in so many seconds.

        A LineError when the question can't be a line of JSON; an AnswerError when the answer isn't one, or is too long.
        """
        line, end = line_of(question), time.monotonic() + seconds
        try:
            child = self._started(end)
            assert child.stdin is not None and child.stdout is not None
            write_line(child.stdin.fileno(), line, end)
            answer = read_line(child.stdout.fileno(), end, self.longest)
        except BrokenPipeError:
            answer = b""
        if not answer.endswith(b"\n"):
            self.stop()
            if len(answer) > self.longest:
                raise AnswerError(f"longer than {self.longest} bytes")
            return None
        try:
            return value_of(answer)
        except LineError as error:
            raise AnswerError(str(error)) from error

    def stop(self) -> None:
        """Ends the child, if there is one; the next question starts another."""
        if self._child is not None:
            self._child.end(grace=0)
            self._child = None

    def greeting(self) -> dict[str, Any] | None:
        """The first line that a child gets, when it starts; none unless a subclass gives one."""
        return None

    def greeted(self, answer: Any) -> None:
        """What the child answers to a greeting."""

    def _started(self, end: float) -> Child:
        if self._child is None or self._child.poll() is not None:
            self.stop()
            bare = {**bare_environment(), "PYTHONHASHSEED": "0", "TZ": "UTC"}
            self._child = Child(self._command, bare, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self._child.stdin is not None and self._child.stdout is not None
            os.set_blocking(self._child.stdin.fileno(), False)
            if (greeting := self.greeting()) is not None:
                write_line(self._child.stdin.fileno(), line_of(greeting), end)
                if (answer := read_line(self._child.stdout.fileno(), end, self.longest)).endswith(b"\n"):
                    self.greeted(value_of(answer))
        return self._child


def write_line(handle: int, line: bytes, end: float) -> None:
    """Writes all of it into a pipe that doesn't block; less when nobody takes it until then, by `time.monotonic()`."""
    rest = memoryview(line)
    while rest and (left := end - time.monotonic()) > 0:
        if select.select([], [handle], [], left)[1]:
            rest = rest[os.write(handle, rest[:PIECE]) :]


def read_line(handle: int, end: float, longest: int) -> bytes:
    """One line; less when its writer died or stopped in the middle of it, more than `longest` when it is too long."""
    answer = bytearray()
    while not answer.endswith(b"\n") and len(answer) <= longest and (left := end - time.monotonic()) > 0:
        if select.select([handle], [], [], left)[0]:
            piece = os.read(handle, PIECE)
            if not piece:
                break
            answer += piece
    return bytes(answer)
