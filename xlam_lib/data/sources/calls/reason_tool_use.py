"""Reasoning tool use: messages whose content is a list of parts, thoughts and calls among them (notebook 01).

Raw record (shortened):

    {"messages": [
       {"role": "system", "content": [{"type": "text", "value": "You are a methodical and expert assistant. ..."}]},
       {"role": "user", "content": [{"type": "text", "value": "Can you tell me about the movie \\"Inception\\"?"}]},
       {"role": "assistant", "content": [{"type": "reasoning", "value": "Alright, the user wants ..."},
          {"type": "tool_call", "value": "{\\"name\\": \\"get_movie_details\\", \\"arguments\\": {...}}"}]},
       {"role": "tool", "content": [{"type": "text", "value": "[{\\"title\\": \\"Inception\\", ...}]"}]},
       {"role": "assistant", "content": [{"type": "reasoning", "value": "..."}, {"type": "text", "value": "..."}]}],
     "tools": "[{\\"type\\": \\"function\\", \\"function\\": {\\"parameters\\": {\\"type\\": \\"dict\\", ...}}}]"}

Decisions, from looking at the records:
- Reasoning parts are the turn's reasoning, native; the system text is `task.instruction`.
- Several calls in a turn are parallel; in this data they end the record.
- Tools say types in Python's words ("dict", "str, optional"), some with `required` beside the parameters, some as a
  flat table: all become JSON Schema. Arguments that don't fit are counted as warnings.
- A record without calls (no tool fits) ends in words and is tagged "no_call".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xlam_lib.data.formats.base import ALWAYS_FUNCTION, SPEAKER, TYPE_WORD, SourceInfo
from xlam_lib.data.formats.conversations import assemble, json_text, native_texts, raw_id_of, read_turns
from xlam_lib.data.formats.messages import messages_of, turns_of
from xlam_lib.data.formats.system_tools import tools_and_system
from xlam_lib.trajectory import ToolCall, Trajectory

SOURCE = SourceInfo(
    name="reason_tool_use",
    license="Apache-2.0",
    url="https://github.com/hiyouga/LLaMA-Factory/blob/main/data/reason_tool_use_demo_50.jsonl",
    files=("reason_tool_use*.jsonl",),
    samples={"reason_tool_use_demo_50.jsonl": (1, 2, 28)},
    fields=(
        *("id", "tools", "messages[].role", "messages[].loss_weight"),
        *("messages[].content[].type", "messages[].content[].value"),
    ),
    left_out={
        "messages[].role": SPEAKER,
        "messages[].content[].type": "the kind of the part, which decides where it goes",
        "tools[].type": ALWAYS_FUNCTION,
        "tools[].function.parameters.**.type": TYPE_WORD,
    },
)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One conversation -> one trajectory."""
    conversation = read_turns(turns_of(messages_of(record)))
    notes: list[str] = []
    tools = tools_and_system(record, conversation, notes)
    raw_id, extra = raw_id_of(record, where), {"unknown_types": notes}
    return [assemble(SOURCE, raw_id, conversation, tools, conversation.system, render, extra=extra)]


def render(calls: Sequence[ToolCall]) -> list[str]:
    """The values of tool_call parts: ['{"name": "f", "arguments": {"a": 1}}']."""
    return [json_text({"name": call.name, "arguments": call.arguments}) for call in calls]


def native(trajectory: Trajectory) -> list[str]:
    """The value of every tool_call part."""
    return native_texts(trajectory, render)
