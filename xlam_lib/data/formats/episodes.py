"""Episodes of text-driven environments -> steps, and the very action texts back (notebook 01).

episode = Episode(WEBSHOP, thinks=THINK_BRACKETS, errors=("Invalid action!",))
episode.user("i need a red lamp")
episode.act("think[First I search.]", "OK.")             # becomes the reasoning of the next action
episode.act("search[red lamp]", "[Back to Search] ...")  # a call of `search`, and its result
episode.act("exit[exit]", "Invalid action!")             # no action: an untrainable text, and the shop's words
steps = episode.finish()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.actions import Action, Grammar
from xlam_lib.trajectory import Step, ToolCall, Trajectory

NOTES = "native_actions"  # key of `extra`: {step: [texts]} where the rule of `native_actions` would not give them


@dataclass
class Episode:
    """Steps in the making; see the example at the top of this module.

    A thought counts as one only if the environment took it as one, answering `quiet` or nothing.
    """

    grammar: Grammar
    thinks: Action | None = None
    errors: tuple[str, ...] = ()  # how the environment begins to say that an action was invalid
    quiet: str = "OK."
    steps: list[Step] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    thoughts: list[str] = field(default_factory=list)  # as written, of the action to come
    calls: int = 0
    open: str = ""

    def user(self, content: str) -> None:
        """The task, or the first thing that the environment says."""
        self.steps.append(Step("user", content))

    def act(self, text: str | None, observation: str | None, reasoning: str = "") -> None:
        """One action and what the environment returned; None where the record has none."""
        if text is not None:
            self.turn([(text, observation)], reasoning)
            return
        self._need_closed()
        self._malformed([], [observation], reasoning)

    def turn(self, pairs: Sequence[tuple[str, str | None]], reasoning: str = "") -> None:
        """Several actions that were sent in one message, each with what the environment returned."""
        self._need_closed()
        if not pairs:
            return
        if len(pairs) == 1 and self._thinks(*pairs[0]):
            self.thoughts.append(pairs[0][0])
            return
        parsed = [parse_loosely(self.grammar, text) for text, _ in pairs]
        texts = [text for text, _ in pairs]
        if None in parsed:
            self._malformed(texts, [observation for _, observation in pairs], reasoning)
            return
        made = [ToolCall(name, arguments, f"call_{self.calls + i}") for i, (name, arguments) in enumerate(parsed)]
        self.calls += len(made)
        self._assistant(texts, reasoning, "", tuple(made))
        for call, (_, observation) in zip(made, pairs, strict=True):
            if observation is None:
                self.open = call.name
            else:
                bad = bool(self.errors) and observation.startswith(self.errors)
                self.steps.append(Step("tool", observation, tool_call_id=call.id, name=call.name, is_error=bad))

    def finish(self) -> tuple[Step, ...]:
        """All steps; thoughts that led to no action are a turn of their own."""
        if self.thoughts:
            self._assistant([], "", "", ())
        return tuple(self.steps)

    def _need_closed(self) -> None:
        if self.open:
            raise Drop("call without a result", f"the next turn begins before {self.open!r} was answered")

    def _thinks(self, text: str, observation: str | None) -> bool:
        """Whether it is a thought; it may be cut off before its closing bracket."""
        return (
            self.thinks is not None
            and text.startswith(_ends(self.thinks)[0])
            and _inner(self.thinks, text) != ""
            and (observation or "").strip() in ("", self.quiet)
        )

    def _malformed(self, texts: list[str], observations: Sequence[str | None], reasoning: str) -> None:
        observed = "\n".join(observation for observation in observations if observation)
        content = "\n".join(texts)
        if content or reasoning or self.thoughts:
            self._assistant(texts, reasoning, content, ())
        elif observed and texts:
            self.notes[str(len(self.steps))] = texts  # of an empty action only the answer is left
        if observed:
            self.steps.append(Step("user", observed))

    def _assistant(self, texts: list[str], reasoning: str, content: str, calls: tuple[ToolCall, ...]) -> None:
        thoughts = [_inner(self.thinks, text) for text in self.thoughts] if self.thinks else []
        reasoning = "\n".join([*([reasoning] if reasoning else []), *thoughts])
        origin = "native" if reasoning else "none"
        if not (reasoning or content or calls):
            return
        step = Step("assistant", content, reasoning, calls, trainable=not content, reasoning_origin=origin)
        native = [*self.thoughts, *texts]
        if _texts(step, self.grammar, self.thinks) != native:
            self.notes[str(len(self.steps))] = native
        self.steps.append(step)
        self.thoughts = []


def native_actions(t: Trajectory, grammar: Grammar, thinks: Action | None = None) -> list[str]:
    """Each action of a trajectory as its environment was given it: ["think[First ...]", "search[red lamp]"].

    By rule, a line of the reasoning is a thought, and a call is rendered by the grammar; `extra["native_actions"]` has
    the texts of the few steps that need more than the rule.
    """
    notes: dict[str, list[str]] = t.extra.get(NOTES, {})
    found = []
    for index, step in enumerate(t.steps):
        found += notes.get(str(index)) or (_texts(step, grammar, thinks) if step.role == "assistant" else [])
    return found


def parse_loosely(grammar: Grammar, text: str) -> tuple[str, dict[str, Any]] | None:
    """(tool, arguments) of an action, also with space around it or its first letter in another case.

    These are the liberties that the environments take themselves: " search[Rome]" -> ("Search", {"entity": "Rome"}).
    """
    if (call := grammar.parse(text)) is not None:
        return call
    tidy = text.strip()
    for spelling in {tidy: None, tidy[:1].upper() + tidy[1:]: None, tidy[:1].lower() + tidy[1:]: None}:
        if spelling != text and (call := grammar.parse(spelling)) is not None:
            return call
    return None


def _texts(step: Step, grammar: Grammar, thinks: Action | None) -> list[str]:
    thoughts = step.reasoning.split("\n") if step.reasoning and thinks else []
    calls = [grammar.render(call.name, call.arguments) for call in step.tool_calls]
    return [
        *(thinks.render({"thought": line}) for line in thoughts if thinks),
        *(calls or [step.content] * bool(step.content)),
    ]


def _ends(thinks: Action) -> tuple[str, str]:
    """What stands before and behind a thought: ("think[", "]")."""
    before, _, behind = thinks.template.partition("{thought}")
    return before, behind


def _inner(thinks: Action, text: str) -> str:
    before, behind = _ends(thinks)
    return text.removeprefix(before).removesuffix(behind)
