"""Models as user and agent, behind any OpenAI-compatible endpoint (`play.py`).

    with Endpoint("http://127.0.0.1:8000/v1", "M") as endpoint:
        play(blueprint, model_agent(endpoint), model_user(endpoint, blueprint))

The agent is given policy, tools and conversation as OpenAI messages, and calls tools as the endpoint has it. The user
is given the blueprint's instruction, and sees only the agent's words.
"""

from __future__ import annotations

from xlam_lib.agents import ToolCallingAgent
from xlam_lib.agents.tool_calling import Endpoint
from xlam_lib.data.apigen.multi_turn.blueprint import Blueprint
from xlam_lib.data.apigen.multi_turn.desk import POLICY, TOOLS
from xlam_lib.data.apigen.multi_turn.play import STOP

USER_INSTRUCTION = f"""\
You play a person who writes to a service desk. Who you are and what you want:

{{instruction}}

- Write one short message at a time, as that person would. Never play the agent.
- Tell things bit by bit, when they matter or when you are asked. Make nothing up: what isn't written above you don't
  know.
- You know nothing of tools. Wait until something is really done before you go on to the next wish.
- When all is done, or was refused for good, answer {STOP} and nothing else."""


def model_user(endpoint: Endpoint, blueprint: Blueprint) -> ToolCallingAgent:
    """A model that plays the blueprint's user."""
    return ToolCallingAgent(endpoint, system=USER_INSTRUCTION.format(instruction=blueprint.instruction))


def model_agent(endpoint: Endpoint) -> ToolCallingAgent:
    """A model that plays the agent, with the policy and the tools of the desk."""
    return ToolCallingAgent(endpoint, tuple(TOOLS.values()), POLICY)
