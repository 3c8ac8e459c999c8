"""Which answers are right: known pairs of both rules, and the verdicts of MINT's own recorded runs."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.data.apigen.sandbox import Interpreter
from xlam_lib.environments.mint import ACTIONS, Problem, is_right
from xlam_lib.environments.mint.checkers import numbers_of, value_of
from xlam_lib.environments.mint.problems import CODE, FAMILIES, read_problems

LENIENT = {  # solutions of the records that MINT's rule takes and the strict one doesn't, and why
    "hotpotqa/28": "a sentence that holds the reference 'no'",
    "math/6": "81 where 80 was asked for",
    "mmlu/63": "option B where A was asked for: the text holds an a",
    "theoremqa/11": "5.725 where 5.65 was asked for",
}
CHOICE = {"a": "20", "b": "34", "c": "the east coast", "d": "the west coast"}


@pytest.fixture(scope="module")
def python():
    with Interpreter() as one:
        yield one


def problem(family, reference, **more):
    return Problem(f"{family}/0", family, "?", reference, **more)


@pytest.mark.parametrize(
    ("family", "reference", "answer", "strict", "published"),
    [
        ("gsm8k", "1200", "$1,200.00", True, False),  # no number to Python, nor does the text hold "1200"
        ("gsm8k", "1200", "1200", True, True),
        ("gsm8k", "80", "81", False, True),
        ("gsm8k", "80", "85", False, False),
        ("gsm8k", "80", "There are 80 birds.", True, True),
        ("gsm8k", "80", "79 80 81", False, True),
        ("gsm8k", "80", "", False, False),
        ("math", "0.75", "3/4", True, False),
        ("math", "0.75", "nan", False, False),
        ("math", "-5.0", "-5", True, True),
        ("theoremqa", True, "Yes", True, False),
        ("theoremqa", True, "True", True, True),
        ("theoremqa", False, "True", False, False),
        ("theoremqa", 12, "n = 12", True, True),
        ("theoremqa", 0.4295, "0.43", True, True),
        ("theoremqa", 0.4295, "0.44", False, True),
        ("theoremqa", [1, 0], "[0, 1]", False, True),
        ("theoremqa", [1, 0], "1, 0", True, True),
        ("theoremqa", [1, 0], "[1, [0]]", True, False),
        ("theoremqa", "d", "(d)", True, True),
        ("mmlu", "a", "A", True, True),
        ("mmlu", "a", "A ) 20", True, True),
        ("mmlu", "a", "b) 34 is larger than a", False, True),
        ("mmlu", "d", "The west coast.", True, True),
        ("mmlu", "d", "The east coast.", False, False),
        ("hotpotqa", "french canadians", "The French Canadians.", True, True),
        ("hotpotqa", "no", "nobody knows", False, True),
    ],
)
def test_known_answers(python, family, reference, answer, strict, published):
    one = problem(family, reference, options=CHOICE if family == "mmlu" else {})
    assert is_right(one, answer, python) is strict
    assert is_right(one, answer, python, strict=False) is published


def test_code_is_judged_by_its_tests_and_by_cases(python):
    tests = problem("mbpp", "assert double(2) == 4\nassert double([1]) == [1, 1]")
    cases = problem("mbpp", [[[2], 4], [["ab"], "abab"]], entry="double")
    for one in (tests, cases):
        assert is_right(one, "def double(x):\n    print('working')\n    return x * 2", python)
        for wrong in ("def double(x):\n    return 4", "def double(x) return", "double = 4", ""):
            assert not is_right(one, wrong, python)


@pytest.mark.parametrize(
    "cheat",
    [
        "import os\nos._exit(0)",
        "raise SystemExit(0)",
        "def double(x):\n    raise SystemExit(0)",
        "class Same:\n    def __eq__(self, other): return True\n    def __repr__(self): return '[4, 9]'\n"
        "def double(x): return Same()",
        "def double(x): return 4\nrepr = lambda value: '[4, 8]'",
        "import builtins\nbuiltins.print = print = lambda *words, **more: None\ndef double(x): return 5",
        'import os\nfor pipe in range(3, 60):\n    try: os.write(pipe, b\'1 {"output": "[4, 9]"}\\n\')\n'
        "    except OSError: pass",
    ],
)
def test_code_can_not_talk_its_way_past_cases(python, cheat):
    assert not is_right(problem("mbpp", [[[2], 4], [[4.5], 9]], entry="double"), cheat, python)


@settings(max_examples=50)
@given(st.text(max_size=60) | st.text("0123456789.,/e-+ []()=x\"'", max_size=60))
def test_no_text_breaks_the_reading_of_values(text):
    value_of(text)
    assert all(isinstance(number, float) for number in numbers_of(text))


@given(
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0), st.sampled_from(["{}", " {} kg", "= {}"])
)
def test_a_number_is_right_however_it_is_wrapped(number, words):
    answer = words.format(repr(number))
    assert is_right(problem("math", str(number)), answer, None)


@pytest.mark.parametrize(
    "expression", ["9**9**9**9", "(-1)**0.5", "1/0", "[1]*9", "().__class__", "exec('1')", "a" * 10**6]
)
def test_arithmetic_is_read_and_nothing_else_is_run(expression):
    assert value_of(expression) is None


def test_verdicts_are_those_of_the_records(real_data, python):
    """Each of 70 solutions that were proposed in the recorded runs: MINT's rule says what the record says."""
    seen, lenient = dict.fromkeys(FAMILIES, 0), set()
    for path in sorted((real_data / "mint_bench" / "raw").rglob("results.jsonl")):
        if (family := path.parent.name) not in FAMILIES:
            continue
        problems = {problem.id: problem for problem in read_problems(path)}
        for line in path.read_text().splitlines():
            record = json.loads(line)
            history, one = record["state"]["history"], problems[f"{family}/{record['task']['task_id']}"]
            for at, turn in enumerate(history):
                name, arguments = (turn["role"] == "assistant" and ACTIONS.parse(turn["content"])) or ("", {})
                if name != "solution":
                    continue
                recorded = record["state"]["success"] and at == len(history) - 1
                assert is_right(one, arguments["answer"], python, strict=False) == recorded, (path, one.id)
                seen[family] += 1
                if family not in CODE and is_right(one, arguments["answer"], python) != recorded:
                    lenient.add(one.id)
    assert seen == {"gsm8k": 12, "math": 9, "theoremqa": 8, "mmlu": 11, "hotpotqa": 12, "humaneval": 9, "mbpp": 9}
    assert lenient == LENIENT.keys()
