"""Glaive function calling v2: its native text, and the same conversations in ShareGPT form (notebook 01).

Raw record, native (shortened; note the quotes around the arguments, which make the call no JSON):

    {"system": "SYSTEM: You are a helpful assistant with access to the following functions. ... -\\n
                {\\n    \\"name\\": \\"detect_language\\", \\"description\\": ..., \\"parameters\\": {...}\\n}\\n",
     "chat": "USER: Here it is - \\"Je suis un ...\\"\\n\\n\\n
       ASSISTANT: <functioncall> {\\"name\\": \\"detect_language\\", \\"arguments\\": '{\\"text\\": ...}'} <|endoftext|>
       \\n\\n\\nFUNCTION RESPONSE: {\\"language\\": \\"French\\"}\\n\\n\\nASSISTANT: It is French. ..."}

In ShareGPT form (English, Chinese): {"conversations": [{"from": "human", "value": "..."}, ...], "tools": "[...]"}

Decisions, from looking at the records:
- The quotes around the arguments are how Glaive writes a call; what is in them is JSON in which apostrophes aren't
  escaped. The last quote ends the arguments. Taking the quotes off is no guess, but counted as a repair; arguments that
  aren't quoted (`{}`) need none. What still isn't JSON is read as a Python literal (True, None) or loses the record.
- The first lines of the system text, without the functions, are `task.instruction`; ShareGPT records have none.
- "<|endoftext|>" ends a turn and goes away. Speakers are marked by "USER:", "ASSISTANT:" and "FUNCTION RESPONSE:" at
  the start of a paragraph.
- A conversation without functions, or in which none is called, is kept and tagged "no_call".
- A call text alone ({"row", "call", "expect"}: quotations in a test file) is no trajectory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SPEAKER, SourceInfo, need
from xlam_lib.data.formats.conversations import Turn, assemble, json_text, native_texts, raw_id_of, read_turns
from xlam_lib.data.formats.dialects import split_calls
from xlam_lib.data.formats.messages import messages_of, turns_of
from xlam_lib.data.formats.system_tools import tools_and_system
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.trajectory import ToolCall, Trajectory

SOURCE = SourceInfo(
    name="glaive",
    license="Apache-2.0",
    url="https://huggingface.co/datasets/glaiveai/glaive-function-calling-v2",
    files=("glaive-function-calling-v2.json", "glaive_toolcall_*.json"),
    hub_id="glaiveai/glaive-function-calling-v2",
    samples={
        "glaive_v2_raw_transcribed.json": (0, 1),
        "glaive_toolcall_en_demo.json": (1, 4),
        "glaive_toolcall_zh_demo.json": (0,),
    },
    fields=("id", "system", "chat", "tools", "conversations[].from", "conversations[].value"),
    left_out={"conversations[].from": SPEAKER},
    layout={r"^(SYSTEM|USER|ASSISTANT|FUNCTION RESPONSE|A):|<functioncall>|<\|endoftext\|>": "marks of the turns"},
)
SPEAKERS = {"USER": "user", "ASSISTANT": "assistant", "A": "assistant", "FUNCTION RESPONSE": "tool"}
SPEAKER = re.compile(r"(?:\A\s*|(?<=\n\n)|<\|endoftext\|>\s*)(USER|ASSISTANT|FUNCTION RESPONSE|(?<=\n\n\n)A):")
END = "<|endoftext|>"
FUNCTIONS = re.compile(r"(?:\A|(?<=\n))[ \t]*(?=[{\[]\s*[{\"'])")  # they begin with a line


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One conversation -> one trajectory."""
    if "call" in record and "expect" in record:
        raise Drop("a call without its conversation: no trajectory to convert")
    notes: list[str] = []
    if "chat" in record:
        conversation = read_turns(turns_of_chat(need(record, "chat", str)))
        instruction, functions = _system(record.get("system") or "")
        tools, render = tools_of(functions, notes), _render_native
    else:
        conversation = read_turns(turns_of(messages_of(record)))
        tools, render = tools_and_system(record, conversation, notes), _render_sharegpt
        instruction, functions = _system(conversation.system)
        tools = tools or tools_of(functions, notes)
    extra = {"unknown_types": notes, "form": "native" if "chat" in record else ""}
    return [assemble(SOURCE, raw_id_of(record, where), conversation, tools, instruction, render, extra=extra)]


def turns_of_chat(chat: str) -> list[Turn]:
    """The turns of a native text: `turns_of_chat("USER: Hi\\n\\n\\nASSISTANT: Hello <|endoftext|>")`."""
    before, *parts = SPEAKER.split(chat)
    if before.strip():
        raise Drop("chat doesn't begin with a speaker", f"{before.strip()[:80]!r}")
    turns = []
    for speaker, text in zip(parts[::2], parts[1::2], strict=True):
        role = SPEAKERS[speaker]
        if role == "assistant":
            content, calls, texts = split_calls(text.rstrip("\n"))
            content = content.replace(END, "").strip()
            turns.append(Turn(role, content, calls=tuple(calls), texts=tuple(texts)))
        else:
            turns.append(Turn(role, text.replace(END, "").strip()))
    return [turn for turn in turns if turn != Turn("assistant")]


def _system(text: Any) -> tuple[str, str]:
    """(instruction, the functions) of a system text."""
    if not isinstance(text, str):
        raise Drop("'system' is not text", f"found {type(text).__name__}")
    text = text.strip().removeprefix("SYSTEM:").strip()
    start = FUNCTIONS.search(text)
    if start is None:
        return text, ""
    return text[: start.start()].rstrip().removesuffix("-").rstrip(), text[start.end() :]


def _render_native(calls: Sequence[ToolCall]) -> list[str]:
    return [
        f'<functioncall> {{"name": "{call.name}", "arguments": \'{json_text(call.arguments)}\'}} ' for call in calls
    ]


def _render_sharegpt(calls: Sequence[ToolCall]) -> list[str]:
    return [json_text({"name": call.name, "arguments": call.arguments}) for call in calls]


def native(trajectory: Trajectory) -> list[str]:
    """The text of every call: from "<functioncall>" to the end of the turn, or a ShareGPT value."""
    return native_texts(trajectory, _render_native if trajectory.extra.get("form") else _render_sharegpt)
