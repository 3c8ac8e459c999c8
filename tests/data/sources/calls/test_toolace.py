"""ToolACE: records written in its shape; calls as bracketed texts."""

import json

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.calls.toolace import convert, native, split_system
from xlam_lib.trajectory import Trajectory

RAW = samples_dir("toolace") / "raw" / "data.json"
SYSTEM = 'Here is a list of functions in JSON format that you can invoke:\n[{"name": "f g"}]. \nShould you decide ...'


def records() -> list[dict]:
    return json.loads(RAW.read_text(encoding="utf-8"))


def one(record: dict) -> Trajectory:
    (trajectory,) = convert(record, str(RAW))
    trajectory.validate("warning")
    return trajectory


def record(*more: tuple[str, str], system: str = SYSTEM) -> dict:
    turns = [("user", "Go"), *more]
    return {"system": system, "conversations": [{"from": who, "value": value} for who, value in turns]}


def test_samples() -> None:
    single, parallel, question = (one(record) for record in records())
    assert (single.tags, parallel.tags, question.tags) == (("multi_turn",), ("parallel",), ("no_call",))
    route, trends = parallel.steps[1].tool_calls
    assert (route.name, trends.name) == ("route/v2.plan", "Market Trends API")
    assert route.arguments == {
        "stops": ["Oslo", "Bergen (centre)"],
        "avoid": {"tolls": True, "ferries": None},
        "speed": 80.0,
        "return_home": True,
    }
    assert [step.content for step in parallel.steps if step.role == "tool"] == [
        '{"name": "route/v2.plan", "results": {"km": 926}}',
        '{"name": "Market Trends API", "results": {"trends": []}}',
    ]
    assert parallel.task.instruction.startswith("Today is 2024-09-24, Tuesday.\nYou are an expert")
    assert (
        "JSON format" not in parallel.task.instruction and "return the function call" not in parallel.task.instruction
    )
    assert parallel.tools[0].parameters["properties"]["speed"]["type"] == "number"


def test_call_texts_come_back() -> None:
    for raw in records():
        replies = [turn["value"] for turn in raw["conversations"] if turn["from"] == "assistant"]
        assert native(one(raw)) == [text for text in replies if text.startswith("[")]
    spaced = "[ f g( a = 'x' ) ]"
    assert native(one(record(("assistant", spaced)))) == [spaced]
    assert "native_calls" not in one(record(("assistant", '[f g(a="x", b=[1, None])]'))).extra


def test_brackets_in_words_are_words() -> None:
    for text in ("[Note](https://example.com) says so", "[1, 2, 3]", "See [f g]", "[sic]"):
        assert one(record(("assistant", text))).steps[1].content == text


def test_systems() -> None:
    assert split_system("Today is Monday.") == ("Today is Monday.", [])
    assert split_system('[x] A [{"name": "f"}] B') == ("[x] A", [{"name": "f"}])
    assert split_system("You can invoke:\n[]. \nPut it") == ("You can invoke:", [])
    inside = {
        "conversations": [{"from": "system", "value": SYSTEM}, *record(("assistant", "[f g()]"))["conversations"]]
    }
    assert one(inside).tools[0].name == "f g"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (record(("assistant", "[f g(a=unquoted)]")), "call text can't be read"),
        (record(("assistant", "Let me call f."), ("tool", "[]")), "call text can't be read"),
        (record(("assistant", "[other(a=1)]")), "call of an undeclared tool"),
        (record(("assistant", "[f g()]"), system="invoke:\n[{'name': 'f g'}]"), "tools are not JSON"),
        (record(("assistant", "[f g()]"), ("assistant", "Done")), "call without a result"),
        ({"system": SYSTEM}, "no messages"),
    ],
)
def test_drops(raw: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(raw, "x.json:1")
    assert drop.value.reason == reason
