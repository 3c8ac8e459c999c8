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
from itertools import islice
from typing import Any, NamedTuple

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.actions import Action, Grammar
from xlam_lib.data.formats.environments import parse_loosely
from xlam_lib.schema import Frozen
from xlam_lib.trajectory import Step, Tool, ToolCall, Trajectory

LAYOUTS = "layouts"  # key of `extra`: {call id: layout} where it is not the usual one
THOUGHT = r"(?:(?P<thought>\S(?:.*\S)?)\s*)?"
REST = r".*"  # what stands behind the action, ignored by the environment: kept in the layout alone
TRIED = 16  # marks of an action that are tried: one may stand within a thought
Spans = dict[str, tuple[int, int]]


class Turn(Frozen, frozen=True):
    """What one turn says, and how it is laid out."""

    layout: str
    name: str
    arguments: dict[str, Any] = {}
    thought: str = ""
    content: str = ""


class FormPatterns(NamedTuple):
    """The parts of a form, compiled."""

    opening: re.Pattern[str]
    mark: re.Pattern[str]
    before: re.Pattern[str]
    action: re.Pattern[str]


@dataclass(frozen=True)
class Form:
    """One way to write a turn: what it begins with, a thought, the mark of an action, and the action.

    Each is a pattern of its own, so that none is tried at every place for all places of another. Groups of `before` and
    `action`: `thought`, `content`, and the arguments of `tool` or an `action` of the grammar. Arguments in `json` are
    read as JSON where they are written just as we would write them; else they stay text.
    """

    mark: str
    action: str  # what stands behind the mark, to the end of the turn
    tool: str = ""
    json: tuple[str, ...] = ()
    opening: str = r"\s*+"
    before: str = THOUGHT  # what stands between the opening and the mark

    def match(self, text: str) -> Spans | None:
        """Where the groups stand, None where the turn has another form: {"thought": (7, 13), "command": (30, 37)}."""
        parts = self._parts
        if (opened := parts.opening.match(text)) is None:
            return None
        marks = list(islice(parts.mark.finditer(text, opened.end()), TRIED))
        if self.before == THOUGHT and marks and len(text[opened.end() : marks[0].start()].strip()) < 2:
            marks.append(marks.pop(0))  # a thought goes before: a mark that begins the turn counts when no other does
        for found in marks:
            led = parts.before.fullmatch(text, opened.end(), found.start())
            if led and (acted := parts.action.fullmatch(text, found.end())):
                return _spans(led) | _spans(acted)
        return None

    @cached_property
    def _parts(self) -> FormPatterns:
        return FormPatterns(
            *(re.compile(part, re.DOTALL) for part in (self.opening, self.mark, self.before, self.action))
        )


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
            if (found := form.match(text)) is not None:
                yield self._turn(form, found, text)

    def _turn(self, form: Form, found: Spans, text: str) -> Turn | None:
        groups = {key: text[start:end] for key, (start, end) in found.items()}
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


def _spans(found: re.Match[str]) -> Spans:
    """Where the groups stand that took part."""
    return {key: found.span(key) for key, value in found.groupdict().items() if value is not None}


def _layout(found: Spans, text: str, kept: set[str]) -> str:
    """The text with a slot in place of each kept group."""
    spans = sorted((*found[key], key) for key in kept)
    parts, at = [], 0
    for start, end, key in spans:
        parts += [literal(text[at:start]), "{" + key + "}"]
        at = end
    return "".join([*parts, literal(text[at:])])


def stretch(begin: str, end: str) -> str:
    """A pattern of a text from one pattern to another, in which it doesn't begin anew: `stretch("<a>", "</a>")`."""
    return f"{begin}(?:(?!{begin}).)*?{end}"


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
