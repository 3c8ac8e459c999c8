"""Turns wrapped in words <-> thought and call, exactly: "Think: Count.\\n\\nAct: bash\\n\\n```bash\\nls | wc\\n```".

A dialect is how the agents of one environment write a turn. Parsing finds thought, call and other content; the
words around them are the turn's *layout*, a text with slots: "Think: {thought}\\n\\nAct: answer({answer})". The usual
layout of each tool belongs to the dialect, so only unusual ones are kept (in `extra["layouts"]`, by call id). No source
itself; used by the converters that read such turns (notebook 01):

    turn = OS.parse(text)                # Turn(thought="Count.", name="execute_bash", arguments={"command": "ls | wc"})
    OS.render(turn) == text              # always
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.actions import Action, Grammar
from xlam_lib.data.formats.environments import parse_loosely
from xlam_lib.schema import Frozen
from xlam_lib.trajectory import Step, Tool, ToolCall, Trajectory

LAYOUTS = "layouts"  # key of `extra`: {call id: layout} where it is not the usual one
THOUGHT = r"(?P<thought>\S(?:.*?\S)?)"
REST = r".*"  # what stands behind the action, ignored by the environment: kept in the layout alone


class Turn(Frozen, frozen=True):
    """What one turn says, and how it is laid out."""

    layout: str
    name: str
    arguments: dict[str, Any] = {}
    thought: str = ""
    content: str = ""


@dataclass(frozen=True)
class Form:
    """One way to write a turn. Groups: `thought`, `content`, and the arguments of `tool` or an `action` of the grammar.

    Arguments in `json` are read as JSON where they are written just as we would write them; else they stay text.
    """

    pattern: str
    tool: str = ""
    json: tuple[str, ...] = ()
    needs: str = ""  # a literal without which no match is tried: a long text of another kind costs nothing

    def match(self, text: str) -> re.Match[str] | None:
        if self.needs not in text:
            return None
        return self._compiled.fullmatch(text)

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.DOTALL)


@dataclass(frozen=True)
class Dialect:
    """Tools, forms and usual layouts of one environment; `lead` stands before them where there is a thought."""

    grammar: Grammar
    forms: tuple[Form, ...]
    lead: str
    usual: Mapping[str, str] = field(default_factory=dict)  # of a tool; "{action}" for those the grammar renders
    more_tools: tuple[Tool, ...] = ()
    special: Callable[[str], Turn | None] | None = None  # for turns that no form can describe; asked first

    def tools(self) -> tuple[Tool, ...]:
        """All that can be called."""
        return (*self.grammar.tools(), *self.more_tools)

    def parse(self, text: str) -> Turn | None:
        """The turn, or None when it holds no action of this environment."""
        return next((turn for turn in self._readings(text) if turn and self.render(turn) == text), None)

    def render(self, turn: Turn) -> str:
        """The native text of a turn."""
        texts = {"thought": turn.thought, "content": turn.content}
        values = {key: value if isinstance(value, str) else _json(value) for key, value in turn.arguments.items()}
        if "{action}" in turn.layout:
            values["action"] = self.grammar.render(turn.name, turn.arguments)
        return turn.layout.format_map({**values, **texts})

    def usual_layout(self, name: str, thought: str) -> str:
        """How a call of this tool is written as a rule."""
        return (self.lead if thought else "") + self.usual.get(name, "{action}")

    def _readings(self, text: str) -> Iterator[Turn | None]:
        if self.special:
            yield self.special(text)
        for form in self.forms:
            if found := form.match(text):
                yield self._turn(form, found, text)

    def _turn(self, form: Form, found: re.Match[str], text: str) -> Turn | None:
        groups = {key: value for key, value in found.groupdict().items() if value is not None}
        arguments: dict[str, Any] = {key: value for key, value in groups.items() if key not in ("thought", "content")}
        kept = set(groups)
        name = form.tool
        if not name:
            call = parse_loosely(self.grammar, groups["action"])
            if call is None:
                return None
            name, arguments = call
            kept -= {"action"} if self.grammar.render(name, arguments) != groups["action"] else set()
        for key in form.json:
            arguments[key] = _read(arguments[key])
        return Turn(_layout(found, text, kept), name, arguments, groups.get("thought", ""), groups.get("content", ""))


@dataclass
class Exchange:
    """Steps in the making: `e.user("Count the files."); e.agent("Think: ..."); e.environment("220")`."""

    dialect: Dialect
    errors: str = ""  # a pattern of results that tell of a failure
    steps: list[Step] = field(default_factory=list)
    layouts: dict[str, str] = field(default_factory=dict)
    calls: int = 0
    open: ToolCall | None = None

    def user(self, content: str) -> None:
        """What the user says; it is no result."""
        if not content:
            raise Drop("empty user message")
        self.steps.append(Step("user", content))

    def agent(self, text: str, trainable: bool = True) -> None:
        """One turn; a text without an action stays as it is, and nothing is learnt from it."""
        if self.open:
            raise Drop("call without a result", f"the next turn begins before {self.open.name!r} was answered")
        if not text:
            raise Drop("empty assistant turn")
        turn = self.dialect.parse(text)
        if turn is None:
            self.steps.append(Step("assistant", text, trainable=False))
            return
        self.open = ToolCall(turn.name, turn.arguments, f"call_{self.calls}")
        self.calls += 1
        if turn.layout != self.dialect.usual_layout(turn.name, turn.thought):
            self.layouts[self.open.id] = turn.layout
        origin = "native" if turn.thought else "none"
        step = Step("assistant", turn.content, turn.thought, (self.open,), trainable=trainable, reasoning_origin=origin)
        self.steps.append(step)

    def environment(self, content: str) -> None:
        """What comes back; it is the result of the last call if there was one."""
        if self.open is None:
            self.user(content)
            return
        bad = bool(self.errors and re.search(self.errors, content))
        self.steps.append(Step("tool", content, tool_call_id=self.open.id, name=self.open.name, is_error=bad))
        self.open = None


def native_turns(t: Trajectory, dialect: Dialect) -> list[str]:
    """Every turn of the agent as the source writes it: ["Think: Count.\\n\\nAct: bash\\n\\n```bash\\n...", ...]."""
    texts = []
    for step in t.steps:
        if step.role != "assistant":
            continue
        if not step.tool_calls:
            texts.append(step.content)
        for call in step.tool_calls:
            layout = t.extra.get(LAYOUTS, {}).get(call.id) or dialect.usual_layout(call.name, step.reasoning)
            texts.append(dialect.render(Turn(layout, call.name, call.arguments, step.reasoning, step.content)))
    return texts


def tool(name: str, description: str, **slots: str) -> Action:
    """A tool of text arguments as a grammar has it: `tool("answer", "Give the answer", answer="the answer")`."""
    return Action(f"{name}({', '.join('{' + slot + '}' for slot in slots)})", name, description, slots)


def _layout(found: re.Match[str], text: str, kept: set[str]) -> str:
    """The text with a slot in place of each kept group."""
    spans = sorted((found.start(key), found.end(key), key) for key in kept)
    parts, at = [], 0
    for start, end, key in spans:
        parts += [literal(text[at:start]), "{" + key + "}"]
        at = end
    return "".join([*parts, literal(text[at:])])


def literal(text: str) -> str:
    """A text as it stands in a layout: `literal("{}")` -> "{{}}"."""
    return text.replace("{", "{{").replace("}", "}}")


def _read(text: str) -> Any:
    try:
        value = json.loads(text)
        return value if not isinstance(value, str) and _json(value) == text else text
    except (ValueError, RecursionError):
        return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
