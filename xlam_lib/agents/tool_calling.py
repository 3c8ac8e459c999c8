"""An agent over any OpenAI-compatible endpoint, through OpenAI tool calls.

    agent = ToolCallingAgent(endpoint, environment.tools, system=policy, seed=0)
    run(rollout(agent, environment, task))

It remembers nothing, so that one agent may play many episodes at once; without tools it only talks, and may play a
user (`user.py`). Used by benchmarks and by APIGen-MT's model players.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from xlam_lib.agents.base import Action, AgentError, InfrastructureError, Observation
from xlam_lib.errors import TrajectoryError
from xlam_lib.schema import Step, Tool
from xlam_lib.views import from_openai, to_openai, tools_to_openai


class Reply(Protocol):
    """What a model answered: text, or calls such as {"name": "add", "arguments": '{"a": 1}'}, or why it could not."""

    text: str
    calls: Sequence[dict[str, Any]]
    error: str


class Endpoint(Protocol):
    """Whom to ask. One with an asynchronous `complete`, too, is awaited; `ask` alone runs in threads, few at once."""

    model: str

    def ask(self, messages: Sequence[dict[str, Any]], **options: Any) -> Reply:
        """The reply to some OpenAI messages; options go into the request (tools, seed)."""


class ToolCallingAgent:
    """A model with tools: `ToolCallingAgent(endpoint, tools, system="Today is Monday.")`."""

    def __init__(
        self, endpoint: Endpoint, tools: Sequence[Tool] = (), system: str = "", seed: int | None = None
    ) -> None:
        self.endpoint, self.name = endpoint, endpoint.model
        self.opening = [{"role": "system", "content": system}] if system else []
        self.options: dict[str, Any] = {"tools": tools_to_openai(tools)} if tools else {}
        self.options |= {} if seed is None else {"seed": seed}

    async def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The model's reply to the whole conversation; arguments that are no JSON object raise an AgentError."""
        messages = [*self.opening, *to_openai((*history, *observation.steps))]
        reply = await ask(self.endpoint, messages, self.options)
        if reply.error:
            raise InfrastructureError(reply.error)
        message = {"role": "assistant", "content": reply.text, "tool_calls": list(reply.calls)}
        try:
            (step,) = from_openai([message])
        except TrajectoryError as error:
            raise AgentError(f"the agent's {error}") from error
        return Action(step.content, step.tool_calls)


async def ask(endpoint: Endpoint, messages: Sequence[dict[str, Any]], options: dict[str, Any]) -> Reply:
    """What an endpoint answers, awaited where it can be: `await ask(endpoint, messages, {"seed": 0})`."""
    complete = getattr(endpoint, "complete", None)
    if complete is not None:
        return await complete(messages, **options)
    return await asyncio.to_thread(endpoint.ask, messages, **options)
