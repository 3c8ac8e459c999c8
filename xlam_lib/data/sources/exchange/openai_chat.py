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
  as text or parts, thoughts in `reasoning_content`, `reasoning` or <think> tags; ShareGPT's names work as well.
- Calls that an assistant writes as text, in the marks of any model that `formats/dialects` knows, are calls. So is an
  answer that is nothing but calls of listed tools. A mark that can't be read loses the record.
- `weight: 0` on an assistant message (OpenAI's fine-tuning format) means that it isn't to be learnt from.
- Images, audio and other parts that aren't text lose the record: `Drop`.
- Tools in a <tools> block of the system text are taken from there when no others are listed.
- Records without tools but with calls get tools inferred from the calls, named in `extra["inferred_tools"]`.
- Licence and outcome are not recorded: both are unknown.
"""

from __future__ import annotations

from typing import Any

from xlam_lib.data.formats.base import SourceInfo
from xlam_lib.data.formats.conversations import assemble, raw_id_of, read_turns
from xlam_lib.data.formats.dialects import with_bare_calls
from xlam_lib.data.formats.messages import messages_of, turns_of
from xlam_lib.data.formats.system_tools import tools_and_system
from xlam_lib.trajectory import Trajectory

SOURCE = SourceInfo(
    name="openai_chat",
    license="unknown",
    url="https://platform.openai.com/docs/guides/function-calling",
    files=("*.jsonl", "*.json"),
    version="2",
)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One conversation -> one trajectory."""
    conversation = read_turns(with_bare_calls(turns_of(messages_of(record)), record))
    notes: list[str] = []
    tools = tools_and_system(record, conversation, notes)
    return [assemble(SOURCE, raw_id_of(record, where), conversation, tools, extra={"unknown_types": notes})]
