"""Conversations -> trajectories: what all chat-shaped sources share, whatever their messages are called (notebook 01).

Messages may be OpenAI's ({"role", "content", "tool_calls"}) or ShareGPT's ({"from", "value"}); `turns_of` makes one
kind of `Turn` of both, `read_turns` makes steps of turns, `assemble` the trajectory:

    conversation = read_turns(turns_of(record["conversations"]))
    assemble(SOURCE, raw_id, conversation, tools_of(record["tools"], []))

Layout that is lost by rule: a text and the calls that follow it at once are one turn; calls that were made before any
of them was answered are parallel. Kept in `extra`: what the assistant says before the user ("opening"), system messages
that come later ("system_notes"), which one result answers several calls ("joint_results"), what results call their tool
where the call says otherwise ("result_names", by the call), call texts that the source's `render` doesn't give back
("native_calls", by the turn's first call).

A user's message with <tool_response> tags that follows calls is their results, as in Qwen's chat form; what it says
around them is the user's. A result that is nothing but tags loses them; one that has other text beside stays as it is,
unless there are as many texts in tags as there are calls to be answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from xlam_lib.data.accounting import Drop
from xlam_lib.data.fields import UNKNOWN_FIELDS
from xlam_lib.data.formats.base import SourceInfo, need_declared, place
from xlam_lib.data.formats.call_forms import typed_arguments
from xlam_lib.data.formats.chat import StepBuilder
from xlam_lib.data.formats.chats.answers import answers_of, told_by_users
from xlam_lib.data.formats.chats.results import is_id
from xlam_lib.data.formats.chats.turn import Turn, json_text
from xlam_lib.data.formats.schemas import tool_of_calls
from xlam_lib.trajectory import Outcome, Step, Task, Tool, ToolCall, Trajectory

__all__ = [
    "Conversation",
    "Turn",
    "assemble",
    "inferred_tools",
    "json_text",
    "native_texts",
    "raw_id_of",
    "read_turns",
    "tags_of",
]
IDS = ("id", "uuid", "conversation_id", "prompt_id", "trajectory_id")
Render = Callable[[Sequence[ToolCall]], list[str]]  # the native texts of the calls of one turn


@dataclass
class Conversation:
    """Steps in the making and what didn't become a step."""

    builder: StepBuilder = field(default_factory=StepBuilder)
    system: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)  # the texts of a turn's calls, by its first call
    as_text: set[str] = field(default_factory=set)  # calls whose values are text until the tools are known

    def note(self, key: str, value: Any) -> None:
        """Adds to a list in `extra`."""
        self.extra.setdefault(key, []).append(value)

    def keep(self, unknown: Mapping[str, Any]) -> None:
        """Fields that aren't read are kept by their place."""
        if unknown:
            self.extra.setdefault(UNKNOWN_FIELDS, {}).update(unknown)


def read_turns(turns: Sequence[Turn]) -> Conversation:
    """Steps of turns: `read_turns([Turn("user", "Hi"), Turn("assistant", "Hello")]).builder.steps`."""
    conversation, turns = Conversation(), _joined(told_by_users(turns))
    steps = conversation.builder.steps
    at = 0
    while at < len(turns):
        turn, at = turns[at], at + 1
        if turn.unknown and turn.role != "tool":
            conversation.keep(turn.unknown)
        if turn.role == "system" and not steps:
            conversation.system = "\n\n".join(part for part in (conversation.system, turn.content) if part)
        elif turn.role == "system":
            conversation.note("system_notes", {"before_step": len(steps), "content": turn.content})
        elif turn.role == "user":
            if not turn.content.strip():
                raise Drop("empty user turn", f"message {at}")
            conversation.builder.user(turn.content)
        elif turn.role == "assistant" and not steps and not turn.calls:
            conversation.note("opening", turn.content)
            if turn.reasoning:
                conversation.note("opening_reasoning", turn.reasoning)
        elif turn.role == "assistant":
            _assistant(conversation, turn)
        else:
            end = next((i for i in range(at, len(turns)) if turns[i].role != "tool"), len(turns))
            _results(conversation, turns[at - 1 : end], ends=end == len(turns))
            at = end
    roles = {step.role for step in steps}
    if steps and steps[0].role != "user":
        raise Drop("the assistant acts before the user speaks", f"first: {steps[0].tool_calls[:1]}"[:200])
    for role in ("user", "assistant"):
        if role not in roles:
            raise Drop(f"no {role} turn", f"only {', '.join(sorted(roles)) or 'nothing'}")
    return conversation


def _joined(turns: Sequence[Turn]) -> list[Turn]:
    """Turns of the assistant that are one: see the module's text."""
    made: list[Turn] = []
    for turn in turns:
        last = made[-1] if made else None
        both = last is not None and last.role == turn.role == "assistant"
        if both and turn.calls and (last.calls or (turn.joins and last.trainable)):
            content, reasoning = (
                "\n".join(filter(None, parts))
                for parts in ((last.content, turn.content), (last.reasoning, turn.reasoning))
            )
            known = {(call.name, call.id) for call in last.calls if call.id}
            calls = tuple(call for call in turn.calls if (call.name, call.id) not in known)  # some say them twice
            made[-1] = replace(
                last,
                content=content,
                reasoning=reasoning,
                calls=last.calls + calls,
                texts=last.texts + turn.texts,
                trainable=last.trainable and turn.trainable,
                reward=last.reward if turn.reward is None else turn.reward,
                unknown={**(last.unknown or {}), **(turn.unknown or {})} or None,
            )
        else:
            made.append(turn)
    return made


def _assistant(conversation: Conversation, turn: Turn) -> None:
    builder = conversation.builder
    first = len(builder.raw_ids)
    builder.assistant(turn.content, list(turn.calls), turn.reasoning)
    builder.repairs += [f"call_{first + i}: {call.repair}" for i, call in enumerate(turn.calls) if call.repair]
    conversation.as_text.update(f"call_{first + i}" for i, call in enumerate(turn.calls) if call.as_text)
    if turn.texts:
        conversation.texts[f"call_{first}"] = list(turn.texts)
    if not turn.trainable or turn.reward is not None:
        builder.steps[-1] = replace(builder.steps[-1], trainable=turn.trainable, reward=turn.reward)


def _results(conversation: Conversation, results: Sequence[Turn], ends: bool) -> None:
    """Results that follow one another; a single one may hold those of several calls."""
    builder = conversation.builder
    answers, joint = answers_of(results, [(call.name, raw_id) for call, raw_id in builder.open], ends)
    if joint:
        conversation.note("joint_results", len(builder.steps))
    for turn in answers:
        if turn.unknown:
            conversation.keep(turn.unknown)
        builder.result(turn.content, turn.name, turn.raw_id, turn.is_error)


def raw_id_of(record: dict[str, Any], where: str) -> str:
    """The record's own id, or its place: records that are repeated are converted, and found out later."""
    for key in IDS:
        if is_id(value := record.get(key)):
            return str(value)
    return place(where).rpartition("/")[2]


def assemble(
    source: SourceInfo,
    raw_id: str,
    conversation: Conversation,
    tools: tuple[Tool, ...],
    instruction: str | None = None,
    render: Render | None = None,
    **more: Any,
) -> Trajectory:
    """The trajectory of a conversation. Without `instruction` the system text is a step; `more` are `outcome`, `tags`
    and `extra`. Where no tools are listed they are inferred from the calls, which `extra["inferred_tools"]` says."""
    builder = conversation.builder
    steps = [Step("system", conversation.system)] if instruction is None and conversation.system else []
    steps += _typed(builder.steps, tools, conversation.as_text) if tools and conversation.as_text else builder.steps
    calls = [call for step in steps for call in step.tool_calls]
    extra = {**conversation.extra, **more.get("extra", {}), "repairs": builder.repairs}
    extra["result_names"] = builder.other_names
    if tools:
        need_declared([call.name for call in calls], tools)
    else:
        tools = inferred_tools(calls)
        extra["inferred_tools"] = [tool.name for tool in tools]
    if render is not None:
        turns = [step.tool_calls for step in steps if step.tool_calls]
        extra["native_calls"] = {
            turn[0].id: conversation.texts[turn[0].id]
            for turn in turns
            if turn[0].id in conversation.texts and conversation.texts[turn[0].id] != render(turn)
        }
    return Trajectory(
        trajectory_id=f"{source.name}/{raw_id}",
        source=source.source(raw_id),
        task=Task(instruction or "", task_id=raw_id),
        tools=tools,
        steps=tuple(steps),
        outcome=more.get("outcome", Outcome()),
        tags=more.get("tags") or tags_of(steps),
        extra={key: value for key, value in extra.items() if value},
    )


def _typed(steps: Sequence[Step], tools: Sequence[Tool], as_text: set[str]) -> list[Step]:
    """The steps with values of calls written as text made what the tools ask for."""
    by_name = {tool.name: tool for tool in tools}

    def typed(call: ToolCall) -> ToolCall:
        known = call.id in as_text and call.name in by_name
        return replace(call, arguments=typed_arguments(call.arguments, by_name[call.name])) if known else call

    return [replace(step, tool_calls=tuple(map(typed, step.tool_calls))) for step in steps]


def inferred_tools(calls: Sequence[ToolCall]) -> tuple[Tool, ...]:
    """Tools as the calls show them, for records that don't list any."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for call in calls:
        by_name.setdefault(call.name, []).append(call.arguments)
    return tuple(tool_of_calls(name, by_name[name]) for name in sorted(by_name))


def tags_of(steps: Sequence[Step]) -> tuple[str, ...]:
    """What kind of conversation it is: ("multi_turn", "parallel"), or ("no_call",)."""
    turns = [len(step.tool_calls) for step in steps if step.tool_calls]
    users = sum(step.role == "user" for step in steps)
    kinds = {
        "multi_turn": users > 1,
        "multi_step": users == 1 and len(turns) > 1,
        "parallel": max(turns, default=0) > 1,
        "no_call": not turns,
    }
    return tuple(kind for kind, is_so in kinds.items() if is_so) or ("single",)


def native_texts(trajectory: Trajectory, render: Render) -> list[str]:
    """The call texts of a conversation as the source writes them: rendered, or those kept in `extra`."""
    kept = trajectory.extra.get("native_calls", {})
    turns = [step.tool_calls for step in trajectory.steps if step.tool_calls]
    return [text for turn in turns for text in kept.get(turn[0].id, None) or render(turn)]
