"""Hermes function calling: tools and calls in tags, often as Python literals instead of JSON (notebook 01).

Raw record (shortened):

    {"id": "753d8365-...", "category": "E-commerce Platforms", "subcategory": "Kayak", "task": "Flight Search",
     "conversations": [
       {"from": "system", "value": "You are a function calling AI model. You are provided with function signatures
          within <tools> </tools> XML tags. ...\\n<tools>\\n[{'type': 'function', 'function': {...}}]\\n</tools>\\n
          For each function call return a json object ... within <tool_call> </tool_call> XML tags ..."},
       {"from": "human", "value": "I'm planning a kayaking trip ..."},
       {"from": "gpt", "value": "<tool_call>\\n{'arguments': {'class': 'economy', 'flexible_cancellation': True},
          'name': 'search_flights'}\\n</tool_call>\\n"},
       {"from": "tool", "value": "<tool_response>\\n{\\"name\\": \\"search_flights\\", ...}\\n</tool_response>\\n"},
       {"from": "gpt", "value": "Here are the available flight options ..."}]}

Decisions, from looking at the records:
- Tools come from the <tools> block. What the system text says besides is `task.instruction`; the sentences about the
  tags are `extra["how_to_call"]`. Rows of the JSON mode have no tools; their schema stays in the instruction.
- Calls in <tool_call> tags are JSON or Python literals; literals are parsed, never run, and counted as repairs. A call
  that is neither loses the record.
- Results lose their <tool_response> tags; several in one message answer the calls in their order.
- Thoughts in <scratch_pad> or <think> tags before the answer are reasoning.
- `few_shot.json` of the prompts holds transcripts in the same tags (SYSTEM:, USER:, ASSISTANT:), tagged "few_shot".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SPEAKER, SourceInfo, need
from xlam_lib.data.formats.conversations import assemble, native_texts, raw_id_of, read_turns, tags_of
from xlam_lib.data.formats.messages import messages_of, turns_of
from xlam_lib.data.formats.system_tools import tools_and_system
from xlam_lib.trajectory import ToolCall, Trajectory

SOURCE = SourceInfo(
    name="hermes",
    license="Apache-2.0",
    url="https://huggingface.co/datasets/NousResearch/hermes-function-calling-v1",
    files=("func-calling*.json", "glaive-function-calling-5k.json", "json-mode-*.json"),
    hub_id="NousResearch/hermes-function-calling-v1",
    version="2",
    samples={"hermes_fc_v1_row_transcribed.json": (0,), "few_shot.json": (0, 1)},
    fields=(
        *("id", "category", "subcategory", "task", "schema", "tools", "example"),
        *("conversations[].from", "conversations[].value"),
    ),
    left_out={"conversations[].from": SPEAKER},
    layout={
        r"^(SYSTEM|USER|ASSISTANT|TOOL):": "labels of the turns",
        r"</?(tools|tool_call|tool_response|scratch_pad|think)>": "tags of the parts",
        r"[^.\n]*function signatures within[^.]*\.": "in which tags the tools stand",
        r"^(Use the following pydantic model|For each function call) .*?\n</tool_call>": "in which tags to call",
    },
)
LABEL = re.compile(r"^(SYSTEM|USER|ASSISTANT|TOOL):[ \t]*\n?", re.MULTILINE)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One conversation -> one trajectory."""
    shot = "example" in record and "conversations" not in record
    messages = _transcript(need(record, "example", str)) if shot else messages_of(record)
    conversation = read_turns(turns_of(messages))
    notes: list[str] = []
    tools = tools_and_system(record, conversation, notes)
    extra = {key: record[key] for key in ("category", "subcategory", "task") if isinstance(record.get(key), str)}
    tags = (*tags_of(conversation.builder.steps), "few_shot") if shot else ()
    extra["unknown_types"] = notes
    raw_id = raw_id_of(record, where)
    return [assemble(SOURCE, raw_id, conversation, tools, conversation.system, render, tags=tags, extra=extra)]


def _transcript(text: str) -> list[dict[str, Any]]:
    """The messages of a fenced transcript."""
    before, *parts = LABEL.split(text.strip().strip("`"))
    if before.strip() or not parts:
        raise Drop("transcript doesn't begin with a speaker", f"{before.strip()[:80]!r}")
    return [{"role": who.lower(), "content": words.strip()} for who, words in zip(parts[::2], parts[1::2], strict=True)]


def render(calls: Sequence[ToolCall]) -> list[str]:
    """Call texts as most rows write them: "<tool_call>\\n{'arguments': {'n': 1}, 'name': 'f'}\\n</tool_call>"."""
    return [f"<tool_call>\n{ {'arguments': call.arguments, 'name': call.name} }\n</tool_call>" for call in calls]


def native(trajectory: Trajectory) -> list[str]:
    """Every call with its tags, as the record has it."""
    return native_texts(trajectory, render)
