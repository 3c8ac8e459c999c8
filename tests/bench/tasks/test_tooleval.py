"""ToolEval as a benchmark: experts pass, chance does not, and the same seed gives the same bytes."""

import json
import random

import pytest
from judge_server import JudgeServer

from xlam_lib.agents.base import Action
from xlam_lib.agents.rollout import rollout, rollouts, run
from xlam_lib.bench.base import TaskError
from xlam_lib.bench.report.published import table
from xlam_lib.bench.tasks import tasks
from xlam_lib.bench.tasks.tooleval import ToolEvalTask
from xlam_lib.endpoint import Endpoint
from xlam_lib.environments.tooleval import embedded
from xlam_lib.environments.tooleval.server import Recorded
from xlam_lib.schema import ToolCall


def play(task, item, agent, seed=0):
    return run(rollout(agent, task.environment(item), item.task, task.max_steps, seed=seed))


class Chance:
    """Calls some function with some of the examples that its schema shows, and answers with some words it read."""

    name = "chance"

    def __init__(self, tools, seed):
        self.tools, self.random = tools, random.Random(seed)

    def act(self, observation, history):
        tool = self.random.choice(self.tools)
        if tool.name == "Finish":
            words = " ".join(step.content for step in (*history, *observation.steps)).split() + ["4"]
            final = " ".join(self.random.choices(words, k=8))
            return Action.call("Finish", return_type="give_answer", final_answer=final)
        properties = tool.parameters["properties"]
        return Action.call(tool.name, **{name: one.get("example_value", "a") for name, one in properties.items()})


class Fixed:
    """Does the same again and again."""

    name = "fixed"

    def __init__(self, action):
        self.action = action

    def act(self, observation, history):
        return self.action


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_expert_passes_every_item(split):
    task = ToolEvalTask(split=split)
    rows = []
    for item in task.items():
        episode = play(task, item, task.expert(item))
        episode.validate()
        assert episode.outcome.reward == 1.0 and episode.outcome.termination == "success"
        rows.append(task.score(item, episode))
    result = task.result(rows, {})
    assert result.mean("success") == result.mean("reward") == 1.0 and result.failures() == {}
    assert len({row["id"] for row in rows}) == len(rows) == {"train": 16, "test": 45}[split]


def test_chance_passes_next_to_nothing_and_reward_is_what_is_scored():
    task = ToolEvalTask()
    rows = []
    for seed in range(4):
        for item in task.items():
            episode = play(task, item, Chance(item.query.functions, f"{seed}{item.id}"), seed)
            rows.append(task.score(item, episode))
            if episode.outcome.reward is not None:
                assert episode.outcome.reward == rows[-1]["reward"]
    result = task.result(rows, {})
    assert result.mean("success") <= 0.03
    assert result.failures().keys() <= {"wrong_answer", "wrong_argument", "gave_up", "max_steps", "loop"}


def test_the_same_seed_gives_the_same_bytes():
    task = ToolEvalTask()

    def episodes():
        pairs = ((Chance(item.query.functions, item.id), task.environment(item), item.task) for item in task.items())
        by_id = {goal.task_id: (agent, environment) for agent, environment, goal in pairs}
        goals = [item.task for item in task.items()]
        found = run(rollouts(lambda goal, seed: by_id[goal.task_id], goals, task.max_steps))
        rows = [task.score(item, episode) for item, episode in zip(task.items(), found, strict=True)]
        return json.dumps([[episode.to_dict() for episode in found], rows]).encode()

    assert episodes() == episodes()


@pytest.mark.parametrize(
    ("action", "failure"),
    [
        (Action("Hello."), "bad_format"),
        (Action.call("current_weather_for_sky_report", city="Oslo"), "loop"),
        (Action.call("Finish", return_type="give_up_and_restart"), "gave_up"),
        (Action.call("Finish", return_type="give_answer", final_answer="It is -2 degrees, wind 2.7."), "wrong_answer"),
        (Action.call("Finish", return_type="give_answer"), "bad_format"),
        (Action(), "bad_format"),
    ],
)
def test_failures_are_named(action, failure):
    task = ToolEvalTask()
    item = task.items()[0]
    row = task.score(item, play(task, item, Fixed(action)))
    assert (row["success"], row["reward"], row["failure"]) == (False, 0.0, failure)


@pytest.mark.parametrize("value", ["x" * (1 << 20), [[[0] * 1000] * 10] * 10, {"a": {"b": None}}])
def test_hostile_answers_are_scored_quickly(value):
    task = ToolEvalTask()
    item = task.items()[0]
    calls = [ToolCall(item.calls[0].name, {"city": value}), ToolCall("x" * 70_000, {"a": value})]
    final = ToolCall("Finish", {"return_type": "give_answer", "final_answer": value})
    episode = play(task, item, Fixed(Action(tool_calls=(*calls, final))))
    assert max(len(step.content) for step in episode.steps if step.role == "tool") <= 1027
    assert task.score(item, episode)["failure"] == "wrong_argument"


def test_a_judge_votes_beside_the_rule():
    asked = []

    def judge(query, answer, steps, number):
        asked.append((bool(steps), number))
        return ("Solved", "Unsolved", "Unsure")[number]

    task = ToolEvalTask(judge=judge)
    item = task.items()[0]
    row = task.score(item, play(task, item, task.expert(item)))
    assert row["votes"] == ["Solved", "Unsolved", "Unsure"] and row["judged"] == 0.5 and row["success"]
    assert asked == [(False, 0), (False, 1), (False, 2), (True, 2)]
    summary = task.summary(task.result([row], {}))
    assert summary["judged"] == 0.5 and summary["groups"]["Unseen Insts & Same Set"]["success"] == 1.0
    without = ToolEvalTask()
    summary = without.summary(without.result([without.score(item, play(task, item, task.expert(item)))], {}))
    assert "judged" not in summary


def test_an_endpoint_is_a_judge():
    reply = '{"answer_status": "Unsolved"}'
    with JudgeServer(lambda body, number: (200, reply)) as server, Endpoint(server.url, "m") as endpoint:
        task = ToolEvalTask(judge=endpoint, times=2)
        item = task.items()[0]
        row = task.score(item, play(task, item, task.expert(item)))
    assert row["success"] and row["judged"] == 0.0 and row["votes"] == ["Unsolved"] * 2


def test_it_is_found_and_its_groups_are_the_published_columns():
    assert tasks()["tooleval"] is ToolEvalTask
    assert {item.kind for item in ToolEvalTask().items()} == set(table(*ToolEvalTask.published).columns)


def test_the_originals_files_are_played_from_recorded_answers(tmp_path, real_data):
    """Queries of StableToolBench; the answers are what one of them records as its APIs' form of response."""
    folder = tmp_path / "solvable_queries/test_instruction"
    folder.mkdir(parents=True)
    (folder / "G1_category.json").write_text(
        (real_data / "stabletoolbench/test_instruction/G1_category.json").read_text()
    )
    task = ToolEvalTask(tmp_path)
    assert len(task.items()) == 8 and task.items()[0].id == "G1_category/28"
    item = task.items()[0]
    latest = next(api for api in item.query.apis if api.name == "Latest")
    recorded = Recorded()
    recorded.add(latest.key, {"colisid": "CA107308006SI"}, {"error": "", "response": {"status": "delivered"}})
    recorded.write(tmp_path / "server/tool_response_cache")
    task = ToolEvalTask(tmp_path)
    calls = iter(
        [
            Action.call("count_for_suivi_colis", colisid="CA107308006SI"),
            Action.call("latest_for_suivi_colis", colisid="CA107308006SI"),
            Action.call("Finish", return_type="give_answer", final_answer="It was delivered."),
        ]
    )
    agent = Fixed(None)
    agent.act = lambda observation, history: next(calls)
    episode = play(task, item, agent)
    shown = [json.loads(step.content) for step in episode.steps if step.role == "tool"][:2]
    assert shown == [
        {"error": "API not working error...", "response": ""},
        {"error": "", "response": {"status": "delivered"}},
    ]
    assert task.score(item, episode)["success"]
    with pytest.raises(TaskError, match="no expert"):
        task.expert(item)
    with pytest.raises(TaskError, match="all to test on"):
        ToolEvalTask(tmp_path, split="train")
    with pytest.raises(TaskError, match="expected 'train' or 'test'"):
        ToolEvalTask(split="dev")


def test_the_collection_in_the_originals_files_is_the_same(tmp_path):
    """Written as ToolBench's files and read again, our own collection asks and offers the same."""
    raw = json.loads((embedded.resources.files(embedded.__package__) / "embedded.json").read_text())
    by_tool = {tool["tool_name"]: tool for tool in raw["tools"]}
    for tool in raw["tools"]:
        path = tmp_path / "toolenv/tools" / tool["category"] / f"{tool['tool_name']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(tool))
    ours = ToolEvalTask()
    for subset in ("G1_instruction", "G1_tool", "G1_category"):
        queries = [
            {
                "query": item.query.text,
                "query_id": item.id.rpartition("/")[2],
                "relevant APIs": item.query.relevant,
                "api_list": [
                    {"category_name": api.category, "tool_name": api.tool, "api_name": api.name}
                    | {f"{kind}_parameters": one[f"{kind}_parameters"] for kind in ("required", "optional")}
                    | {"api_description": one["description"]}
                    for api in item.query.apis
                    for one in by_tool[api.tool]["api_list"]
                    if one["name"] == api.name
                ],
            }
            for item in ours.items()
            if item.query.subset == subset
        ]
        folder = tmp_path / "test_instruction"
        folder.mkdir(exist_ok=True)
        (folder / f"{subset}.json").write_text(json.dumps(queries))
    theirs = {item.id: item for item in ToolEvalTask(tmp_path).items()}
    assert len(theirs) == 45
    for item in ours.items():
        assert theirs[item.id].query.functions == item.query.functions and theirs[item.id].kind == item.kind
