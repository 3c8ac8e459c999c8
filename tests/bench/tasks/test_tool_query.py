"""Tool-Query as a benchmark: the expert solves every item in both forms, chance none, and rows say why."""

import json
import random

import pytest

from xlam_lib.agents import Action, AgentError, InfrastructureError, rollout, run
from xlam_lib.bench.base import TaskError
from xlam_lib.bench.report.published import tables
from xlam_lib.bench.tasks import tasks
from xlam_lib.bench.tasks.tool_query import ToolQueryTask
from xlam_lib.bench.tasks.tool_query_unified import ToolQueryUnified
from xlam_lib.environments.tool_query import Services
from xlam_lib.environments.tool_query.goals import GoalError

GUESSES = ("Yes", "No", 0, 1, 2, "good", "2023-05-15", "Paris", "Final Piano", 20.5, [])


class Chance:
    """Any tool with any values that fit its types."""

    name = "chance"

    def __init__(self, tools, seed):
        self.tools, self.rng = tools, random.Random(seed)

    def act(self, observation, history):
        tool = self.rng.choice(self.tools)
        values = {"string": lambda: str(self.rng.choice(GUESSES)), "number": lambda: self.rng.uniform(-90, 90)}
        properties = tool.parameters["properties"]
        arguments = {
            key: values.get(str(one["type"]), lambda: self.rng.choice(GUESSES))() for key, one in properties.items()
        }
        return Action.call(tool.name, **arguments)


def played(task, item, agent=None):
    return run(rollout(agent or task.expert(item), task.environment(item), item.task, task.max_steps))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("made", [ToolQueryTask, ToolQueryUnified])
def test_the_expert_solves_every_item(made, split):
    task = made(split)
    rows = [task.score(item, played(task, item)) for item in task.items()]
    assert len(rows) == {"train": 24, "test": 48}[split]
    for row in rows:
        assert row["success"] is True and row["progress"] == row["reward"] == row["grounded"] == 1.0
        assert row["failure"] == ""


def test_chance_finds_next_to_nothing():
    task = ToolQueryTask()
    rows = []
    for number, item in enumerate(task.items()):
        environment = task.environment(item)
        episode = run(rollout(Chance(environment.tools, number), environment, item.task, task.max_steps))
        rows.append({"id": item.id, **task.score(item, episode)})
    result = task.result(rows, {})
    assert result.mean("success") <= 2 / 48
    assert result.mean("progress") < 0.3  # loading a graph and asking for the date are steps on the way
    assert all(row["failure"] for row in rows if not row["success"])


def test_forms_differ_in_what_is_seen_and_in_nothing_else():
    words, calls = ToolQueryTask(), ToolQueryUnified()
    assert [item.id for item in words.items()] == [item.id for item in calls.items()]
    item = next(item for item in words.items() if item.domain == "movie")
    one, other = (next(s for s in played(task, item).steps if s.role == "tool").content for task in (words, calls))
    assert one != other and one.startswith("{'id'") and json.loads(other)["id"]


def test_rows_say_what_went_wrong():
    task = ToolQueryTask()
    item = task.items()[0]

    class Scripted:
        name = "scripted"

        def __init__(self, *actions):
            self.actions = iter(actions)

        def act(self, observation, history):
            action = next(self.actions, None) or Action("I don't know.")
            if isinstance(action, Exception):
                raise action
            return action

    def row(*actions):
        return task.score(item, played(task, item, Scripted(*actions)))

    wrong = row(Action.call("get_user_current_date"), Action.call("finish", answer="?"))
    assert wrong["failure"] == "wrong_answer" and wrong["progress"] == 0.2 and wrong["success"] is False
    assert row(AgentError("no JSON"))["failure"] == "bad_format"
    assert row()["failure"] == "loop" and row()["grounded"] == 0.0
    broken = row(InfrastructureError("gone"))
    assert broken["success"] is None and broken["reward"] is None and broken["failure"] == ""
    assert task.result([{"id": "a", **wrong}, {"id": "b", **broken}], {}).mean("success") == 0.0


def test_a_summary_has_both_rates_with_intervals():
    task = ToolQueryTask("train")
    rows = [{"id": item.id, **task.score(item, played(task, item))} for item in task.items()]
    summary = task.summary(task.result(rows, {}))
    assert summary["success"] == summary["progress"] == 1.0 and summary["intervals"]["progress"]["n"] == 24
    assert {figure.key for figure in task.figures} == {"tool_query.success", "tool_query.progress"}
    assert not any(figure.required for figure in (*task.figures, *ToolQueryUnified.figures))


def test_it_stands_beside_the_published_table():
    assert set(ToolQueryTask.published) <= {table.key for table in tables()} and ToolQueryUnified.published == ()
    assert tasks()["tool_query"] is ToolQueryTask and tasks()["tool_query_unified"] is ToolQueryUnified


def test_goals_of_agentboard_need_services(real_data):
    path = real_data / "agentboard_tool_query/academia.jsonl"
    with pytest.raises(TaskError, match="give services"):
        ToolQueryTask(path=path)
    task = ToolQueryTask(path=path, services=Services())
    item = task.items()[5]
    assert task.environment(item).reset(item.task).steps[0].content == item.question
    with pytest.raises(GoalError, match="no solution of it is known"):
        task.expert(item)
