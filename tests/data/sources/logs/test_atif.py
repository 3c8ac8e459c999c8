"""ATIF: steps, results with and without the id of a call, context that isn't learnt, subagents."""

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.sources.logs.atif import convert, unpack
from xlam_lib.trajectory import Trajectory

ASK = {"step_id": 1, "source": "user", "message": "Weather?"}


def run(*steps: dict, **more: object) -> dict:
    return {"schema_version": "ATIF-v1.6", "session_id": "s1", "agent": {"name": "a"}, "steps": [ASK, *steps], **more}


def agent(message: object = "", *results: dict, calls: str = "", **more: object) -> dict:
    made = [{"tool_call_id": id, "function_name": f"f{id}", "arguments": {}} for id in calls]
    step = {"step_id": 2, "source": "agent", "message": message, "tool_calls": made or None, **more}
    return {**step, "observation": {"results": list(results)}} if results else step


def one(record: dict) -> Trajectory:
    (trajectory,) = convert(record, "/runs/trajectory.json:1")
    trajectory.validate("warning")
    return trajectory


def test_results_go_with_the_calls_that_they_name() -> None:
    results = [{"source_call_id": id, "content": f"of {id}"} for id in "ba"]
    t = one(run(agent("Two.", *results, calls="ab", reasoning_content="Hm.")))
    assert t.steps[1].reasoning == "Hm."
    assert {step.name: step.content for step in t.steps if step.role == "tool"} == {"fa": "of a", "fb": "of b"}


def test_a_result_that_names_no_call() -> None:
    t = one(run(agent("", {"content": "of both"}, calls="ab"), agent("Done.")))
    assert [step.content for step in t.steps if step.role == "tool"] == ["of both", ""]
    t = one(run(agent("I wait.", {"content": "The bell rings."}), agent("I go.")))
    assert [(step.role, step.content) for step in t.steps[2:]] == [("user", "The bell rings."), ("assistant", "I go.")]


def test_context_and_what_no_model_made_are_not_learnt() -> None:
    steps = [agent("a", is_copied_context=True), agent("b", llm_call_count=0), agent("c", llm_call_count=1)]
    assert [step.trainable for step in one(run(*steps)).steps[1:]] == [False, False, True]


def test_subagents_are_records_of_their_own() -> None:
    ref = {"source_call_id": "a", "content": None, "subagent_trajectory_ref": [{"trajectory_id": "sub"}]}
    inner = run(agent("In."), session_id=None, trajectory_id="sub")
    deeper = run(agent("Deep."), session_id=None, trajectory_id="deep")
    record = run(agent("", ref, calls="a"), subagent_trajectories=[{**inner, "subagent_trajectories": [deeper]}])
    found = [one(each) for each in unpack(record)]
    assert [t.trajectory_id for t in found] == ["atif/s1", "atif/s1/sub", "atif/s1/sub/deep"]
    assert [t.extra.get("parent") for t in found] == [None, "s1", "s1/sub"]
    notes = found[0].extra["step_notes"]["2"]
    assert notes == {"results": [{"subagent_trajectory_ref": [{"trajectory_id": "sub"}]}]}


def test_tools_notes_and_reward() -> None:
    tool = {"type": "function", "function": {"name": "fa", "description": "F", "parameters": {"type": "object"}}}
    about = {"name": "a", "model_name": "m", "tool_definitions": [tool]}
    t = one(run(agent("", {"source_call_id": "a", "content": "x"}, calls="a"), agent=about, extra={"reward": 0.5}))
    assert (t.tools[0].description, t.outcome.reward, t.task.task_id) == ("F", 0.5, "s1")
    assert t.extra["agent"] == {"name": "a", "model_name": "m"} and "inferred_tools" not in t.extra


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"steps": []}, "no 'schema_version'"),
        (run() | {"schema_version": "2.0"}, "not an ATIF trajectory"),
        (run({"source": "judge", "message": "x"}), "a step of an unknown source"),
        (run(agent([{"type": "image", "source": {"path": "a.png"}}])), "message content is not text"),
        (run(agent("", {"source_call_id": "x", "content": ""}, calls="a")), "result without a call"),
        (run(agent("", calls="a"), agent("b")), "call without a result"),
        ({"trajectory": 1, "parent": "s1"}, "no 'schema_version'"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        one(record)
    assert drop.value.reason == reason
