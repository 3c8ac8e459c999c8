"""ShareGPT conversations, as many data sets on the hub have them: any file of that form can be read (notebook 01).

Raw record (`tools` and the value of a call are JSON *text*; both may also be objects):

    {"conversations": [{"from": "human", "value": "Weather in Oslo?"},
                       {"from": "function_call", "value": "{\\"name\\": \\"weather\\", \\"arguments\\": {...}}"},
                       {"from": "observation", "value": "{\\"celsius\\": 4}"},
                       {"from": "gpt", "value": "It is 4 degrees in Oslo."}],
     "system": "You are a helpful assistant.",
     "tools": "[{\\"name\\": \\"weather\\", \\"description\\": \\"...\\", \\"parameters\\": {...}}]"}

Decisions:
- Speakers have many names (`messages.py` lists them); one that isn't known loses the record.
- Calls are turns of their own (function_call) or stand in the assistant's text in marks that `formats/dialects` knows;
  a call behind a text belongs to that turn, calls behind one another are parallel.
- The system text, in the conversation or in the field `system`, is a step. Tools in its <tools> block are taken from
  there when no others are listed, and with them what it says about the tags.
- Python literals in place of JSON are read, and counted as repairs; calls that can't be read lose the record.
- Records without tools but with calls get tools inferred from the calls, named in `extra["inferred_tools"]`.
- What the assistant says before the user is no answer: `extra["opening"]`.
- A result may be told by the user in <tool_response> tags, as in Qwen's chat form.
- Fields beside `from` and `value`, and beside the conversation, are read as in `openai_chat.py`.
"""

from __future__ import annotations

from typing import Any

from xlam_lib.data.formats.base import SourceInfo
from xlam_lib.data.formats.chat_records import FIELDS, LAYOUT, LEFT_OUT, render, trajectory_of
from xlam_lib.data.formats.conversations import native_texts
from xlam_lib.trajectory import Trajectory

SOURCE = SourceInfo(
    name="sharegpt",
    license="unknown",
    url="https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md",
    files=("*.json", "*.jsonl"),
    version="3",
    fields=FIELDS,
    left_out=LEFT_OUT,
    layout=LAYOUT,
)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One conversation -> one trajectory."""
    return [trajectory_of(SOURCE, record, where)]


def native(trajectory: Trajectory) -> list[str]:
    """The text of every call, as the record has it."""
    return native_texts(trajectory, render)
