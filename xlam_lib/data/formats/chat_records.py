"""Records of any chat form -> trajectories: messages, tools, the system text and whatever stands beside (notebook 01).

What the generic readers `openai_chat.py` and `sharegpt.py` share: `trajectory_of(SOURCE, record, "chats.jsonl:7")`.
Sources of one data set put the same parts together as it needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from xlam_lib.data.formats.base import ALWAYS_FUNCTION, CALL_ID, SPEAKER, SourceInfo
from xlam_lib.data.formats.chats.assistants import CALLS
from xlam_lib.data.formats.chats.learning import (
    ANSWERS,
    MASKS,
    OF_RECORD,
    WEIGHTS,
    answers_of,
    is_undesired,
    is_weight,
    mask_of,
    outcome_of,
)
from xlam_lib.data.formats.chats.results import IDS as RESULT_IDS
from xlam_lib.data.formats.chats.results import STATUS, is_id
from xlam_lib.data.formats.chats.unknown import CALL_FIELDS, EVERY_FIELD
from xlam_lib.data.formats.conversations import IDS, Conversation, assemble, json_text, raw_id_of, read_turns
from xlam_lib.data.formats.dialects import with_bare_calls
from xlam_lib.data.formats.messages import HALVES, MESSAGES, named_messages, turns_of
from xlam_lib.data.formats.system_tools import SYSTEMS, TOOLS, tools_and_system
from xlam_lib.data.padding import PADDING, without_padding
from xlam_lib.trajectory import ToolCall, Trajectory

LISTING = frozenset(TOOLS)
LISTS = (*MESSAGES, *HALVES)
CALLED = (*CALL_FIELDS, *(f"function.{key}" for key in CALL_FIELDS))
OF_CALLS = tuple(f"{key}{each}.{called}" for key in CALLS for each in ("", "[]") for called in CALLED)
FIELDS = (
    *(*IDS, *SYSTEMS, *TOOLS, *ANSWERS, *MASKS, *OF_RECORD),
    *(f"{name}[].{key}" for name in LISTS for key in (*EVERY_FIELD, *OF_CALLS)),
)
NOT_TAKEN = {
    **dict.fromkeys(("role", "from"), SPEAKER),
    **dict.fromkeys((*RESULT_IDS, *(f"{key}{each}.id" for key in CALLS for each in ("", "[]"))), CALL_ID),
    **dict.fromkeys((f"{key}{each}.type" for key in CALLS for each in ("", "[]")), ALWAYS_FUNCTION),
    **dict.fromkeys(("content.type", "content[].type"), "the kind of the part, which decides where it goes"),
    **dict.fromkeys(("content[].id", "content[].tool_use_id"), CALL_ID),
    **dict.fromkeys((STATUS, *WEIGHTS), "whether the tool failed, or the message is learnt from, which the step says"),
}
LEFT_OUT = {f"{name}[].{key}": why for name in LISTS for key, why in NOT_TAKEN.items()}
LAYOUT = {
    r"</?(tools|tool_call|tool_response|think|thinking)>": "tags of the parts",
}


def trajectory_of(source: SourceInfo, record: dict[str, Any], where: str) -> Trajectory:
    """One conversation: `trajectory_of(SOURCE, {"messages": [...], "reward": 1.0}, "").outcome.reward` -> 1.0."""
    record, nulls = without_padding(record, (*LISTS, *TOOLS))
    lists = named_messages(record)
    mask = mask_of(record, sum(len(messages) for _, messages in lists))
    if mask is not None:
        lists = _masked(lists, mask)
    elif [name for name, _ in lists] == list(HALVES) and is_undesired(record):
        lists = [lists[0], *_masked(lists[1:], [False] * len(lists[1][1]))]
    record, other_tools = _with_tools(record, lists)
    turns = [turn for name, messages in lists for turn in turns_of(messages, name)]
    conversation = read_turns(with_bare_calls(turns, record))
    conversation.keep(other_tools)
    _keep_unread(record, [name for name, _ in lists], conversation)
    notes: list[str] = []
    tools = tools_and_system(record, conversation, notes)
    extra = {"unknown_types": notes, PADDING: [f"{nulls} null(s)"] if nulls else []}
    raw_id, outcome = raw_id_of(record, where), outcome_of(record)
    made = assemble(source, raw_id, conversation, tools, render=render, outcome=outcome, extra=extra)
    answers = answers_of(record)
    return replace(made, extra={**made.extra, **answers}) if answers else made


def render(calls: Sequence[ToolCall]) -> list[str]:
    """The texts of calls as most records write them: ['{"name": "weather", "arguments": {"city": "Oslo"}}']."""
    return [json_text({"name": call.name, "arguments": call.arguments}) for call in calls]


def _masked(
    lists: list[tuple[str, list[dict[str, Any]]]], mask: Sequence[bool]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The messages, with those that aren't to be learnt from marked as such."""
    rest = iter(mask)
    return [(name, [message if next(rest) else _unlearnt(message) for message in messages]) for name, messages in lists]


def _unlearnt(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, next(key for key in WEIGHTS if key not in message): 0}


def _with_tools(
    record: dict[str, Any], lists: list[tuple[str, list[dict[str, Any]]]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the record with the tools that stand in a field of a message, where it lists none itself; others, by place)."""
    read, others = next((record[key] for key in TOOLS if record.get(key)), None), {}
    for name, messages in lists:
        for number, message in enumerate(messages):
            key = None if LISTING.isdisjoint(message) else next((key for key in TOOLS if message.get(key)), None)
            if key and read is None:
                read = message[key]
                record = {**record, key: read}
            elif key and message[key] != read:
                others[f"{name}[{number}].{key}"] = message[key]
    return record, others


def _keep_unread(record: dict[str, Any], read: list[str], conversation: Conversation) -> None:
    """Fields that are known, but not read, because another is: a second list of messages or of tools, a second id."""
    unread = [key for key in LISTS if key not in read] + [key for key in TOOLS if record.get(key)][1:]
    unread += [key for key in IDS if key in record and not is_id(record[key])]
    unread += [key for key in IDS if key in record and is_id(record[key])][1:]
    unread += [key for key in (*MASKS, *OF_RECORD) if key in record and not is_weight(record[key])]
    for key in unread:
        if record.get(key):
            conversation.keep({key: record[key]})
