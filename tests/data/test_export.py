"""Every format but TRL's rows is read back: by the source of its name, or by from_xlam."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from floor_strategies import trajectories
from hypothesis import given, settings

from xlam_lib.codec import history_steps
from xlam_lib.data.accounting import Drop
from xlam_lib.data.export import FORMATS, export, from_openai_row, from_xlam, main, to_adp, to_openai_row, to_xlam
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.exchange import actionstudio, agent_data_protocol, agentohana, openai_chat
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Step, Tool, ToolCall, Trajectory, read_jsonl

SOURCES = ("tau_bench", "toolbench", "xlam_fc_60k")


def samples() -> list[Trajectory]:
    return [t for name in SOURCES for t in read_jsonl(samples_dir(name) / "unified.jsonl")]


def through(module: Any, row: dict[str, Any]) -> Trajectory:
    """The row as it lies in a file, converted."""
    (made,) = module.convert(json.loads(json.dumps(row)), "x.jsonl:1")
    return made


def core(steps: tuple[Step, ...], system: bool = True) -> list[Step]:
    """The steps without what these formats have no word for; calls are numbered in their order."""
    ids: dict[str, str] = {}
    made = []
    for step in steps:
        if step.role == "system" and not system:
            continue
        calls = tuple(
            dataclasses.replace(call, id=ids.setdefault(call.id, f"call_{len(ids)}")) for call in step.tool_calls
        )
        answered = ids.get(step.tool_call_id, "")
        plain = Step(step.role, step.content, step.reasoning, calls, answered, step.name)
        made.append(plain)
    return made


@pytest.mark.parametrize("t", samples(), ids=lambda t: t.trajectory_id)
def test_openai_is_read_back(t: Trajectory) -> None:
    back = through(openai_chat, to_openai_row(t))
    expected = t.steps
    if t.task.instruction and t.steps[0].role != "system":
        expected = (Step("system", t.task.instruction), *t.steps)
    assert core(back.steps) == core(expected)
    exact = from_openai_row(json.loads(json.dumps(to_openai_row(t))))
    assert core(exact.steps) == core(expected)
    assert exact.tools == t.tools
    assert [tool.name for tool in back.tools] == [tool.name for tool in t.tools]  # an empty "required" may go


@settings(max_examples=60, deadline=None)
@given(trajectories())
def test_any_trajectory_makes_the_same_openai_row_again(t: Trajectory) -> None:
    back = from_openai_row(json.loads(json.dumps(to_openai_row(t))))
    instruction = (Step("system", t.task.instruction),) if t.task.instruction and t.steps[0].role != "system" else ()
    assert core(back.steps) == core((*instruction, *t.steps))
    assert back.tools == t.tools


@pytest.mark.parametrize("t", samples(), ids=lambda t: t.trajectory_id)
def test_adp_is_read_back(t: Trajectory) -> None:
    if any(step.content and step.tool_calls for step in t.steps):
        with pytest.raises(TrajectoryError, match="ADP has no text beside calls"):
            to_adp(t)
        return
    back = through(agent_data_protocol, to_adp(t))
    assert core(back.steps) == core(t.steps, system=False)
    assert back.tools == t.tools


@settings(max_examples=60, deadline=None)
@given(trajectories())
def test_any_trajectory_survives_adp(t: Trajectory) -> None:
    bare = tuple(dataclasses.replace(step, content="") if step.tool_calls else step for step in t.steps)
    t = dataclasses.replace(t, steps=bare)
    if not any(step.role == "assistant" for step in t.steps):
        return
    back = through(agent_data_protocol, to_adp(t))
    assert core(back.steps) == core(t.steps, system=False)


@settings(max_examples=60, deadline=None)
@given(trajectories())
def test_xlam_steps_make_the_same_row_again(t: Trajectory) -> None:
    row = to_xlam(t)
    assert to_xlam(from_xlam(json.loads(json.dumps(row)))) == row


@pytest.mark.parametrize("t", samples(), ids=lambda t: t.trajectory_id)
def test_agentohana_and_actionstudio_are_read_back(t: Trajectory) -> None:
    ohana = through(agentohana, FORMATS["agentohana"](t)[0])
    assert history_steps(ohana.steps) == history_steps(t.steps)
    studio = through(actionstudio, FORMATS["actionstudio"](t)[0])
    assert [(s.role, s.content or s.reasoning, len(s.tool_calls)) for s in studio.steps] == [
        (s.role, s.content or s.reasoning, len(s.tool_calls)) for s in t.steps if s.role != "system"
    ]
    assert studio.tools == t.tools


@settings(max_examples=60, deadline=None)
@given(trajectories())
@pytest.mark.parametrize("module", [agentohana, actionstudio], ids=["agentohana", "actionstudio"])
def test_any_trajectory_makes_the_same_dictionary_again(module: Any, t: Trajectory) -> None:
    row = module.export(t)
    try:
        back = through(module, row)
    except Drop as error:  # no answer at all, or one that upstream takes for none
        contents = [
            f"{step.reasoning}{step.content}" for step in t.steps if step.role == "assistant" and not step.tool_calls
        ]
        answers = [step for step in t.steps if step.role == "assistant"]
        assert not answers or any(text.strip().lower() in ("", "none", "null") for text in contents), error
        return
    assert module.export(back) == row


def test_trl_has_a_row_for_each_turn_to_learn_from() -> None:
    for t in samples():
        rows = FORMATS["trl"](t)
        assert len(rows) == sum(step.role == "assistant" and step.trainable for step in t.steps)
        assert all(row.keys() == {"prompt", "completion"} for row in rows)


def test_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    t = samples()[0]
    call = ToolCall("f", {}, "call_0")
    both = dataclasses.replace(t, tools=(Tool("f"),), steps=(Step("user", "Hi"), Step("assistant", "A", "", (call,))))
    counts = export([t, both], "adp", tmp_path / "adp.jsonl")
    mixed = 1 + any(s.content and s.tool_calls for s in t.steps)
    assert (counts["trajectories"], counts["left_out"]) == (2, {"ADP has no text beside calls": mixed})


@pytest.mark.parametrize("format", FORMATS)
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str) -> None:
    output = tmp_path / "out.jsonl"
    given = str(samples_dir("xlam_fc_60k") / "unified.jsonl")
    assert main(["--input", given, "--format", format, "--output", str(output)]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["rows"] == len(output.read_text(encoding="utf-8").splitlines()) == counts["trajectories"] == 6
    assert main(["--input", str(tmp_path / "none"), "--format", format, "--output", str(output)]) == 1
