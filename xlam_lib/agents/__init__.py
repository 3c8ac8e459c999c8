"""Agents and environments, and the one loop that lets them play: what is benchmarked can be trained on.

`base.py` has the types on one page, `rollout.py` the loop, which returns a Trajectory. `tool_calling.py` is an agent
over any OpenAI-compatible endpoint, `user.py` lets an agent play the user of an environment. Benchmarks (notebook 05),
APIGen-MT's players and reinforcement learning use it:

    run(rollout(agent, environment, Task("Guess a number.", "guess/1"), max_steps=10, seed=0)).outcome.reward
"""

from xlam_lib.agents.base import (
    Action,
    Agent,
    AgentError,
    Environment,
    InfrastructureError,
    Observation,
    StepResult,
    tool_result,
)
from xlam_lib.agents.manual import Actions, Example, JsonCalls, Manual
from xlam_lib.agents.random_agent import RandomAgent
from xlam_lib.agents.rollout import play, rollout, rollouts, run
from xlam_lib.agents.tool_calling import ToolCallingAgent
from xlam_lib.agents.user import SimulatedUser

__all__ = [
    "Action",
    "Actions",
    "Agent",
    "AgentError",
    "Environment",
    "Example",
    "InfrastructureError",
    "JsonCalls",
    "Manual",
    "Observation",
    "RandomAgent",
    "SimulatedUser",
    "StepResult",
    "ToolCallingAgent",
    "play",
    "rollout",
    "rollouts",
    "run",
    "tool_result",
]
