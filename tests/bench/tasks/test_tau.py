"""pass^k on tau-bench's own rewards, its recorded rewards found again, and the service desk as a benchmark."""

import json
import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.agents import Action, InfrastructureError, rollout, run
from xlam_lib.bench.base import TaskError
from xlam_lib.bench.bootstrap import IntervalError, pass_hat_k
from xlam_lib.bench.tasks.tau import Tau, recorded_reward
from xlam_lib.data.apigen.multi_turn.blueprint import sample, validate
from xlam_lib.data.apigen.multi_turn.rule_players import DeskAgent
from xlam_lib.data.sources.agents import tau_bench

TRIALS = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=6), min_size=1
)


def played(task, item, agent=None, seed=0):
    return run(rollout(agent or task.expert(item), task.environment(item), item.task, task.max_steps, seed=seed))


def summary(task, rows):
    return task.summary(task.result(rows, {}))


def test_pass_hat_k_of_the_recorded_rewards_is_tau_benchs(real_data):
    """gpt-4o on the airline domain, four trials of fifty tasks; tau-bench prints .420, .273, .220 and .200."""
    rewards = {}
    for one in json.loads((real_data / "tau_bench/gpt-4o-airline_rewards.json").read_text()):
        rewards.setdefault(str(one["task_id"]), []).append(one["reward"])
    assert len(rewards) == 50 and {len(trials) for trials in rewards.values()} == {4}
    assert [f"{pass_hat_k(rewards, k):.4f}" for k in (1, 2, 3, 4)] == ["0.4200", "0.2733", "0.2200", "0.2000"]


def test_recorded_rewards_are_found_again(real_data):
    """All 34 episodes whose messages we have, 12 of them with reward 1, by actions against gold and by outputs."""
    records = json.loads((real_data / "tau_bench/gpt-4o-airline.json").read_text())
    found = {0.0: 0, 1.0: 0}
    for number, record in enumerate(records):
        (episode,) = tau_bench.convert(record, f"gpt-4o-airline.json:{number}")
        assert recorded_reward(episode) == record["reward"], (record["task_id"], record["trial"])
        found[record["reward"]] += 1
    assert found == {0.0: 22, 1.0: 12}


def test_a_changed_record_has_another_reward(real_data):
    records = json.loads((real_data / "tau_bench/gpt-4o-airline.json").read_text())
    record = next(one for one in records if one["reward"] == 1.0 and one["info"]["task"]["outputs"])

    def reward(changed):
        return recorded_reward(tau_bench.convert(changed, "gpt-4o-airline.json:0")[0])

    unsaid, undone, unknown = (json.loads(json.dumps(record)) for _ in range(3))
    unsaid["info"]["task"]["outputs"] = ["98765"]
    undone["info"]["task"]["actions"].append({"name": "cancel_reservation", "kwargs": {"reservation_id": "X"}})
    del unknown["info"]["task"]
    assert [reward(one) for one in (record, unsaid, undone, unknown)] == [1.0, 0.0, 0.0, None]


@given(TRIALS)
def test_pass_hat_k_falls_with_k_and_begins_with_the_mean(rewards):
    values = [pass_hat_k(rewards, k) for k in (1, 2, 3, 4)]
    assert all(0 <= b <= a + 1e-12 <= 1 + 1e-9 for a, b in zip(values, values[1:], strict=False))
    assert values[0] == pytest.approx(sum(sum(one) / len(one) for one in rewards.values()) / len(rewards))


@settings(max_examples=30)
@given(TRIALS, st.integers(1, 4))
def test_pass_hat_k_is_the_share_of_all_choices_of_k_trials(rewards, k):
    shares = []
    for trials in rewards.values():
        chosen = [all(one) for one in combinations(trials, k)]
        shares.append(sum(chosen) / len(chosen))
    assert pass_hat_k(rewards, k) == pytest.approx(sum(shares) / len(shares))


@pytest.mark.parametrize(
    ("rewards", "k", "fault"),
    [
        ({}, 1, "of 0 tasks"),
        ({"a": [1.0]}, 0, "k of at least 1"),
        ({"a": [1.0, 0.0], "b": [1.0]}, 2, "'b' has 1 trials"),
    ],
)
def test_too_few_trials_are_named(rewards, k, fault):
    with pytest.raises(IntervalError, match=fault):
        pass_hat_k(rewards, k)


@pytest.mark.parametrize(("split", "count"), [("train", 10), ("test", 20)])
def test_the_expert_has_reward_1_on_every_item(split, count):
    task = Tau(split)
    rows = [{"id": item.id, **task.score(item, played(task, item))} for item in task.items()]
    assert len(rows) == 4 * count and len({row["task"] for row in rows}) == count
    assert all(row["reward"] == 1.0 and row["success"] is True and row["failure"] == "" for row in rows)
    found = summary(task, rows)
    assert [found[f"pass_{k}"] for k in (1, 2, 3, 4)] == [1.0] * 4
    assert {f"tau.{key}" for key in found if key.startswith("pass_")} == {figure.key for figure in task.figures}


def test_splits_and_training_data_have_no_task_in_common():
    train, test = ({item.blueprint.instruction for item in Tau(split, trials=1).items()} for split in ("train", "test"))
    assert len(train) == 10 and len(test) == 20
    assert not train & test and not (train | test) & {sample(number).instruction for number in range(40)}
    assert all(validate(item.blueprint) == [] for item in Tau(trials=1).items())


def test_a_careless_agent_breaks_the_policy_and_loses():
    """It neither asks nor looks before it writes, so what the policy forbids is done."""
    task = Tau(trials=1)
    rows = [{"id": item.id, **task.score(item, played(task, item, DeskAgent(careless=True)))} for item in task.items()]
    assert summary(task, rows)["pass_1"] == 0.8 and {row["failure"] for row in rows} == {"", "wrong_answer"}


class Chance:
    """Words or any tool with any values that fit its types."""

    name = "chance"

    def __init__(self, tools, seed):
        self.tools, self.rng = tools, random.Random(seed)

    def act(self, observation, history):
        tool = self.rng.choice(self.tools)
        if self.rng.random() < 0.3:
            return Action("Shall I do that? (yes/no)")
        values = {"string": lambda: self.rng.choice(("M101", "B201", "L301", "Central")), "number": self.rng.random}
        return Action.call(tool.name, **{k: values[v["type"]]() for k, v in tool.parameters["properties"].items()})


def test_chance_has_no_reward():
    task = Tau(trials=1)
    rows = []
    for number, item in enumerate(task.items()):
        environment = task.environment(item)
        episode = played(task, item, Chance(environment.tools, number))
        rows.append({"id": item.id, **task.score(item, episode)})
    assert summary(task, rows)["reward"] == 0.0 and all(row["failure"] for row in rows)


def test_what_the_infrastructure_ended_is_no_trial():
    class Gone:
        name = "gone"

        def act(self, observation, history):
            raise InfrastructureError("gone")

    task = Tau(trials=2)
    one, other = task.items()[:2]
    rows = [
        {"id": "a", **task.score(one, played(task, one))},
        {"id": "b", **task.score(other, played(task, other, Gone()))},
    ]
    assert rows[1]["reward"] is None and rows[1]["failure"] == ""
    found = summary(task, rows)
    assert found["pass_1"] == 1.0 and "pass_2" not in found
    assert "pass_1" not in summary(task, rows[1:])


def test_who_hands_over_gives_up_unless_it_was_asked():
    class HandsOver:
        name = "hands over"

        def act(self, observation, history):
            return Action.call("hand_over", summary="too hard")

    task = Tau(trials=1)
    row = task.score(task.items()[0], played(task, task.items()[0], HandsOver()))
    assert (row["reward"], row["failure"]) == (0.0, "gave_up")


def test_trials_have_other_words_and_the_same_seed_the_same_bytes():
    task = Tau(trials=2)
    first, second = task.items()[:2]
    texts = [
        json.dumps([step.to_dict() for step in played(task, item, seed=1).steps]) for item in (first, first, second)
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(("split", "trials"), [("dev", 4), ("test", 0)])
def test_there_are_two_splits_and_some_trials(split, trials):
    with pytest.raises(TaskError, match="expected train or test"):
        Tau(split, trials=trials)
