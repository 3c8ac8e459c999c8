"""OpenAI chat messages: the generic reader, which is also the way back of the view."""

import json

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.exchange.openai_chat import convert
from xlam_lib.trajectory import Trajectory, read_jsonl
from xlam_lib.views import to_openai, tools_to_openai

TOOL = {"type": "function", "function": {"name": "f", "description": "", "parameters": {"a": {"type": "int"}}}}


def one(record: dict) -> Trajectory:
    (trajectory,) = convert(record, "/data/chats.jsonl:7")
    trajectory.validate("warning")
    return trajectory


def chat(*messages: dict, **more: object) -> dict:
    return {"messages": [{"role": "user", "content": "Go"}, *messages], "tools": [TOOL], **more}


SOURCES = sorted(path.parent.name for path in samples_dir().glob("*/unified.jsonl"))


@pytest.mark.parametrize("source", SOURCES)
def test_the_view_is_read_back(source: str) -> None:
    """Every golden sample as OpenAI messages and back; the view has no word for four flags."""
    for t in read_jsonl(samples_dir(source) / "unified.jsonl"):
        record = {"id": t.trajectory_id, "messages": to_openai(t.steps), "tools": tools_to_openai(t.tools)}
        back = one(json.loads(json.dumps(record)))
        assert to_openai(back.steps) == to_openai(t.steps)
        assert [(tool.name, tool.description) for tool in back.tools] == [(o.name, o.description) for o in t.tools]


def test_ids_are_those_of_the_record_or_its_place() -> None:
    message = {"role": "assistant", "content": "x"}
    assert one(chat(message, id=12)).trajectory_id == "openai_chat/12"
    assert one(chat(message)).trajectory_id == "openai_chat/chats:7"


@pytest.mark.parametrize("name", ["messages", "conversations", "conversation"])
@pytest.mark.parametrize("as_text", [False, True])
def test_names_of_messages(name: str, as_text: bool) -> None:
    messages = chat({"role": "assistant", "content": "x"})["messages"]
    assert len(one({name: json.dumps(messages) if as_text else messages}).steps) == 2


def test_prompt_and_completion() -> None:
    record = {"prompt": [{"role": "user", "content": "Go"}], "completion": [{"role": "assistant", "content": "x"}]}
    assert [step.role for step in one(record).steps] == ["user", "assistant"]


@pytest.mark.parametrize("key", ["tools", "functions", "available_tools"])
@pytest.mark.parametrize("as_text", [False, True])
def test_names_of_tools(key: str, as_text: bool) -> None:
    record = chat(
        {"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": '{"a": 1}'}}]}
    )
    del record["tools"]
    t = one({**record, key: json.dumps([TOOL]) if as_text else [TOOL]})
    assert t.tools[0].parameters == {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert t.steps[1].tool_calls[0].arguments == {"a": 1}


def test_missing_tools_are_inferred() -> None:
    call = {"function": {"name": "f", "arguments": "{'a': 1}"}}
    t = one({"messages": [{"role": "user", "content": "Go"}, {"role": "assistant", "tool_calls": [call]}]})
    assert t.extra == {"inferred_tools": ["f"], "repairs": ["call_0: Python literal read as JSON"]}
    assert t.tools[0].parameters["properties"] == {"a": {"type": "integer"}}


def test_null_filled_columns() -> None:
    nothing = {"tool_calls": None, "function_call": None, "name": None, "tool_call_id": None, "weight": None}
    message = {"role": "assistant", "content": "x", "from": None, "value": None, **nothing}
    assert one(chat(message)).steps[1].content == "x"
    assert one(chat({"from": "gpt", "value": "x", "role": None, "content": None})).steps[1].content == "x"


def test_what_isnt_to_be_learnt() -> None:
    t = one(
        chat({"role": "assistant", "content": "x", "weight": 0}, {"role": "assistant", "content": "y", "weight": 1})
    )
    assert [step.trainable for step in t.steps[1:]] == [False, True]


def test_failed_results() -> None:
    call = {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
    assert one(chat(call, {"role": "tool", "content": {"a": 1}, "is_error": True})).steps[2].is_error


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "x"}, "no messages"),
        ({"messages": []}, "no messages"),
        ({"messages": "[{"}, "messages are not JSON"),
        ({"messages": ["x"]}, "'messages' is not a list of objects"),
        (chat({"role": "assistant", "tool_calls": [{"function": {"name": "g"}}]}), "call of an undeclared tool"),
        (chat({"role": "assistant", "tool_calls": 3}), "calls are not a list"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, "x.json:1")
    assert drop.value.reason == reason
