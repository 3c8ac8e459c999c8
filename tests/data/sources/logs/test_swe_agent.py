"""SWE-agent and mini-SWE-agent: histories with calls and in text, demonstrations, rows of data sets, ends."""

import gzip
import json
from pathlib import Path

import pytest

from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.logs.swe_agent import convert
from xlam_lib.trajectory import Trajectory

TASK = [{"role": "system", "content": "Mend it."}, {"role": "user", "content": "The tap drips."}]


def one(record: dict) -> Trajectory:
    (trajectory,) = convert(record, "/runs/tap__tap-1.traj:1")
    trajectory.validate("warning")
    return trajectory


def shape(t: Trajectory) -> list[tuple]:
    return [(step.role, step.content, [call.arguments for call in step.tool_calls]) for step in t.steps]


def said(content: str, **more: object) -> dict:
    return {"role": "assistant", "content": content, "agent": "main", **more}


def test_commands_in_text_are_calls_and_what_follows_is_their_result() -> None:
    history = [
        *({**message, "agent": "main"} for message in TASK),
        said("I look.\n```\nls\n```", thought="I look.", action="ls\n"),
        {"role": "user", "content": "tap.py", "agent": "main"},
        said("I see nothing to do.", thought="I see nothing to do.", action=""),
        {"role": "user", "content": "Go on.", "agent": "main"},
        said("Exit due to context window", thought="", action="exit_context"),
    ]
    t = one({"history": history, "info": {"exit_status": "exit_context"}})
    assert shape(t)[1:] == [
        ("user", "The tap drips.", []),
        ("assistant", "I look.", [{"command": "ls"}]),
        ("tool", "tap.py", []),
        ("assistant", "I see nothing to do.", []),
        ("user", "Go on.", []),
        ("assistant", "Exit due to context window", []),
    ]
    assert [step.trainable for step in t.steps if step.role == "assistant"] == [True, True, False]
    assert t.extra["native_calls"] == {"call_0": ["I look.\n```\nls\n```"]}
    assert t.outcome.termination == "max_steps" and t.trajectory_id == "swe_agent/tap__tap-1"


def test_a_demonstration_is_not_learnt_and_other_agents_stand_aside() -> None:
    history = [
        {"role": "system", "content": "Mend it.", "agent": "main"},
        {"role": "user", "content": "An example.", "agent": "main", "is_demo": True},
        said("I look.", action="ls", thought="I look.", is_demo=True),
        {"role": "user", "content": "a.py", "agent": "main", "is_demo": True},
        {"role": "user", "content": "The tap drips.", "agent": "main"},
        {"role": "assistant", "content": "aside", "agent": "editor"},
        said("Mended.", action="submit", thought="Mended."),
    ]
    t = one({"history": history, "info": {}})
    assert [step.trainable for step in t.steps if step.role == "assistant"] == [False, True]
    assert [entry["content"] for entry in t.extra["other_agents"]] == ["aside"]


@pytest.mark.parametrize("ids", [["b"], ["a"]])
def test_a_result_goes_with_the_call_whose_id_it_names(ids: list[str]) -> None:
    calls = [{"id": id, "type": "function", "function": {"name": id, "arguments": "{}"}} for id in "ab"]
    other = [["a"], ["b"]][ids == ["a"]]
    results = [{"role": "tool", "content": f"of {name[0]}", "tool_call_ids": name} for name in (ids, other)]
    t = one({"history": [*TASK, {"role": "assistant", "content": "", "tool_calls": calls}, *results]})
    assert {step.name: step.content for step in t.steps if step.role == "tool"} == {"a": "of a", "b": "of b"}


def test_one_result_for_all_calls() -> None:
    calls = [{"id": id, "function": {"name": id, "arguments": "{}"}} for id in "ab"]
    result = {"role": "tool", "content": "of both", "tool_call_ids": ["a", "b"]}
    t = one({"history": [*TASK, said("", tool_calls=calls), result, said("Done.", action="")]})
    assert [step.content for step in t.steps if step.role == "tool"] == ["of both", ""]
    assert t.extra["joint_results"] == [2]


def test_steps_without_a_history() -> None:
    step = {
        "query": TASK,
        "response": "I look.\n```\nls\n```",
        "thought": "I look.",
        "action": "ls",
        "observation": "a",
    }
    t = one({"trajectory": [step, {"response": "Done.", "thought": "Done.", "action": "submit", "observation": None}]})
    assert [step.role for step in t.steps] == ["system", "user", "assistant", "tool", "assistant"]


def test_mini_takes_exactly_one_block_and_what_it_ran() -> None:
    texts = [
        "One:\n```bash\nls\n```\nthat is all",
        "Two:\n```bash\na\n```\n```bash\nb\n```",
        "None.",
        "```python\n1\n```",
    ]
    for text, command in zip(texts, ["ls", None, None, None], strict=True):
        t = one({"messages": [*TASK, {"role": "assistant", "content": text}], "info": {}})
        assert [call.arguments["command"] for call in t.steps[-1].tool_calls] == ([command] if command else [])
    ran = {"role": "assistant", "content": "X:\n```sh\nmake\n```", "extra": {"actions": [{"command": "make"}]}}
    t = one({"messages": [*TASK, ran, {"role": "exit", "content": "patch", "extra": {}}], "info": {}})
    assert (t.steps[-1].content, t.steps[-1].tool_calls[0].arguments) == ("X:", {"command": "make"})


def test_mini_over_the_responses_api() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "bash", "arguments": '{"command": "ls"}'}
    answer = {"object": "response", "output": [call], "extra": {"actions": [{"command": "ls", "tool_call_id": "c1"}]}}
    result = {"type": "function_call_output", "call_id": "c1", "output": "tap.py", "extra": {}}
    t = one({"messages": [*TASK, answer, result], "info": {"exit_status": "Submitted"}})
    assert shape(t)[2:] == [("assistant", "", [{"command": "ls"}]), ("tool", "tap.py", [])]


def test_rows_of_data_sets() -> None:
    rows = [
        {"role": "system", "system_prompt": "Mend it.", "text": None, "mask": False},
        {"role": "user", "text": "The tap drips.", "mask": False},
        {"role": "ai", "text": "I look.\n\n```\nls\n```", "mask": False},
        {"role": "user", "text": "tap.py", "mask": False},
        {"role": "ai", "text": "I wait.", "mask": True},
    ]
    t = one({"instance_id": "tap__tap-1", "trajectory": rows, "target": True, "exit_status": "submitted"})
    assert shape(t)[2:] == [
        ("assistant", "I look.", [{"command": "ls"}]),
        ("tool", "tap.py", []),
        ("assistant", "I wait.", []),
    ]
    assert t.outcome.success is True and not t.steps[-1].trainable


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("submitted", "unknown"),
        ("submitted (exit_cost)", "max_steps"),
        ("LimitsExceeded", "max_steps"),
        ("exit_format", "failure"),
        ("RepeatedFormatError", "failure"),
        ("exit_environment_error", "infra_error"),
        ("ConnectionError", "infra_error"),
    ],
)
def test_how_it_ended(status: str, end: str) -> None:
    record = {"messages": [*TASK, {"role": "assistant", "content": "x"}], "info": {"exit_status": status}}
    outcome = one({**record, "resolved": False}).outcome
    assert outcome.termination == end and outcome.checks == {"exit_status": status}
    assert outcome.success is (None if end == "infra_error" else False)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"info": {}}, "no run"),
        ({"trajectory": [{"action": "ls", "response": "x"}]}, "no task"),
        ({"history": ["x"]}, "'history' is not a list of objects"),
        ({"history": [*TASK, {"role": "judge", "content": "x"}]}, "message of an unknown role"),
        ({"messages": [*TASK, said([{"type": "image_url"}])]}, "message content is not text"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        one(record)
    assert drop.value.reason == reason


@pytest.mark.parametrize("name", ["tap__tap-1.traj", "tap__tap-1.traj.json", "tap__tap-1.traj.gz"])
def test_files_are_found_and_read_however_they_are_set(name: str, tmp_path: Path) -> None:
    record = {"history": [*TASK, said("Done.", action="", thought="Done.")], "info": {}}
    data = json.dumps(record, indent=2).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    books = Accounting("swe_agent")
    (t,) = load_source("swe_agent", tmp_path, books)
    assert t.trajectory_id == "swe_agent/tap__tap-1" and books.warnings == {}
