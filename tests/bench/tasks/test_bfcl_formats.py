"""BFCL's prompt formats: its own prompts, right answers in every notation, hostile ones, and its own figures.

XLAM_BFCL_ALL=1 reads all 5,200 right answers instead of a few of each format.
"""

import importlib
import json
import os
import sys

import pytest

from xlam_lib.bench.tasks import bfcl
from xlam_lib.bench.tasks import bfcl_formats as formats
from xlam_lib.bench.tasks.bfcl_formats import FORMATS, MISREAD, BfclFormats, Item, messages, render, spread
from xlam_lib.environments.bfcl_multi_turn import BfclError
from xlam_lib.environments.bfcl_multi_turn.package import FOLDERS, PACKAGE, stubbed
from xlam_lib.trajectory import ToolCall

EACH = None if os.environ.get("XLAM_BFCL_ALL") else 1
PLAIN = FORMATS[5]  # python, without a tag, documents in JSON: BFCL's default


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The package's modules: of prompts, of entries, and of the evaluation."""
    folder = tmp_path_factory.mktemp("bfcl")
    with stubbed():
        sys.modules[FOLDERS].RESULT_PATH, sys.modules[FOLDERS].LOCK_DIR = folder, folder
        names = ("model_handler.utils", "utils", "eval_checker.eval_runner")
        return (*(importlib.import_module(f"{PACKAGE}.{name}") for name in names), folder)


@pytest.fixture(scope="module")
def task():
    with BfclFormats() as made:
        yield made


@pytest.fixture(scope="module")
def questions():
    return formats.load()


def truth(item):
    return render(bfcl.ground_truth(item.asked).calls, item.format)


def test_formats_and_questions_are_those_of_the_package(theirs, questions):
    assert tuple(theirs[1].get_all_format_sensitivity_configs()) == FORMATS and len(set(FORMATS)) == 26
    assert len(questions) == 200 == len({question.id for question in questions})
    assert len(BfclFormats().items()) == 5200


@pytest.mark.parametrize("config", FORMATS[::5])
def test_prompts_are_those_of_the_package(theirs, questions, config):
    question = next(question for question in questions if question.asked.steps[0].role == "user")
    entry = {"id": question.id, "function": json.loads(json.dumps(question.functions))}
    (entry,) = theirs[1].add_language_specific_hint_to_function_doc([entry])
    said = [{"role": "user", "content": question.asked.steps[0].content}]
    expected = theirs[0].system_prompt_pre_processing_chat_model(said, entry["function"], f"x_0:{config}:{question.id}")
    assert messages(question, config) == expected and len(expected) == 2


def test_a_questions_own_system_message_comes_behind():
    question = next(one for one in bfcl.load("live_simple") if one.asked.steps[0].role == "system")
    system, *_ = messages(question, PLAIN)
    assert system["content"].endswith("\n\n" + question.asked.steps[0].content)
    assert " Note that the provided function is in Python 3 syntax." in system["content"]
    assert question == next(one for one in bfcl.load("live_simple") if one.id == question.id), "it was not changed"


def test_right_answers_are_right_in_every_format(task):
    items = BfclFormats(per_format=EACH, seed=2).items()
    rows = [task.score(item, truth(item)) for item in items]
    wrong = {(item.asked.id, item.format) for item, row in zip(items, rows, strict=True) if not row["valid"]}
    known = {(item.asked.id, item.format) for item in items if (item.asked.id, notation(item.format)) in MISREAD}
    assert wrong == known and {row["kind"] for row in rows} == set(FORMATS)


def notation(config):
    return config.split("&")[0].removeprefix("ret_fmt=")


def test_what_the_reader_misreads_is_wrong_only_there(task, questions):
    ((name, form),) = MISREAD
    question = next(question for question in questions if question.id == name)
    items = [Item(question, config) for config in FORMATS[2::6][:4]]
    rows = [task.score(item, truth(item)) for item in items]
    assert [row["valid"] for row in rows] == [notation(item.format) != form for item in items]


ANSWERS = [
    ("I can't do that.", False, "ast_decoder:decoder_failed"),
    ("[]", False, "simple_function_checker:wrong_count"),
    ("[f(a=1)]", False, "simple_function_checker:wrong_func_name"),
    ("[f(a=9**9**9**9)]", None, "checker"),
    ("[f(a=(lambda: 1))]", False, "ast_decoder:decoder_failed"),
    ("[f(a=" + "[" * 5000 + "]" * 5000 + ")]", False, "ast_decoder:decoder_failed"),
    ("[__import__('os').system('touch {canary}')]", False, None),
    ("[f(a=__import__('os').system('touch {canary}') + 1)]", False, "ast_decoder:decoder_failed"),
]


def test_hostile_answers_are_wrong_or_without_verdict_and_change_nothing(questions, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "LIMITS", formats.Limits(cpu_seconds=1.0, memory_mb=2048))
    question = next(one for one in questions if one.id.startswith("simple_python"))
    canary = tmp_path / "canary"
    given = [(Item(question, PLAIN), text.replace("{canary}", str(canary)), False) for text, _, _ in ANSWERS]
    rows = BfclFormats().score_all([*given, (Item(question, PLAIN), truth(Item(question, PLAIN)), False)])
    assert rows[-1]["valid"] is True and not canary.exists()
    for row, (text, valid, error_type) in zip(rows[:-1], ANSWERS, strict=True):
        assert row["valid"] is valid and error_type in (None, row["error_type"]), (text, row)


def test_the_spread_is_the_packages_own(theirs, task, questions):
    questions = [question for question in questions if question.category == "simple_python"][:4]
    chosen = FORMATS[:3]
    items = [Item(question, config) for question in questions for config in chosen]
    texts = ["no" if number in (0, 1, 3) else truth(item) for number, item in enumerate(items)]
    ours = spread([task.score(item, text) for item, text in zip(items, texts, strict=True)])
    reading, _, runner, folder = theirs

    class Handler:
        decode_ast = staticmethod(reading.default_decode_ast_prompting)

    results = [
        {"id": f"format_sensitivity_{number}:{item.format}:{item.asked.id}", "result": text}
        for number, (item, text) in enumerate(zip(items, texts, strict=True))
    ]
    prompts = [{"function": list(item.asked.functions)} for item in items]
    answers = [{"ground_truth": list(item.asked.accepted)} for item in items]
    runner.format_sensitivity_runner(Handler(), results, prompts, answers, "xlam", "format_sensitivity", folder)
    (file,) = folder.rglob("BFCL_v4_format_sensitivity_score.json")
    head = json.loads(file.read_text().splitlines()[0])
    assert ours.accuracy == {config: head[config]["accuracy"] for config in chosen}
    assert (ours.max_delta, ours.std) == (head["accuracy_max_delta"], head["accuracy_std"]) and ours.std > 0


def test_one_format_has_no_spread_and_an_unknown_one_is_named():
    found = spread([{"kind": PLAIN, "valid": True}, {"kind": PLAIN, "valid": None}])
    assert (found.accuracy, found.max_delta, found.std) == ({PLAIN: 1.0}, 0.0, 0.0)
    with pytest.raises(BfclError, match="no prompt format 'yaml'"):
        BfclFormats(formats=["yaml"])


def test_calls_in_each_notation():
    calls = [ToolCall("a.b", {"s": "x<'\"\n", "n": 1, "t": True, "l": [1.5, None]})]
    written = {notation(config): render(calls, config) for config in FORMATS if "tag=False" in config}
    assert written["python"] == "[a.b(s='x<\\'\"\\n', n=1, t=True, l=[1.5, None])]"
    assert json.loads(written["json"].strip("`json\n"))[0]["parameters"] == calls[0].arguments
    assert '<param name="t" value="true" type="boolean"/>' in written["verbose_xml"]
    assert '<param name="l" type="array">[1.5, None]</param>' in written["concise_xml"]
    assert render(calls, FORMATS[0]) == f"<TOOLCALL>{written['python']}</TOOLCALL>"
