"""BFCL's questions: without a call, without an answer, and joined with one."""

from collections import Counter
from pathlib import Path

import pytest
from source_checks import calls, elements, load, reason

from xlam_lib.data.accounting import Drop
from xlam_lib.data.sources.bfcl_v4 import convert, join

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
    (record,) = join([question()], [{"id": "simple_python_1", "ground_truth": [truth]}])
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


def test_every_real_question(real_data: Path) -> None:
    folder = real_data / "bfcl_v4"
    trajectories, accounting = load("bfcl_v4", folder)
    rows = [row for path in folder.rglob("*.json") for row in elements(path)]
    assert accounting.records_in == len(rows)
    assert len(trajectories) == sum("irrelevance" in row.get("id", "") for row in rows) == 23
    assert set(accounting.dropped) == {
        "a question without an answer: no trajectory to convert",
        "an answer without its question: no trajectory to convert",
        "a function's description: no trajectory to convert",
    }


def test_every_real_question_joined(real_data: Path) -> None:
    ends = Counter()
    for path in sorted((real_data / "bfcl_v4" / "possible_answer").iterdir()):
        for record in join(elements(path.parents[1] / path.name), elements(path)):
            try:
                (t,) = convert(record, str(path))
            except Drop as drop:
                ends[drop.reason] += 1
                continue
            ends["converted"] += 1
            for (name, arguments), truth in zip(calls(t), record["ground_truth"], strict=True):
                assert all(_accepted(value, truth[name][key]) for key, value in arguments.items())
    assert ends == {
        "converted": 149,
        "several turns without results: no trajectory to convert": 17,
        "an answer without the calls to it: no trajectory to convert": 10,
    }


def _accepted(value: object, values: list) -> bool:
    if isinstance(value, dict):
        return all(_accepted(item, values[0][key]) for key, item in value.items())
    return value in values or isinstance(value, list)
