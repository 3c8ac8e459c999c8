"""Other formats and back: nothing is lost but what the format has no word for."""

from dataclasses import replace

import pytest
from floor_strategies import calls, said, texts, trajectories, values
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.answers import calls_as_dicts
from xlam_lib.codec import BRIEF_STYLE, prompts_of
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Source, Step, Trajectory
from xlam_lib.views import from_xlam_steps, to_trl_row, to_trl_rows, to_xlam_steps


@st.composite
def histories(draw, decoded):
    """xLAM history steps as they are found: text observations, or decoded ones."""
    history = []
    for number in range(1, draw(st.integers(1, 4))):
        called = calls_as_dicts(draw(st.lists(calls, max_size=3)))
        content = draw(values.filter(lambda value: isinstance(value, dict | list)) if decoded else texts)
        rows = [{"name": call["name"], "content": content} for call in called]
        entry = {
            "step_id": number,
            "thought": draw(texts if called else said),
            "tool_calls": called,
            "next_observation": [content, rows][len(rows) > 1] if called else "",
        }
        history.append({**entry, "user_input": draw(said)} if draw(st.booleans()) else entry)
    return history


@given(texts, st.booleans(), st.data())
@settings(deadline=None)
def test_xlam_steps_come_back(query, decoded, data):
    history = data.draw(histories(decoded))
    steps = from_xlam_steps(query, history)
    assert to_xlam_steps(steps, "decoded" if decoded else "text") == (query, history)
    assert {call.id for step in steps for call in step.tool_calls} == {
        f"call_{number}" for number in range(sum(len(entry["tool_calls"]) for entry in history))
    }


@given(trajectories())
@settings(deadline=None)
def test_steps_as_xlam_steps_and_back_mean_the_same(trajectory):
    query, history = to_xlam_steps(trajectory.steps)
    again = from_xlam_steps(query, history)
    assert to_xlam_steps(again) == (query, history)


def test_an_observation_of_nothing_is_named():
    with pytest.raises(TrajectoryError, match="history step 4: an observation though nothing was called"):
        from_xlam_steps("Hi", [{"step_id": 4, "thought": "Hm", "tool_calls": [], "next_observation": {"a": 1}}])


@given(trajectories())
@settings(deadline=None)
def test_trl_rows_are_the_trainable_turns(trajectory):
    turns = prompts_of(trajectory, BRIEF_STYLE)
    rows = [to_trl_row(prompt, completion, "<|end|>") for _, prompt, completion in turns]
    assert to_trl_rows(trajectory, BRIEF_STYLE, "<|end|>") == rows


def test_a_trl_row_is_wrapped():
    trajectory = Trajectory("t", Source("s", "CC0-1.0"), steps=(Step("user", "Hi"), Step("assistant", "Ho")))
    row = to_trl_rows(trajectory, replace(BRIEF_STYLE, task_instruction="T"), "</s>", "<u>", "<a>")[0]
    assert row["prompt"].startswith("<u>\n[BEGIN OF TASK INSTRUCTION]\nT\n") and row["prompt"].endswith("\n\n<a>\n")
    assert row["completion"] == '{"thought": "Ho", "tool_calls": []}</s>'
