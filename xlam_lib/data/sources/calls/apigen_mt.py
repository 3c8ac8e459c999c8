"""APIGen-MT-5k: verified conversations of a simulated user and an agent in tau-bench's two domains (notebook 01).

Raw record (`tools` and the values of calls are JSON *text*; shortened):

    {"conversations": [
       {"from": "human", "value": "Hi, I need to change the items of my order."},
       {"from": "gpt", "value": "I can help. What is your e-mail address?"},
       {"from": "human", "value": "It is ava.lopez@example.com."},
       {"from": "function_call", "value": "{\\"name\\": \\"find_user_id_by_email\\", \\"arguments\\": {...}}"},
       {"from": "observation", "value": "ava_lopez_9068"},
       {"from": "gpt", "value": "Thank you, Ava. ..."}],
     "tools": "[{\\"name\\": \\"find_user_id_by_email\\", \\"description\\": \\"...\\", \\"parameters\\": {...}}]",
     "system": "# Retail agent policy\\n\\nAs a retail agent, you can help users ..."}

Decisions, from the published description (the data set itself is behind a form; no record of it is in this
repository, the samples are written in its shape):
- The policy (`system`) is `task.instruction`, as for tau-bench.
- The tool `think` stays a call, as the agent made it; its empty result stays, too.
- An observation that starts with "Error" is marked `is_error`.
- "###STOP###" is cut from the user's last words; the raw text is `extra["stop"]`.
- Conversations were kept by their makers only if they reached the task's goal; that is no statement of the record, so
  the outcome stays unknown.
- Records have no ids: they are named by their place in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from xlam_lib.data.formats.base import SPEAKER, SourceInfo
from xlam_lib.data.formats.conversations import Turn, assemble, json_text, native_texts, raw_id_of, read_turns
from xlam_lib.data.formats.messages import messages_of, turns_of
from xlam_lib.data.formats.system_tools import tools_and_system
from xlam_lib.trajectory import ToolCall, Trajectory

SOURCE = SourceInfo(
    name="apigen_mt",
    license="CC-BY-NC-4.0",
    url="https://huggingface.co/datasets/Salesforce/APIGen-MT-5k",
    files=("apigen-mt_5k.json",),
    hub_id="Salesforce/APIGen-MT-5k",
    fields=("id", "system", "tools", "conversations[].from", "conversations[].value"),
    left_out={"conversations[].from": SPEAKER},
)
STOP = "###STOP###"


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One conversation -> one trajectory."""
    turns, stop = _without_stop(turns_of(messages_of(record)))
    conversation = read_turns([replace(turn, is_error=turn.is_error or _failed(turn)) for turn in turns])
    notes: list[str] = []
    tools = tools_and_system(record, conversation, notes)
    extra = {"stop": stop, "unknown_types": notes}
    return [assemble(SOURCE, raw_id_of(record, where), conversation, tools, conversation.system, render, extra=extra)]


def _failed(turn: Turn) -> bool:
    return turn.role == "tool" and turn.content.startswith("Error")


def _without_stop(turns: list[Turn]) -> tuple[list[Turn], str]:
    """(turns, the message with which the user stopped or "")."""
    stop = next((turn.content for turn in turns if turn.role == "user" and STOP in turn.content), "")
    cut = [replace(t, content=t.content.replace(STOP, "").strip()) if STOP in t.content else t for t in turns]
    return [turn for turn, raw in zip(cut, turns, strict=True) if turn.content or turn == raw], stop


def render(calls: Sequence[ToolCall]) -> list[str]:
    """The values of function_call turns: ['{"name": "f", "arguments": {"a": 1}}']."""
    return [json_text({"name": call.name, "arguments": call.arguments}) for call in calls]


def native(trajectory: Trajectory) -> list[str]:
    """The text of every call, as the record has it."""
    return native_texts(trajectory, render)
