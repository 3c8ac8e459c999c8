"""Items of the Responses API: turns, tools of every kind, built-in tools that can't be had, bare lists."""

import json
from pathlib import Path

import pytest

from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.logs.openai_responses import convert, turns_of_items
from xlam_lib.trajectory import Trajectory

CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "one"}
TOOL = {"type": "function", "name": "f", "description": "F", "parameters": {"type": "object", "properties": {"a": {}}}}


def said(text: str) -> dict:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def one(record: dict) -> Trajectory:
    (trajectory,) = convert(record, "/data/rows.jsonl:3")
    trajectory.validate("warning")
    return trajectory


def test_what_comes_between_two_answers_is_one_turn() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gA"}
    second = {**CALL, "call_id": "c2", "arguments": '{"a": 2}'}
    results = [{**RESULT, "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]}, RESULT]
    items = [{"role": "user", "content": "Go"}, thought, CALL, said("I call."), second, *results]
    t = one({"input": items, "output": [said("Done.")], "tools": [TOOL], "instructions": "Be brief."})
    assert [step.role for step in t.steps] == ["system", "user", "assistant", "tool", "tool", "assistant"]
    turn = t.steps[2]
    assert (turn.content, turn.reasoning, [call.arguments["a"] for call in turn.tool_calls]) == (
        "I call.",
        "Hm.",
        [1, 2],
    )
    assert {step.tool_call_id: step.content for step in t.steps[3:5]} == {"call_0": "one", "call_1": "two"}


def test_a_refusal_is_said() -> None:
    parts = [{"type": "refusal", "refusal": "No."}]
    (turn,) = turns_of_items([{"type": "message", "role": "assistant", "content": parts}])
    assert turn.content == "No."


def test_custom_tools_and_servers_of_tools() -> None:
    custom = {
        "type": "custom",
        "name": "python",
        "description": "P",
        "format": {"syntax": "lark", "definition": "start: LINE"},
    }
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "python", "input": "print(1)"}
    result = {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"}
    listed = {"type": "mcp_list_tools", "tools": [{"name": "find", "input_schema": {"type": "object"}}]}
    remote = {"type": "mcp_call", "id": "m1", "name": "find", "arguments": "{}", "output": None, "error": "closed"}
    items = [{"role": "user", "content": "Go"}, call, result, listed, remote, said("No luck.")]
    t = one({"items": items, "tools": [custom, {"type": "web_search"}]})
    assert t.steps[1].tool_calls[0].arguments == {"input": "print(1)"}
    assert t.tools[0].parameters["properties"]["input"] == {"type": "string", "description": "lark\nstart: LINE"}
    assert [tool.name for tool in t.tools] == ["python", "find"]
    assert (t.steps[4].content, t.steps[4].is_error) == ("closed", True)
    assert t.extra["built_in_tools"] == [{"type": "web_search"}]


def test_a_request_beside_its_response() -> None:
    record = {"request": {"input": "Go", "tools": [TOOL]}, "response": {"id": "r1", "output": [CALL], "error": None}}
    t = one(record)
    assert t.trajectory_id == "openai_responses/r1" and t.steps[1].tool_calls[0].name == "f"
    assert one({"input": "Go", "output": [said("x")], "error": {"code": "x"}}).outcome.termination == "infra_error"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"input": "Go", "output": [{"type": "web_search_call"}]}, "a built-in tool was used: web_search_call"),
        ({"input": "Go", "output": [{"type": "shell_call_output"}]}, "a built-in tool was used: shell_call"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "an item stands for others that aren't here"),
        ({"input": [{"type": "vote"}]}, "item of an unknown type"),
        ({"input": "Go", "previous_response_id": "r0", "output": []}, "continues a response that isn't here"),
        ({"model": "x"}, "no items"),
        ({"input": 3}, "'input' is not a list of objects"),
        ({"input": [{"role": "judge", "content": "x"}]}, "message of an unknown role"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "message content is not text"),
        ({"input": "Go", "output": [{**CALL, "name": None}]}, "call without a name"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        one(record)
    assert drop.value.reason == reason


def test_a_file_may_be_the_bare_list_or_one_of_records(tmp_path: Path) -> None:
    items = [{"role": "user", "content": "Go"}, CALL, RESULT, said("Done.")]
    rows = [{"input": "A", "output": [said("a")]}, 7, {"input": "B", "output": [said("b")]}]
    for name, value in {"items": items, "rows": rows}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value, indent=1))
    (whole,) = load_source("openai_responses", tmp_path / "items.json")
    assert [step.role for step in whole.steps] == ["user", "assistant", "tool", "assistant"]
    books = Accounting("openai_responses")
    assert [t.steps[1].content for t in load_source("openai_responses", tmp_path / "rows.json", books)] == ["a", "b"]
    assert books.dropped == {"'items' is not a list of objects": 1} and books.losses[0].line == 17
    (tmp_path / "cut.json").write_text(json.dumps(items)[:-1])
    books = Accounting("openai_responses")
    assert list(load_source("openai_responses", tmp_path / "cut.json", books)) == []
    assert books.quarantined == 1 and books.losses[0].reason.startswith("not JSON")
