"""A simulated user: an agent that plays the person whom another agent serves, as in tau-bench and APIGen-MT.

An environment holds one, and gives it the agent's words:

    self.user = SimulatedUser(ToolCallingAgent(endpoint, system="You are Ada. You want to renew a book."))
    await self.user.open()                          # Observation((Step("user", "Hi, I'd like to renew a book."),))
    await self.user.reply("Shall I renew it?")      # a StepResult, done once the user says STOP

Seen from its chair the roles are swapped: it is the assistant, and the agent's words are a user's. So every agent can
play the user. It sees words only, never the agent's calls and their results.
"""

from __future__ import annotations

from xlam_lib.agents.base import Agent, AgentError, InfrastructureError, Observation, StepResult, resolve
from xlam_lib.schema import Step

STOP = "###STOP###"  # by which a user ends the conversation
GREETING = "Hello, how can I help you?"  # what the user is given to begin with; it is no part of the trajectory


class SimulatedUser:
    """The user's side of a dialogue: `SimulatedUser(agent)`. What goes wrong on it is no fault of the agent served."""

    def __init__(self, agent: Agent, stop: str = STOP, greeting: str = GREETING) -> None:
        self.agent, self.stop, self.greeting = agent, stop, greeting
        self.history: list[Step] = []

    async def open(self) -> Observation:
        """The first words of a new dialogue."""
        self.history = []
        result = await self.reply(self.greeting)
        if result.done:
            raise InfrastructureError("the user stopped before the agent could act")
        return result.observation

    async def reply(self, words: str) -> StepResult:
        """The user's answer to the agent's words."""
        given = Step("user", words)
        try:
            action = await resolve(self.agent.act(Observation((given,)), tuple(self.history)))
        except AgentError as error:
            raise InfrastructureError(f"the simulated user: {error}") from error
        text, done = action.content.replace(self.stop, "").strip(), self.stop in action.content
        if done:
            return StepResult(Observation((Step("user", text),) if text else ()), done=True, termination="user_stop")
        if not text:
            raise InfrastructureError("the user said nothing")
        self.history += [given, Step("assistant", text)]
        return StepResult(Observation((Step("user", text),)))
