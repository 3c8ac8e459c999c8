"""Question sets: the right answer is the right last call, with or without paragraphs to read it in."""

import json
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.hotpotqa import convert, native
from xlam_lib.trajectory import Trajectory

ROW = {"id": "5a87", "question": "Which city?", "answer": "Rome", "type": "bridge", "level": "easy"}
PAIRS = {"context": [["Rome", ["It is a city.", " It is old."]]], "supporting_facts": [["Rome", 0]]}
COLUMNS = {
    "context": {"title": ["Rome"], "sentences": [["It is a city.", " It is old."]]},
    "supporting_facts": {"title": ["Rome"], "sent_id": [0]},
}


def one(**changes: object) -> Trajectory:
    (t,) = convert({**ROW, **changes}, "/data/bolaa_easy.jsonl:3")
    t.validate()
    return t


def test_a_question_and_its_answer():
    t = one()
    assert (t.trajectory_id, t.tags) == (
        "hotpotqa/bolaa_easy/5a87",
        ("gold", "closed_book", "hotpotqa", "bridge", "easy"),
    )
    assert [tool.name for tool in t.tools] == ["Search", "Lookup", "Finish"]
    assert t.steps[0].content == "Which city?" and native(t) == ["Finish[Rome]"]
    assert t.outcome.success is None


@pytest.mark.parametrize("layout", [PAIRS, COLUMNS])
def test_both_layouts_of_paragraphs(layout: dict):
    t = one(**layout)
    assert t.steps[0].content == "Rome\nIt is a city. It is old.\n\nWhich city?"
    assert t.extra == {"supporting_facts": [["Rome", 0]]} and t.tags[:2] == ("gold", "reading")
    assert t.task.task_id == one().task.task_id


def test_rows_without_an_id_get_one_from_what_they_say():
    (t,) = convert({"question": "Which city?", "answer": "Rome"}, "/data/dev.json:3")
    (again,) = convert({"question": "Which city?", "answer": "Rome"}, "/data/dev.json:9")
    assert t == again and t.source.raw_id.startswith("dev/")
    (t,) = convert({**ROW, "_id": "5b", "id": None}, "/data/dev.json:3")
    assert t.source.raw_id.startswith("dev/") and native(t) == ["Finish[Rome]"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": ""}, "a question without an answer: no trajectory to convert"),
        ({"answer": None}, "a question without an answer: no trajectory to convert"),
        ({"question": " "}, "empty question"),
        ({"question": 3}, "'question' is not text"),
        ({"context": [["Rome", "text"]]}, "a paragraph is not a list of sentences"),
        ({"context": [["Rome"]]}, "not a list of pairs"),
        ({"supporting_facts": {"title": ["Rome"], "sent_id": []}}, "a table with uneven columns"),
    ],
)
def test_drops(changes: dict, reason: str):
    with pytest.raises(Drop) as drop:
        one(**changes)
    assert drop.value.reason == reason


def test_real_questions(real_data: Path):
    path = real_data / "hotpotqa"
    accounting = Accounting("hotpotqa")
    trajectories = list(load_source("hotpotqa", path, accounting))
    rows = []
    for file in sorted(path.iterdir()):
        text = file.read_text(encoding="utf-8")
        lines = text.splitlines() if file.suffix == ".jsonl" else []
        rows += [json.loads(line) for line in lines if line.strip()] if lines else json.loads(text)
    assert accounting.dropped == {} and accounting.records_in == len(rows) == len(trajectories)
    for t, row in zip(trajectories, rows, strict=True):
        assert native(t) == [f"Finish[{row['answer']}]"]
        assert t.steps[0].content.endswith(row["question"].strip())
        assert ("closed_book" in t.tags) == ("context" not in row)
        for index, _, completion in prompts_of(t):
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
