"""A conversation of BFCL as an environment: the user's turns come one by one, the agent calls until it answers words.

    environment = BfclMultiTurn(load("multi_turn_base")[:1])
    run(rollout(agent, environment, environment.task("multi_turn_base_0"), max_steps=200)).outcome.reward    # 0.0, 1.0

After more than 20 steps with calls in one turn the conversation is over and failed, as in BFCL. Its verdict, by BFCL's
own checker, is the reward of the last action. Functions that are held out at first come in a turn of their own: the
user shows them, and `tools` has them from then on. Used by `bench/tasks/bfcl_multi_turn.py` (notebook 05); `practice()`
has scenarios of our own that may be trained on.

What differs from the original: a call is no argument of another call, an argument has a name, and calls beyond the
limits of the sandbox end the conversation as failed. As there, a function that is still held out can be called by who
guesses its name.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence

from xlam_lib.agents.base import Action, Observation, StepResult, tool_result
from xlam_lib.agents.manual import Example, Manual
from xlam_lib.environments.bfcl_multi_turn.backend import Backend
from xlam_lib.environments.bfcl_multi_turn.calls import CallError, PythonCalls, call_text
from xlam_lib.environments.bfcl_multi_turn.package import BfclError
from xlam_lib.environments.bfcl_multi_turn.scenarios import Scenario, practice
from xlam_lib.schema import Step, Task, Tool, ToolCall
from xlam_lib.views import tools_to_openai

MOST_STEPS = 20  # with calls, in one turn (bfcl_eval.constants.default_prompts.MAXIMUM_STEP_LIMIT)
NEW_FUNCTIONS = "I have updated some more functions you can choose from. What about now?"  # the words of bfcl_eval
REFUSED = "no_such_function()"  # stands for a call that isn't executed: it fails, and changes nothing
INSTRUCTION = (
    "You work for a user on the systems that your functions reach. In each turn, call functions until you have done "
    "what the user asks, one or several at a time; read the results before you go on. When there is nothing more to "
    "call, answer in words: that ends the turn, and the user goes on. If no function can do what is asked, or what it "
    "needs is missing, say so instead of guessing. A call is written as in Python, each argument with its name: "
    "cd(folder='documents')."
)


class BfclMultiTurn:
    """Plays scenarios by the ids of their tasks: `BfclMultiTurn(practice())`; environments may share a backend."""

    def __init__(self, scenarios: Iterable[Scenario], backend: Backend | None = None) -> None:
        self._scenarios = {scenario.id: scenario for scenario in scenarios}
        self._backend = backend or Backend()
        self._scenario = next(iter(self._scenarios.values()))
        self.tools: tuple[Tool, ...] = self._scenario.offered(0)

    @property
    def manual(self) -> Manual:
        """What is to be done, the functions of the scenario at hand, and solved scenarios of our own."""
        functions = "\n".join(json.dumps(tool["function"]) for tool in tools_to_openai(self.tools))
        return Manual(f"{INSTRUCTION}\n\nThe functions:\n{functions}", PythonCalls(), examples())

    def task(self, name: str) -> Task:
        """The task of a scenario: `environment.task("multi_turn_base_0")`."""
        return Task(self._scenarios[name].turns[0], name)

    def reset(self, task: Task, seed: int = 0) -> Observation:
        """The first turn of the scenario that the task names; nothing in it is random."""
        if task.task_id not in self._scenarios:
            raise BfclError(f"no scenario {task.task_id!r} here; there are {len(self._scenarios)} others")
        self._scenario = self._scenarios[task.task_id]
        self._turns: list[list[list[str]]] = []
        self._done = False
        return self._next_turn()

    def step(self, action: Action) -> StepResult:
        """The results of calls; for words the next turn, or after the last one the verdict."""
        if self._done:
            raise BfclError("the conversation is over; reset the environment")
        if action.tool_calls:
            return self._execute(action.tool_calls)
        if len(self._turns) < len(self._scenario.turns):
            return StepResult(self._next_turn())
        return self._over(self._backend.check(self._scenario, self._turns).valid)

    def _next_turn(self) -> Observation:
        turn = len(self._turns)
        self._turns.append([])
        self.tools = self._scenario.offered(turn)
        return Observation((Step("user", turn_text(self._scenario, turn)),))

    def _execute(self, calls: Sequence[ToolCall]) -> StepResult:
        texts, refused = source_of(calls, self._scenario.names)
        self._turns[-1].append(texts)
        try:
            found = self._backend.execute(self._scenario, [step for turn in self._turns for step in turn])
        except CallError as error:
            results = [tool_result(call, f"Error during execution: {error}", True) for call in calls]
            return self._over(False, tuple(results))
        results = []
        for number, (call, text) in enumerate(zip(calls, found, strict=True)):
            said = refused.get(number, text)
            results.append(tool_result(call, said, said.startswith("Error during execution: ")))
        if len(self._turns[-1]) > MOST_STEPS:
            return self._over(False, tuple(results))
        return StepResult(Observation(tuple(results)))

    def _over(self, valid: bool, steps: tuple[Step, ...] = ()) -> StepResult:
        self._done = True
        return StepResult(Observation(steps), float(valid), True, "success" if valid else "failure")


def turn_text(scenario: Scenario, turn: int) -> str:
    """What the user says in a turn, counted from 0; where functions come, these and that they are new."""
    if turn not in scenario.later:
        return scenario.turns[turn]
    functions = [tool["function"] for tool in tools_to_openai(scenario.later[turn])]
    return f"{json.dumps(functions)}\n{NEW_FUNCTIONS}"


def source_of(calls: Sequence[ToolCall], names: Collection[str]) -> tuple[list[str], dict[int, str]]:
    """The calls as source, and by place what the agent reads for those that can't be, which stand as REFUSED."""
    texts, refused = [], {}
    for number, call in enumerate(calls):
        try:
            texts.append(call_text(call, names))
        except CallError as error:
            texts.append(REFUSED)
            refused[number] = f"Error during execution: {error}"
    return texts, refused


def examples() -> tuple[Example, ...]:
    """Our own scenarios as solved conversations, with the results that the systems give."""
    return tuple(Example(tuple(_solved(scenario))) for scenario in practice() if scenario.results)


def _solved(scenario: Scenario) -> list[Step]:
    steps = []
    for turn, calls in enumerate(scenario.ground_truth):
        steps.append(Step("user", turn_text(scenario, turn)))
        if calls:
            numbered = tuple(ToolCall(call.name, call.arguments, f"call_{turn}_{n}") for n, call in enumerate(calls))
            steps.append(Step("assistant", tool_calls=numbered))
            given = zip(numbered, scenario.results[turn], strict=True)
            steps += [tool_result(call, result) for call, result in given]
        steps.append(Step("assistant", "That is done." if calls else "I can't do that: something is missing."))
    return steps
