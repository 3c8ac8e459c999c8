"""Answers converted for ToolEval, published cut to 100 characters a message."""

import re
from pathlib import Path

import pytest
from source_checks import calls, elements, load, reason, turns_that_come_back

from xlam_lib.data.sources.agents.tooleval_default import convert, native, unpack

TOOLS = [{"name": "ask", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}, {"name": "Finish"}]


def record(*messages: tuple[str, object], final: str = "") -> dict:
    nodes: list[dict] = []
    for role, message in reversed(messages):
        nodes = [{"role": role, "message": message, "next": nodes}]
    answer = {"method": "CoT", "total_steps": 3, "final_answer": final, "answer_details": nodes}
    return {"query_id": "7", "query": "What is it?", "available_tools": TOOLS, "answer": answer}


def shown(**message: str) -> str:
    return str(message)[:100]


def test_whole_and_cut_calls() -> None:
    whole = shown(name="ask", arguments='{\n  "q": "x"\n}', response='{"error": "", "response": "it\'s all there"}')
    cut = shown(name="ask", arguments='{\n  "q": "' + "y" * 90)
    finish = shown(name="Finish", arguments='{\n  "return_type": "give_answer",\n  "final_answer": "' + "z" * 90)
    final = '{"return_type": "give_answer", "final_answer": "zzz"}'
    (t,) = convert(
        record(("user", "What"), ("tool", whole), ("tool", cut), ("tool", finish), final=final), "a/G1.json:1"
    )
    assert calls(t) == [("ask", {"q": "x"}), ("Finish", {"return_type": "give_answer", "final_answer": "zzz"})]
    assert t.steps[2].content == '{"error": "", "response": "it\'s all t'
    assert (t.steps[3].content, t.steps[3].trainable) == (cut, False)
    assert [step.trainable for step in t.steps if step.role == "assistant"] == [True, False, False]
    assert native(t) == [whole.partition(", 'response'")[0], cut, finish]
    assert (t.outcome.success, t.outcome.termination, t.tags) == (None, "success", ("multi_step", "cut_texts"))


def test_thoughts_words_and_a_function_that_does_not_exist() -> None:
    strange = {"name": "invent", "arguments": "{}", "response": "no such function"}
    (t,) = convert(record(("user", ""), ("assistant", "I ask."), ("tool", strange), ("assistant", "Done.")), "G1.json")
    assert [(step.role, step.reasoning) for step in t.steps] == [
        ("user", ""),
        ("assistant", "I ask."),
        ("user", ""),
        ("assistant", ""),
    ]
    assert native(t) == ["{'name': 'invent', 'arguments': '{}'"]
    assert (t.outcome.success, t.steps[-1].content) == (False, "Done.")


def test_records_by_query_id() -> None:
    one = record(("user", "x"))
    del one["query_id"]
    assert [item["query_id"] for item in unpack({"3": one, "4": one})] == ["3", "4"]
    assert unpack({"answer": {}}) == [{"answer": {}}]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (record(("user", "x")), "an answer without any step"),
        (record(("user", "x"), ("oracle", "y")), "message of an unknown role"),
        ({"query": "x", "answer": {}}, "no 'available_tools'"),
        ({"query": "x"}, "no 'answer'"),
        (record(("tool", {"name": "ask"})), "no 'arguments'"),
    ],
)
def test_drops(bad: dict, why: str) -> None:
    assert reason("tooleval_default", bad) == why


def test_every_real_answer(real_data: Path) -> None:
    folder = real_data / "tooleval_default"
    trajectories, accounting = load("tooleval_default", folder)
    answers = [a for path in sorted(folder.rglob("*.json")) for item in elements(path) for a in item.values()]
    assert (accounting.records_in, accounting.dropped) == (len(answers), {})
    assert turns_that_come_back(trajectories) >= 50
    for answer, t in zip(answers, trajectories, strict=True):
        messages = []
        (node,) = answer["answer"]["answer_details"]
        while node:
            messages += [node["message"]] if node["role"] == "tool" else []
            node = node["next"][-1] if node["next"] else None
        arguments = re.compile(
            r"(\{'name': '\w+', 'arguments': '(?:[^'\\]|\\.)*')(?:, 'respo.*|, '?r?e?s?p?|,? ?)\Z", re.DOTALL
        )
        found = native(t)
        assert len(found) == len(messages)
        for text, message in zip(found, messages, strict=True):
            whole = arguments.match(message)
            assert text == message or (whole and text == whole[1])
        assert t.steps[0].content == answer["query"]
