"""What all language agents share: one model, one environment with its manual, and the history that fits its memory.

An agent of `architectures/` says in a few words what it is:

    class React(LanguageAgent):
        name, title = "react", "ReAct"
        thinks = shows_examples = True

It keeps the plan of its episode, so one is made anew for each. Used by `bench/run.py` (notebook 05).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from xlam_lib.agents.base import Action, AgentError, InfrastructureError, Observation, PromptTooLongError
from xlam_lib.agents.forms import IN_WORDS, NATIVE, Form, actions_of
from xlam_lib.agents.manual import Example, Manual
from xlam_lib.agents.tool_calling import Endpoint, Reply, ask
from xlam_lib.schema import Step, Tool

MEMORY = 12_000  # characters of an episode that a prompt holds: about 3,000 tokens
TOO_LONG = ("context", "too long")  # words of servers that refuse a prompt for its length
PLANNED = 600  # characters of a plan


class Explained(Protocol):
    """An environment with its manual."""

    tools: tuple[Tool, ...]
    manual: Manual


@dataclass(frozen=True)
class Answer:
    """A reply of a Python function: `Answer("Action: search[red lamp]")`."""

    text: str = ""
    calls: Sequence[dict[str, Any]] = ()
    error: str = ""
    reasoning: str = ""


@dataclass(frozen=True)
class Function:
    """A Python function as a model: `Function(lambda messages: "Action: look", "mine")`; it may be asynchronous.

    It is given the messages, and the tools where the agent acts by native calls, and returns a text or an `Answer`.
    """

    function: Callable[..., Any]
    model: str = "function"

    async def complete(self, messages: Sequence[dict[str, Any]], **options: Any) -> Answer:
        """The function's answer to some messages."""
        answer = self.function(messages, *([options["tools"]] if "tools" in options else []))
        answer = await answer if inspect.isawaitable(answer) else answer
        return Answer(answer) if isinstance(answer, str) else answer

    def ask(self, messages: Sequence[dict[str, Any]], **options: Any) -> Answer:
        """The same from plain code."""
        return asyncio.run(self.complete(messages, **options))


class LanguageAgent:
    """A model that acts in an environment: `React(endpoint, environment).act(observation, history)`."""

    name: ClassVar[str]
    title: ClassVar[str]  # as the published tables call it
    order: ClassVar[int] = 50
    thinks: ClassVar[bool] = False  # a thought before each action
    plans: ClassVar[bool] = False  # a plan before the first
    shows_examples: ClassVar[bool] = False

    def __init__(
        self,
        model: Endpoint,
        environment: Explained,
        *,
        native: bool = False,
        memory: int = MEMORY,
        seed: int | None = None,
    ) -> None:
        self.model, self.environment, self.memory, self.plan = model, environment, memory, ""
        self.form: Form = NATIVE if native else IN_WORDS
        self.options = {} if seed is None else {"seed": seed}

    @property
    def manual(self) -> Manual:
        """Of the environment, which may have set it for its task."""
        return self.environment.manual

    async def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The next action; before the first, the plan."""
        steps = (*history, *observation.steps)
        if self.plans and not history:
            self.plan = await self._planned(steps)
        return await self.choose(steps, self.environment.tools, self.manual.examples)

    async def choose(self, steps: Sequence[Step], tools: Sequence[Tool], examples: Sequence[Example]) -> Action:
        """An action with these tools, behind these examples if the agent shows any."""
        messages, options = self.form.request(
            self.manual,
            tools,
            recent(steps, self.memory),
            thinks=self.thinks,
            examples=examples if self.shows_examples else (),
            plan=self.plan,
        )
        action = self.form.read(self.manual, await self.reply(messages, options))
        if not action.content and not action.tool_calls:
            raise AgentError("the model answered nothing")
        return action

    async def reply(self, messages: list[dict[str, Any]], options: dict[str, Any] | None = None) -> Reply:
        """What the model answers; a prompt that is too long for it ends the episode as the agent's failure."""
        reply = await ask(self.model, messages, {**self.options, **(options or {})})
        if reply.error:
            if reply.error.startswith("status 400") and any(word in reply.error for word in TOO_LONG):
                raise PromptTooLongError(reply.error)
            raise InfrastructureError(reply.error)
        return reply

    async def _planned(self, steps: Sequence[Step]) -> str:
        """A plan of a few sentences, made before the first action as BOLAA's planning agents do."""
        shown = [
            f"Task: {example.steps[0].content}\nPlan: {example.plan}"
            for example in self.manual.examples
            if example.plan
        ]
        parts = [self.manual.instruction, actions_of(self.manual, self.environment.tools)]
        parts += ["First make a plan: one or two sentences that say what to do in which order.", *shown]
        task = "\n".join(step.content for step in steps)
        reply = await self.reply([{"role": "user", "content": "\n\n".join([*parts, f"Task: {task}\nPlan:"])}])
        plan = reply.text.strip().removeprefix("Plan:").partition("\nAction:")[0].strip()
        return plan[:PLANNED] or "Do one step after the other."


def recent(steps: Sequence[Step], memory: int) -> list[Step]:
    """The task and as many of the last steps as the memory holds, never a result without its call.

    Example: `recent(steps, 12_000)`; the task is what stands before the first action, and is never left out.
    """
    first = next((place for place, step in enumerate(steps) if step.role == "assistant"), len(steps))
    room, begin = memory - sum(map(_size, steps[:first])), len(steps)
    for place in range(len(steps) - 1, first - 1, -1):
        room -= _size(steps[place])
        if room < 0 and begin < len(steps):
            break
        if steps[place].role == "assistant":
            begin = place
    return [*steps[:first], *steps[begin:]]


def _size(step: Step) -> int:
    return len(step.content) + len(step.reasoning) + sum(len(str(call.arguments)) for call in step.tool_calls)
