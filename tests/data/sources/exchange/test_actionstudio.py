"""ActionStudio's format, read and written."""

import dataclasses
import json

import pytest
from floor_strategies import trajectories
from hypothesis import given, settings
from source_checks import elements, load, reason, turns_that_come_back

from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.exchange.actionstudio import convert, export
from xlam_lib.trajectory import Trajectory

USER = {"role": "user", "content": "Hi"}


def test_samples() -> None:
    made, accounting = load("actionstudio")
    assert accounting.records_converted == accounting.records_in == 3
    assert turns_that_come_back(made) == 7
    first, second, _ = made
    assert (first.trajectory_id, first.steps[1].reasoning) == ("actionstudio/harbour_1", "First the tides.")
    assert second.extra == {
        "raw_call_ids": ["x7", "x8"],
        "bare_tools": True,
        "arguments_as_text": True,
        "unknown_fields": {"origin": "made for this test"},
    }
    assert [step.tool_call_id for step in second.steps if step.role == "tool"] == ["call_0", "call_1"]


def test_records_come_back_exactly() -> None:
    for record in elements(samples_dir("actionstudio") / "raw" / "train.json"):
        (t,) = convert(record, "x.json:1")
        assert export(t) == record
        assert export(Trajectory.from_dict(json.loads(json.dumps(t.to_dict())))) == record


@settings(max_examples=60, deadline=None)
@given(t=trajectories())
def test_any_trajectory_goes_there_and_back(t: Trajectory) -> None:
    """All but what the format has no word for: reasoning and content are one text, and flags and rewards are gone."""
    steps = [step for step in t.steps if step.role != "system"]
    if any(step.role == "assistant" and not step.tool_calls and _silent(step) for step in steps):
        return
    (back,) = convert(export(t), "x.json:1")
    assert back.tools == t.tools
    assert [(step.role, _text(step)) for step in back.steps] == [(step.role, _text(step)) for step in steps]
    assert [[(c.name, c.arguments) for c in step.tool_calls] for step in back.steps] == [
        [(c.name, c.arguments) for c in step.tool_calls] for step in steps
    ]
    assert export(back)["conversation"] == export(dataclasses.replace(t, extra={}))["conversation"]


def _text(step: object) -> str:
    return "\n".join(part for part in (step.reasoning, step.content) if part)


def _silent(step: object) -> bool:
    return _text(step).strip().lower() in ("", "none", "null")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"tools": []}, "no 'conversation'"),
        ({"conversation": [USER], "task_instruction": 3}, "'task_instruction' is not text"),
        ({"conversation": [USER, {"role": "assistant", "content": "None"}]}, "empty assistant turn"),
        ({"conversation": [USER, {"role": "oracle"}]}, "message of an unknown role"),
        ({"conversation": [{"role": "user", "content": ["x"]}]}, "message content is not text"),
        ({"conversation": [{"role": "tool", "content": "x"}]}, "result without a call"),
        (
            {"conversation": [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]},
            "call of an undeclared tool",
        ),
    ],
)
def test_drops(record: dict, why: str) -> None:
    assert reason("actionstudio", record) == why
