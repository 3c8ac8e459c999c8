"""API-Bank's training and test texts, and the language of its requests."""

import re
from pathlib import Path

import pytest
from source_checks import calls, elements, load, reason, turns_that_come_back

from xlam_lib.data.formats.api_requests import parse_request, render_request
from xlam_lib.data.sources.calls.api_bank_sft import convert, native


@pytest.mark.parametrize(
    ("text", "arguments", "same"),
    [
        ("F()", {}, True),
        ("F(a='1', b='x, y')", {"a": "1", "b": "x, y"}, True),
        ("F(a='[{'name': 'x', 'value': '1'}]')", {"a": "[{'name': 'x', 'value': '1'}]"}, True),
        ("F(a='it's, b', c='d')", {"a": "it's, b", "c": "d"}, True),
        ("F(a=['x', 'y, b=c'], n=3, ok=True)", {"a": ["x", "y, b=c"], "n": 3, "ok": True}, True),
        ('F(a="Dr. E")', {"a": "Dr. E"}, False),
        ("F(date=next Monday, time=3:00 PM)", {"date": "next Monday", "time": "3:00 PM"}, False),
    ],
)
def test_requests(text: str, arguments: dict, same: bool) -> None:
    assert parse_request(text) == ("F", arguments)
    assert (render_request("F", arguments) == text) is same


@pytest.mark.parametrize("text", ["F", "F(", "F(a)", "F(a='x)", "F(a='1', a='2')", "just words"])
def test_texts_that_are_no_request(text: str) -> None:
    assert parse_request(text) is None


GENERATE = "Generate an API request in the format of [ApiName(key1='value1')].\nInput: \nUser: User's utterence"


def row(**changes: object) -> dict:
    described = '{"name": "Ring", "description": "Rings.", "input_parameters": {"times": {"type": "int"}}}'
    return {
        "file": "Ring-level-1-1.jsonl",
        "id": 4,
        "instruction": f"\n{GENERATE}\nThe current year is 2023.\nAPI descriptions:\n{described}",
        "input": "User: Ring\ntwice.\nAI: At once.\nAPI-Request: [Ring(times='2')]->rung\nUser: Again.\n"
        "Generate API Request:\n",
        "expected_output": "API-Request: [Ring(times='3')]",
        **changes,
    }


def test_a_row() -> None:
    (t,) = convert(row(), "/data/level-1-api.json:7")
    assert t.trajectory_id == "api_bank_sft/level-1-api/Ring-level-1-1/4"
    assert [step.role for step in t.steps] == ["user", "assistant", "tool", "user", "assistant"]
    assert (t.steps[0].content, t.steps[1].content, t.steps[2].content) == ("Ring\ntwice.", "At once.", "rung")
    assert [step.trainable for step in t.steps if step.role == "assistant"] == [False, True]
    assert native(t) == ["API-Request: [Ring(times='2')]", "API-Request: [Ring(times='3')]"]
    assert t.task.instruction == "The current year is 2023."
    assert t.tools[0].parameters["properties"]["times"] == {"type": "integer"}


def test_what_an_instruction_says_besides_the_format_is_kept() -> None:
    given = '"output_parameters": {"rung": {"type": "bool"}}, "input_parameters"'
    instruction = row()["instruction"].replace('"input_parameters"', given)
    instruction = instruction.replace("The current", "Never ring at night.\nThe time is {{time}}.\nThe current")
    (t,) = convert(row(instruction=instruction), "x.json:1")
    assert t.task.instruction == "Never ring at night.\nThe current year is 2023."
    assert t.extra["output_parameters"] == {"Ring": {"rung": {"type": "bool"}}}


def test_what_cannot_be_read_stays_a_text() -> None:
    (t,) = convert(row(expected_output="API-Request: [Ring(three times]"), "x.json:1")
    assert (t.steps[-1].content, t.steps[-1].trainable) == ("API-Request: [Ring(three times]", False)
    assert native(t)[-1] == "API-Request: [Ring(three times]"
    (t,) = convert(row(input="User: Ring\nAPI-Request: Ring it->what?\nGenerate AI Response:"), "x.json:1")
    assert [step.content for step in t.steps][:3] == ["Ring", "API-Request: Ring it", "what?"]


def test_samples() -> None:
    trajectories, _ = load("api_bank_sft")
    chain = next(t for t in trajectories if t.extra.get("form") == "chain")
    assert [name for name, _ in calls(chain)] == [
        "ToolSearcher",
        "Geocoding",
        "ToolSearcher",
        "GetWeatherForCoordinates",
    ]
    assert {tool.name for tool in chain.tools} == {"ToolSearcher", "Geocoding", "GetWeatherForCoordinates"}
    trained = next(t for t in trajectories if "PainManagementTechniques" in str(calls(t)))
    assert native(trained)[1] == "API-Request: [PainManagementTechniques(condition=fibromyalgia)]"
    assert trained.steps[-1].content.startswith("Some chronic pain management techniques")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (row(expected_output="  "), "an empty answer"),
        (row(input="AI: Hello\nGenerate API Request:"), "a dialogue without its beginning"),
        (row(input="What?\nUser: x"), "text before the first turn"),
        ({"instruction": "x"}, "no 'input'"),
        ({"requirement": "x", "apis": [{"api_name": "f"}]}, "no 'input'"),
    ],
)
def test_drops(record: dict, why: str) -> None:
    assert reason("api_bank_sft", record) == why


def test_every_real_row(real_data: Path) -> None:
    folder = real_data / "api_bank_sft"
    trajectories, accounting = load("api_bank_sft", folder)
    records = [record for path in sorted(folder.glob("*.json")) for record in elements(path)]
    assert (accounting.records_in, accounting.dropped) == (len(records), {})
    assert turns_that_come_back(trajectories) > 150
    for record, t in zip(records, trajectories, strict=True):
        if "requirement" in record:
            assert [name for name, _ in calls(t)] == [api["api_name"] for api in record["apis"]]
            continue
        text = record["input"] + "\n" + record.get("expected_output", record.get("output"))
        found = re.findall(r"^(API-Request: ?\[?\w+\(.*?\)\]?)(?=->|$)", text, re.MULTILINE)
        assert native(t) == found
