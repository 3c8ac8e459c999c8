"""Rows of RLLA: tools in prose, turns in tags."""

import json
import re
from pathlib import Path

import pytest
from source_checks import elements, load, reason, turns_that_come_back

from xlam_lib.data.sources.calls.toolrl_rlla import convert, native

TOOLS = """1. Name: Add Two Numbers
Description: Adds.
1. carries over
Parameters: {"a": {"type": "int", "description": "One", "default": ""}}
2. Sub: Takes away.
Parameters: {'a': {'type': 'float'}}"""
HEAD = "You help.\n\n**Available Tools**\nIn your response, you can use the following tools:"
SYSTEM = f"{HEAD}\n{TOOLS}\n\n**Steps for Each Turn**\n1. Think."
CALL = '{"name": "Sub", "parameters": {"a": 1.5}}'


def row(**changes: str) -> dict:
    history = (
        f"**Dialogue Records History**\n<user> Go <b> </user>\n\n<think> Hm </think>\n<tool_call>\n{CALL}\n{CALL}\n"
    )
    history += '</tool_call>\n<obs> [{"name": "Sub", "results": {"r": 1}}, {"name": "Sub", "results": "two"}] </obs>\n'
    answer = (
        f"<think> I write <tool_call> now. </think>\n<tool_call>\n{CALL}\n</tool_call>\n<response> Wait. </response>"
    )
    return {"instruction": SYSTEM, "input": history, "output": answer, **changes}


def test_an_answer_that_is_one_object_is_one_call() -> None:
    call = {"name": "Sub", "parameters": {"a": 1.5}}
    asked = {"system": SYSTEM, "user": "**Dialogue Records History**\n<user> Go </user>\n"}
    (one,), (listed,) = (convert({**asked, "answer": answer}, "x.json:1") for answer in (call, [call]))
    assert one.steps == listed.steps and one.steps[-1].tool_calls[0].arguments == {"a": 1.5}
    assert reason("toolrl_rlla", {**asked, "answer": 3}) == "'answer' is not a list of objects"


def test_what_a_system_text_says_besides_the_format_is_kept() -> None:
    system = f"{SYSTEM}\n\n**Policy**\nNever subtract.\n\n**Output Format**\nplain"
    (t,) = convert(row(instruction=system, other={"file": "x"}), "x.json:1")
    assert t.task.instruction == "You help.\n\n**Policy**\nNever subtract."
    assert t.extra["origin"] == {"other": {"file": "x"}}


def test_a_row() -> None:
    (t,) = convert(row(), "x.json:1")
    assert [step.role for step in t.steps] == ["user", "assistant", "tool", "tool", "assistant"]
    assert (t.steps[0].content, t.steps[1].reasoning) == ("Go <b>", "Hm")
    assert [step.content for step in t.steps[2:4]] == ['{"r": 1}', "two"]
    assert (t.steps[4].reasoning, t.steps[4].content) == ("I write <tool_call> now.", "Wait.")
    assert [step.trainable for step in t.steps if step.role == "assistant"] == [False, True]
    assert native(t) == [CALL] * 3
    assert t.task.instruction == "You help."


def test_tools_in_prose() -> None:
    add, sub = convert(row(), "x.json:1")[0].tools
    assert (add.name, add.description) == ("Add Two Numbers", "Adds.\n1. carries over")
    assert add.parameters["properties"]["a"] == {"type": "integer", "description": "One", "default": ""}
    assert (sub.name, sub.parameters["properties"]["a"]) == ("Sub", {"type": "number"})


def test_a_line_that_is_no_call_stays_a_text() -> None:
    broken = '{"name": "Sub", "parameters": {'
    (t,) = convert(row(output=f"<think> x </think>\n<tool_call>\n{broken}\n</tool_call>"), "x.json:1")
    assert (t.steps[-1].content, t.steps[-1].trainable) == (broken, False)
    assert native(t)[-1] == broken


def test_the_words_of_the_test_are_no_words_of_the_user() -> None:
    t = next(t for t in load("toolrl_rlla")[0] if "test_hint" in t.extra)
    assert t.extra["test_hint"] == ["Based on our conversation above, please only make one tool call to solve my need."]
    assert all("Based on our" not in step.content for step in t.steps)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (row(input="<user> x </user> and more"), "text outside of tags"),
        (row(input="<response> x </response>"), "a dialogue without its beginning"),
        (row(output=""), "an empty answer"),
        (row(instruction="use the following tools:\n1. Nothing"), "a tool that can't be read"),
        (row(instruction="use the following tools:\n1. A: b\nParameters: [1]"), "tool parameters are not an object"),
        (row(output='<tool_call>{"name": "Mul", "parameters": {}}</tool_call>'), "call of an undeclared tool"),
        ({"instruction": "x"}, "no 'input'"),
    ],
)
def test_drops(record: dict, why: str) -> None:
    assert reason("toolrl_rlla", record) == why


def test_every_real_row(real_data: Path) -> None:
    folder = real_data / "toolrl_rlla"
    trajectories, accounting = load("toolrl_rlla", folder)
    records = [record for path in sorted(folder.glob("*.json")) for record in elements(path)]
    assert (accounting.records_in, accounting.dropped) == (len(records), {})
    assert turns_that_come_back(trajectories) == len(records)
    for record, t in zip(records, trajectories, strict=True):
        answer = record.get("output", record.get("answer"))
        shown = answer if isinstance(answer, str) else "\n".join(json.dumps(c, ensure_ascii=False) for c in answer)
        text = (record.get("input") or record["user"]) + "\n" + shown
        assert native(t) == re.findall(r'^\{"name": .*\}$', text, re.MULTILINE)
