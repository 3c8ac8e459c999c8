"""Tools that stand in the system text between <tools> and </tools>, and what the text says besides (notebook 01).

Shared by the chat-shaped sources. `split_system("Help. <tools>[{...}]</tools>")` -> ("Help.", "[{...}]", []).
"""

from __future__ import annotations

import re
from typing import Any

from xlam_lib.data.formats.chats.parts import SAID, Parts, text_of
from xlam_lib.data.formats.chats.unknown import TOOLS
from xlam_lib.data.formats.conversations import Conversation
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.trajectory import Tool

BLOCK = re.compile(r"<tools>(?:(\s*[\[{].*?)(</tools>|\Z)|\s*(</tools>)(?!\s*XML))", re.DOTALL)
ABOUT_TAGS = re.compile(
    r"(?:^|(?<=[.\n]))[^.\n]*<tools>\s*(?:and\s*)?</tools>[^.:\n]*[.:]?|Here are the available tools:"
)
HEADING = re.compile(r"(?:\A|\n)#[^\n]*\Z")
HOW_TO_CALL = ("Use the following pydantic model json schema", "For each function call")  # how these sentences begin
EXAMPLE = re.compile(r"<tool_call>(?!\s*</tool_call>).*?(?:(</tool_call>)\.?|\Z)", re.DOTALL)
SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?](?!\s|\Z)[^.!?\n]*)*(?:[.!?\n]+|\Z)")
SYSTEMS = ("system", "system_prompt", "system_message", "instructions")


def split_system(system: str) -> tuple[str, str, list[str]]:
    """(instruction, the text of the tools, what explains in which tags to call) of a system text."""
    block = BLOCK.search(system)
    if block is None or not (block[2] or block[3]):  # none, or one without an end
        return system, "", []
    about: list[str] = []

    def out(found: re.Match[str]) -> str:
        about.append(found[0].strip())
        return ""

    before = ABOUT_TAGS.sub(out, system[: block.start()]).strip()
    if heading := HEADING.search(before):
        about.append(heading[0].strip())
        before = before[: heading.start()]
    after, how = _without_how_to_call(system[block.end() :])
    instruction = "\n".join(part for part in (before.strip(), after.strip()) if part)
    return instruction, (block[1] or "").strip(), [*about, *how]


def _without_how_to_call(text: str) -> tuple[str, list[str]]:
    """(the text without examples of calls and the sentences that lead to them, what was left out).

    Whatever else stands before an example, or between two of them, is an instruction like any other.
    """
    kept, left_out, at = [], [], 0
    for example in EXAMPLE.finditer(text):
        if not example[1]:
            break  # it has no end
        said, how = _without_sentences(text[at : example.start()])
        kept.append(said)
        left_out += [*how, example[0]]
        at = example.end()
    if not left_out:
        return _without_sentences(text) if "<tool_call>" in text else (text, [])
    return "\n".join(part for part in (*map(str.strip, kept), text[at:].strip()) if part), left_out


def _without_sentences(text: str) -> tuple[str, list[str]]:
    """(the text without sentences on how to call, those sentences); a schema goes with the sentence before it."""
    kept, left_out, depth, led = [], [], 0, False
    balanced = text.count("{") == text.count("}")
    for found in SENTENCE.finditer(text):
        sentence, before = found[0].strip(), led
        if not sentence:
            kept.append(found[0])
            continue
        led = depth > 0 or (before and sentence.startswith("{"))
        led = led or sentence.startswith(HOW_TO_CALL) or "<tool_call>" in sentence
        if led:
            depth += sentence.count("{") - sentence.count("}") if balanced else 0
            left_out.append(sentence)
        else:
            kept.append(found[0].lstrip(" ") if before else found[0])
    return "".join(kept), left_out


def tools_and_system(record: dict[str, Any], conversation: Conversation, notes: list[str]) -> tuple[Tool, ...]:
    """The tools of a record, wherever they stand; `conversation.system` becomes the whole system text without them.

    What the system text says on how to write calls stands in the conversation's `extra["how_to_call"]`.
    """
    own = [_system_text(record[key], key, conversation) for key in SYSTEMS if record.get(key)]
    texts = dict.fromkeys(text for text in (*own, conversation.system) if text.strip())
    conversation.system = "\n\n".join(texts)
    listed = next((record[key] for key in TOOLS if record.get(key)), None)
    if listed is None or listed == "[]":
        conversation.system, listed, how = split_system(conversation.system)
        for each in how:
            conversation.note("how_to_call", each)
    return tools_of(listed, notes)


def _system_text(value: Any, key: str, conversation: Conversation) -> str:
    """A system prompt as text, however it is kept: a text, a list of blocks, a message."""
    if isinstance(value, str):
        return value
    said = next((name for name in SAID if name in value), None) if isinstance(value, dict) else None
    if said and "type" not in value:
        rest = {f"{key}.{name}": item for name, item in value.items() if name not in (said, "role") and item}
        conversation.keep(rest)
        value = value[said]
    parts = Parts(value, "system", place=key)
    conversation.keep(parts.unknown)
    return text_of(parts)
