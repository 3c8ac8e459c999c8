"""Solved examples before a question: the text that a model reads is that of earlier turns (`bench/few_shot.py`)."""

import pytest

from xlam_lib.bench.base import TaskError
from xlam_lib.bench.few_shot import examples_of, with_examples
from xlam_lib.chat_template import model_prompt, model_text
from xlam_lib.codec import BRIEF_STYLE
from xlam_lib.trajectory import Source, Step, Tool, ToolCall, Trajectory

NOW = Tool("now", "The time.", {"type": "object", "properties": {}})


def asked(number: int, kind: str, *calls: ToolCall, tools: int = 1) -> Trajectory:
    steps = (Step("user", f"Question {number}?"), Step("assistant", tool_calls=calls))
    offered = (NOW, *(Tool(f"other_{n}", "Another.", {"type": "object", "properties": {}}) for n in range(tools - 1)))
    return Trajectory(f"t{number}", Source("test", "MIT"), tools=offered, steps=steps, tags=(kind,))


TRAIN = [
    asked(1, "single", ToolCall("now"), tools=4),
    asked(2, "irrelevant"),
    asked(3, "single", ToolCall("now")),
    asked(4, "single", ToolCall("now")),
]


def test_the_first_short_question_of_each_kind_in_the_order_of_kinds():
    shots = examples_of(TRAIN, BRIEF_STYLE, ("single", "irrelevant"))
    assert ["Question 3?" in shots[0][0], "Question 2?" in shots[1][0]] == [True, True]
    assert [answer for _, answer in shots] == [
        '{"thought": "", "tool_calls": [{"name": "now", "arguments": {}}]}',
        '{"thought": "", "tool_calls": []}',
    ]
    with pytest.raises(TaskError, match="no example of the kinds parallel with at most 3 tools"):
        examples_of(TRAIN, BRIEF_STYLE, ("single", "parallel"))


def test_a_model_reads_examples_as_earlier_turns():
    read = []
    shots = [("P1", "A1"), ("P2", "A2")]
    with_examples(lambda prompts: read.extend(prompts) or ["x"], shots, "<end>")(["P3"])
    turns = [model_text(prompt, answer, "<end>") for prompt, answer in shots]
    assert model_prompt(read[0]) == "\n".join([*turns, model_prompt("P3")])
    with_examples(lambda prompts: read.extend(prompts) or ["x"], [], "<end>")(["P3"])
    assert read[1] == "P3"
