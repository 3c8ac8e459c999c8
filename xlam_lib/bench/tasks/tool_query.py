"""AgentBoard's Tool-Query: questions that are answered by asking tools about weather, movies and papers (notebook 05).

    task = ToolQueryTask()                                  # the embedded goals; split="train" has those to learn from
    item = task.items()[0]
    episode = run(rollout(task.expert(item), task.environment(item), item.task, task.max_steps))
    task.score(item, episode)                               # {"success": True, "progress": 1.0, ...}

    ToolQueryTask(path="data/tool-query/test.jsonl", services=Services(OpenMeteo(), Tmdb(), Dblp()))

The embedded goals ask services made by us, so their figures stand beside AgentBoard's, and are not comparable with
them. AgentBoard's own goals need its services, which you have to bring (`environments/tool_query`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from xlam_lib.agents import Agent
from xlam_lib.bench.base import Figure, Row, Task, TaskError
from xlam_lib.bench.failures import failure_of
from xlam_lib.environments.tool_query.embedded import embedded_goals
from xlam_lib.environments.tool_query.environment import ERROR, MAX_STEPS, Expert, ToolQuery
from xlam_lib.environments.tool_query.goals import Goal, read_goals
from xlam_lib.environments.tool_query.language import ACTIONS, FORMAT_ERROR
from xlam_lib.environments.tool_query.services import Services
from xlam_lib.environments.tool_query.toolkit import Form
from xlam_lib.trajectory import Trajectory


class ToolQueryTask(Task):
    """Tool-Query with actions in words: `ToolQueryTask(split="test")`."""

    name = "tool_query"
    title = "AgentBoard Tool-Query"
    metric = (
        "Success rate: share of the questions whose answer is right. Progress rate: mean share of the subgoals "
        "reached, which are the results of the calls that lead to the answer, and the answer."
    )
    differs = (
        "the back ends are embedded, of the original's tools and shapes of answers, since the original's need the"
        " network; success is a right answer, where AgentBoard also asks for all subgoals"
    )
    scores = ("success", "progress")
    figures = (
        Figure("tool_query.success", "05_benchmarking"),
        Figure("tool_query.progress", "05_benchmarking"),
    )
    published: ClassVar[tuple[str, ...]] = ("tool_query",)
    form: ClassVar[Form] = "text"
    max_steps: ClassVar[int] = MAX_STEPS

    def __init__(
        self, split: str = "test", *, path: str | Path | None = None, services: Services | None = None
    ) -> None:
        if path is not None and services is None:
            raise TaskError(
                f"task {self.name}: the goals of {path} ask services of the original; give services=Services(...), "
                "or leave the path out to play the embedded goals"
            )
        self.services = services
        self._items = tuple(read_goals(path)) if path is not None else embedded_goals(split)

    def items(self) -> Sequence[Goal]:
        """The goals, in order."""
        return self._items

    def environment(self, item: Goal) -> ToolQuery:
        """The tools of a goal's domain, with its `manual`."""
        return ToolQuery(item, self.services, self.form)

    def expert(self, item: Goal) -> Agent:
        """Who knows the calls that solve an embedded goal; a GoalError for any other."""
        return Expert(item)

    def score(self, item: Goal, answer: Trajectory, cut_off: bool = False) -> Row:
        """The row of an episode; success and progress are None if the infrastructure ended it.

        `grounded` is AgentBoard's grounding accuracy: the share of actions that were no error.
        """
        outcome = answer.outcome
        known = outcome.termination != "infra_error"
        reached = round(outcome.reward or 0.0, 9)  # a sum of differences
        return {
            "success": bool(outcome.success) if known else None,
            "progress": reached if known else None,
            "reward": reached if known else None,
            "grounded": _grounded(answer),
            "failure": failure_of(answer, ACTIONS.parse),
            "kind": item.domain,
        }


def _grounded(episode: Trajectory) -> float:
    results = [step for step in episode.steps if step.role != "assistant"][1:]  # without the question
    fine = [not step.content.startswith((ERROR, FORMAT_ERROR)) for step in results]
    return sum(fine) / len(fine) if fine else 0.0


TASK = ToolQueryTask
