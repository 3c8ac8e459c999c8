"""Reasoning tool use: content in parts."""

import json
import re
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.calls.reason_tool_use import convert, native

TOOLS = json.dumps([{"type": "function", "function": {"name": "f", "parameters": {"a": {"type": "str, optional"}}}}])
CALL = {"type": "tool_call", "value": '{"name": "f", "arguments": {"a": "x"}}'}


def text(value: str) -> dict:
    return {"type": "text", "value": value}


def record(*messages: tuple[str, list]) -> dict:
    dialogue = [("user", [text("Go")]), *messages]
    return {"messages": [{"role": role, "content": parts} for role, parts in dialogue], "tools": TOOLS}


def test_parts_become_fields() -> None:
    thought = {"type": "reasoning", "value": "I need f."}
    (t,) = convert(record(("assistant", [thought, text("Wait."), CALL]), ("tool", [text("1")])), "x.jsonl:4")
    t.validate()
    turn = t.steps[1]
    assert (turn.reasoning, turn.reasoning_origin, turn.content) == ("I need f.", "native", "Wait.")
    assert native(t) == [CALL["value"]]
    assert t.tools[0].parameters == {"type": "object", "properties": {"a": {"type": "string"}}}


def test_what_has_no_weight_is_not_learnt() -> None:
    raw = record(("assistant", [text("Warm.")]), ("user", [text("Sure?")]), ("assistant", [text("Cold.")]))
    raw["messages"][1]["loss_weight"], raw["messages"][3]["loss_weight"] = 0.0, 1.0
    (t,) = convert(raw, "x.jsonl:4")
    assert [step.trainable for step in t.steps if step.role == "assistant"] == [False, True]


def test_parallel_results_in_one_message() -> None:
    (t,) = convert(record(("assistant", [CALL, CALL]), ("tool", [text("1"), text("2")])), "x.jsonl:4")
    assert [(step.tool_call_id, step.content) for step in t.steps[2:]] == [("call_0", "1"), ("call_1", "2")]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (record(("assistant", [{"type": "image", "value": "x"}])), "message content is not text"),
        (record(("assistant", [{**CALL, "value": "f(1)"}])), "call text can't be read"),
        (record(("assistant", [{**CALL, "value": '{"name": "g"}'}])), "call of an undeclared tool"),
        (record(("assistant", [CALL]), ("user", [text("x")]), ("assistant", [text("y")])), "call without a result"),
        (record(("assistant", [])), "empty assistant turn"),
        ({"messages": []}, "no messages"),
    ],
)
def test_drops(raw: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(raw, "x.jsonl:1")
    assert drop.value.reason == reason


def test_real_records(real_data: Path) -> None:
    path, books = real_data / "reason_tool_use" / "reason_tool_use_demo_50.jsonl", Accounting("reason_tool_use")
    trajectories = list(load_source("reason_tool_use", path.parent, books))
    books.check()
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert (books.records_in, books.dropped, books.quarantined) == (len(lines), {}, 0)
    for line, t in zip(lines, trajectories, strict=True):
        raw = json.loads(line)
        parts = [part for message in raw["messages"][1:] for part in message["content"]]
        values = {kind: [part["value"] for part in parts if part["type"] == kind] for kind in ("reasoning", "text")}
        found = re.findall(r'\{"type": "tool_call", "value": ("(?:[^"\\]|\\.)*")\}', line)
        assert native(t) == [json.loads(value) for value in found]
        assert [step.reasoning for step in t.steps if step.reasoning] == values["reasoning"]
        assert [step.content for step in t.steps if step.content] == values["text"]
        assert all(tool.parameters["type"] == "object" for tool in t.tools)
        for index, _, completion in prompts_of(t):
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
