"""ToolACE: dialogues with synthetic tools; calls are texts like `[Get Weather(city="Oslo"), ...]` (notebook 01).

Raw record (shortened):

    {"system": "You are an expert in composing functions. You are given a question and a set of possible functions. ...
       Here is a list of functions in JSON format that you can invoke:\\n[{\\"name\\": \\"Market Trends API\\",
       \\"description\\": \\"...\\", \\"parameters\\": {\\"type\\": \\"dict\\", \\"properties\\": {...}, ...},
       \\"required\\": null}, ...]. \\nShould you decide to return the function call(s). \\nPut it in the format of
       [func1(params_name=params_value, ...), func2(params)]\\n\\nNO other text MUST be included. \\n",
     "conversations": [
       {"from": "user", "value": "What moves the market right now?"},
       {"from": "assistant", "value": "[Market Trends API(trend_type=\\"MARKET_INDEXES\\", country=\\"us\\")]"},
       {"from": "tool", "value": "[{\\"name\\": \\"Market Trends API\\", \\"results\\": {\\"trends\\": [...]}}]"},
       {"from": "assistant", "value": "Here are the top trends: ..."}]}

Decisions, from public descriptions and quotations (no record of it is in this repository, the samples are written in
its shape):
- Tools are the JSON list in the system text. What stands before it, without the sentences about it, is
  `task.instruction` (some rows give the date there); what stands behind explains how to write calls and is left out.
- A turn is calls if all of it is such a list. Values are literals and never run. A turn in brackets that names a tool
  but can't be read (unquoted text, positional values) loses the record, as does one before a result.
- Names are kept as they are, with spaces, dots and slashes.
- The results of parallel calls come as one list and are taken apart; a single one stays as it is.
- Answers without calls say what is missing, or that no tool fits: tagged "no_call".
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any

from msgspec.structs import replace

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import SPEAKER, SourceInfo
from xlam_lib.data.formats.bracket_calls import bracket_calls, render_brackets
from xlam_lib.data.formats.conversations import Turn, assemble, native_texts, raw_id_of, read_turns
from xlam_lib.data.formats.messages import messages_of, turns_of
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.trajectory import ToolCall, Trajectory

SOURCE = SourceInfo(
    name="toolace",
    license="Apache-2.0",
    url="https://huggingface.co/datasets/Team-ACE/ToolACE",
    files=("data.json",),
    hub_id="Team-ACE/ToolACE",
    fields=("id", "system", "tools", "conversations[].from", "conversations[].value"),
    left_out={"conversations[].from": SPEAKER},
    layout={
        r"(You should only return the function call in tools call sections"
        r"|Here is a list of functions in JSON format that you can invoke)[.:]?": "that the tools follow",
        r"^\.?\s*Should you decide to return the function call\(s\).*?NO other text MUST be included\.": "how to call",
    },
)
LIST = re.compile(r"\[\s*(?:\{|\](?=[^\S\n]*+(?:\.[^\S\n]*+)?(?:\n|\Z)))")
ABOUT_CALLS = re.compile(
    r"(?<!\s)\s*+(?:You should only return the function call in tools call sections\.?"
    r"|Here is a list of functions in JSON format that you can invoke:?)"
)


def convert(record: dict[str, Any], where: str) -> list[Trajectory]:
    """One dialogue -> one trajectory."""
    turns = turns_of(messages_of(record))
    system_texts = [turn.content for turn in turns if turn.role == "system"]
    own = record.get("system") if isinstance(record.get("system"), str) else ""
    instruction, listed = split_system(own or "\n".join(system_texts))
    notes: list[str] = []
    tools = tools_of(listed or record.get("tools"), notes)
    names = {tool.name for tool in tools}
    dialogue = [turn for turn in turns if turn.role != "system"]
    read = [
        _with_calls(turn, names, i + 1 < len(dialogue) and dialogue[i + 1].role == "tool")
        for i, turn in enumerate(dialogue)
    ]
    raw_id, extra = raw_id_of(record, where), {"unknown_types": notes}
    return [assemble(SOURCE, raw_id, read_turns(read), tools, instruction, render, extra=extra)]


def split_system(system: str) -> tuple[str, list[Any]]:
    """(instruction, the tools) of a system text: `split_system('Today is Monday. [{"name": "f"}]')`."""
    for start in LIST.finditer(system):
        try:
            tools = json.JSONDecoder(strict=False).raw_decode(system, start.start())[0]
        except (ValueError, RecursionError) as error:
            raise Drop("tools are not JSON", f"{error}: {system[start.start() :][:80]!r}") from error
        return ABOUT_CALLS.sub("", system[: start.start()]).strip(), tools
    return ABOUT_CALLS.sub("", system).strip(), []


def _with_calls(turn: Turn, names: Collection[str], answered: bool) -> Turn:
    """The assistant's turn with the calls that its text is, if it is that."""
    if turn.role != "assistant" or turn.calls:
        return turn
    calls = bracket_calls(turn.content, names)
    if calls:
        return replace(turn, content="", calls=tuple(calls), texts=(turn.content,))
    text = turn.content.strip()
    meant = text.startswith("[") and any(text.startswith(f"[{name}(") for name in names)
    if answered or meant:
        raise Drop("call text can't be read", f"{text[:80]!r}")
    return turn


def render(calls: Sequence[ToolCall]) -> list[str]:
    """The text of a turn's calls: ['[f(a="x"), g()]']."""
    return [render_brackets(calls)]


def native(trajectory: Trajectory) -> list[str]:
    """The text of every turn that calls, as the record has it."""
    return native_texts(trajectory, render)
