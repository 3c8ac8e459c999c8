"""A conversation with a served model: it asks, calls tools, reads their results, and answers, turn after turn.

    with Endpoint("http://127.0.0.1:8000/v1", "sft") as endpoint:
        conversation = Conversation(endpoint, Toolbox(Functions([in_stock])), system="Be brief.")
        turn = conversation.step("Is the Falcon 3 in stock?")
        turn.calls, turn.words              # (ToolCall("in_stock", {"model": "Falcon 3"}, "call_0"),), "Yes, two are."
        conversation.step("And the Swift?")
        conversation.transcript()           # a Trajectory, which can be trained on

Used by notebook 04_serving. The loop is that of benchmarks (`agents/rollout.py`), the tools are `toolbox.py`'s. What
was served can be trained on: the prompts of the transcript's rows are those that the server saw.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from xlam_lib.agents.base import Observation
from xlam_lib.agents.rollout import play, run
from xlam_lib.agents.tool_calling import Endpoint, ToolCallingAgent
from xlam_lib.codec import history_steps
from xlam_lib.serialize import dumps
from xlam_lib.serve.toolbox import Toolbox
from xlam_lib.trajectory import Outcome, Source, Step, ToolCall, Trajectory

MAX_STEPS = 10  # answers of the model to one message of the user
SOURCE = Source("conversation", "unknown", converter="xlam_lib.serve.conversation")


@dataclass(frozen=True)
class Turn:
    """What followed from a message: `Turn((Step("assistant", "Hello."),))`."""

    steps: tuple[Step, ...]
    whole: bool = True  # False: max_steps ended it; `step()` goes on

    @property
    def words(self) -> str:
        """The model's last words: 'Yes, two are.'."""
        return next((step.content for step in reversed(self.steps) if step.role == "assistant"), "")

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """All calls that were made, in order."""
        return tuple(call for step in self.steps for call in step.tool_calls)

    @property
    def results(self) -> tuple[Step, ...]:
        """What they returned, each under its call's id."""
        return tuple(step for step in self.steps if step.role == "tool")


class Conversation:
    """One conversation; `endpoint` is an `Endpoint` or an `xLAMChatCompletion`, `steps` all that happened so far."""

    def __init__(
        self,
        endpoint: Endpoint,
        toolbox: Toolbox | None = None,
        system: str = "",
        *,
        max_steps: int = MAX_STEPS,
        seed: int | None = None,
    ) -> None:
        self.toolbox, self.system, self.max_steps = toolbox or Toolbox(), system, max_steps
        self.agent = ToolCallingAgent(endpoint, self.toolbox.tools, system, seed)
        self.steps: list[Step] = []
        self._whole = True

    def step(self, user_input: str = "") -> Turn:
        """The user's message, and all that follows until the model answers in words, or `max_steps` times.

        Without a message it goes on where the last turn was cut off, by `max_steps` or by an error. Where the server
        fails (InfrastructureError), or answers what can't be acted on (AgentError), what had happened stays, so that
        no call is made twice; a message to which nothing had followed is taken back, so that it can be sent again.
        """
        return run(self.astep(user_input))

    async def astep(self, user_input: str = "") -> Turn:
        """The same, to be awaited: `await conversation.astep("Is the Falcon 3 in stock?")`."""
        if not user_input and not (self.steps and self.steps[-1].role != "assistant"):
            raise ValueError("there is nothing to go on with; give the user's message")
        done = 1 + max((index for index, step in enumerate(self.steps) if step.role == "assistant"), default=-1)
        before, steps = len(self.steps), self.steps[:done]
        new = (*self.steps[done:], *((Step("user", user_input),) if user_input else ()))
        try:
            ended = await play(self.agent, self.toolbox, Observation(new), self.max_steps, steps)
        finally:
            if any(step.role == "assistant" for step in steps[done:]):
                self.steps = steps
        self._whole = ended != "max_steps"
        return Turn(tuple(self.steps[before + bool(user_input) :]), self._whole)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The history block of the prompt, as the original keeps it by `update_conversation_history`.

        Example: [{"step_id": 1, "thought": "", "tool_calls": [...], "next_observation": "2", "user_input": "..."}]
        """
        return history_steps(self.steps)[1]

    def transcript(self, outcome: Outcome | None = None, source: Source = SOURCE) -> Trajectory:
        """The conversation in the unified format; not validated, for a call of no tool is a mistake to be seen.

        Its id comes from its content. Example: `write_jsonl("served.jsonl", [conversation.transcript()])`
        """
        opening = [Step("system", self.system)] if self.system else []
        made = Trajectory(
            "conversation",
            source,
            tools=self.toolbox.tools,
            steps=(*opening, *self.steps),
            outcome=outcome or Outcome(termination="unknown" if self._whole else "max_steps"),
            extra={"agent": self.agent.name},
        )
        name = hashlib.sha256(dumps(made.to_dict())).hexdigest()[:16]
        return replace(made, trajectory_id=f"{source.name}/{name}", source=replace(source, raw_id=name))
