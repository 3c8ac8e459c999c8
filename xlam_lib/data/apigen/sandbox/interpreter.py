"""Runs programs that a model writes, piece by piece: variables stay from one piece to the next, all of it confined.

    with Interpreter(Limits(seconds=5.0)) as python:
        session = python.session()
        session.run("a = 6")                # ""
        session.run("print('so:')\\na * 7")  # "so:\\nOut[2]: 42\\n"
        session.run("1 / 0")                # "Traceback (most recent call last):\\n ... division by zero\\n"
        session.run("while True: pass")     # "TimeoutError: ... The interpreter was started anew, ..."

Used by the environment of MINT-Bench (`environments/mint/`, notebook 05). Each session is a process of its own behind
the fences of `confine.py`; what it prints is text of a stranger. A piece that never ends, dies or answers out of turn
costs the session its process and variables, and the next piece starts a new one; other sessions are not touched. One
child process holds them all and runs one piece at a time, also when several threads ask.
"""

from __future__ import annotations

import itertools
import threading

from xlam_lib.data.apigen.sandbox.confine import Limits
from xlam_lib.data.apigen.sandbox.interpreter_child import LONGEST_LETTER
from xlam_lib.data.apigen.sandbox.lines import LineError
from xlam_lib.data.apigen.sandbox.sandbox import SLACK_SECONDS, Confined

LIMITS = Limits(seconds=30.0, cpu_seconds=5.0, memory_mb=768, answer_bytes=20_000)  # of a piece; MINT waits 30 s
LONGEST_CODE = 100_000  # characters of a piece
ANEW = "The interpreter was started anew, its variables are gone."


class Interpreter(Confined):
    """A context manager around the child process of all sessions; it starts with the first piece that is run."""

    def __init__(self, limits: Limits = LIMITS, slack_seconds: float = SLACK_SECONDS) -> None:
        spare = 1000 + limits.answer_bytes * LONGEST_LETTER
        super().__init__("interpreter_child", limits, slack_seconds, spare)
        self._numbers = itertools.count()
        self._turn = threading.Lock()

    def session(self) -> Session:
        """A new session; its process starts with the first piece that is run."""
        return Session(self, next(self._numbers))

    def run(self, number: int, code: str, new: bool) -> tuple[str, str]:
        """(what a piece printed, "") or ("", why the session is lost): `session.run` makes one text of them."""
        try:
            with self._turn:
                request = {"session": number, "code": code, "new": new}
                answer = self.ask(request, self.limits.seconds + self.slack_seconds)
        except LineError as error:
            return "", f"OutputError: the answer is {error}"
        if answer is None:
            return "", "ProcessError: the process of all sessions died or hung"
        if not isinstance(answer, dict) or len(answer) != 1 or not all(isinstance(v, str) for v in answer.values()):
            return "", "ProcessError: the program wrote into the answer"
        return answer.get("output", ""), answer.get("lost", "")

    def close(self, number: int) -> None:
        """Ends a session's process, where there is one."""
        with self._turn:
            if self._child is not None and self._child.poll() is None:
                self.ask({"session": number, "close": True}, self.slack_seconds)


class Session:
    """A program that is written piece by piece: `python.session().run("print(1)")` -> "1\\n"; made by `Interpreter`."""

    def __init__(self, interpreter: Interpreter, number: int) -> None:
        self._interpreter, self._number = interpreter, number
        self._there = False

    def run(self, code: str) -> str:
        """What a piece of code prints, its last expression's value and an error's traceback included."""
        if len(code) > LONGEST_CODE:
            return f"InputError: a program of {len(code)} characters; at most {LONGEST_CODE} are taken\n"
        output, lost = self._interpreter.run(self._number, code, not self._there)
        self._there = not lost
        return f"{lost}. {ANEW}" if lost else output

    def close(self) -> None:
        """Ends its process; a further piece would start a new one."""
        if self._there:
            self._interpreter.close(self._number)
            self._there = False
