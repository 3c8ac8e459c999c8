"""A benchmark of one's own: what a file may hold, how answers are scored, and what is wrong with a line."""

import json

import pytest

from xlam_lib.agents import Action, rollout, run
from xlam_lib.agents.random_agent import RandomAgent
from xlam_lib.bench.base import TaskError
from xlam_lib.bench.evaluate import offline
from xlam_lib.bench.tasks.questions import Questions, read
from xlam_lib.schema import ToolCall

WEATHER = {
    "name": "weather",
    "description": "Weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
LINES = [
    {"question": "Weather in Oslo?", "tools": [WEATHER], "calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]},
    {"question": "Sing!", "tools": [WEATHER], "calls": [], "id": "song", "kind": "none"},
]


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text("\n\n".join(json.dumps(line) for line in LINES))
    return Questions(path)


class Says:
    name = "says"

    def __init__(self, action):
        self.action = action

    def act(self, observation, history):
        return self.action


def scored(questions, item, agent):
    return questions.score(item, run(rollout(agent, questions.environment(item), item.task)))


def test_the_expert_is_right_and_chance_is_not(questions):
    weather, song = questions.items()
    assert [item.id for item in (weather, song)] == ["1", "song"]
    assert all(scored(questions, item, questions.expert(item))["success"] for item in questions.items())
    assert not scored(questions, song, RandomAgent(questions.environment(song)))["success"]


@pytest.mark.parametrize(
    ("item", "action", "failure"),
    [
        (0, Action("It rains."), "gave_up"),
        (0, Action.call("weather", city="Rome"), "wrong_argument"),
        (0, Action(tool_calls=(ToolCall("weather", {"city": "Oslo"}),) * 2), "wrong_function"),
        (0, Action.call("song"), "wrong_function"),
        (1, Action.call("weather", city="Oslo"), "wrong_function"),
    ],
)
def test_how_answers_fail(questions, item, action, failure):
    row = scored(questions, questions.items()[item], Says(action))
    assert row["failure"] == failure and row["reward"] == 0.0


def test_without_a_server(questions):
    answers = ['{"thought": "", "tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}', "{"]
    asked = []
    result = offline(questions, lambda prompts: asked.extend(prompts) or answers)
    assert [row["failure"] for row in result.rows] == ["", "bad_format"] and result.mean("success") == 0.5
    assert "Weather in Oslo?" in asked[0] and "Weather of a city." in asked[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not a line of JSON"),
        ("[]", 'expected {"question"'),
        ('{"question": "x", "answer": 1}', "unknown field answer"),
        ('{"question": "x", "calls": [{"name": "f", "arguments": {}}]}', "expects a call of f"),
        ("", "no question in it"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, line, message):
    path = tmp_path / "bad.jsonl"
    path.write_text(line)
    with pytest.raises(TaskError, match=message):
        read(path)
    with pytest.raises(TaskError, match="needs a file"):
        Questions()
