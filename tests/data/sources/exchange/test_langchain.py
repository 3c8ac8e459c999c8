"""LangChain's messages, in the three ways in which it writes them, and runs of LangSmith."""

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.convert import converter
from xlam_lib.data.sources.exchange import langchain
from xlam_lib.trajectory import Trajectory

TOOL = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
CLASSES = {"human": "HumanMessage", "ai": "AIMessage", "tool": "ToolMessage", "system": "SystemMessage"}
CALL = {"name": "f", "args": {"a": 1}, "id": "x", "type": "tool_call"}


def plain(kind: str, **fields: object) -> dict:
    return {"type": kind, **fields}


def data(kind: str, **fields: object) -> dict:
    return {"type": kind, "data": {"type": kind, **fields}}


def dumped(kind: str, **fields: object) -> dict:
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", CLASSES[kind]], "kwargs": fields}


def one(*messages: dict, **more: object) -> Trajectory:
    record = {"messages": [plain("human", content="Go"), *messages], "tools": [TOOL], **more}
    (trajectory,) = converter(langchain)(record, "x.jsonl:1")
    trajectory.validate("warning")
    return trajectory


@pytest.mark.parametrize("write", [plain, data, dumped])
def test_three_ways_to_write_a_message(write) -> None:
    calls = write("ai", content="", tool_calls=[CALL], response_metadata={"model_name": "m"}, usage_metadata={"n": 1})
    result = write("tool", content="4", tool_call_id="x", status="error")
    t = one(write("system", content="Be brief."), calls, result, write("ai", content="Four."))
    assert [step.role for step in t.steps] == ["user", "assistant", "tool", "assistant"]
    assert t.steps[1].tool_calls[0].arguments == {"a": 1}
    assert t.steps[2].is_error and t.steps[2].content == "4"
    assert t.extra == {"system_notes": [{"before_step": 1, "content": "Be brief."}]}


@pytest.mark.parametrize(
    "fields",
    [
        {"content": [{"type": "tool_use", "id": "x", "name": "f", "input": {"a": 1}}]},
        {"content": [{"type": "tool_use", "id": "x", "name": "f", "input": {}}], "tool_calls": [CALL]},
        {"content": [{"type": "tool_call", "id": "x", "name": "f", "args": {"a": 1}}]},
        {"content": "", "additional_kwargs": {"function_call": {"name": "f", "arguments": '{"a": 1}'}}},
        {
            "content": "",
            "tool_calls": [],
            "additional_kwargs": {"tool_calls": [{"id": "x", "function": {"name": "f", "arguments": '{"a": 1}'}}]},
        },
    ],
)
def test_a_call_is_read_once_wherever_it_stands(fields: dict) -> None:
    assert [call.arguments for call in one(plain("ai", **fields)).steps[1].tool_calls] == [{"a": 1}]


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "Four.", "additional_kwargs": {"reasoning_content": "2 and 2"}},
        {"content": [{"type": "thinking", "thinking": "2 and 2", "signature": "x"}, {"type": "text", "text": "Four."}]},
        {"content": [{"type": "reasoning", "reasoning": "2 and 2"}, {"type": "text", "text": "Four."}]},
        {"content": [{"type": "reasoning", "summary": [{"text": "2 and 2"}]}, {"type": "text", "text": "Four."}]},
    ],
)
def test_thoughts(fields: dict) -> None:
    step = one(plain("AIMessageChunk", **fields)).steps[1]
    assert (step.reasoning, step.content) == ("2 and 2", "Four.")


def test_a_run_has_inputs_and_outputs() -> None:
    asked, said = dumped("human", content="Go"), dumped("ai", content="Gone.")
    for made in (
        {"messages": [asked, said]},
        {"messages": [said]},
        {"output": said},
        {"generations": [[{"text": "Gone.", "message": said}]]},
    ):
        (t,) = langchain.convert({"inputs": {"messages": [[asked]]}, "outputs": made}, "x.jsonl:1")
        assert [step.content for step in t.steps] == ["Go", "Gone."]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"messages": [plain("human", content="Go"), plain("remove", content="")]}, "message of an unknown type"),
        (
            {"messages": [plain("human", content="Go"), plain("ai", content="", invalid_tool_calls=[{"name": "f"}])]},
            "a call that LangChain couldn't read",
        ),
        ({"messages": [[plain("human", content="Go")], []]}, "several conversations in one record"),
        ({"outputs": {"generations": [[{}, {}]]}}, "several answers to one question"),
        ({"text": "x"}, "no messages"),
        ({"messages": [{"type": ["x"]}]}, "message of an unknown type"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        langchain.convert(record, "x.jsonl:1")
    assert drop.value.reason == reason


def test_fields_that_nobody_reads_are_kept() -> None:
    t = one({**plain("ai", content="x", id="run-1", response_metadata={"a": 1}), "rank": 3}, dataset="d")
    assert t.extra["unknown_fields"] == {"messages[1].rank": 3, "dataset": "d"}
