"""Hermes: tools and calls in tags, as JSON or Python literals."""

import json
import re
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.calls.hermes import convert, native
from xlam_lib.trajectory import Trajectory

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}}
SYSTEM = (
    "You call functions. You get them within <tools> </tools> XML tags.\n<tools>\n{}\n</tools>\n"
    "For each function call return JSON within <tool_call> </tool_call> tags:\n<tool_call>\n{{'name': 1}}\n</tool_call>"
)


def record(*more: tuple[str, str], tools: str = str([TOOL])) -> dict:
    turns = [("system", SYSTEM.format(tools)), ("human", "Go"), *more]
    return {"id": "x", "task": "t", "conversations": [{"from": who, "value": value} for who, value in turns]}


def one(raw: dict) -> Trajectory:
    (trajectory,) = convert(raw, "/data/func-calling.json:3")
    trajectory.validate("warning")
    return trajectory


@pytest.mark.parametrize(
    "tools", [str([TOOL]), json.dumps([TOOL]), f"{json.dumps(TOOL)}\n{json.dumps(TOOL)}", str(TOOL)]
)
def test_tools_and_instruction(tools: str) -> None:
    t = one(record(("gpt", "No."), tools=tools))
    assert [tool.name for tool in t.tools] == ["f"]
    assert (t.task.instruction, t.extra["task"], t.tags) == ("You call functions.", "t", ("no_call",))
    assert t.extra["how_to_call"][-1] == "<tool_call>\n{'name': 1}\n</tool_call>"


@pytest.mark.parametrize(
    ("call", "arguments", "repaired"),
    [
        (
            "{'arguments': {'a': True, 'b': None, 'c': \"it's\"}, 'name': 'f'}",
            {"a": True, "b": None, "c": "it's"},
            True,
        ),
        ('{"arguments": {"a": true}, "name": "f"}', {"a": True}, False),
        ("{'arguments': {'a': true}, 'name': 'f'}", {"a": True}, True),
        ('{"name": "f", "arguments": {"a": [1, 2]}', {"a": [1, 2]}, True),
    ],
)
def test_calls(call: str, arguments: dict, repaired: bool) -> None:
    text = f"<tool_call>\n{call}\n</tool_call>"
    t = one(record(("gpt", f"{text}\n"), ("tool", "<tool_response>\n{'x': 1}\n</tool_response>\n"), ("gpt", "Done")))
    assert t.steps[1].tool_calls[0].arguments == arguments
    assert t.steps[2].content == "{'x': 1}"
    assert native(t) == [text]
    assert bool(t.extra.get("repairs")) == repaired


def test_the_usual_form_is_rendered() -> None:
    text = "<tool_call>\n{'arguments': {'a': True}, 'name': 'f'}\n</tool_call>"
    t = one(record(("gpt", f"<scratch_pad>Call f twice.</scratch_pad>\n{text}\n{text}")))
    assert "native_calls" not in t.extra
    assert native(t) == [text, text]
    assert (t.steps[1].reasoning, t.steps[1].content, t.tags) == ("Call f twice.", "", ("parallel",))


def test_json_mode_has_no_tools() -> None:
    turns = [
        ("system", "Answer in JSON.\n<schema>\n{'title': 'x'}\n</schema>"),
        ("human", "Go"),
        ("gpt", '{"title": 1}'),
    ]
    t = one({"conversations": [{"from": who, "value": value} for who, value in turns]})
    assert t.tools == () and "<schema>" in t.task.instruction
    assert t.steps[1].content == '{"title": 1}'


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (record(("gpt", "<tool_call>\n{'name': f}\n</tool_call>")), "call text in <tool_call> can't be read"),
        (record(("gpt", "<tool_call>\n{'arguments': {}}\n</tool_call>")), "call without a name"),
        (record(("gpt", "<tool_call>\n{'name': 'g', 'arguments': {}}\n</tool_call>")), "call of an undeclared tool"),
        (record(("gpt", "x"), tools="[{'name': f}]"), "tools are not JSON"),
        ({"example": "Hello"}, "transcript doesn't begin with a speaker"),
        ({"example": 3}, "'example' is not text"),
        ({}, "no messages"),
    ],
)
def test_drops(raw: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(raw, "x.json:1")
    assert drop.value.reason == reason


def test_real_records(real_data: Path) -> None:
    folder, books = real_data / "hermes", Accounting("hermes")
    trajectories = list(load_source("hermes", folder, books))
    books.check()
    raw = [record for path in sorted(folder.glob("*.json")) for record in json.loads(path.read_text(encoding="utf-8"))]
    assert (books.records_in, books.dropped, books.quarantined) == (len(raw), {}, 0)
    for record, t in zip(raw, trajectories, strict=True):
        replies = [turn["value"] for turn in record.get("conversations", []) if turn["from"] == "gpt"]
        text = "\n".join(replies) or record["example"].partition("ASSISTANT:")[2]
        assert native(t) == re.findall(r"<tool_call>\n.*?\n</tool_call>", text, re.DOTALL) != []
        assert "<tool" not in t.task.instruction and "<tool_call>" not in "".join(step.content for step in t.steps)
        for index, _, completion in prompts_of(t):
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)


def test_a_real_row(real_data: Path) -> None:
    (t,) = load_source("hermes", real_data / "hermes" / "hermes_fc_v1_row_transcribed.json")
    (call,) = t.steps[1].tool_calls
    assert call.arguments["flexible_cancellation"] is True
    assert t.task.instruction.startswith("You are a function calling AI model. You may call one or more")
    assert json.loads(t.steps[2].content)["name"] == "search_flights"
    assert t.extra["subcategory"] == "Kayak"
