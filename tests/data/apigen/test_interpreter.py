"""Programs piece by piece: what is printed and kept, sessions that don't touch each other, and processes that end."""

import threading

import psutil
import pytest

from xlam_lib.data.apigen.sandbox import Interpreter, Limits
from xlam_lib.data.apigen.sandbox.interpreter import ANEW, LONGEST_CODE
from xlam_lib.data.apigen.sandbox.interpreter_child import SESSIONS, Output, run_piece


@pytest.fixture(scope="module")
def python():
    with Interpreter(Limits(seconds=10.0, cpu_seconds=2.0, memory_mb=512, answer_bytes=200)) as one:
        yield one


def below(python):
    there = psutil.Process(python._child.pid).children(recursive=True)
    return [process.pid for process in there if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("", ""),
        ("a = 1", ""),
        ("print('one')\n'two'", "one\nOut[{}]: 'two'\n"),
        ("None", ""),
        ("for n in range(2):\n    print(n)", "0\n1\n"),
        ("import sys\nprint('aside', file=sys.stderr)", "aside\n"),
        ("x = input()", "EOFError: EOF when reading a line\n"),
        ("def f(:", "SyntaxError: invalid syntax\n"),
        ("class Odd(Exception):\n    def __str__(self): raise Odd\nraise Odd", "<exception str() failed>\n"),
        ("'x' * 1000", "x"),
        ("print('\\ud800')", "?\n"),
    ],
)
def test_what_a_piece_prints(python, code, printed):
    session = python.session()
    assert session.run(code).endswith(printed.format(1))
    assert session.run("1 + 1") == "Out[2]: 2\n"
    session.close()


def test_an_error_leaves_what_was_printed_and_set_before(python):
    session = python.session()
    lines = session.run("a = 7\nprint('before')\nb = a / 0").splitlines()
    assert (lines[0], lines[-1]) == ("before", "ZeroDivisionError: division by zero")
    assert session.run("a") == "Out[2]: 7\n"
    session.close()


def test_sessions_do_not_touch_each_other(python):
    first, second = python.session(), python.session()
    first.run("secret = 5\nimport math\nmath.pi = 3")
    assert second.run("'secret' in globals(), __import__('math').pi > 3") == "Out[1]: (False, True)\n"
    second.run("import os\nos._exit(0)")
    assert first.run("secret, math.pi") == "Out[2]: (5, 3)\n"
    first.close()
    second.close()


def test_a_lost_session_says_so_and_begins_anew(python):
    session = python.session()
    session.run("a = 1")
    assert (
        session.run("import os\nos._exit(3)") == f"ProcessError: its process ended with status 3 and no answer. {ANEW}"
    )
    assert "NameError" in session.run("a")
    python.stop()  # the process of all sessions
    assert session.run("1").startswith("ProcessError: the program's process is gone. The interpreter was started anew")
    assert session.run("1") == "Out[1]: 1\n"
    session.close()


def test_an_answer_that_can_not_be_read_costs_the_session(python):
    session = python.session()
    session.run("a = 1")
    forged = "import os\nos.write(3, b'2 ' + b'[' * 500 + b'\\n')\nimport time\ntime.sleep(5)"
    assert session.run(forged) == f"OutputError: the answer is nested deeper than 100. {ANEW}"
    assert "NameError" in session.run("a")
    session.close()


def test_a_session_that_is_closed_leaves_no_process(python):
    session = python.session()
    session.close()
    session.run("1")
    before = below(python)
    session.close()
    session.close()
    assert len(below(python)) == len(before) - 1
    assert session.run("1") == "Out[1]: 1\n"
    session.close()


def test_sessions_that_nobody_closes_are_bounded(python):
    sessions = [python.session() for _ in range(SESSIONS + 1)]
    for session in sessions:
        session.run("a = 1")
    assert "is gone" in sessions[0].run("a")
    assert sessions[-1].run("a") == "Out[2]: 1\n"
    assert len(below(python)) <= SESSIONS + 2
    for session in sessions:
        session.close()


def test_threads_take_turns(python):
    found = {}

    def work(name):
        session = python.session()
        session.run(f"name = {name}")
        found[name] = session.run("name")
        session.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: f"Out[2]: {name}\n" for name in range(6)}


def test_a_program_that_is_too_long_is_not_taken(python):
    session = python.session()
    assert session.run("1" * (LONGEST_CODE + 1)).startswith("InputError: a program of 100001 characters")
    assert session.run("1") == "Out[1]: 1\n"
    session.close()


def test_the_end_of_the_block_ends_all():
    with Interpreter() as python:
        python.session().run("import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()")
        there = [psutil.Process(pid) for pid in below(python)]
        assert there
    psutil.wait_procs(there, timeout=10)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in there)


def test_output_keeps_its_beginning():
    output = Output(5)
    assert output.write("abc") + output.write("defgh") + output.write("ijk") == 11
    assert output.text() == "abcde"


def test_a_piece_is_python_like_any(monkeypatch, capsys):
    import sys

    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    space = {}
    assert run_piece("a = 2\na ** 3", space, 4, 100) == "Out[4]: 8\n"
    assert space["a"] == 2
