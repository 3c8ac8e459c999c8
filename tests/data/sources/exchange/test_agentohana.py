"""AgentOhana's dictionary, read and written."""

import json

import pytest
from floor_strategies import trajectories
from hypothesis import given, settings
from source_checks import calls, elements, load, reason, turns_that_come_back

from xlam_lib.codec import history_steps
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.exchange.agentohana import convert, export, native
from xlam_lib.trajectory import Trajectory

BROKEN = "[BEGIN OF AVAILABLE TOOLS]\n[{]\n[END OF AVAILABLE TOOLS]"


def steps(*entries: tuple[str, object]) -> dict:
    made = [{"input": "Begin.", "output": output, "next_observation": observation} for output, observation in entries]
    return {"user_query": "Hi", "model_name": "m", "score": None, "steps": made}


def test_samples() -> None:
    made, accounting = load("agentohana")
    assert accounting.records_converted == accounting.records_in == 3
    assert turns_that_come_back(made) == 7
    assert [t.outcome.reward for t in made] == [1.0, None, 0.5]
    assert [call[0] for call in calls(made[2])] == ["Tides", "Finish"]
    assert [tool.name for tool in made[2].tools] == ["Tides", "Finish"]
    assert [step.content for step in made[1].steps if step.role == "tool"] == ['{"high": "14:10"}', '{"high": "15:25"}']


def test_records_come_back_exactly() -> None:
    for record in elements(samples_dir("agentohana") / "raw" / "train.json"):
        (t,) = convert(record, "x.json:1")
        assert export(t) == record
        assert export(Trajectory.from_dict(json.loads(json.dumps(t.to_dict())))) == record
        assert native(t) == [step["output"] for step in record["steps"]]


def test_content_and_the_users_reply() -> None:
    (t,) = convert(steps(("What is your name?", "Ann."), ("Hello Ann.", "")), "x")
    assert [(step.role, step.content) for step in t.steps] == [
        ("user", "Hi"),
        ("assistant", "What is your name?"),
        ("user", "Ann."),
        ("assistant", "Hello Ann."),
    ]
    assert export(t) == steps(("What is your name?", "Ann."), ("Hello Ann.", ""))


def test_an_invalid_action_is_marked() -> None:
    (t,) = convert(steps(('Click[{"button": "x"}]', "Invalid action!"), ("Oh.", "")), "x")
    assert (t.steps[2].is_error, t.extra["inferred_tools"]) == (True, ["Click"])


@settings(max_examples=60, deadline=None)
@given(t=trajectories())
def test_any_trajectory_goes_there_and_back(t: Trajectory) -> None:
    """Query and history are the same again, and what is written from them."""
    record = export(t)
    if not record["steps"] or any(not (step["thought"] or step["tool_calls"]) for step in history_steps(t.steps)[1]):
        return
    (back,) = convert(record, "x.json:1")
    assert history_steps(back.steps) == history_steps(t.steps)
    assert export(back) == record


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (steps(), "a query without an answer: no trajectory to convert"),
        (steps(("", "x")), "empty assistant turn"),
        (steps(("words", {"a": 1}), ("more", "")), "steps that don't fit together"),
        ({"user_query": "x"}, "no 'steps'"),
        ({"user_query": "x", "steps": [{"output": "y"}]}, "no 'input'"),
        ({"user_query": "x", "steps": [{"input": "", "output": "y", "user_input": 3}]}, "'user_input' is not text"),
        ({"user_query": "x", "steps": [{"input": BROKEN, "output": "y"}]}, "a prompt whose tools can't be read"),
    ],
)
def test_drops(record: dict, why: str) -> None:
    assert reason("agentohana", record) == why


def test_results_in_another_order_and_of_no_name_find_their_calls() -> None:
    calls = '[{"name": "f", "arguments": {}}, {"name": "g", "arguments": {}}]'
    rows = [{"name": "?", "content": "first"}, {"name": "g", "content": "second"}]
    (t,) = convert(steps((calls, rows), ("Done.", "")), "x")
    assert [(step.name, step.content) for step in t.steps if step.role == "tool"] == [("f", "first"), ("g", "second")]
