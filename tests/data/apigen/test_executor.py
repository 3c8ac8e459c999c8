"""The child process that runs the tools: results, errors, limits."""

from pathlib import Path

import pytest

from xlam_lib.data.apigen import TOOLS
from xlam_lib.data.apigen.library.spec import Request
from xlam_lib.data.apigen.sandbox.executor import ExecutionError, Executor
from xlam_lib.data.apigen.sandbox.kernel import call_filter


@pytest.fixture(scope="module")
def executor():
    with Executor(call_seconds=0.5) as one:
        yield one


def test_runs_a_tool_and_an_echo(executor):
    assert executor.run("add_numbers", {"numbers": [1, 2.5]}) == {"sum": 3.5}
    assert set(executor.run("made_up", {"barn": "Red"}, {"owner": "person"})) == {"owner"}
    assert executor.run("made_up", {"barn": "Red"}, {}) == {"status": "done"}


def test_a_batch_keeps_its_order_and_its_errors_apart(executor):
    requests = [Request("check_prime", {"number": number}) for number in (7, 8)]
    requests.insert(1, Request("rectangle_area", {"length": -1, "width": 2}))
    answers = executor.batch(requests)
    assert answers[0] == {"result": {"prime": True}} and answers[2] == {"result": {"prime": False}}
    assert answers[1] == {"error": "ValueError: length must be above zero, got -1"}
    assert executor.batch([]) == []


@pytest.mark.parametrize(
    ("tool", "arguments", "kind"),
    [
        ("no_such_tool", {}, "NameError"),
        ("check_prime", {"digits": 3}, "TypeError"),
        ("check_prime", {"number": 10**18 + 9}, "TimeoutError"),
        ("replace_text_word", {"text": "a" * 10**5, "old": "a", "new": "b" * 10**5}, "MemoryError"),
    ],
)
def test_failures_come_back_as_errors_and_the_child_lives_on(executor, tool, arguments, kind):
    with pytest.raises(ExecutionError, match=f"^{kind}"):
        executor.run(tool, arguments)
    assert executor.run("add_numbers", {"numbers": [1, 1]}) == {"sum": 2.0}


def test_a_dead_child_is_replaced(executor):
    executor.run("add_numbers", {"numbers": [1, 1]})
    executor._child.kill()
    executor._child.wait()
    requests = [Request("add_numbers", {"numbers": [number, 1]}) for number in range(3)]
    assert executor.batch(requests) == [{"result": {"sum": float(number + 1)}} for number in range(3)]


def test_arguments_that_are_no_json_are_one_error(executor):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    requests = [Request("add_numbers", {"numbers": numbers}) for numbers in ([1], deep, [float("nan")], [2])]
    first, *bad, last = executor.batch(requests)
    assert (first, last) == ({"result": {"sum": 1.0}}, {"result": {"sum": 2.0}})
    assert all(answer["error"].startswith("TypeError: arguments or result: not JSON") for answer in bad)


@pytest.mark.skipif(call_filter(writes=True) is None, reason="this machine has no seccomp")
def test_the_child_is_fenced_in(executor):
    executor.run("add_numbers", {"numbers": [1, 1]})
    assert "Seccomp:\t2" in Path(f"/proc/{executor._child.pid}/status").read_text()


def test_tools_always_answer_the_same(executor):
    request = Request("get_weather_forecast", {"city": "Oslo", "date": "2026-03-14"})
    first = executor.batch([request])
    assert (
        first == executor.batch([request]) == [{"result": TOOLS["get_weather_forecast"].function("Oslo", "2026-03-14")}]
    )
