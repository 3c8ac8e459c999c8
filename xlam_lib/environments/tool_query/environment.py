"""Tool-Query as an environment: a goal, the tools of its domain, and progress as reward (notebook 05).

    goal = embedded_goals("train")[0]
    episode = run(rollout(Expert(goal), ToolQuery(goal), goal.task, MAX_STEPS))
    episode.outcome.success, episode.outcome.reward      # (True, 1.0)

Actions are calls, or words in the original's language (`language.py`), which are read as calls. In the original's form
an observation is the result as Python shows it; with `form="calls"` (ToolQuery-Unified: xLAM, arXiv 2409.03215) it is
JSON. What an action reaches is its reward, so that the rewards of an episode add up to its progress. Errors begin with
"ERROR | ", as AgentBoard's do, and cost nothing but the step.

Where it differs from AgentBoard: an episode is a success if the answer given is the right one (there: if it was
finished, and each subgoal was the result of some call, the answer's among them); only a call of `finish` ends it
(there: any action with that word in it); the levels of the air have no gaps (there 20.5 is "extremely poor").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xlam_lib.agents import Action, Manual, Observation, StepResult, tool_result
from xlam_lib.environments.tool_query.goals import Goal, GoalError
from xlam_lib.environments.tool_query.language import ACTIONS, FORMAT_ERROR
from xlam_lib.environments.tool_query.manual import manual_of
from xlam_lib.environments.tool_query.progress import progress, same_answer, subgoal_of
from xlam_lib.environments.tool_query.services import TOOLKITS, Services
from xlam_lib.environments.tool_query.toolkit import CHECK, FINISH, Form, ToolFailure, Toolkit, shown
from xlam_lib.schema import Step, Task, Tool, ToolCall

MAX_STEPS = 20  # actions in an episode, as in AgentBoard
ERROR = "ERROR | "


class ToolQuery:
    """The environment of one goal: `ToolQuery(goal)`, `ToolQuery(goal, form="calls")`."""

    def __init__(self, goal: Goal, services: Services | None = None, form: Form = "text") -> None:
        self.goal, self.services, self.form = goal, services or Services(), form
        self.tools: tuple[Tool, ...] = TOOLKITS[goal.domain].tools

    @property
    def manual(self) -> Manual:
        """How the tools of the goal's domain are explained."""
        return manual_of(self.goal.domain, self.form)

    def reset(self, task: Task, seed: int = 0) -> Observation:
        """A new episode of the goal; nothing in it is random."""
        if task.task_id != self.goal.id:
            raise GoalError(f"the environment plays {self.goal.id!r}, not {task.task_id!r}; make one for each goal")
        self.toolkit: Toolkit = self.services.toolkit(self.goal.domain, self.goal.setup)
        self.results: list[Any] = []
        self.reached = 0.0
        self.finished: bool | None = None  # once finished: whether with the right answer
        return Observation((Step("user", self.goal.question),))

    def step(self, action: Action) -> StepResult:
        """The results of the calls, with what they add to the progress."""
        if action.tool_calls:
            steps = tuple(tool_result(call, *self._result(call)) for call in action.tool_calls)
        elif (found := ACTIONS.parse(action.content)) is not None:
            steps = (Step("user", self._result(ToolCall(*found))[0]),)
        else:
            steps = (Step("user", FORMAT_ERROR),)
        before, self.reached = self.reached, progress(self.goal.subgoals, self.results)
        done = self.finished is not None
        termination = "success" if self.finished else "failure"
        return StepResult(Observation(steps), self.reached - before, done, termination if done else "unknown")

    def _result(self, call: ToolCall) -> tuple[str, bool]:
        """(the observation of a call, whether it is an error)."""
        if self.finished is not None:
            return f"{ERROR}the task is finished", True
        try:
            result = self.toolkit.call(call.name, dict(call.arguments))
        except ToolFailure as failure:
            return f"{ERROR}{failure}", True
        if call.name == FINISH:
            self.finished = same_answer(result, self.goal.answer)
        if call.name != CHECK:
            self.results.append(subgoal_of(self.goal.domain, result))
        return shown(result, self.form), False


class Expert:
    """Makes the calls of a goal's solution in order, with their thoughts: `Expert(goal)`."""

    name = "expert"

    def __init__(self, goal: Goal) -> None:
        if not goal.moves:
            raise GoalError(f"goal {goal.id}: no solution of it is known; only embedded goals have one")
        self.goal = goal

    def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The next call: as many were made as the history has steps of the assistant."""
        move = self.goal.moves[sum(step.role == "assistant" for step in history)]
        return Action(tool_calls=(ToolCall(move.name, move.arguments),), reasoning=move.thought)
