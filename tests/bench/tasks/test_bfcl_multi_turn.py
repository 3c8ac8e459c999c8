"""BFCL's conversations as a benchmark: the answers solve them, chance doesn't, and why one failed is said.

XLAM_BFCL_ALL=1 plays all 800 conversations instead of a few of each category (5 minutes on two cores).
"""

import os
import random

import pytest

from xlam_lib.agents.base import Action
from xlam_lib.agents.rollout import rollout, run
from xlam_lib.bench.base import TaskError
from xlam_lib.bench.tasks import tasks
from xlam_lib.bench.tasks.bfcl_multi_turn import BfclMultiTurn, category_scores
from xlam_lib.codec import SEED_STYLE, Answer, parse_answer, prompts_of, render_answer
from xlam_lib.data.apigen.sandbox import Limits
from xlam_lib.environments.bfcl_multi_turn import Backend
from xlam_lib.schema import Outcome, ToolCall
from xlam_lib.trajectory import Trajectory

EACH = None if os.environ.get("XLAM_BFCL_ALL") else 2
LEAST = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


@pytest.fixture(scope="module")
def task():
    with BfclMultiTurn(per_category=EACH, seed=3) as made:
        yield made


@pytest.fixture(scope="module")
def practice():
    with BfclMultiTurn(split="train") as made:
        made.backend = Backend(Limits(cpu_seconds=1.0))  # what never ends shall end soon
        yield made


class ThroughTheCodec:
    """An agent whose actions are written and read as a model's answers are."""

    name = "codec"

    def __init__(self, agent):
        self.agent = agent

    def act(self, observation, history):
        action = self.agent.act(observation, history)
        read = parse_answer(render_answer(Answer(action.content, action.tool_calls)))
        assert read.problems == ()
        return Action("" if read.answer.calls else read.answer.thought, read.answer.calls)


class Chance:
    """Calls a function at random with values of the right types, or ends the turn."""

    name = "chance"

    def __init__(self, environment, seed):
        self.environment, self.random = environment, random.Random(seed)

    def act(self, observation, history):
        if self.random.random() < 0.4:
            return Action("Done.")
        tool = self.random.choice(self.environment.tools)
        words = " ".join(step.content for step in observation.steps).split()
        properties = tool.parameters["properties"].items()
        given = {name: LEAST.get(spec.get("type"), self.random.choice(words)) for name, spec in properties}
        return Action.call(tool.name, **given)


def play(task, item, agent, max_steps=None):
    return run(rollout(agent, task.environment(item), item.task, max_steps=max_steps or task.max_steps))


def test_it_is_found_by_name():
    assert tasks()["bfcl_multi_turn"] is BfclMultiTurn
    assert len(BfclMultiTurn().items()) == 800 and len(BfclMultiTurn(split="train").items()) == 4
    with pytest.raises(TaskError, match="no split 'dev'; there are train and test"):
        BfclMultiTurn(split="dev")


def test_the_answers_solve_every_conversation_through_prompt_codec_and_checker(task, practice):
    rows = []
    for one in (task, practice):
        for item in one.items():
            episode = play(one, item, ThroughTheCodec(one.expert(item)))
            assert episode.outcome.reward == 1.0
            prompts = prompts_of(episode, SEED_STYLE)
            assert len(prompts) == sum(step.role == "assistant" for step in episode.steps)
            rows.append(one.score(item, Trajectory.from_dict(episode.to_dict())))
    assert [row for row in rows if not row["success"] or row["reward"] != 1.0 or row["failure"]] == []
    scores = category_scores(rows)
    assert set(scores) == {*task.categories, *(item.kind for item in practice.items())} and set(scores.values()) == {1}


def test_chance_solves_next_to_nothing(task, practice):
    rows = []
    for one in (task, practice):
        for number, item in enumerate(one.items()[:4]):
            environment = one.environment(item)
            episode = run(rollout(Chance(environment, number), environment, item.task, max_steps=one.max_steps))
            rows.append(one.score(item, episode))
            assert rows[-1]["reward"] == episode.outcome.reward
    assert sum(row["success"] for row in rows) <= 0.05 * len(rows)


class Says:
    name = "says"

    def __init__(self, *actions):
        self.actions = [*actions]

    def act(self, observation, history):
        return self.actions.pop(0) if self.actions else Action("Done.")


CD, LS = Action.call("cd", folder="recipes"), Action.call("ls")
WRONG = {
    "gave_up": [],
    "wrong_argument": [
        Action(tool_calls=(CD.tool_calls[0], LS.tool_calls[0])), Action("Done."),
        Action.call("cat", file_name="soup.txt"), Action("Done."),
        Action.call("mkdir", dir_name="baked"), Action.call("mv", source="bread.txt", destination="baked"),
    ],
    "wrong_function": [Action.call("find", path="recipes"), Action("Done."), LS, Action("Done."), LS],
    "loop": [LS] * 30,
    "max_steps": [LS, CD] * 15,
    "bad_format": [Action()],
}  # fmt: skip


@pytest.mark.parametrize("failure", WRONG)
def test_a_failure_has_its_reason(practice, failure):
    item = practice.items()[0]
    row = practice.score(item, play(practice, item, Says(*WRONG[failure])))
    assert (row["success"], row["reward"], row["failure"]) == (False, 0.0, failure)
    assert row["kind"] == "practice_base" and row["error_type"].startswith("multi_turn:")


def test_what_the_rollout_cuts_short_is_a_failure_even_when_nothing_was_missing(practice):
    item = practice.items()[0]
    whole = play(practice, item, practice.expert(item))
    cut = play(practice, item, practice.expert(item), max_steps=5)  # all calls, but no last words
    assert practice.score(item, whole)["success"] and cut.outcome.termination == "max_steps"
    row = practice.score(item, cut)
    assert (row["success"], row["failure"]) == (False, "max_steps")


def test_a_call_beyond_the_limits_is_a_wrong_argument(practice):
    item = next(item for item in practice.items() if item.kind == "practice_miss_func")
    episode = play(practice, item, Says(Action.call("power", base=7, exponent=10**9)))
    row = practice.score(item, episode)
    assert (row["success"], row["failure"], row["turns"]) == (False, "wrong_argument", 1)


def test_infrastructure_that_failed_is_no_verdict(practice):
    item = practice.items()[0]
    broken = Trajectory("x", play(practice, item, Says(LS)).source, outcome=Outcome(None, None, "infra_error"))
    row = practice.score(item, broken)
    assert (row["success"], row["reward"], row["failure"]) == (None, None, "")
    assert category_scores([row]) == {}
    assert practice.result([row | {"id": item.id}], {}).mean("success") is None


def test_a_sample_depends_on_the_seed_alone():
    def drawn(seed):
        return [item.id for item in BfclMultiTurn(categories=["multi_turn_base"], per_category=5, seed=seed).items()]

    assert drawn(1) == drawn(1) != drawn(2) and len(drawn(1)) == 5


def test_the_expert_says_nothing_where_nothing_can_be_called(practice):
    item = next(item for item in practice.items() if item.kind == "practice_miss_param")
    episode = play(practice, item, practice.expert(item))
    assert [len(step.tool_calls) for step in episode.steps if step.role == "assistant"] == [2, 0, 0, 2, 0]
    assert isinstance(item.scenario.ground_truth[0][0], ToolCall)
