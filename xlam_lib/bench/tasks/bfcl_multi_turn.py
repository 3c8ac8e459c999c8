"""BFCL's conversations of several turns: does the agent leave the systems as the answers would, after every turn?

Used by notebook 05. Items are the 200 conversations of each category as they ship in `bfcl-eval`, executed and checked
by its own code in a confined child process; `split="train"` has a few of our own in the same shape.

    with BfclMultiTurn(categories=("multi_turn_base",), per_category=10) as task:
        for item in task.items():
            episode = run(rollout(agent, task.environment(item), item.task, max_steps=task.max_steps))
            print(task.score(item, episode))

A row is made from the episode's steps alone, so that episodes on disk can be scored, too. The agent of `expert` makes
the calls of the answers, turn by turn.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from xlam_lib.agents.base import Action, Agent, Observation
from xlam_lib.bench.base import Figure, Row, Task, TaskError
from xlam_lib.environments.bfcl_multi_turn import CATEGORIES, Backend, Scenario, load, practice
from xlam_lib.environments.bfcl_multi_turn import BfclMultiTurn as Environment
from xlam_lib.environments.bfcl_multi_turn.backend import BEYOND, Verdict
from xlam_lib.environments.bfcl_multi_turn.environment import MOST_STEPS, source_of
from xlam_lib.schema import Step, ToolCall
from xlam_lib.schema import Task as Instruction
from xlam_lib.trajectory import Trajectory

DONE = "Done."  # what the expert says at the end of a turn
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Item:
    """One conversation: `item.task` is what an environment's `reset` gets."""

    scenario: Scenario

    @property
    def id(self) -> str:
        """E.g. "multi_turn_base_0"."""
        return self.scenario.id

    @property
    def kind(self) -> str:
        """The category, e.g. "multi_turn_base"."""
        return self.scenario.category

    @property
    def task(self) -> Instruction:
        """What the user says first, and the id."""
        return Instruction(self.scenario.turns[0], self.id)


class Expert:
    """An agent that makes the calls of a scenario's answers, all of a turn at once; made anew for each episode."""

    name = "expert"

    def __init__(self, scenario: Scenario) -> None:
        self._turns = iter(scenario.ground_truth)

    def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The next turn's calls; words once they are made, or where there is nothing to call."""
        if any(step.role == "user" for step in observation.steps) and (calls := next(self._turns)):
            return Action(tool_calls=calls)
        return Action(DONE)


class BfclMultiTurn(Task):
    """The conversations of some categories, all or a drawn sample: `BfclMultiTurn(per_category=5, seed=1)`."""

    name, title = "bfcl_multi_turn", "BFCL, several turns"
    metric = (
        "Share of the conversations in which, after every turn, the simulated systems stand as the answers leave them "
        "and what the answers return was seen (bfcl-eval's own checker); more than 20 steps in a turn is a failure."
    )
    scores = ("success", "reward")
    figures = tuple(
        Figure(f"bfcl_multi_turn.ground_truth.{name}", "05_benchmarking", f"BFCL ground truth, {name}", 1.0, 1.0)
        for name in CATEGORIES
    )
    max_steps = 8 * (MOST_STEPS + 1) + 1  # actions: no conversation has more than eight turns

    def __init__(
        self,
        path: str | Path | None = None,
        split: str = "test",
        categories: Iterable[str] = CATEGORIES,
        per_category: int | None = None,
        seed: int = 0,
    ) -> None:
        if split not in SPLITS:
            raise TaskError(f"task {self.name}: no split {split!r}; there are {' and '.join(SPLITS)}")
        self.path, self.split, self.categories = path, split, tuple(categories)
        self.per_category, self.seed = per_category, seed

    def __enter__(self) -> BfclMultiTurn:
        return self

    def __exit__(self, *_: object) -> None:
        self.backend.close()

    @cached_property
    def backend(self) -> Backend:
        """Where all its environments' calls are executed; it ends with this task, or before it by `close()`."""
        return Backend()

    @cached_property
    def _items(self) -> list[Item]:
        if self.split == "train":
            return [Item(scenario) for scenario in practice(self.path)]
        found = []
        for category in self.categories:
            scenarios = load(category, self.path)
            size = len(scenarios) if self.per_category is None else min(self.per_category, len(scenarios))
            drawn = random.Random(f"{self.seed}/{category}").sample(range(len(scenarios)), size)
            found += [Item(scenarios[number]) for number in sorted(drawn)]
        return found

    def items(self) -> list[Item]:
        return self._items

    def environment(self, item: Item) -> Environment:
        """Its environment; all share one child process, in which no episode meets another."""
        return Environment([item.scenario], self.backend)

    def expert(self, item: Item) -> Agent:
        """An agent that solves the item."""
        return Expert(item.scenario)

    def score(self, item: Item, answer: Trajectory, cut_off: bool = False) -> Row:
        """The row of an episode; reward and success are None where infrastructure failed, which is no verdict.

        Example: {"kind": "multi_turn_base", "reward": 0.0, "success": False, "failure": "wrong_argument", "turns": 4,
        "error_type": "multi_turn:instance_state_mismatch", "error": "Model instance for ..."}.
        """
        turns, words = turns_of(answer, item.scenario)
        row: Row = {"kind": item.kind, "turns": len(turns), "error_type": "", "error": ""}
        if answer.outcome.termination == "infra_error":
            return row | {"reward": None, "success": None, "failure": "", "error": answer.extra.get("error", "")}
        sources = [[source for source, _ in turn] for turn in turns]
        verdict = self.backend.check(item.scenario, sources if words else sources[:-1])
        failure = "" if verdict.valid else _failure(verdict, item.scenario, turns, answer)
        found = {"reward": float(verdict.valid), "success": verdict.valid, "failure": failure}
        return row | found | {"error_type": verdict.error_type, "error": verdict.error}


TASK = BfclMultiTurn
Turn = list[tuple[list[str], tuple[ToolCall, ...]]]  # steps with calls, as source and as they were


def turns_of(episode: Trajectory, scenario: Scenario) -> tuple[list[Turn], bool]:
    """The steps with calls of each turn that the user began, and whether the last one was ended by words."""
    turns: list[Turn] = []
    ended = False
    for step in episode.steps:
        if step.role == "user":
            turns.append([])
        elif step.role == "assistant" and turns:
            ended = not step.tool_calls
            if step.tool_calls:
                sources, _ = source_of(step.tool_calls, scenario.names)
                turns[-1].append((sources, step.tool_calls))
    return turns, ended


def _failure(verdict: Verdict, scenario: Scenario, turns: Sequence[Turn], episode: Trajectory) -> str:
    """Why a conversation failed, in the words of all benchmarks."""
    if verdict.error_type == "multi_turn:force_terminated":
        if "error" in episode.extra:
            return "bad_format"
        steps = [sources for sources, _ in turns[-1]] if turns else []
        if len(steps) > MOST_STEPS or episode.outcome.termination == "max_steps":
            return "loop" if len(steps) > 2 and all(step == steps[-1] for step in steps[-3:]) else "max_steps"
        return "wrong_argument"  # beyond the limits of the sandbox
    if verdict.error_type == "multi_turn:empty_turn_model_response":
        return "gave_up"
    if verdict.error_type == BEYOND:
        return "wrong_argument"
    called = {call.name for turn in turns for _, calls in turn for call in calls}
    expected = {call.name for calls in scenario.ground_truth for call in calls}
    return "wrong_argument" if expected <= called else "wrong_function"


def category_scores(rows: Sequence[Row]) -> dict[str, float]:
    """Accuracy by category, for `bfcl_overall.py`: {"multi_turn_base": 0.05, ...}; a row without verdict counts not."""
    kinds: dict[str, list[bool]] = {}
    for row in rows:
        if row["success"] is not None:
            kinds.setdefault(row["kind"], []).append(row["success"])
    return {kind: sum(found) / len(found) for kind, found in kinds.items()}
