"""BFCL's questions: without a call, without an answer, and joined with one."""

from pathlib import Path

import pytest
from source_checks import calls, elements, load, reason

from xlam_lib.data.accounting import Accounting
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.calls.bfcl_v4 import convert, join
from xlam_lib.data.unify import TRAJECTORIES, unify
from xlam_lib.trajectory import read_jsonl

FUNCTION = {
    "name": "sum.of",
    "description": "Adds.",
    "parameters": {
        "type": "dict",
        "properties": {"a": {"type": "float"}, "m": {"type": "HashMap", "description": "More."}, "b": {"type": "any"}},
        "required": ["a"],
    },
}


def question(**changes: object) -> dict:
    words = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 2?"}]
    return {"id": "simple_python_1", "question": [words], "function": [FUNCTION], **changes}


def test_a_joined_question() -> None:
    truth = {"sum.of": {"a": [1, 1.0], "m": [{"x": [2], "y": ["", 0]}], "b": ["", 3]}}
    record = join(question(), {"id": "simple_python_1", "ground_truth": [truth]})
    (t,) = convert(record, "x.json:1")
    assert calls(t) == [("sum.of", {"a": 1, "m": {"x": 2}})]
    assert (t.task.instruction, t.tags) == ("Be brief.", ("benchmark", "gold", "single"))
    assert t.tools[0].parameters["properties"] == {
        "a": {"type": "number"},
        "m": {"type": "object", "description": "More."},
        "b": {},
    }
    assert t.validate("error") == []


def test_no_call_is_the_answer() -> None:
    (t,) = convert(question(id="live_irrelevance_3"), "x.json:1")
    assert (t.steps[-1].reasoning_origin, t.tags[-1]) == ("generated", "no_call")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (question(), "a question without an answer: no trajectory to convert"),
        ({"id": "x", "ground_truth": []}, "an answer without its question: no trajectory to convert"),
        (FUNCTION, "a function's description: no trajectory to convert"),
        (question(ground_truth=["Michael"]), "an answer without the calls to it: no trajectory to convert"),
        (question(ground_truth=[["ls()"]]), "several turns without results: no trajectory to convert"),
        (question(id="irrelevance_1", question=[[], []]), "several turns without results: no trajectory to convert"),
        (question(ground_truth=[{"mul": {}}]), "call of an undeclared tool"),
        (question(ground_truth=[{"sum.of": 1}]), "accepted values are not an object"),
        (question(id="irrelevance_1", question=[[{"role": "oracle", "content": ""}]]), "message of an unknown role"),
    ],
)
def test_drops(record: dict, why: str) -> None:
    assert reason("bfcl_v4", record) == why


def test_halves_are_not_joined() -> None:
    assert join(question(), {"id": "simple_python_1"}) is None
    assert join({"id": "simple_python_1"}, {"id": "simple_python_1", "ground_truth": []}) is None


def test_every_real_question(real_data: Path) -> None:
    """A question and its answer are one record; what is left over on either side is dropped for what it lacks."""
    folder = real_data / "bfcl_v4"
    trajectories, accounting = load("bfcl_v4", folder)
    rows = {path: elements(path) for path in folder.rglob("*.json")}
    truths = {row["id"]: row["ground_truth"] for path, found in rows.items() for row in found if "answer" in str(path)}
    assert len(truths) == 176  # all of them belong to a question here
    assert accounting.records_in == sum(map(len, rows.values())) - 176
    assert accounting.files == len(rows)
    descriptions = sum(len(found) for path, found in rows.items() if path.parent.name == "multi_turn_func_doc")
    assert accounting.dropped == {
        "a question without an answer: no trajectory to convert": 4,  # live_relevance
        "a function's description: no trajectory to convert": descriptions,
        "several turns without results: no trajectory to convert": 17,
        "an answer without the calls to it: no trajectory to convert": 10,
    }
    assert len(trajectories) == accounting.records_converted == 149 + 23
    for t in trajectories:
        truth = truths.get(t.source.raw_id, [])
        assert bool(truth) == ("no_call" not in t.tags)
        for (name, arguments), one in zip(calls(t), truth, strict=True):
            assert all(_accepted(value, one[name][key]) for key, value in arguments.items())


def test_unify_of_the_real_questions(real_data: Path, tmp_path: Path) -> None:
    own = Accounting("bfcl_v4")
    expected = list(load_source("bfcl_v4", real_data / "bfcl_v4", own))
    books = unify("bfcl_v4", real_data / "bfcl_v4", tmp_path / "out", workers=2)
    assert books is not None and (books.files, books.records_in) == (own.files, own.records_in)
    assert books.dropped == own.dropped
    stored = list(read_jsonl(tmp_path / "out" / TRAJECTORIES))
    assert [t.trajectory_id for t in stored] == [t.trajectory_id for t in expected]


def _accepted(value: object, values: list) -> bool:
    if isinstance(value, dict):
        return all(_accepted(item, values[0][key]) for key, item in value.items())
    return value in values or isinstance(value, list)


def test_all_accepted_values_are_kept_where_there_are_several() -> None:
    (several,) = convert(question(ground_truth=[{"sum.of": {"a": [1, 2], "b": [""]}}]), "x.json:1")
    (single,) = convert(question(ground_truth=[{"sum.of": {"a": [1]}}]), "x.json:1")
    assert several.extra["accepted"] == [{"sum.of": {"a": [1, 2], "b": [""]}}]
    assert "accepted" not in single.extra
