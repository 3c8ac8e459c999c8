"""Agent Data Protocol, standard form: a list of actions and observations in the order of time (notebook 01).

Raw record (one of a list or of JSON Lines, `sample_std.json` or `full_std.jsonl`; shortened):

    {"id": "os_42", "details": {},
     "content": [
       {"class_": "text_observation", "content": "How many files are in /etc?", "source": "user"},
       {"class_": "code_action", "language": "bash", "content": "ls -1 /etc | wc -l", "description": "I count them."},
       {"class_": "text_observation", "content": "220", "source": "environment"},
       {"class_": "api_action", "function": "submit", "kwargs": {"answer": "220"}, "description": null},
       {"class_": "message_action", "content": "There are 220 files.", "description": ""}]}

Decisions, from the schema and its samples:
- `description` and `reasoning_content` are thoughts: reasoning.
- An api_action is a call of its function. A code_action is a call of execute_<language> with one argument: `command`
  for shells, `query` for SQL, `code` for all else. A message_action is what the agent says.
- Tools: those the record lists, in OpenAI's form; all others are inferred from the calls (`extra["inferred_tools"]`).
- Actions in a row are one turn with parallel calls. The observations up to the next action are their results: by
  `tool_call_id`, else by `name`, else in order (if they are too few, the last calls', since those came last).
- An observation after a call is its result, whatever source it names; `extra["results_from_user"]` counts those
  of the user. With no open call, it is a user step. Text of source "agent" is an untrainable assistant step.
- A call that nothing answers though the agent goes on gets an empty result, counted in `extra["repairs"]`.
- Web and image observations have no plain text: their content is the event's fields as JSON.
- `details` are kept in `extra`. Success is not recorded; rewards of single events are rewards of steps.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from xlam_lib.codec import tools_from_any
from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import (
    ALWAYS_FUNCTION,
    SourceInfo,
    as_reward,
    content_id,
    need,
    need_objects,
    unique_tools,
)
from xlam_lib.data.formats.schemas import tool_of_calls
from xlam_lib.data.formats.tool_forms import lawful_tools
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Step, Task, Tool, ToolCall, Trajectory

EVENTS = tuple(
    f"content[].{key}"
    for key in (
        *("class_", "content", "source", "description", "reasoning_content", "reward", "function", "kwargs", "name"),
        *("language", "tool_call_id", "html", "axtree", "url", "viewport_size", "image_observation", "annotations"),
    )
)
NOT_EVENTS = {
    "content[].class_": "the kind of the event, which is the kind of the step",
    "content[].source": "who speaks, who is the step's role",
    "tools[].type": ALWAYS_FUNCTION,
}
SOURCE = SourceInfo(
    name="agent_data_protocol",
    license="unknown",
    url="https://github.com/neulab/agent-data-protocol",
    files=("sample_std.json", "full_std.jsonl"),
    hub_id="neulab/agent-data-collection",
    version="2",
    fields=("id", "details", "tools", *EVENTS),
    left_out=NOT_EVENTS,
)
ACTIONS = ("api_action", "code_action", "message_action")
OBSERVATIONS = ("text_observation", "web_observation", "image_observation")
BODY = {"bash": "command", "sh": "command", "shell": "command", "sql": "query", "mysql": "query", "sqlite": "query"}
LANGUAGE = re.compile(r"execute_(\w+)")
EMPTY = "no observation follows, so its result is empty"


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One record -> one trajectory."""
    return [trajectory_of(record, SOURCE)]


def is_standard(record: dict[str, Any]) -> bool:
    """Whether a record has the standard form: `is_standard({"content": [{"class_": "text_observation", ...}]})`."""
    content = record.get("content")
    return isinstance(content, list) and any(isinstance(event, dict) and "class_" in event for event in content)


def chat_messages(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The record as chat messages if it is nothing but texts and messages, else []."""
    events = [event for event in record["content"] if isinstance(event, dict)]
    roles = {"text_observation": "user", "message_action": "assistant"}
    if any(str(event.get("class_")) not in roles or event.get("description") for event in events):
        return []
    return [{"role": roles[event["class_"]], "content": event.get("content")} for event in events]


def assistant_texts(t: Trajectory) -> list[str]:
    """What the agent of a trajectory says, turn by turn: `assistant_texts(t)` -> ["There are 220 files."]."""
    return [step.content for step in t.steps if step.role == "assistant" and step.content]


def trajectory_of(record: dict[str, Any], source: SourceInfo, prefix: str = "") -> Trajectory:
    """The trajectory of a record that lies among those of another source; `prefix` sets its id apart."""
    events = need_objects(need(record, "content", list), "content")
    walk = _Walk()
    for number, event in enumerate(events):
        walk.take(event, f"event {number}")
    walk.give_results(closing=False)
    if not any(step.role == "assistant" for step in walk.steps):
        raise Drop("a query without an answer: no trajectory to convert")
    tools, inferred = _tools(record, walk.steps)
    raw_id = prefix + (str(record["id"]) if isinstance(record.get("id"), str | int) else content_id(record))
    extra = {
        "inferred_tools": inferred,
        "details": record.get("details"),
        "repairs": walk.repairs,
        "results_from_user": walk.from_user,
        "raw_call_ids": walk.raw_ids if any(walk.raw_ids) else None,
    }
    return Trajectory(
        trajectory_id=f"{source.name}/{raw_id}",
        source=source.source(raw_id),
        task=Task("\n\n".join(walk.instructions), task_id=raw_id.removeprefix(prefix)),
        tools=tools,
        steps=tuple(walk.steps),
        extra={key: value for key, value in extra.items() if value},
    )


@dataclass
class _Walk:
    """Steps in the making. Observations wait until the next action shows that they are all there."""

    steps: list[Step] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    raw_ids: list[str] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    open: list[ToolCall] = field(default_factory=list)
    from_user: int = 0

    def take(self, event: dict[str, Any], here: str) -> None:
        kind = event.get("class_")
        if kind in OBSERVATIONS:
            if kind == "text_observation" and event.get("source") == "system":
                self.instructions.append(_text(event, "content"))
            else:
                self.waiting.append(event)
        elif kind in ACTIONS:
            self._act(event, str(kind))
        else:
            raise Drop("event of an unknown class", f"{here}: {kind!r}"[:200])

    def _act(self, event: dict[str, Any], kind: str) -> None:
        if self.waiting or kind == "message_action":
            self.give_results(closing=True)
        thoughts = [_text(event, key) for key in ("description", "reasoning_content")]
        reasoning = "\n".join(thought for thought in thoughts if thought)
        reward = as_reward(event.get("reward"))
        content = _text(event, "content") if kind == "message_action" else ""
        calls = () if kind == "message_action" else (self._call(event, kind),)
        if self.open and calls and len(self.open) > len(calls):  # a further call of the same turn
            last = self.steps.pop()
            reasoning = "\n".join(part for part in (last.reasoning, reasoning) if part)
            calls, reward = (*last.tool_calls, *calls), last.reward if reward is None else reward
        if not (content or reasoning or calls):
            raise Drop("empty assistant turn")
        origin = "native" if reasoning else "none"
        self.steps.append(Step("assistant", content, reasoning, calls, reward=reward, reasoning_origin=origin))

    def _call(self, event: dict[str, Any], kind: str) -> ToolCall:
        if kind == "api_action":
            name, arguments = need(event, "function", str), event.get("kwargs")
            arguments = {} if arguments is None else arguments
            if not isinstance(arguments, dict):
                raise Drop("arguments are not an object", f"{name}: found {type(arguments).__name__}")
        else:
            language = re.sub(r"\W", "_", need(event, "language", str).lower())
            name, arguments = f"execute_{language}", {BODY.get(language, "code"): need(event, "content", str)}
        call = ToolCall(name, arguments, f"call_{len(self.raw_ids)}")
        self.raw_ids.append(_text(event, "tool_call_id"))
        self.open.append(call)
        return call

    def give_results(self, closing: bool) -> None:
        """Hands the waiting observations out; `closing` means that the agent goes on after them."""
        for done, event in enumerate(self.waiting):
            self._observe(event, spare=len(self.open) - (len(self.waiting) - done))
        self.waiting = []
        if closing:
            for call in self.open:
                self.repairs.append(f"{call.id}: {EMPTY}")
                self.steps.append(Step("tool", "", tool_call_id=call.id, name=call.name))
            self.open = []

    def _observe(self, event: dict[str, Any], spare: int) -> None:
        speaker, text = event.get("source"), _observed(event)
        if self.open:
            call = self._answered(event, max(spare, 0))
            self.from_user += speaker == "user"
            self.steps.append(Step("tool", text, tool_call_id=call.id, name=call.name))
        elif speaker == "agent" and text:
            self.steps.append(Step("assistant", text, trainable=False))
        elif text:
            self.steps.append(Step("user", text))

    def _answered(self, event: dict[str, Any], spare: int) -> ToolCall:
        raw_id, name = event.get("tool_call_id"), event.get("name")
        fits = [call for call in self.open if raw_id and self.raw_ids[int(call.id.partition("_")[2])] == raw_id]
        fits = fits or [call for call in self.open if name and call.name == name]
        call = fits[0] if fits else self.open[min(spare, len(self.open) - 1)]
        self.open.remove(call)
        return call


def _text(event: dict[str, Any], key: str) -> str:
    value = event.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Drop(f"{key!r} is not text", f"found {type(value).__name__} {str(value)[:80]!r}")
    return value


def _observed(event: dict[str, Any]) -> str:
    if event["class_"] == "text_observation":
        return _text(event, "content")
    fields = {key: value for key, value in event.items() if key not in ("class_", "source") and value is not None}
    return json.dumps(fields, ensure_ascii=False)


def _tools(record: dict[str, Any], steps: list[Step]) -> tuple[tuple[Tool, ...], list[str]]:
    """(tools, names of those inferred from the calls)."""
    listed = record.get("tools")
    try:
        declared = unique_tools(lawful_tools(tools_from_any(need_objects(listed, "tools")), [])) if listed else ()
    except (TrajectoryError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise Drop("tools are in no known form", str(error)[:200]) from error
    calls: dict[str, list[dict[str, Any]]] = {}
    for call in (call for step in steps for call in step.tool_calls):
        if call.name not in {tool.name for tool in declared}:
            calls.setdefault(call.name, []).append(call.arguments)
    made = [tool_of_calls(name, calls[name]) for name in calls]
    made = [
        replace(tool, description=LANGUAGE.sub(r"Run code: \1.", tool.name)) if _runs(tool) else tool for tool in made
    ]
    return (*declared, *made), sorted(calls)


def _runs(tool: Tool) -> bool:
    return LANGUAGE.fullmatch(tool.name) is not None
