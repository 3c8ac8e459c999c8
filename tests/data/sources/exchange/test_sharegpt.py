"""ShareGPT conversations: the generic reader."""

import json

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.exchange.sharegpt import convert, native
from xlam_lib.trajectory import Trajectory, read_jsonl

TOOLS = json.dumps([{"name": "f", "description": "", "parameters": {"type": "object", "properties": {"a": {}}}}])
CALL = '{"name": "f", "arguments": {"a": 1}}'


def record(*turns: tuple[str, str], **more: object) -> dict:
    return {"conversations": [{"from": who, "value": value} for who, value in turns], "tools": TOOLS, **more}


def one(raw: dict) -> Trajectory:
    (trajectory,) = convert(raw, "/data/conversations.json:1")
    trajectory.validate("warning")
    return trajectory


@pytest.mark.parametrize("call", ["function_call", "tool_call", "gpt"])
@pytest.mark.parametrize("result", ["observation", "tool", "function_response", "function-response", "tool_response"])
def test_names_of_speakers(call: str, result: str) -> None:
    text = f"<tool_call>\n{CALL}\n</tool_call>" if call == "gpt" else CALL
    t = one(record(("human", "Go"), (call, text), (result, "1"), ("gpt", "Done")))
    assert [step.role for step in t.steps] == ["user", "assistant", "tool", "assistant"]
    assert t.steps[1].tool_calls[0].arguments == {"a": 1}
    assert native(t) == [text]


@pytest.mark.parametrize("text", [CALL, CALL.replace(" ", ""), f"[{CALL}, {CALL}]", "{'name': 'f', 'arguments': {}}"])
def test_call_texts_come_back(text: str) -> None:
    t = one(record(("human", "Go"), ("gpt", "Wait."), ("function_call", text)))
    assert native(t) == [text]
    assert t.steps[1].content == "Wait."
    assert ("native_calls" in t.extra) == (text != CALL)


def test_system_texts() -> None:
    turns = [("human", "Go"), ("gpt", "Yes")]
    assert one(record(*turns, system="Be kind.")).steps[0].content == "Be kind."
    assert one(record(("system", "Be kind."), *turns, system="Be kind.")).steps[0].content == "Be kind."
    assert one(record(("system", "B"), *turns, system="A")).steps[0].content == "A\n\nB"
    assert one(record(*turns)).steps[0].role == "user"


def test_samples() -> None:
    plain, tags, opening = read_jsonl(samples_dir("sharegpt") / "unified.jsonl")
    assert (plain.tags, tags.tags, opening.tags) == (("single",), ("parallel",), ("no_call",))
    assert tags.steps[0].content == "Be brief."
    assert [step.content for step in tags.steps if step.role == "tool"] == ['{"celsius": 19}', '"13:05"']
    assert opening.extra == {"opening": ["Hello, how can I help?"]}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (record(("human", "Go"), ("narrator", "x")), "message of an unknown role"),
        (record(("human", "Go"), ("function_call", "f(1)")), "call text can't be read"),
        (record(("human", "Go"), ("function_call", '{"name": "g"}')), "call of an undeclared tool"),
        (record(("human", "Go"), ("observation", "1"), ("gpt", "x")), "result without a call"),
        ({**record(("human", "Go"), ("gpt", "x")), "tools": "[{"}, "tools are not JSON"),
    ],
)
def test_drops(raw: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(raw, "x.json:1")
    assert drop.value.reason == reason
