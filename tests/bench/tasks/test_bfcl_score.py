"""BFCL scores: ground truth is 100 % where the data allow it, wrong is wrong, and what can't be scored is set apart."""

import sys
import time

import pytest

from xlam_lib.bench.tasks import bfcl, bfcl_check, bfcl_score
from xlam_lib.codec import BRIEF_STYLE, Answer, render_answer
from xlam_lib.data.apigen.sandbox.kernel import version
from xlam_lib.trajectory import ToolCall


def text(question):
    return render_answer(bfcl.ground_truth(question))


def test_ground_truth_scores_as_its_data_allow():
    scores, refused = bfcl_score.ground_truth_scores()
    assert {row["id"] for row in refused} == set(bfcl_score.CONTRADICTIONS)
    assert all(score.accuracy == 1.0 for name, score in scores.items() if name not in ("live_simple", "live_multiple"))
    assert (scores["live_simple"].right, scores["live_simple"].scored) == (256, 258)
    assert (scores["live_multiple"].right, scores["live_multiple"].scored) == (1051, 1053)
    assert all(score.parsed == score.questions for score in scores.values())


def test_ground_truth_of_other_languages():
    scores, refused = bfcl_score.ground_truth_scores(bfcl.OTHER_LANGUAGES)
    assert scores["simple_javascript"].accuracy == 1.0
    assert {row["id"] for row in refused} == set(bfcl_score.MISREAD)


def test_the_import_leaves_no_trace(monkeypatch):
    marker = object()
    monkeypatch.setitem(sys.modules, "bfcl_eval.constants.model_config", marker)
    before = {name for name in sys.modules if name.startswith("bfcl_eval")}
    ask = bfcl_check.checker()
    question = bfcl.load("multiple")[0]
    assert ask(question, bfcl.ground_truth(question).calls).valid is True
    assert {name for name in sys.modules if name.startswith("bfcl_eval")} == before
    assert sys.modules["bfcl_eval.constants.model_config"] is marker


@pytest.mark.parametrize(
    ("change", "error_type"),
    [
        (lambda call: (), "wrong_count"),
        (lambda call: (ToolCall("other", call.arguments),), "wrong_func_name"),
        (lambda call: (ToolCall(call.name, {}),), "missing_required"),
        (lambda call: (ToolCall(call.name, call.arguments | {"zzz": 1}),), "unexpected_param"),
        (lambda call: (ToolCall(call.name, call.arguments | {"a": 3}),), "value_error"),
        (lambda call: (ToolCall(call.name, call.arguments | {"a": True}),), "type_error"),
        (lambda call: (call, call), "wrong_count"),
    ],
)
def test_wrong_calls_are_wrong(change, error_type):
    question = next(question for question in bfcl.load("simple_python") if question.id == "simple_python_4")
    (call,) = bfcl.ground_truth(question).calls
    (verdict,) = bfcl_check.check([question], [change(call)])
    assert verdict.valid is False and error_type in verdict.error_type


def test_parallel_calls_may_come_in_any_order():
    question = bfcl.load("parallel")[0]
    calls = bfcl.ground_truth(question).calls
    assert len(calls) > 1
    verdicts = bfcl_check.check([question] * 2, [calls[::-1], calls[1:]])
    assert [verdict.valid for verdict in verdicts] == [True, False]


def test_irrelevance_expects_no_call_and_counts_the_unreadable():
    questions = bfcl.load("irrelevance")[:3]
    answers = [render_answer(Answer("None fits.")), "gibberish {", render_answer(Answer("", (ToolCall("f"),)))]
    rows = bfcl_score.score_answers(questions, answers)
    assert [(row["valid"], row["parsed"]) for row in rows] == [(True, True), (True, False), (False, True)]


def test_relevance_expects_some_call_whichever():
    questions = bfcl.load("live_relevance")[:2]
    answers = [render_answer(Answer("", (ToolCall("f"),))), render_answer(Answer("None fits."))]
    rows = bfcl_score.score_answers(questions, answers)
    assert [(row["valid"], row["error_type"]) for row in rows] == [(True, ""), (False, "relevance_error:no_call")]


def test_the_child_agrees_and_is_quick():
    questions = bfcl.load("parallel_multiple")[:50]
    calls = [bfcl.ground_truth(question).calls for question in questions]
    calls[3] = calls[3][:1]
    assert bfcl_check.check_in_child(questions, calls) == bfcl_check.check(questions, calls)
    assert bfcl_check.check_in_child([], []) == []


def test_a_checker_that_hangs_or_breaks_is_not_a_wrong_answer(monkeypatch):
    question = next(question for question in bfcl.load("simple_javascript") if question.id == "simple_javascript_2")
    (call,) = bfcl.ground_truth(question).calls
    endless = ToolCall(call.name, call.arguments | {"status": "[" + "[]," * 60 + "!"})
    began = time.monotonic()
    hung, fine = bfcl_check.check_in_child([question] * 2, [(endless,), (call,)], seconds=0.5)
    assert (hung.valid, hung.error_type) == (None, "checker:TimeoutError") and fine.valid is True
    assert time.monotonic() - began < 20
    broken = bfcl_check._verdict(lambda *_: {}["valid"], str, question, (call,))
    assert (broken.valid, broken.error_type) == (None, "checker:KeyError")


def test_calls_nested_without_end_are_wrong_and_the_others_are_checked():
    question = bfcl.load("multiple")[0]
    calls = bfcl.ground_truth(question).calls
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    verdicts = bfcl_check.check_in_child([question] * 3, [calls, (ToolCall(calls[0].name, {"a": deep}),), calls])
    assert [verdict.valid for verdict in verdicts] == [True, False, True]
    assert verdicts[1].error_type == "arguments_error:json" and verdicts[1].id == question.id


HOSTILE_CHECKER = """
import os
from xlam_lib.bench.tasks import bfcl_check
def check(question, calls):
    held = []
    for attack in ATTACKS:
        try:
            attack()
        except (OSError, MemoryError):
            held.append(attack.__name__)
    return bfcl_check.Verdict(question.id, None, " ".join(held), " ".join(os.environ))
def write(): open(os.environ["PATH"].split(":")[0] + "/written", "w")
def memory(): bytearray(64 * 1024**3)
def program(): os.posix_spawn("/bin/true", ["true"], {})
def environment(): open(f"/proc/{os.getppid()}/environ", "rb").read()
ATTACKS = [write, memory, program, environment]
bfcl_check.checker = lambda: check
bfcl_check._child(5.0, 60.0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the fences are Linux's")
def test_the_child_is_fenced_in_and_has_no_keys(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    original = bfcl_check.Child
    monkeypatch.setattr(
        bfcl_check,
        "Child",
        lambda command, *more, **options: original([*command[:1], "-c", HOSTILE_CHECKER], *more, **options),
    )
    (verdict,) = bfcl_check.check_in_child([bfcl.load("multiple")[0]], [()])
    held = "write memory program" + (" environment" if version() else "")
    assert verdict.error_type.startswith(held) and "OPENAI_API_KEY" not in verdict.error
    assert not list(tmp_path.iterdir())


def test_a_child_that_dies_is_one_clear_error(monkeypatch):
    question = bfcl.load("multiple")[0]
    monkeypatch.setattr(bfcl_check, "_item", lambda *_: "no json")
    with pytest.raises(bfcl.BfclError, match=r"ended with code 1: .*JSONDecodeError"):
        bfcl_check.check_in_child([question], [()])


def test_a_model_is_asked_only_what_it_can_read():
    asked = []

    def oracle(prompts):
        asked.extend(prompts)
        questions = {bfcl.prompt(question, BRIEF_STYLE): question for question in bfcl.load("multiple")}
        return [text(questions[prompt]) if number else None for number, prompt in enumerate(prompts)]

    scores, result = bfcl_score.model_scores(
        oracle, BRIEF_STYLE, categories=["multiple"], per_category=10, length_of=len, limit=1500
    )
    score = scores["multiple"]
    assert all(len(prompt) <= 1500 for prompt in asked) and len(asked) == 10
    assert len(result.rows) == 9 and set(result.unanswered.values()) == {"no answer"}
    assert (score.asked, score.no_answer, score.scored, score.right, score.accuracy) == (10, 1, 9, 9, 1.0)
    assert score.too_long > 50 and score.questions == score.too_long + score.not_drawn + score.asked
    assert score.to_dict()["accuracy"] == 1.0
    words = bfcl_score.table(scores)
    assert "prompts are longer than the model reads and were not asked" in words
    assert "1 questions got no answer from the server; they are not counted as wrong." in words


def test_nothing_fits_is_no_score():
    scores, result = bfcl_score.model_scores(lambda prompts: [], categories=["live_parallel"], length_of=len, limit=10)
    assert result.rows == () and scores["live_parallel"].accuracy is None
    assert scores["live_parallel"].too_long == 16 and " none" in bfcl_score.table(scores)


def test_samples_depend_on_the_seed_alone():
    questions = bfcl.load("simple_python")
    prompts = [question.id for question in questions]
    first, too_long = bfcl_score.sample(questions, prompts, size=20, seed=1)
    assert too_long == 0 and first == sorted(first) and len(set(first)) == 20
    assert first == bfcl_score.sample(questions, prompts, size=20, seed=1)[0]
    assert first != bfcl_score.sample(questions, prompts, size=20, seed=2)[0]
    assert len(bfcl_score.sample(questions, prompts, size=999)[0]) == 400


def test_bfcl_says_so_when_unreadable_answers_count_as_right():
    scores, _ = bfcl_score.model_scores(lambda asked: ["?"] * len(asked), categories=["irrelevance"], per_category=2)
    assert scores["irrelevance"].right == 2 and scores["irrelevance"].parsed == 0
    assert "even an unreadable one" in bfcl_score.table(scores)
