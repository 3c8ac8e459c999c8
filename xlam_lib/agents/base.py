"""Agent and Environment on one page: who acts and what answers, for benchmarks, APIGen's players and RL alike.

An agent is given an observation and acts: it calls tools, or says something. An environment answers an action with the
next observation, a reward where it has one, and whether all is over. Both may be plain or asynchronous. For example:

    class Game:                                             # an Environment
        tools = (Tool("guess", "Guess a number.", {"type": "object", "properties": {"n": {"type": "integer"}}}),)

        def reset(self, task, seed=0):
            self.number = random.Random(seed).randint(1, 9)
            return Observation((Step("user", task.instruction),))

        def step(self, action):
            if not action.tool_calls:                           # words only: a model may do that, too
                return StepResult(Observation((Step("user", "Guess a number, please."),)))
            found = [call.arguments.get("n") == self.number for call in action.tool_calls]
            answers = (tool_result(call, str(hit)) for call, hit in zip(action.tool_calls, found))
            return StepResult(Observation(tuple(answers)), float(any(found)), any(found), "success")

    class Counter:                                          # an Agent
        name = "counter"

        def act(self, observation, history):
            return Action.call("guess", n=1 + len(history) // 2)

    run(rollout(Counter(), Game(), Task("Guess my number, 1 to 9.", "guess/1"), max_steps=9)).outcome.success    # True

A simulated user is an agent, too, which the environment asks (`user.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from xlam_lib.errors import XlamError
from xlam_lib.schema import Step, Task, Tool, ToolCall

T = TypeVar("T")


class InfrastructureError(XlamError, RuntimeError):
    """What surrounds agent and environment failed, say a server: nobody's fault, so the episode has no reward."""


class AgentError(XlamError, RuntimeError):
    """An agent's answer that can't be acted on, such as arguments that are not JSON: the episode is a failure."""


class PromptTooLongError(AgentError):
    """An episode that has grown longer than the model can read: the agent's failure, known by its first words."""

    WORDS = "the prompt is longer than the model reads"

    def __init__(self, why: str) -> None:
        super().__init__(f"{self.WORDS}: {why}")


@dataclass(frozen=True)
class Action:
    """What an agent does: calls of tools, or else words: `Action("Done.")`; the loop gives the calls their ids."""

    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""

    @classmethod
    def call(cls, name: str, /, **arguments: object) -> Action:
        """One call: `Action.call("get_member", member_id="M101")`."""
        return cls(tool_calls=(ToolCall(name, arguments),))


@dataclass(frozen=True)
class Observation:
    """What is new to the agent: the user's words, or the results of its calls: `Observation((Step("user", "Hi"),))`."""

    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class StepResult:
    """How an environment answers; once `done`, `termination` says how it ended."""

    observation: Observation = Observation()
    reward: float | None = None
    done: bool = False
    termination: Literal["success", "failure", "user_stop", "unknown"] = "unknown"


class Agent(Protocol):
    """Acts. One that remembers an episode is made anew for each (see `rollouts`)."""

    name: str

    def act(self, observation: Observation, history: Sequence[Step]) -> Action | Awaitable[Action]:
        """The next action; `history` is all that came before the observation."""


class Environment(Protocol):
    """Answers actions; it plays one episode at a time."""

    tools: tuple[Tool, ...]  # that may be called; `reset` may set them anew

    def reset(self, task: Task, seed: int = 0) -> Observation | Awaitable[Observation]:
        """A new episode of a task; all that is random in it comes from the seed."""

    def step(self, action: Action) -> StepResult | Awaitable[StepResult]:
        """What follows from an action; each call needs its result in the observation."""


def tool_result(call: ToolCall, content: str, is_error: bool = False) -> Step:
    """The step that answers a call: `tool_result(call, '{"celsius": 4}')`."""
    return Step("tool", content, tool_call_id=call.id, name=call.name, is_error=is_error)


async def resolve(value: T | Awaitable[T]) -> T:
    """What a plain or an asynchronous method gave: `await resolve(agent.act(observation, history))`."""
    return await value if inspect.isawaitable(value) else value
