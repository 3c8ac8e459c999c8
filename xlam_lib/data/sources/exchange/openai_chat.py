"""OpenAI chat messages, as many data sets on the hub have them: any file of that form can be read (notebook 01).

Raw record (`messages` may be called `conversations`, `tools` may be `functions`, JSON text or bare objects):

    {"messages": [{"role": "system", "content": "You are a helpful assistant."},
                  {"role": "user", "content": "Weather in Oslo?"},
                  {"role": "assistant", "content": null, "tool_calls": [{"id": "call_B1w", "type": "function",
                    "function": {"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}]},
                  {"role": "tool", "tool_call_id": "call_B1w", "content": "4 degrees"},
                  {"role": "assistant", "content": "It is 4 degrees in Oslo."}],
     "tools": [{"type": "function", "function": {"name": "get_weather", "description": "...", "parameters": {...}}}]}

Decisions:
- The way back of `views.to_openai`: what that writes is read as the same steps. So the system message is a step.
- Both forms of calls (`tool_calls`, `function_call`), results of role tool or function, developer as system, content
  as text or parts, thoughts in `reasoning_content`, `reasoning` or <think> tags; ShareGPT's names work as well, and so
  do what agents' logs call these things (`formats/chats/`): roles as "tool-response", calls in `actions`, ids of calls
  in `tool_call_ids`, errors of tools in `error` or `status`, which mark the result as failed.
- Calls that an assistant writes as text, in the marks of any model that `formats/dialects` knows, are calls. So is an
  answer that is nothing but calls of listed tools. A mark that can't be read loses the record.
- `weight: 0` on an assistant message (OpenAI's fine-tuning format) means that it isn't to be learnt from, as do
  `loss_weight`, `loss`, `train` and the like; a list of them may stand in the record.
- Images, audio and other parts that aren't text lose the record: `Drop`. So do calls in a field that isn't read.
- Tools in a <tools> block of the system text are taken from there when no others are listed; what that text says on
  how to write calls is `extra["how_to_call"]`.
- Records without tools but with calls get tools inferred from the calls, named in `extra["inferred_tools"]`.
- Nulls that a table has filled in are taken out (`data/padding.py`).
- A record's `reward`, `success` and `resolved` are its outcome; `answer`, `label`, `score` and the like stand in
  `extra`, and so do fields that nobody knows, which are counted. The licence is unknown.
"""

from __future__ import annotations

from typing import Any

from xlam_lib.data.formats.base import SourceInfo
from xlam_lib.data.formats.chat_records import FIELDS, LAYOUT, LEFT_OUT, trajectory_of
from xlam_lib.trajectory import Trajectory

UNREAD = {"parallel_tool_calls": "a setting of the request, no part of the conversation"}
SOURCE = SourceInfo(
    name="openai_chat",
    license="unknown",
    url="https://platform.openai.com/docs/guides/function-calling",
    files=("*.jsonl", "*.json"),
    version="3",
    fields=FIELDS,
    left_out=LEFT_OUT | UNREAD,
    layout=LAYOUT,
)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One conversation -> one trajectory."""
    return [trajectory_of(SOURCE, record, where)]
