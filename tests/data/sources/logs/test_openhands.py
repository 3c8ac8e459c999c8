"""OpenHands: events of both editions, parallel calls, runs that act in text, what the model doesn't see."""

import json
from pathlib import Path

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.logs.openhands import convert
from xlam_lib.trajectory import Trajectory

ASK = {"id": 0, "source": "user", "action": "message", "args": {"content": "Mend it."}}


def meta(id: str, response: str, *ids: str) -> dict:
    calls = [{"id": one, "function": {"name": "bash", "arguments": json.dumps({"c": one})}} for one in ids]
    answer = {"id": response, "choices": [{"message": {"content": "I look.", "tool_calls": calls}}]}
    return {"tool_call_metadata": {"function_name": "bash", "tool_call_id": id, "model_response": answer}}


def act(number: int, kind: str = "run", **more: object) -> dict:
    event = {"id": number, "source": "agent", "action": kind, "args": {"command": "ls", "thought": "I look."}}
    return {**event, **more}


def seen(cause: int, content: str = "x", kind: str = "run", **more: object) -> dict:
    return {"id": cause + 1, "source": "agent", "cause": cause, "observation": kind, "content": content, **more}


def one(*events: object, **more: object) -> Trajectory:
    (trajectory,) = convert({"history": list(events), **more}, "/runs/trajectory.json:1")
    trajectory.validate("warning")
    return trajectory


def shape(t: Trajectory) -> list[tuple]:
    return [(step.role, step.content, [call.arguments for call in step.tool_calls]) for step in t.steps[1:]]


def test_calls_of_one_response_are_one_turn() -> None:
    a, b = meta("a", "r1", "a", "b", "never run"), meta("b", "r1", "a", "b", "never run")
    t = one(ASK, act(1, **a), seen(1, "of a", **a), act(3, **b), seen(3, "of b", "error", **b))
    assert shape(t) == [
        ("assistant", "I look.", [{"c": "a"}, {"c": "b"}]),
        ("tool", "of a", []),
        ("tool", "of b", []),
    ]
    assert [step.is_error for step in t.steps[2:]] == [False, True]


def test_a_run_that_acts_in_text() -> None:
    system = {"id": 9, "source": "agent", "action": "system", "args": {"content": "Hi", "tools": [{"name": "bash"}]}}
    added = {"command": "ls", "thought": "I look.", "blocking": True, "confirmation_state": "confirmed", "cwd": None}
    t = one(
        system, ASK, act(1, args=added), seen(1), act(3, "call_tool_mcp", args={"name": "m", "arguments": {"q": 1}})
    )
    assert [(call.name, call.arguments) for step in t.steps for call in step.tool_calls] == [
        ("run", {"command": "ls"}),
        ("m", {"q": 1}),
    ]
    assert t.extra["offered_tools"] == [{"name": "bash"}] and t.extra["inferred_tools"] == ["m", "run"]


def test_pairs_of_the_first_versions() -> None:
    quiet = {"observation": "null", "content": "", "extras": {}}
    pairs = [[ASK, quiet], [{"action": "run", "args": {"command": "ls"}}, {"observation": "run", "content": "a.py"}]]
    t = one(*pairs, [{"action": "finish", "args": {"thought": "Done."}}, None])
    assert shape(t) == [("assistant", "", [{"command": "ls"}]), ("tool", "a.py", []), ("assistant", "Done.", [{}])]


def test_a_finish_after_which_it_goes_on_is_what_the_agent_said() -> None:
    end = act(1, "finish", args={"final_thought": "Done.", "thought": ""})
    again = {**ASK, "id": 3, "args": {"content": "One more."}}
    t = one(ASK, end, again, {**end, "id": 5})
    assert shape(t) == [
        ("assistant", "Done.", []),
        ("user", "One more.", []),
        ("assistant", "", [{"final_thought": "Done."}]),
    ]


def test_what_the_model_does_not_see_stands_aside() -> None:
    recall = [act(1, "recall", source="user", args={"query": "q"}), seen(1, "notes", "recall")]
    state = {"id": 7, "observation": "agent_state_changed", "content": "", "extras": {"agent_state": "running"}}
    t = one(ASK, *recall, state, act(3), seen(3))
    assert [event["id"] for event in t.extra["program_events"]] == [1, 2, 7]


def test_the_users_own_commands() -> None:
    t = one(ASK, act(1, source="user"), seen(1, "a.py"), {**ASK, "id": 3, "source": "agent"})
    assert shape(t)[:2] == [("user", "User executed the command:\nls", []), ("user", "a.py", [])]


@pytest.mark.parametrize(
    ("more", "success", "end"),
    [
        ({"test_result": {"report": {"resolved": True}}}, True, "unknown"),
        ({"resolved": False}, False, "unknown"),
        ({"error": "RuntimeError: reached maximum iteration"}, None, "max_steps"),
        ({"error": "the server is gone", "resolved": False}, None, "infra_error"),
        ({"error": None}, None, "unknown"),
    ],
)
def test_outcomes(more: dict, success: bool | None, end: str) -> None:
    outcome = one(ASK, act(1), seen(1), **more).outcome
    assert (outcome.success, outcome.termination) == (success, end)


def part(text: str) -> dict:
    return {"type": "text", "text": text, "cache_prompt": False}


def event(kind: str, **more: object) -> dict:
    return {"id": "e", "timestamp": "2026-01-05T10:00:00", "kind": kind, **more}


def called(id: str, response: str | None = None, thought: str = "", **more: object) -> dict:
    call = {"id": id, "name": "terminal", "arguments": json.dumps({"c": id})}
    names = {"tool_name": "terminal", "tool_call_id": id, "tool_call": call, "llm_response_id": response}
    return event("ActionEvent", source="agent", thought=[part(thought)] if thought else [], **names, **more)


USER = event("MessageEvent", source="user", llm_message={"role": "user", "content": [part("Mend it.")]})


def test_the_second_edition() -> None:
    tools = [{"kind": "TerminalTool", "description": "T"}, {"kind": "FileEditorTool", "description": "F"}]
    system = event("SystemPromptEvent", system_prompt=part("You mend."), dynamic_context=part("Linux."), tools=tools)
    result = event("ObservationEvent", tool_call_id="b", observation={"content": [part("of b")], "is_error": True})
    error = event("AgentErrorEvent", tool_call_id="a", error="no such tool")
    said = event("MessageEvent", source="agent", llm_message={"role": "assistant", "content": [part("Done.")]})
    first = called("a", "r1", "I look.", reasoning_content="Hm.", thinking_blocks=[{"thinking": "Hm."}])
    t = one(system, USER, first, event("PauseEvent"), called("b", "r1"), result, error, said)
    assert t.steps[0].content == "You mend.\n\nLinux."
    assert shape(t)[1:] == [
        ("assistant", "I look.", [{"c": "a"}, {"c": "b"}]),
        ("tool", "of b", []),
        ("tool", "no such tool", []),
        ("assistant", "Done.", []),
    ]
    assert t.steps[2].reasoning == "Hm." and [step.is_error for step in t.steps[3:5]] == [True, True]
    assert [step.tool_call_id for step in t.steps[3:5]] == ["call_1", "call_0"]
    assert t.tools[0].description == "T" and t.extra["offered_tools"] == [tools[1]]
    assert [one["kind"] for one in t.extra["program_events"]] == ["PauseEvent"]


def test_rejections_and_observations_without_content() -> None:
    rejected = event("UserRejectObservation", tool_call_id="a", rejection_reason="too risky")
    old = event("ObservationEvent", tool_call_id="b", observation={"kind": "X", "output": "y", "is_error": False})
    t = one(USER, called("a"), rejected, called("b"), old)
    assert [step.content for step in t.steps if step.role == "tool"] == [
        "Action rejected: too risky",
        '{"output": "y"}',
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (ASK, "one event, not a run"),
        ({"instance_id": "a"}, "no events"),
        ({"history": [3]}, "'history' is not a list of objects"),
        ({"history": [{**ASK, "args": {"content": "x", "image_urls": ["data:"]}}]}, "message content is not text"),
        (
            {"history": [ASK, act(1, **meta("a", "r1", "a")), seen(1, **meta("z", "r1", "a")), ASK, act(5)]},
            "call without a result",
        ),
        ({"history": [USER, event("ActionEvent", source="agent")]}, "no 'action'"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, "x.json:1")
    assert drop.value.reason == reason


def test_a_file_may_be_the_bare_list_of_events_or_lines_of_them(tmp_path: Path) -> None:
    events = [ASK, act(1), seen(1)]
    (tmp_path / "trajectory.json").write_text(json.dumps(events, indent=2))
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (tmp_path / "output.jsonl").write_text("".join(json.dumps({"history": events, "id": id}) + "\n" for id in "ab"))
    found = list(load_source("openhands", tmp_path))
    assert [t.trajectory_id for t in found] == [f"openhands/{name}" for name in ("events", "a", "b", "trajectory")]
    assert all(t.steps == found[0].steps and len(t.steps) == 3 for t in found)
