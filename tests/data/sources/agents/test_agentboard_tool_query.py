"""AgentBoard: reference paths are gold calls, answers alone are not learnt from."""

import json
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.agents.agentboard_tool_query import convert, native
from xlam_lib.trajectory import Trajectory

PATH = "Reference Action Path: \n"
LINE = "Action {}: merge_cells with Action Input: {}"


def task(subgoals: object, **info: object) -> dict:
    base = {"answer": None, "init_config": None, "goal_type": 0, "tool": "sheet"}
    return {"id": 4, "goal": "Do it.", "subgoals": subgoals, "additional_info": {**base, **info}, "difficulty": "easy"}


def one(record: dict) -> Trajectory:
    (t,) = convert(record, "/data/sheet.jsonl:1")
    assert t.validate("error") == []
    return t


def test_a_path() -> None:
    lines = [LINE.format(1, "{'start': 'A1', 'n': 2}"), LINE.format(2, '{"start": "B1", "n": 3}')]
    t = one(task(PATH + "\n".join(lines) + "\n", answer="[[1]]"))
    assert [call.arguments for call in t.steps[1].tool_calls] == [{"start": "A1", "n": 2}, {"start": "B1", "n": 3}]
    assert native(t) == lines
    assert t.extra["written"] == {"call_1": lines[1]}
    assert (t.trajectory_id, t.tags) == ("agentboard_tool_query/sheet/4", ("gold", "sheet", "easy"))
    assert (t.extra["inferred_tools"], t.extra["answer"]) == (["merge_cells"], "[[1]]")


@pytest.mark.parametrize("answer", ["Yes", 2, 11.3, ["a", "b"]])
def test_an_answer(answer: object) -> None:
    t = one(task([answer], tool="weather", answer=answer, init_config={"current_date": "2023-05-15"}))
    (call,) = t.steps[1].tool_calls
    assert (call.name, call.arguments, t.steps[1].trainable) == ("finish", {"answer": answer}, False)
    assert t.tags == ("gold", "answer_only", "weather", "easy")
    assert (t.extra["init_config"], native(t)) == ({"current_date": "2023-05-15"}, [])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"instruction": "x", "examples": []}, "a prompt, not a task: no trajectory to convert"),
        ({"system_message": "x", "tool_set_message": []}, "a prompt, not a task: no trajectory to convert"),
        ({"id": 1}, "no 'goal'"),
        ({**task(["a"]), "goal": " "}, "empty query"),
        (task([]), "a query without an answer: no trajectory to convert"),
        (task(PATH + "Think hard."), "reference action of an unknown form"),
        (task(PATH + LINE.format(1, "{broken")), "arguments are not an object"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, "x.jsonl:1")
    assert drop.value.reason == reason


def test_real_records(real_data: Path) -> None:
    folder = real_data / "agentboard_tool_query"
    accounting = Accounting("agentboard_tool_query")
    trajectories = {t.source.raw_id: t for t in load_source("agentboard_tool_query", folder, accounting)}
    rows = [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    assert accounting.dropped == {"a prompt, not a task: no trajectory to convert": 5}
    assert (accounting.records_in, len(trajectories)) == (len(rows) + 5, len(rows))
    for row in rows:
        t = trajectories[f"{row['additional_info']['tool']}/{row['id']}"]
        path = isinstance(row["subgoals"], str)
        assert native(t) == (row["subgoals"].strip().split("\n")[1:] if path else [])
        assert t.steps[0].content == row["goal"]
        for index, _, completion in prompts_of(t):
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
