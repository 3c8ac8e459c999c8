import random
from collections import Counter

import pytest
from train_demo import TOOLS

from xlam_lib.codec import Answer, parse_answer
from xlam_lib.grading import FAILURES, Case, failure_of
from xlam_lib.train.preference.corruptions import CORRUPTIONS, corrupt
from xlam_lib.trajectory import Tool, ToolCall

RICH = Tool(
    "plan",
    "Plan a trip",
    {
        "type": "object",
        "required": ["stops"],
        "properties": {
            "stops": {"type": "array", "items": {"type": "string"}},
            "budget": {"type": "number"},
            "options": {"type": "object"},
            "pets": {"type": "boolean"},
        },
    },
)


def mistake(case: Case, text: str) -> str:
    parsed = parse_answer(text)
    return "invalid_json" if parsed.problems else failure_of(case.expected.calls, parsed.answer.calls, case.tools)


def test_every_failure_can_be_made_and_every_corruption_is_a_failure():
    assert set(CORRUPTIONS) == set(FAILURES)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_makes_the_mistake_it_is_named_after(cases, name):
    made = Counter()
    for number, case in enumerate(cases * 3):
        found = corrupt(case, random.Random(number), {other: float(other == name) for other in CORRUPTIONS})
        if found is None:
            continue
        made[name] += 1
        assert found[0] == name == mistake(case, found[1])
        assert found[1] != case.completion
    assert made[name] >= 5


def test_the_same_seed_makes_the_same_corruption(cases):
    for case in cases:
        assert corrupt(case, random.Random(7)) == corrupt(case, random.Random(7))


def test_unusual_values_and_empty_cases_are_survived():
    expected = Answer("", (ToolCall("plan", {"stops": ["Oslo"], "budget": 0.5, "options": {}, "pets": None, "x": ""}),))
    for case in (
        Case("t", 1, "single", "no query block", expected, (RICH, *TOOLS)),
        Case("t", 1, "irrelevant", "", Answer("No."), ()),
        Case("t", 1, "single", "", Answer("", (ToolCall("unknown", {}),)), ()),
    ):
        for number in range(60):
            found = corrupt(case, random.Random(number))
            assert found is None or mistake(case, found[1]) == found[0]


def test_nothing_to_corrupt_gives_none():
    case = Case("t", 1, "irrelevant", "", Answer("No."), ())
    assert corrupt(case, random.Random(0), {name: float(name == "wrong_tool") for name in CORRUPTIONS}) is None
