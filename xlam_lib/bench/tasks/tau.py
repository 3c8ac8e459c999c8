"""In the manner of tau-bench: an agent serves a simulated user, several times each task, and pass^k (notebook 05).

    task = Tau()                                             # 20 tasks, four trials each; split="train" has others
    task = Tau(user=lambda blueprint, seed: model_user(endpoint, blueprint))      # a model plays the user
    pass_hat_k({"desk/0": [1.0, 0.0, 1.0, 1.0]}, 2)          # 0.5, the chance that two trials both succeed

Yao et al. 2024 (https://arxiv.org/abs/2406.12045). The domain is ours (`environments/service_desk.py`), so figures
can't be compared with those of its airline and retail domains; pass^k is tau-bench's, and `recorded_reward` finds
rewards of its recorded episodes again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from xlam_lib.agents import Agent
from xlam_lib.agents.rollout import MAX_STEPS
from xlam_lib.bench.base import Figure, Result, Row, Task, TaskError
from xlam_lib.bench.bootstrap import pass_hat_k
from xlam_lib.bench.failures import failure_of
from xlam_lib.data.apigen.multi_turn.blueprint import Blueprint, sample
from xlam_lib.data.apigen.multi_turn.desk import POLICY
from xlam_lib.data.apigen.multi_turn.rule_players import DeskAgent
from xlam_lib.environments.service_desk import HAND_OVER, ServiceDesk, UserOf, scripted_user
from xlam_lib.schema import Step
from xlam_lib.schema import Task as Instruction
from xlam_lib.trajectory import Trajectory

TRIALS = 4
SEEDS = {"train": 2405, "test": 2406}  # of the blueprints; APIGen-MT makes its training data with others
TASKS = {"train": 10, "test": 20}
READING = ("get_", "list_", "search_", "find_", "calculate", "think", "transfer_")  # tools that change no database


@dataclass(frozen=True)
class Trial:
    """One trial of a task: `Trial(blueprint, 0).id` -> "desk/3/0"."""

    blueprint: Blueprint
    trial: int

    @property
    def group(self) -> str:
        """Which task it is a trial of."""
        return f"desk/{self.blueprint.number}"

    @property
    def id(self) -> str:
        """The task and the trial."""
        return f"{self.group}/{self.trial}"

    @property
    def task(self) -> Instruction:
        """The policy; what the user wishes the user alone knows."""
        return Instruction(POLICY, self.id)


class Tau(Task):
    """Tasks at a service desk: `Tau(split="test", trials=4)`."""

    name = "tau"
    title = "Service desk (tau-bench style)"
    metric = (
        "Reward: 1 if the database ends as it should and the user learned what was asked, else 0. "
        "pass^k: chance that k trials of a task all have reward 1, mean over tasks."
    )
    differs = (
        "a service desk of our own with a user by rule, not the airline or retail domain with a user by a large "
        "model; outputs must stand as words of their own, as any date holds a 3"
    )
    scores = ("reward",)
    group = "task"
    figures = tuple(Figure(f"tau.pass_{k}", "05_benchmarking") for k in range(1, TRIALS + 1))
    max_steps: ClassVar[int] = MAX_STEPS

    def __init__(self, split: str = "test", *, trials: int = TRIALS, user: UserOf = scripted_user) -> None:
        if split not in SEEDS or trials < 1:
            raise TaskError(f"split {split!r}, {trials} trials: expected train or test, and at least one trial")
        self.trials, self.user = trials, user
        self._items = tuple(Trial(one, trial) for one in _blueprints(split) for trial in range(trials))

    def items(self) -> Sequence[Trial]:
        """Each task's trials, task by task."""
        return self._items

    def environment(self, item: Trial) -> ServiceDesk:
        """The desk, with a user whose words differ from trial to trial."""
        return ServiceDesk(item.blueprint, lambda blueprint, seed: self.user(blueprint, TRIALS * seed + item.trial))

    def expert(self, item: Trial) -> Agent:
        """The agent by rule, who knows what an agent may know, and keeps to the policy."""
        return DeskAgent()

    def score(self, item: Trial, answer: Trajectory, cut_off: bool = False) -> Row:
        """The row of an episode: reward 0 if it didn't end, None if the infrastructure ended it."""
        known = answer.outcome.termination != "infra_error"
        reward = answer.outcome.reward or 0.0
        actions = {name for name, _ in item.blueprint.actions}
        gave_up = any(call.name == HAND_OVER for step in answer.steps for call in step.tool_calls)
        return {
            "reward": reward if known else None,
            "success": reward == 1.0 if known else None,
            "failure": failure_of(answer, answered=not gave_up or HAND_OVER in actions),
            "kind": "1 goal" if len(item.blueprint.goals) == 1 else f"{len(item.blueprint.goals)} goals",
            "task": item.group,
        }

    def summary(self, result: Result, seed: int = 0) -> dict[str, Any]:
        """The usual figures and pass_1, pass_2, ..., as far as every task has so many trials."""
        rewards: dict[str, list[float]] = {}
        for row in result.rows:
            if row["reward"] is not None:
                rewards.setdefault(row["task"], []).append(row["reward"])
        most = min(map(len, rewards.values()), default=0)
        return result.summary(seed) | {f"pass_{k}": pass_hat_k(rewards, k) for k in range(1, most + 1)}


@cache
def _blueprints(split: str) -> tuple[Blueprint, ...]:
    """The tasks of a split: blueprints by rule, without those whose user begins with a new e-mail address.

    Such a user may write both addresses in one message, which the agent by rule, our expert, can't tell apart.
    """
    found, number = [], 0
    while len(found) < TASKS[split]:
        blueprint = sample(number, SEEDS[split])
        if blueprint.goals[0].kind != "email":
            found.append(blueprint)
        number += 1
    return tuple(found)


def recorded_reward(episode: Trajectory) -> float | None:
    """The reward of an episode that tau-bench recorded (`data/sources/agents/tau_bench.py`), found again.

    1 if the calls that changed something are the task's gold actions, in order, and its outputs were said by
    tau-bench's rule: small letters, without commas, anywhere in the agent's words; 0 if not, or if the episode didn't
    end. The database isn't in the records, so other calls that lead to the same state would count as wrong here. None
    for an episode that doesn't say what the user wanted.
    """
    if "user_goal" not in episode.extra:
        return None
    gold, outputs = episode.extra.get("gold_actions", []), episode.extra.get("gold_outputs", [])
    if episode.outcome.termination == "max_steps":
        return 0.0
    expected = [(one["name"], one["kwargs"]) for one in gold if not one["name"].startswith(READING)]
    words = " ".join(step.content for step in episode.steps if step.role == "assistant").lower().replace(",", "")
    stated = all(output.lower() in words for output in outputs)
    return float(stated and _key(_changes(episode.steps)) == _key(expected))


def _changes(steps: Sequence[Step]) -> list[tuple[str, dict[str, Any]]]:
    failed = {step.tool_call_id for step in steps if step.role == "tool" and step.is_error}
    calls = [call for step in steps for call in step.tool_calls if call.id not in failed]
    return [(call.name, call.arguments) for call in calls if not call.name.startswith(READING)]


def _key(calls: Sequence[tuple[str, dict[str, Any]]]) -> str:
    return json.dumps(calls, sort_keys=True)


TASK = Tau
