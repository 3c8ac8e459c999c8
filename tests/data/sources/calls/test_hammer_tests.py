"""Hammer's test sets and HammerBench's dialogues."""

import json
from pathlib import Path

import pytest
from source_checks import calls, elements, load, reason, turns_that_come_back

from xlam_lib.data.sources.calls.hammer_tests import convert, native

TOOL = {"name": "ring", "description": "Rings.", "parameters": {"times": {"type": "int", "required": True}}}
USER = {"role": "user", "content": "Ring twice.\nGenerate API Request:"}


def row(**changes: object) -> dict:
    return {"query": [USER], "tools": [TOOL], "answers": [{"name": "ring", "arguments": {"times": 2}}], **changes}


def test_a_row_with_history() -> None:
    reply = {"role": "agent", "content": "Sure."}
    called = {"role": "assistant", "content": '```[{"name": "ring", "arguments": {"times": 1}}]```'}
    (t,) = convert(row(query=[USER, reply, called, {"role": "tool", "content": "rung"}, USER]), "x.json:1")
    assert [step.role for step in t.steps] == ["user", "assistant", "tool", "user", "assistant"]
    assert (t.steps[0].content, t.steps[1].content) == ("Ring twice.", "Sure.")
    assert [step.trainable for step in t.steps if step.role == "assistant"] == [False, True]
    assert len(t.extra["prompt_words"]) == 2
    assert t.tools[0].parameters == {
        "type": "object",
        "properties": {"times": {"type": "integer"}},
        "required": ["times"],
    }


def test_the_other_notation_and_a_note_among_the_tools() -> None:
    note = {"name": "components", "description": "Formats.", "parameters": {}}
    answer = {"tool": "ring", "parameters": {"times": 2}}
    (t,) = convert(row(query="Ring", tools=[TOOL, note], answers=[answer]), "x.json:1")
    assert [tool.name for tool in t.tools] == ["ring"]
    assert t.extra["components"] == ["Formats."]
    assert native(t) == [json.dumps(answer)]


def test_a_tool_that_the_list_lacks_is_inferred() -> None:
    (t,) = convert(row(tools=[]), "x.json:1")
    assert t.extra["inferred_tools"] == ["ring"]


def test_calls_noted_in_a_dialogue() -> None:
    noted = [t for t in load("hammer_tests")[0] if "Based_0_3" in t.trajectory_id]
    assert [t.trajectory_id for t in noted] == [f"hammer_tests/Based_0_3@{i}" for i in (1, 2, 3)]
    assert [len(t.steps) for t in noted] == [2, 4, 6]
    assert [list(calls(t)[-1][1]) for t in noted] == [[], ["city"], ["city", "plate_number"]]
    assert noted[-1].steps[3].content == "Please provide the license plate number"


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (row(answers=[]), "a query without an answer: no trajectory to convert"),
        (row(query=[{"role": "agent", "content": "x"}]), "a dialogue without its beginning"),
        (row(query=[{"role": "oracle", "content": "x"}]), "message of an unknown role"),
        (row(query=[USER, {"role": "assistant", "content": "```[{]```"}]), "calls are not JSON"),
        (row(tools=[TOOL, {**TOOL, "description": "Else."}]), "two different tools of one name"),
        ({"messages": [USER], "single_tool": []}, "a dialogue without a call"),
        ({"messages": [{"role": "oracle"}], "single_tool": []}, "message of an unknown role"),
    ],
)
def test_drops(record: dict, why: str) -> None:
    assert reason("hammer_tests", record) == why


def test_every_real_row(real_data: Path) -> None:
    folder = real_data / "hammer_tests"
    trajectories, accounting = load("hammer_tests", folder)
    records = [record for path in sorted(folder.glob("*.json")) for record in elements(path)]
    assert (accounting.records_in, accounting.dropped) == (len(records), {})
    assert turns_that_come_back(trajectories) == accounting.trajectories
    by_query = {(t.steps[0].content, json.dumps(calls(t)[-1])): t for t in trajectories}
    for record in (record for record in records if "answers" in record):
        query = record["query"]
        first = (
            (query if isinstance(query, str) else query[0]["content"])
            .removesuffix("Generate API Request:")
            .rstrip("\n")
        )
        last = record["answers"][-1]
        t = by_query[first, json.dumps(list(last.values()))]
        assert native(t)[-len(record["answers"]) :] == [json.dumps(a, ensure_ascii=False) for a in record["answers"]]
