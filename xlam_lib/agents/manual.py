"""How an environment is explained to a model: what the task is, which actions there are, and solved examples.

An environment that benchmarks use (notebook 05) has a `manual` beside its `tools`. Agents make of it either a prompt
whose answers are actions in words, `search[red shoes]`, or a system message over native tool calls. For example:

    GUESS = Grammar((Action("guess[{n}]", "guess", "Guess a number.", types={"n": "integer"}),))
    Manual("Guess a number from 1 to 9.", GUESS, (Example((Step("user", "Guess!"), ...), plan="Begin in the middle."),))
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from xlam_lib.schema import Step


class Actions(Protocol):
    """Actions in words and as calls; `data/formats/actions.py` has one made of templates."""

    def parse(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """The call of a text: "search[red shoes]" -> ("search", {"keywords": "red shoes"}); None where it is none."""

    def render(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The text of a call: ("search", {"keywords": "red shoes"}) -> "search[red shoes]"."""


@dataclass(frozen=True)
class Example:
    """A solved episode: steps from the user's task on, thoughts as `reasoning`; `plan` for agents that plan first."""

    steps: tuple[Step, ...]
    plan: str = ""


@dataclass(frozen=True)
class Manual:
    """The words around an environment: `Manual("You are in a web shop. ...", WEBSHOP, (Example(...),))`."""

    instruction: str  # what is to be done, and by which actions, as a person would explain it
    actions: Actions
    examples: tuple[Example, ...] = ()
    labours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # BOLAA's labour agents: name -> its tools


class JsonCalls:
    """Actions of an environment that has no words of its own: `{"name": "weather", "arguments": {"city": "Oslo"}}`."""

    def parse(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """The call of a JSON object with a name and arguments, None for anything else."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            return None
        arguments = value.get("arguments", {})
        return (value["name"], arguments) if isinstance(arguments, dict) else None

    def render(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The object as text."""
        return json.dumps({"name": name, "arguments": dict(arguments)}, ensure_ascii=False)
