import json
from dataclasses import replace

import pytest
from train_demo import ADD, BOOK, STYLE, TOOLS, WEATHER, trajectory

from xlam_lib.grading import FAILURES, cases_of, failure_of, grade, kind_of, mistakes, score
from xlam_lib.trajectory import ToolCall

OSLO = ToolCall("get_weather", {"city": "Oslo"})
BERGEN = ToolCall("get_weather", {"city": "Bergen"})
SUM = ToolCall("add", {"a": 1, "b": 2})


@pytest.mark.parametrize(("expected", "predicted", "failure"), [
    ([OSLO], [OSLO], ""),
    ([OSLO, BERGEN], [BERGEN, OSLO], ""),
    ([SUM], [ToolCall("add", {"b": 2.0, "a": 1})], ""),
    ([], [], ""),
    ([], [OSLO], "called_though_irrelevant"),
    ([OSLO], [], "no_call"),
    ([OSLO], [OSLO, OSLO], "extra_call"),
    ([OSLO, BERGEN], [OSLO], "missing_call"),
    ([OSLO], [ToolCall("book_room", {"city": "Oslo"})], "wrong_tool"),
    ([OSLO, OSLO], [OSLO, SUM], "wrong_tool"),
    ([OSLO], [ToolCall("get_weather", {"town": "Oslo"})], "wrong_argument_name"),
    ([OSLO], [ToolCall("get_weather", {"city": "Oslo", "unit": "celsius"})], "extra_argument"),
    ([SUM], [ToolCall("add", {"a": 1})], "missing_argument"),
    ([OSLO], [BERGEN], "wrong_value"),
    ([SUM], [ToolCall("add", {"a": True, "b": 2})], "wrong_value"),
    ([OSLO, BERGEN], [BERGEN, ToolCall("get_weather", {"town": "Oslo"})], "wrong_argument_name"),
    ([OSLO, SUM], [ToolCall("add", {"a": 1, "b": 3}), OSLO], "wrong_value"),
])  # fmt: skip
def test_what_went_wrong_has_a_name(expected, predicted, failure):
    assert failure_of(expected, predicted, TOOLS) == failure
    assert failure == "" or failure in FAILURES


def test_without_tools_an_unknown_argument_is_still_a_wrong_name():
    assert failure_of([OSLO], [ToolCall("get_weather", {"town": "Oslo"})]) == "wrong_argument_name"


def test_right_answers_score_one(cases):
    figures = score(grade(cases, [case.completion for case in cases]))
    assert figures["exact"] == figures["parse_rate"] == figures["exact_calls"] == 1.0
    assert figures["n"] == len(cases) and figures["failures"] == {}
    assert set(figures["by_kind"]) == {"single", "parallel", "irrelevant", "multi_step"}


def test_what_is_said_beside_the_calls_does_not_count(cases):
    other = [json.dumps({**json.loads(case.completion), "thought": "Hm."}) for case in cases]
    assert score(grade(cases, other))["exact"] == 1.0


def test_text_that_is_no_json_is_never_exact(cases):
    quiet = [case for case in cases if not case.expected.calls]
    figures = score(grade(quiet, ["No tool fits."] * len(quiet)))
    assert (figures["exact"], figures["parse_rate"], figures["exact_calls"]) == (0.0, 0.0, None)
    assert figures["failures"] == {"invalid_json": len(quiet)}


def test_an_answer_cut_off_is_invalid(cases):
    graded = grade(cases[:1], [cases[0].completion[:-3]])
    assert graded[0].failure == "invalid_json" and not graded[0].exact
    assert mistakes(graded, "invalid_json") == graded == mistakes(graded)
    assert mistakes(graded, "wrong_value") == []


def test_answers_and_cases_must_be_as_many(cases):
    with pytest.raises(ValueError, match=f"1 answers for {len(cases)} cases"):
        grade(cases, ["{}"])


def test_nothing_scores_none():
    assert score([]) == {"n": 0, "exact": None, "parse_rate": None, "exact_calls": None, "by_kind": {}, "failures": {}}


@pytest.mark.parametrize("number", range(4))
def test_kind_by_shape_is_the_kind_by_tag(number):
    one = trajectory(number)
    assert kind_of(replace(one, tags=())) == kind_of(one) == one.tags[0]


def test_a_case_for_each_turn():
    cases = cases_of([trajectory(3)], STYLE)
    assert [case.step for case in cases] == [1, 3]
    assert cases[0].expected.calls and not cases[1].expected.calls
    assert "HISTORY" not in cases[0].prompt and "HISTORY" in cases[1].prompt
    assert all(tool in cases[0].tools for tool in (WEATHER, ADD, BOOK))
