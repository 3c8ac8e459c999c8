"""The process behind `interpreter.py`: it forks a confined process for each session, which runs piece after piece.

    python -m xlam_lib.data.apigen.sandbox.interpreter_child   # a request a line on standard input, answers on output

A session's process reads pieces of code from a pipe and writes what they print into another. This process trusts none
of it: it waits only so long, reads only so much, and ends a session that says anything out of turn.
"""

from __future__ import annotations

import ast
import io
import json
import linecache
import math
import os
import resource
import select
import sys
import time
import traceback
from dataclasses import replace
from typing import Any

from xlam_lib.data.apigen.sandbox.confine import Fences, Limits
from xlam_lib.data.apigen.sandbox.line_child import read_line, write_line
from xlam_lib.data.apigen.sandbox.sandbox_child import begin, death, end_child, enter, say

SESSIONS = 16  # that are open at the same time; the one that has been idle longest is ended for a new one
PIECES = 30  # times the processor time of one is what all of a session have together
DEEPEST = 1500  # calls in a traceback, the last ones: Python allows 1000 unless a program asks for more
READS, WRITES = 4, 3  # numbers of a session's pipes
DYING_SECONDS = 0.5  # until a process that closed its pipes counts as alive
LONGEST_LETTER = 6  # bytes of JSON for one character of what is printed: backslash, u and four digits


class Output(io.TextIOBase):
    """Takes what is printed and keeps its beginning: `Output(20_000)`."""

    def __init__(self, most: int) -> None:
        self.kept, self.left = [], most

    def write(self, text: str) -> int:
        """Keeps as much of it as there is room for."""
        piece = str(text[: self.left])
        self.kept.append(piece)
        self.left -= len(piece)
        return len(text)

    def text(self) -> str:
        """What was kept, half characters replaced."""
        return "".join(self.kept).encode(errors="replace").decode()


def run_piece(code: str, space: dict[str, Any], number: int, most: int) -> str:
    """Runs a piece with the variables of those before it: `run_piece("1 + 1", {}, 2, 100)` -> "Out[2]: 2\\n"."""
    output, name = Output(most), f"<piece {number}>"
    sys.stdout = sys.stderr = output
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    try:
        tree = ast.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), space)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), space)
            if value is not None:
                output.write(f"Out[{number}]: {value!r}\n")
    except BaseException as error:  # also SystemExit: a piece that ends its program has only ended itself
        output.write(_described(error))
    return output.text()


def _described(error: BaseException) -> str:
    """The traceback as Python prints it, of lines that the program wrote itself: no paths of this machine."""
    try:
        found = traceback.TracebackException.from_exception(error, limit=-DEEPEST)
        return "".join(_of_the_program(found).format())
    except BaseException:  # an error that can't even say what it is
        return f"{type(error).__name__}\n"


def _of_the_program(found: traceback.TracebackException) -> traceback.TracebackException:
    """The same without lines of other files, also in the errors that led to it."""
    at: traceback.TracebackException | None = found
    while at is not None:
        at.stack[:] = [frame for frame in at.stack if frame.filename.startswith("<piece ")]
        at = at.__cause__ or at.__context__
    return found


def _serve(limits: Limits) -> None:
    """The life of a session's process: a piece a line, until the pipe closes."""
    space: dict[str, Any] = {"__name__": "__main__"}
    for number, line in enumerate(os.fdopen(READS, "rb"), start=1):
        used = resource.getrusage(resource.RUSAGE_SELF)
        whole = resource.getrlimit(resource.RLIMIT_CPU)[1]
        now = math.ceil(used.ru_utime + used.ru_stime + limits.cpu_seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (min(now, whole), whole))
        answer = json.dumps({"output": run_piece(json.loads(line), space, number, limits.answer_bytes)})
        rest = memoryview(f"{number} {answer}\n".encode())
        while rest:
            rest = rest[os.write(WRITES, rest) :]


class Process:
    """The process of one session, seen from outside."""

    def __init__(self, limits: Limits, fences: Fences) -> None:
        self.limits, self._pieces = limits, 0
        questions, self._questions = os.pipe()
        self._answers, answers = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            try:
                enter(replace(limits, cpu_seconds=PIECES * limits.cpu_seconds), fences, answers, questions)
                _serve(limits)
            finally:
                os._exit(1)
        os.close(questions)
        os.close(answers)
        os.set_blocking(self._questions, False)

    def run(self, code: str) -> tuple[bytes, str]:
        """(the line with the answer, ""), or (b"", why the process must be ended)."""
        if select.select([self._answers], [], [], 0)[0]:  # its end, or words that nobody asked for
            return b"", "ProcessError: the program's process ended, or wrote out of turn"
        end = time.monotonic() + self.limits.seconds
        longest = 1000 + LONGEST_LETTER * self.limits.answer_bytes
        self._pieces += 1
        try:
            write_line(self._questions, json.dumps(code).encode() + b"\n", end)
            answer = read_line(self._answers, end, longest)
        except BrokenPipeError:
            answer = b""
        number, _, rest = answer.partition(b" ")
        if answer.find(b"\n") + 1 == len(answer) > 0 and len(answer) <= longest and number == b"%d" % self._pieces:
            return rest, ""
        if b"\n" not in answer and time.monotonic() >= end:
            return b"", f"TimeoutError: no end within {self.limits.seconds:g} s"
        if answer:
            return b"", "ProcessError: the program wrote into the answer"
        return b"", ""

    def end(self, dying: bool = False) -> str:
        """Ends it with all its threads; how it ended. One that closed its pipes may be `dying` by itself."""
        os.close(self._questions)
        os.close(self._answers)
        end = time.monotonic() + DYING_SECONDS * dying
        while not (found := os.waitpid(self._child, os.WNOHANG))[0] and time.monotonic() < end:
            time.sleep(0.001)
        return death(found[1] if found[0] else end_child(self._child), self.limits)


def main() -> None:
    """Serves requests from standard input until it closes."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each thread would take of the memory
    requests, answers, limits, fences = begin()
    there: dict[int, Process] = {}
    for line in requests:
        request = json.loads(line)
        number = request["session"]
        if request.get("close"):
            if number in there:
                there.pop(number).end()
            say(answers, b'{"closed": ""}\n')
            continue
        say(answers, _answer(there, number, request, limits, fences))


def _answer(there: dict[int, Process], number: int, request: dict[str, Any], limits: Limits, fences: Fences) -> bytes:
    if request["new"] and number in there:  # its last answer could not be read
        there.pop(number).end()
    if number not in there:
        if not request["new"]:
            return _lost("ProcessError: the program's process is gone")
        if len(there) >= SESSIONS:
            there.pop(next(iter(there))).end()
        there[number] = Process(limits, fences)
    process = there[number] = there.pop(number)  # now the last to be ended
    answer, fault = process.run(request["code"])
    if answer:
        return answer
    how = there.pop(number).end(dying=not fault)
    return _lost(fault or how)


def _lost(why: str) -> bytes:
    return json.dumps({"lost": why}).encode() + b"\n"


if __name__ == "__main__":
    main()
