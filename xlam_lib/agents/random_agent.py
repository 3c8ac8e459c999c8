"""An agent that calls at random: what an environment gives to who understands nothing (notebook 05).

    run(rollout(RandomAgent(environment, seed=0), environment, task))

Its tools are drawn evenly; values fit the schema: one of an enumeration, a small number, or a text out of what the
environment showed last (something in brackets, a word), so that it also clicks buttons and names things that exist.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

from xlam_lib.agents.base import Action, Environment, Observation
from xlam_lib.schema import Step, ToolCall

SHOWN = 4_000  # characters of the observation that values are drawn from
VALUE = re.compile(r"\[([^\[\]\n]{1,60})\]|([\w'-]{2,40})")


class RandomAgent:
    """Draws an action: `RandomAgent(environment, seed=0).act(observation, ())`; same seed, same actions."""

    name = "random"

    def __init__(self, environment: Environment, seed: int = 0) -> None:
        self.environment, self._random = environment, random.Random(seed)

    def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """A call of one of the tools."""
        tool = self._random.choice(self.environment.tools)
        schema = tool.parameters
        shown = " ".join(step.content for step in observation.steps)[:SHOWN]
        texts = [first or second for first, second in VALUE.findall(shown)] or ["x"]
        needed = schema.get("required", schema.get("properties", {}))
        arguments = {name: self._value(schema["properties"].get(name, {}), texts) for name in needed}
        return Action(tool_calls=(ToolCall(tool.name, arguments),))

    def _value(self, schema: dict[str, Any], texts: list[str]) -> Any:
        if schema.get("enum"):
            return self._random.choice(schema["enum"])
        match schema.get("type"):
            case "integer":
                return self._random.randint(0, 10)
            case "number":
                return round(self._random.uniform(0, 10), 1)
            case "boolean":
                return self._random.random() < 0.5
            case "array":
                return [self._value(schema.get("items", {}), texts)]
            case "object":
                properties = schema.get("properties", {})
                return {name: self._value(one, texts) for name, one in properties.items()}
        return self._random.choice(texts)
