"""A child process that answers lines: what hangs, dies or stops in the middle of a line is replaced."""

import sys
import time

import pytest

from xlam_lib.data.apigen.sandbox.line_child import LineChild

ECHO = "import sys\nfor line in sys.stdin:\n    print(line, end='', flush=True)"


def child(code: str) -> LineChild:
    made = LineChild("none")
    made._command = [sys.executable, "-c", code]
    return made


def test_questions_come_back_and_the_child_stays() -> None:
    with child(ECHO) as echo:
        assert echo.ask({"é": [1, None]}, 20.0) == {"é": [1, None]}
        first = echo._child
        assert echo.ask("x" * 300_000, 20.0) == "x" * 300_000 and echo._child is first
    assert echo._child is None and first.poll() is not None


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "import sys, time; sys.stdin.readline(); print('[1, 2', end='', flush=True); time.sleep(60)",
        "import sys; sys.stdin.readline(); print('[1, 2', end='', flush=True)",
        "raise SystemExit(1)",
    ],
    ids=["hangs", "stops within a line", "dies within a line", "dies at once"],
)
def test_no_whole_line_is_no_answer(code: str) -> None:
    with child(code) as broken:
        started = time.monotonic()
        assert broken.ask([1, 2], 1.0) is None and broken._child is None
        assert time.monotonic() - started < 20
        broken._command[-1] = ECHO
        assert broken.ask([3], 20.0) == [3]


def test_the_first_line_may_be_a_greeting() -> None:
    class Greeting(LineChild):
        def greeting(self) -> dict:
            return {"limits": 5}

        def greeted(self, answer: object) -> None:
            self.said = answer

    with Greeting("none") as greeted:
        code = "import sys\nsays = sys.stdin.readline()\nprint(says, end='', flush=True)\n"
        greeted._command = [sys.executable, "-c", code + "for line in sys.stdin: print(line, end='', flush=True)"]
        assert greeted.ask("who?", 20.0) == "who?" and greeted.said == {"limits": 5}


def test_our_environment_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    code = "import json, os, sys\nfor line in sys.stdin:\n    print(json.dumps(sorted(os.environ)), flush=True)"
    with child(code) as bare:
        assert "SECRET_TOKEN" not in bare.ask(0, 20.0)
