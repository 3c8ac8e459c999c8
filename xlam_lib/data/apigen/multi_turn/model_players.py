"""Models as user and agent, behind any OpenAI-compatible endpoint (`play.py`).

    with Endpoint("http://127.0.0.1:8000/v1", "M") as endpoint:
        play(blueprint, ModelAgent(endpoint), ModelUser(endpoint, blueprint))

The agent is given policy, tools and conversation as OpenAI messages, and calls tools as the endpoint has it. The user
is given the blueprint's instruction, and hears only what the agent says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xlam_lib.data.apigen.endpoint import Endpoint, Message, Said
from xlam_lib.data.apigen.multi_turn.blueprint import Blueprint
from xlam_lib.data.apigen.multi_turn.desk import POLICY, TOOLS
from xlam_lib.data.apigen.multi_turn.play import STOP, Broken
from xlam_lib.openai_messages import decode_arguments, to_openai, tools_to_openai
from xlam_lib.trajectory import Step, ToolCall

USER_INSTRUCTION = f"""\
You play a person who writes to a service desk. Who you are and what you want:

{{instruction}}

- Write one short message at a time, as that person would. Never play the agent.
- Tell things bit by bit, when they matter or when you are asked. Make nothing up: what isn't written above you don't
  know.
- You know nothing of tools. Wait until something is really done before you go on to the next wish.
- When all is done, or was refused for good, answer {STOP} and nothing else."""


class ModelUser:
    """Plays the user: `ModelUser(endpoint, blueprint).say([])` -> "Hi, I'd like to renew a book."."""

    def __init__(self, endpoint: Endpoint, blueprint: Blueprint) -> None:
        self.endpoint = endpoint
        self.system = USER_INSTRUCTION.format(instruction=blueprint.instruction)

    def say(self, steps: Sequence[Step]) -> str:
        """The next words; the agent's are "user" messages to this model."""
        told: list[Message] = [{"role": "system", "content": self.system}]
        told.append({"role": "user", "content": "Hello, how can I help you?"})
        for step in steps:
            if step.role == "user":
                told.append({"role": "assistant", "content": step.content})
            elif step.role == "assistant" and not step.tool_calls:
                told.append({"role": "user", "content": step.content})
        return _told(self.endpoint.ask(told)).text


class ModelAgent:
    """Plays the agent with the tools of the desk."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.name = endpoint, endpoint.model

    def act(self, steps: Sequence[Step]) -> Step:
        """The next step; arguments that are no JSON object end the conversation."""
        said = _told(self.endpoint.ask(messages(steps), tools=TOOL_PARAMETER))
        calls = tuple(ToolCall(call["name"], _arguments(call["arguments"])) for call in said.calls)
        return Step("assistant", said.text, tool_calls=calls)


TOOL_PARAMETER = tools_to_openai(TOOLS.values())


def messages(steps: Sequence[Step]) -> list[Message]:
    """The conversation as OpenAI messages, the policy first."""
    return to_openai((Step("system", POLICY), *steps))


def _told(said: Said) -> Said:
    if said.error:
        raise Broken(said.error)
    return said


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = decode_arguments(text)
    except ValueError as error:
        raise Broken(f"the agent's arguments are no JSON ({error}): {text[:80]!r}") from error
    if not isinstance(value, dict):
        raise Broken(f"the agent's arguments are no object: {text[:80]!r}")
    return value
