"""Functions that crash, hang, fork, eat memory or reach for the network: one error each, and the next runs."""

import importlib
import math
import os
import re
import subprocess
import sys
import textwrap
import time

import pytest
from support import SUPPORT

from xlam_lib.data.apigen.sandbox.confine import held_by
from xlam_lib.data.apigen.sandbox.kernel import call_filter
from xlam_lib.data.apigen.sandbox.sandbox import Limits, Reference, Sandbox, reference
from xlam_lib.paths import root

LIMITS = Limits(seconds=2.0, cpu_seconds=1.0, memory_mb=1024, answer_bytes=100_000)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and filters of calls are Linux's")


@pytest.fixture(scope="module")
def functions():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SUPPORT)
        yield importlib.import_module("apigen_functions")


@pytest.fixture(scope="module")
def box(functions):
    with Sandbox(LIMITS) as one:
        yield one


def run(box, functions, name, /, **arguments):
    answer = box.run(reference(getattr(functions, name)), arguments)
    answer.pop("network", None)
    return answer


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("weather", {"city": "Oslo", "days": 2}, {"city": "Oslo", "degrees": 4, "days": 2}),
        ("next_day", {"day": "2028-02-28"}, "2028-02-29"),
        ("find_place", {"place": {"city": "Oslo"}, "limit": 1}, [{"city": "Oslo", "title": "celsius 0"}]),
        ("slowly", {"number": 4}, 8),
        ("_threaded", {}, [1]),
        ("_chatty", {}, 7),
        ("_open_ended", {"name": "a", "b": 2}, {"name": "a", "b": 2}),
        ("_everyday", {}, [3, "1.10", "b", 6, "2027-01-01T05:00:00+09:00", ["x", "1"], 2, 4, "", 1, True]),
    ],
)
def test_what_behaves_gives_its_result(box, functions, name, arguments, result):
    assert run(box, functions, name, **arguments) == {"result": result}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("_no_end", "TimeoutError: (more than 1 s of processor time|no answer within 2 s)"),
        ("_no_end_that_holds_on", "TimeoutError: no answer within 2 s"),
        ("_asleep", "TimeoutError: no answer within 2 s"),
        pytest.param("_much_memory", "MemoryError", marks=LINUX),
        ("_deep", "RecursionError: maximum recursion depth"),
        ("_huge", "OutputError: the answer is longer than 100000 bytes"),
        ("_fills_the_answer", "OutputError"),
        ("_writes_into_the_answer", "ProcessError: the function wrote into the answer"),
        ("_closes_and_sleeps", "TimeoutError: no end within 2 s"),
        ("_crash", "ProcessError: its process died of SIGSEGV"),
        ("_exit", "SystemExit: 3"),
        ("_hard_exit", "ProcessError: its process ended with status 0 and no answer"),
        ("_fork_bomb", r"PermissionError: no other processes here \(os.fork\)"),
        ("_subprocess", "PermissionError: no other processes here"),
        ("_kill_parent", "PermissionError: no signals to processes here"),
        ("_connect", "PermissionError: no network here"),
        ("_look_up", "PermissionError: no network here"),
        ("_nested", "ValueError: Maximum serialization depth|RecursionError"),
        ("_nested_answer", "OutputError: the answer is nested deeper than 100"),
        ("_forged_answer", "ProcessError: the function wrote into the answer"),
        ("_endless_number", "OutputError: the answer is not JSON"),
        ("_not_json", "PydanticSerializationError"),
        ("_nan", "ValueError: Out of range float values"),
        ("_bad_error", "Odd: "),
    ],
)
def test_what_misbehaves_is_one_error_and_the_next_call_runs(box, functions, name, error):
    began = time.monotonic()
    assert "error" in (answer := run(box, functions, name)), answer
    assert re.match(error, answer["error"]), answer
    assert time.monotonic() - began < LIMITS.seconds + 10
    assert run(box, functions, "weather", city="Rome")["result"]["city"] == "Rome"


@LINUX
@pytest.mark.skipif(call_filter(writes=True) is None, reason="this machine has no seccomp")
@pytest.mark.parametrize("name", ["socket", "fork", "kill"])
def test_the_kernel_refuses_what_goes_past_python(box, functions, name):
    answer = box.run(reference(functions._raw), {"name": name})
    assert answer == {"result": [-1, 1], "network": "seccomp"}


def test_files_stay_as_they_are(box, functions, tmp_path):
    kept = tmp_path / "kept.txt"
    kept.write_text("here")
    for name, path in (("_write_file", tmp_path / "new.txt"), ("_write_file", kept), ("_remove_file", kept)):
        assert run(box, functions, name, path=str(path))["error"].startswith("PermissionError: files can't be changed")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["here"]


def test_no_call_sees_what_another_left_behind(box, functions):
    assert [run(box, functions, "_counted") for _ in range(3)] == [{"result": 1}] * 3


def test_keys_of_the_environment_are_not_there(box, functions, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with Sandbox(LIMITS) as fresh:
        assert "OPENAI_API_KEY" not in run(fresh, functions, "_environment")["result"]


def test_a_child_that_died_is_replaced(box, functions):
    run(box, functions, "weather", city="Oslo")
    box._child.kill()
    box._child.wait()
    assert run(box, functions, "weather", city="Oslo")["result"]["city"] == "Oslo"


def test_arguments_must_fit_and_be_json(box, functions):
    assert run(box, functions, "weather")["error"].startswith("ValidationError: 1 validation error")
    assert run(box, functions, "weather", city=object())["error"].startswith("TypeError: the arguments are not JSON")
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert run(box, functions, "weather", city=deep)["error"].startswith("TypeError: the arguments are not JSON")


def test_what_holds_functions_is_known_and_what_nothing_holds_is_said_once(box, functions, caplog):
    run(box, functions, "weather", city="Oslo")
    assert box.held_by.keys() == held_by(()).keys()
    box.greeted(held_by({"seccomp", "another user"}))
    box.greeted(held_by({"seccomp", "another user"}))
    assert [record.message for record in caplog.records] == [
        "functions in the sandbox: nothing in this system's kernel holds files to read"
    ]


@LINUX
def test_who_has_a_sandbox_hides_its_memory():
    code = "import ctypes; from xlam_lib.data.apigen.sandbox.sandbox import Sandbox; Sandbox()"
    code += "; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root()).stdout == "0\n"


@LINUX
def test_a_module_that_is_loaded_eats_no_memory_without_end_and_takes_no_answer_along(box):
    bomb = "held = bytearray(64 * 1024**3)\ndef told(): return 1"
    assert box.run(Reference("", "told", source=bomb), {}) == {"error": "LoadError: MemoryError: "}
    loud = (
        "import os\nfor number in range(3, 64):\n    try: os.write(number, b'[1]\\n' * 9)\n    except OSError: pass\n"
    )
    assert "result" not in box.run(Reference("", "told", source=loud + "def told(): return 1"), {})
    box.stop()  # such a module harms its own sandbox, which is left behind


def test_a_function_that_is_not_there_is_an_error(box):
    assert box.run(Reference("math", "nothing"), {})["error"].startswith("LoadError: AttributeError")
    assert box.run(Reference("no.such.module", "f"), {})["error"].startswith("LoadError: ModuleNotFoundError")
    assert box.run(Reference("", "f", path="/no/such/file.py"), {})["error"].startswith("LoadError: FileNotFoundError")
    assert box.run(Reference("", "f", source="def f(:"), {})["error"].startswith("LoadError: SyntaxError")


def test_a_function_may_come_as_source(box):
    source = "def twice(number: int) -> int:\n    return 2 * number\n"
    assert box.run(Reference("", "twice", source=source), {"number": 21})["result"] == 42


def test_references_name_where_a_function_is_or_say_why_not(functions):
    assert reference(functions.weather) == Reference("apigen_functions", "weather")
    assert reference(math.hypot) == Reference("math", "hypot")
    with pytest.raises(ValueError, match="no lambda or inner function"):
        reference(lambda: 1)

    def inner() -> int:
        return 1

    with pytest.raises(ValueError, match="no lambda or inner function"):
        reference(inner)


def test_a_function_of_a_script_is_found_in_its_file(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        from xlam_lib.data.apigen.sandbox.sandbox import Sandbox, reference

        BASE = 40

        def add(number: int) -> int:
            return BASE + number

        if __name__ == "__main__":
            with Sandbox() as box:
                print(box.run(reference(add), {"number": 2})["result"])
    """)
    )
    environment = {**os.environ, "PYTHONPATH": str(root())}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "42", done.stderr
