import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.codec import Answer, render_answer
from xlam_lib.data.apigen.library.registry import TOOLS
from xlam_lib.data.apigen.sandbox.sandbox import Limits
from xlam_lib.train.rl.execution import EmbeddedTools, Execution
from xlam_lib.train.rl.rewards import graded
from xlam_lib.trajectory import ToolCall


def call(name: str, **arguments) -> ToolCall:
    return ToolCall(name, arguments)


ADD = call("add_numbers", numbers=[1, 2])
PRIME = call("check_prime", number=13)
FAILS = call("add_numbers", numbers="text")


def reply(*calls: ToolCall) -> str:
    return render_answer(Answer("", calls))


@pytest.fixture(scope="module")
def runs():
    with Execution.embedded() as found:
        yield found


@pytest.mark.parametrize(("expected", "made", "value"), [
    ([ADD], [ADD], 1),
    ([ADD], [call("add_numbers", numbers=[2.0, 1])], 1),  # other arguments, the same result
    ([ADD], [call("add_numbers", numbers=[2, 2])], 0),
    ([ADD], [FAILS], 0),
    ([ADD], [call("add_numbers", number=3)], 0),
    ([ADD], [call("no_such_tool", numbers=[1, 2])], 0),
    ([ADD], [], 0),
    ([ADD], [ADD, ADD], 1 / 2),
    ([ADD, PRIME], [PRIME, ADD], 1),
    ([ADD, PRIME], [PRIME, FAILS], 1 / 2),
    ([ADD, ADD], [ADD], 1 / 2),
    ([], [ADD], None),
    ([], [], None),
    ([call("polish_lantern", owner="Mara")], [call("polish_lantern", owner="Mara")], None),  # can't be run
    ([ADD, call("polish_lantern")], [ADD], None),
    ([FAILS], [FAILS], None),
])  # fmt: skip
def test_results_are_compared(runs, expected, made, value):
    assert runs([graded(reply(*made), expected)]) == [value]


def test_all_answers_are_run_together_and_each_call_once(runs, monkeypatch):
    asked = []
    original = EmbeddedTools.batch
    monkeypatch.setattr(EmbeddedTools, "batch", lambda self, calls: asked.append(calls) or original(self, calls))
    ones = [graded(reply(*made), [ADD]) for made in ([ADD], [PRIME], [ADD, PRIME], [])]
    assert runs(ones) == [1, 0, 1 / 2, 0]
    assert asked == [[("add_numbers", {"numbers": [1, 2]}), ("check_prime", {"number": 13})]]


NAMES = st.sampled_from(sorted(TOOLS))
KEYS = st.sampled_from(sorted({param.name for spec in TOOLS.values() for param in spec.params}))
VALUES = st.text(max_size=5) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.lists(st.none())
WILD = st.lists(st.builds(ToolCall, NAMES, st.dictionaries(KEYS, VALUES, max_size=3)), max_size=3)


@settings(max_examples=60, deadline=None)
@given(WILD)
def test_whatever_is_called_gives_a_number(runs, made):
    assert 0 <= runs([graded(reply(*made), [ADD, PRIME])])[0] <= 1


def test_functions_of_a_module_run_confined(tmp_path, monkeypatch):
    (tmp_path / "execution_functions.py").write_text(
        "import os, time\n"
        "def double(number: int) -> int:\n    'Double a number.'\n    return 2 * number\n"
        "def wait() -> int:\n    'Wait.'\n    time.sleep(60)\n    return 1\n"
        f"def write() -> int:\n    'Write a file.'\n    open({str(tmp_path / 'x')!r}, 'w')\n    return 4\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    started = time.monotonic()
    with Execution.of_modules(["execution_functions"], Limits(seconds=1.0)) as found:
        expected = [call("double", number=2)]
        for made, value in (
            (expected, 1),
            ([call("double", number="2")], 0),
            ([call("wait")], 0),
            ([call("write")], 0),
        ):
            assert found([graded(reply(*made), expected)]) == [value]
    assert time.monotonic() - started < 50 and not os.path.exists(tmp_path / "x")
