"""Tools that stand in the system text between <tools> and </tools>, and what the text says besides (notebook 01).

Shared by the chat-shaped sources. `split_system("Help. <tools>[{...}]</tools>")` -> ("Help.", "[{...}]").
"""

from __future__ import annotations

import re
from typing import Any

from xlam_lib.data.formats.conversations import Conversation
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.trajectory import Tool

BLOCK = re.compile(r"<tools>(\s*[\[{].*?)</tools>|<tools>(\s*)</tools>(?!\s*XML)", re.DOTALL)
ABOUT_TAGS = re.compile(
    r"(?:^|(?<=[.\n]))[^.\n]*<tools>\s*(?:and\s*)?</tools>[^.:\n]*[.:]?|Here are the available tools:"
)
HEADING = re.compile(r"(?:\A|\n)#+[^\n]*\Z")
HOW_TO_CALL = ("Use the following pydantic model json schema", "For each function call")  # how these texts begin
TOOLS = ("tools", "functions", "available_tools", "tools_json", "tool_definitions")


def split_system(system: str) -> tuple[str, str]:
    """(instruction, the text of the tools) of a system text; the rest explains in which tags to call."""
    block = BLOCK.search(system)
    if block is None:
        return system, ""
    before = HEADING.sub("", ABOUT_TAGS.sub("", system[: block.start()]).strip())
    after = _without_how_to_call(system[block.end() :])
    instruction = "\n".join(part for part in (before.strip(), after.strip()) if part)
    return instruction, (block[1] or "").strip()


def _without_how_to_call(text: str) -> str:
    """The text without the part that shows the <tool_call> tags."""
    example, end = text.find("<tool_call>"), text.rfind("</tool_call>")
    if not 0 <= example < end:
        return text
    starts = [at for at in map(text.find, HOW_TO_CALL) if 0 <= at < example]
    start = min(starts, default=text.rfind("\n", 0, example) + 1)
    return text[:start] + text[end + len("</tool_call>") :].removeprefix(".")


def tools_and_system(record: dict[str, Any], conversation: Conversation, notes: list[str]) -> tuple[Tool, ...]:
    """The tools of a record, wherever they stand; `conversation.system` becomes the whole system text without them."""
    own = record.get("system") or record.get("system_prompt")
    if isinstance(own, str) and own.strip() and own != conversation.system:
        conversation.system = "\n\n".join(part for part in (own, conversation.system) if part)
    listed = next((record[key] for key in TOOLS if record.get(key)), None)
    if listed is None or listed == "[]":
        conversation.system, listed = split_system(conversation.system)
    return tools_of(listed, notes)
