"""Actions that are texts -> steps, and back: shared by the converters of text-driven tool use (notebook 01).

A call keeps its native text only where rendering the call would give another one; a text that is no call stays what the
agent said, isn't learnt from, and what came back is the user's message. `native_texts` gives all of them in order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from xlam_lib.data.formats.chat import RawCall, StepBuilder
from xlam_lib.serialize import DECODE_ERRORS, fast
from xlam_lib.trajectory import ToolCall, Trajectory

Render = Callable[[str, dict[str, Any]], str]


@dataclass
class ActionBuilder(StepBuilder):
    """A StepBuilder for texts: `b.act("f", {"a": 1}, text='f(a="1")', render=render_request)`."""

    native: dict[str, str] = field(default_factory=dict)  # call id -> text, where it can't be made from the call
    unread: list[int] = field(default_factory=list)  # the steps whose text is an action that is no call

    def kept(self) -> dict[str, Any]:
        """What `Trajectory.extra` must hold for the way back."""
        kept = {"native": self.native, "unread_actions": self.unread, "repairs": self.repairs}
        return {key: value for key, value in kept.items() if value}

    def learn_last(self) -> None:
        """Only the last turn may be learnt from: the turns before it are history, and records of their own."""
        last = max((i for i, step in enumerate(self.steps) if step.role == "assistant"), default=-1)
        for i, step in enumerate(self.steps):
            if step.role == "assistant" and i != last:
                self.steps[i] = replace(step, trainable=False)

    def act(self, name: str, arguments: dict[str, Any], text: str, render: Render, reasoning: str = "") -> None:
        """One call in a turn of its own, whose native text is `text`."""
        self.parallel([(name, arguments, text)], render, reasoning)

    def parallel(
        self, calls: list[tuple[str, dict[str, Any], str]], render: Render, reasoning: str = "", content: str = ""
    ) -> None:
        """Several calls in one turn, each (name, arguments, native text)."""
        first = len(self.raw_ids)
        self.assistant(content, [RawCall(name, arguments) for name, arguments, _ in calls], reasoning)
        for number, (name, arguments, text) in enumerate(calls, start=first):
            if render(name, arguments) != text:
                self.native[f"call_{number}"] = text

    def no_call(self, text: str, observation: str = "", reasoning: str = "") -> None:
        """An action text that is no call, and what came back."""
        self.assistant(text, reasoning=reasoning)
        self.steps[-1] = replace(self.steps[-1], trainable=False)
        self.unread.append(len(self.steps) - 1)
        if observation:
            self.user(observation)


def native_texts(trajectory: Trajectory, render: Callable[[ToolCall], str]) -> list[str]:
    """The action texts of a trajectory in order, exactly as the source had them."""
    kept, unread = trajectory.extra.get("native", {}), trajectory.extra.get("unread_actions", ())
    texts: list[str] = []
    for i, step in enumerate(trajectory.steps):
        texts += [step.content] if i in unread else [kept.get(call.id) or render(call) for call in step.tool_calls]
    return texts


def json_object(text: Any) -> dict[str, Any] | None:
    """The object that a text is in JSON, or None: `json_object('{"a": 1}')` -> {"a": 1}."""
    if not isinstance(text, str):
        return None
    constants: list[str] = []
    try:
        value = fast(text)
        return value if isinstance(value, dict) else None
    except DECODE_ERRORS:
        pass
    try:
        value = json.loads(text, parse_constant=constants.append)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not constants else None
