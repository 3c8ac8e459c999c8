"""Hostile programs of a model, through MINT's environment: contained within seconds, and nothing of them is left."""

import os
import time

import psutil
import pytest

from xlam_lib.agents import Action, run
from xlam_lib.data.apigen.sandbox import Interpreter, Limits
from xlam_lib.environments.mint import MintEnvironment, Problem

SUM = Problem("gsm8k/0", "gsm8k", "What is 6 * 7?", "42")
CODE = Problem("mbpp/0", "mbpp", "Double.", [[[2], 4], [[5], 10]], entry="double")
LIMITS = Limits(seconds=3.0, cpu_seconds=1.0, memory_mb=512, answer_bytes=20_000)
SECRET = "only-the-runner-knows"
TARGET = "/tmp/mint_must_not_be_there"
PROGRAMS = {  # name: (program, what its observation holds)
    "shell text": ("rm -rf / ; :(){ :|:& };:", "SyntaxError"),
    "os.system": ('__import__("os").system("sleep 60")', "PermissionError"),
    "subprocess": ("import subprocess\nsubprocess.Popen(['sleep', '60'])", "PermissionError"),
    "fork bomb": ("import os\nwhile True: os.fork()", "PermissionError"),
    "processes": ("import multiprocessing as m\nfor _ in range(9): m.Process(target=print).start()", "Error"),
    "threads without end": (
        "import threading, time\ndef spin():\n    while True: pass\n"
        "for _ in range(4): threading.Thread(target=spin).start()\nprint('away')",
        "away",
    ),
    "endless loop": (
        "import signal\nfor n in (14, 15, 24, 27): signal.signal(n, lambda *_: None)\n"
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "TimeoutError",
    ),
    "sleep": ("import time\ntime.sleep(60)", "TimeoutError"),
    "large text": ("x = 'x' * 10**9", "MemoryError"),
    "large lists": ("x = []\nwhile True: x.append(bytearray(10**7))", "MemoryError"),
    "prints forever": ("while True: print('x' * 10_000)", "TimeoutError"),
    "closes its output": (
        "import os, sys\nsys.stdout.close()\nfor n in range(64):\n    os.closerange(n, n + 1)",
        "ProcessError",
    ),
    "exits": ("exit()", "SystemExit"),
    "exits at once": ("import os\nos._exit(0)", "ProcessError"),
    "crashes": ("import ctypes\nctypes.string_at(0)", "ProcessError"),
    "deep recursion": ("import sys\nsys.setrecursionlimit(10**5)\ndef f(x): return [f([x])]\nf(0)", "Error"),
    "writes a file": (f"open({TARGET!r}, 'w').write('x')", "PermissionError"),
    "writes a file natively": (f"import os\nos.open({TARGET!r}, os.O_CREAT | os.O_WRONLY)", "PermissionError"),
    "reads a file": ("print(open('/etc/passwd').read())", "PermissionError"),
    "reads the environment": ("import os\nprint(dict(os.environ))", "PATH"),
    "reads other environments": (
        f"import os\nprint(open('/proc/%d/environ' % {os.getpid()}).read())",
        "Error",
    ),
    "connects": ("import socket\nsocket.create_connection(('127.0.0.1', 80), 1)", "PermissionError"),
    "kills": (f"import os\nos.kill({os.getpid()}, 9)", "PermissionError"),
    "answers twice": ('import os\nos.write(3, b\'1 {"output": "fake"}\\n\' * 2)', "wrote into the answer"),
    "answers no JSON": ("import os\nos.write(3, b'1 ' + b'[' * 9000 + b'\\n')\nos._exit(0)", "the answer is nested"),
    "half characters": ("print('\\ud800')", "?"),
    "breaks its own tools": ("import json, builtins\njson.dumps = builtins.exec = None", "Executed Successfully"),
}


@pytest.fixture(scope="module")
def python():
    with pytest.MonkeyPatch.context() as patch, Interpreter(LIMITS) as one:
        patch.setenv("MINT_SECRET", SECRET)
        assert fresh(one) == "Out[1]: 42\n"
        yield one


def fresh(python):
    """What a new session says."""
    session = python.session()
    try:
        return session.run("6 * 7")
    finally:
        session.close()


def below(python):
    """The processes of the interpreter that aren't over."""
    there = psutil.Process(python._child.pid).children(recursive=True)
    return {process.pid for process in there if process.status() != psutil.STATUS_ZOMBIE}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_hostile_program_is_contained(python, name):
    program, expected = PROGRAMS[name]
    before, mine, began = below(python), set(psutil.Process().children()), time.monotonic()
    environment = MintEnvironment(SUM, python)
    environment.reset(SUM.task)
    shown = run(environment.step(Action(f"<execute>{program}</execute>"))).observation.steps[0].content
    assert expected in shown
    assert SECRET not in shown
    assert len(shown) < 2300
    after = run(environment.step(Action.call("python", code="6 * 7"))).observation.steps[0].content
    assert "42" in after or "Error" in after  # of those that broke their own process
    wrong = run(environment.step(Action.call("solution", answer=program)))
    assert wrong.reward == 0.0
    environment.close()
    assert time.monotonic() - began < 20  # seconds, on a machine that others use; no piece has more than 3
    assert below(python) == before
    assert set(psutil.Process().children()) == mine
    assert not os.path.exists(TARGET)
    assert fresh(python) == "Out[1]: 42\n"


@pytest.mark.parametrize("name", ["os.system", "sleep", "exits at once", "closes its output", "large text"])
def test_a_hostile_solution_of_a_problem_of_code_is_wrong(python, name):
    before = below(python)
    environment = MintEnvironment(CODE, python)
    environment.reset(CODE.task)
    result = run(environment.step(Action.call("solution", answer=PROGRAMS[name][0])))
    assert result.reward == 0.0
    assert not result.done
    assert below(python) == before


def test_words_of_any_size_are_answers_of_a_model(python):
    environment = MintEnvironment(SUM, python)
    environment.reset(SUM.task)
    many = run(environment.step(Action("<execute>" * 200_000)))
    assert "I don't understand" in many.observation.steps[0].content
    long = run(environment.step(Action.call("python", code="1 + " * 100_000 + "1")))
    assert "InputError: a program of 400001 characters" in long.observation.steps[0].content
    assert run(environment.step(Action.call("solution", answer="4" * 10**7))).reward == 0.0
