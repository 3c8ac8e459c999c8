"""Questions about one's own tools: whole lists, refusals, other words in the test, all of it accounted for."""

import json
from collections import Counter
from dataclasses import replace
from itertools import groupby

import pytest

from xlam_lib.bench.bootstrap import Interval
from xlam_lib.data.apigen.apis import ApigenError
from xlam_lib.errors import XlamError
from xlam_lib.settings import from_command_line, to_arguments
from xlam_lib.teach.__main__ import main
from xlam_lib.teach.course import Report, teach, training
from xlam_lib.teach.questions import library_of, others, plans, questions
from xlam_lib.teach.settings import TeachSettings
from xlam_lib.teach.taught import Taught
from xlam_lib.train.loop.child import ChildError
from xlam_lib.train.supervised.settings import LiteSettings
from xlam_lib.trajectory import read_jsonl

SHOP = "xlam_lib.teach.bike_shop"
SETTINGS = TeachSettings((SHOP,), "runs/mine", questions=160, tests=30, questions_per_list=8)


@pytest.fixture(scope="module")
def library():
    return library_of([SHOP])


@pytest.fixture(scope="module")
def made(library, tmp_path_factory):
    paths = questions(library, SETTINGS, tmp_path_factory.mktemp("teach") / "data")
    read = {name: list(read_jsonl(paths[name])) for name in ("train", "test")}
    return read | {"books": json.loads(paths["accounting"].read_text())}


def test_questions_of_one_list_follow_one_another(library):
    planned = list(plans(library, SETTINGS, "train", 160))
    lists = [[plan.offered for plan in same] for _, same in groupby(planned, key=lambda plan: plan.number // 8)]
    assert all(len(set(offered)) == 1 and len(offered) == 8 for offered in lists)
    assert len({offered[0] for offered in lists}) > 15
    assert sum(set(library.by_name) <= set(offered[0]) for offered in lists) >= 5


def test_every_tool_is_asked_for_and_some_questions_have_none(library):
    planned = list(plans(library, SETTINGS, "train", 800))
    asked = Counter(plan.expected[0] for plan in planned if plan.expected)
    assert set(library.by_name) < set(asked) and min(asked[name] for name in library.by_name) > 35, asked
    refused = [plan for plan in planned if not plan.expected]
    assert 80 < len(refused) < 160 and all(plan.absent and plan.absent not in plan.offered for plan in refused)
    own = sum(plan.absent in library.by_name for plan in refused)
    assert 10 < own < len(refused) - 40, "about a tool of one's own that is left out, or about something else"
    beside = [plan for plan in planned if not set(plan.offered) <= set(library.by_name)]
    others = [plan for plan in planned if set(plan.expected) - set(library.by_name)]
    assert 250 < len(beside) < 550 and 50 < len(others) < 150, "a question in ten is about a tool of others"
    assert all(set(plan.expected) <= set(plan.offered) - set(library.by_name) for plan in others)
    tested = list(plans(library, SETTINGS, "test", 200))
    assert not any(set(plan.expected) - set(library.by_name) for plan in tested), "the test is about one's own tools"


def test_what_is_learnt_is_checked_and_what_is_tested_is_new(made):
    assert len(made["test"]) == 30 and len(made["train"]) > 130
    texts = {name: {one.steps[0].content for one in made[name]} for name in ("train", "test")}
    assert not texts["train"] & texts["test"]
    for one in (*made["train"], *made["test"]):
        one.validate()
        results = [step for step in one.steps if step.role == "tool"]
        assert len(results) == len(one.steps[1].tool_calls), "each call was executed"
    books = made["books"]
    assert books["trained"] == len(made["train"]) and books["train"]["plans"] == 160
    assert books["train"]["accepted"] + books["train"]["given_up"] == 160


def test_the_same_seed_gives_the_same_questions(library, made, tmp_path):
    again = questions(library, SETTINGS, tmp_path / "data")
    assert list(read_jsonl(again["train"])) == made["train"] and list(read_jsonl(again["test"])) == made["test"]


def test_tools_of_others_never_have_a_name_of_ones_own():
    shadowed = library_of(["xlam_lib.teach.bike_shop:weather"])
    assert not set(others(shadowed).by_name) & {"weather"} and len(others(shadowed)) > 20


def test_documents_and_modules_make_one_library(tmp_path):
    operation = {"operationId": "ring", "summary": "Ring the bell", "responses": {"200": {"description": "rung"}}}
    document = {"openapi": "3.0.0", "info": {"title": "Bell"}, "paths": {"/ring": {"post": operation}}}
    (tmp_path / "bell.json").write_text(json.dumps(document))
    assert list(library_of([f"{SHOP}:weather", str(tmp_path / "bell.json")]).by_name) == ["weather", "ring"]
    with pytest.raises(ApigenError, match="no_such_module: can't be imported"):
        library_of(["no_such_module"])


def test_the_training_takes_its_options():
    settings = from_command_line(LiteSettings, to_arguments(training(SETTINGS)), "xlam_lib.train.sft_lite", "")
    assert settings.together == 8 and settings.base == "smollm2-135m-fc"


def test_a_wrong_command_ends_in_one_line(tmp_path, capsys):
    assert main(["no_such_module", "--out", str(tmp_path / "out")]) == 1
    assert "no_such_module: can't be imported" in capsys.readouterr().err
    assert main([SHOP, "--out", str(tmp_path / "out"), "--model", "M"]) == 1
    assert "needs both --base-url and --model" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--out", "x"])


def test_a_course_with_other_settings_or_tools_is_refused(library, tmp_path):
    """What is there already would else be taken for what was asked for."""
    settings = replace(SETTINGS, out=str(tmp_path / "out"), base=str(tmp_path / "no base"))
    for _ in range(2):  # the questions are made, the training finds no base, twice alike
        with pytest.raises(ChildError, match="no base"):
            teach(settings, library)
    spent = json.loads((tmp_path / "out" / "seconds.json").read_text())
    assert spent["questions"] > 0 and spent["training"] > 0
    with pytest.raises(XlamError, match="a course with other lr, seed; give another --out"):
        teach(replace(settings, lr=1e-3, seed=1), library)
    with pytest.raises(XlamError, match="a course with other tools"):
        teach(settings, library_of([f"{SHOP}:weather"]))


def test_a_call_to_a_name_that_is_not_offered_is_shown_as_an_error(library, monkeypatch, tmp_path):
    answers = iter(['{"thought": "", "tool_calls": [{"name": "fly", "arguments": {}}, '
                    '{"name": "opening_hours", "arguments": {"day": "Friday"}}]}', "Hello there."])  # fmt: skip

    class Model:
        def __init__(self, folder):
            assert folder == tmp_path / "model"

        def answers(self, prompts, limit):
            assert "tire_pressure" in prompts[0]
            return [next(answers)]

    monkeypatch.setattr("xlam_lib.serve.engines.transformers.Greedy", Model)
    with Taught(tmp_path, library) as taught:
        asked = taught.ask("Are you open?")
        assert "NameError: no function 'fly'" in str(asked)
        assert str(asked).endswith("opening_hours(day='Friday')\n  -> 9:00 to 18:30")
        assert str(taught.ask("Hi!")) == "Hello there."


def test_a_report_says_what_is_right_by_kind_of_question():
    kinds = {"irrelevant": {"n": 15, "exact": 14 / 15}, "parallel": {"n": 4, "exact": 0.25}}
    report = Report(["weather"], 80, Interval(0.79, 0.6, 0.9, 19), {"missing_call": 3}, kinds, {"training": 90.0})
    assert "by kind: irrelevant 93% of 15, parallel 25% of 4\nwrong: missing_call 3" in str(report)
