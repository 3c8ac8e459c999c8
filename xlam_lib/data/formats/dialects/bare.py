"""Answers that are nothing but calls of tools that the record lists, with no mark around them (notebook 01).

    [weather(city="Oslo"), weather(city="Bergen")]                  Llama 3.2 and 4, and models after Gorilla
    {"name": "weather", "parameters": {"city": "Oslo"}}             Llama 3.1 without its mark, or a list of those

Only a whole answer is read so, and only where each name in it is that of a listed tool: anything else is words.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from msgspec.structs import replace

from xlam_lib.data.formats.bracket_calls import bracket_calls
from xlam_lib.data.formats.call_forms import ARGUMENTS, FoundCall, found_call
from xlam_lib.data.formats.conversations import Turn
from xlam_lib.data.formats.system_tools import TOOLS, split_system
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.serialize import DECODE_ERRORS, fast

ENDS = {"[": "]", "{": "}"}
KEYS = frozenset(("name", "id", "type", *ARGUMENTS))


def with_bare_calls(turns: Sequence[Turn], record: dict[str, Any]) -> Sequence[Turn]:
    """The turns, with answers that are nothing but calls made calls: `with_bare_calls(turns, record)[1].calls`."""
    found = [at for at, turn in enumerate(turns) if _may_be(turn)]
    names = _names(turns, record) if found else set()
    if not names:
        return turns
    made = list(turns)
    for at in found:
        text = made[at].content.strip()
        if calls := bare_calls(text, names):
            made[at] = replace(made[at], content="", calls=tuple(calls), texts=(text,))
    return made


def bare_calls(text: str, names: Collection[str]) -> list[FoundCall]:
    """The calls of a text that is nothing else, all of these names: `bare_calls("[f(a=1)]", {"f"})`; else []."""
    try:
        value = fast(text)
    except DECODE_ERRORS:
        calls = bracket_calls(text, names) or []
    else:
        items = value if isinstance(value, list) else [value]
        calls = [found_call(item) for item in items] if all(map(_is_call, items)) else []
    return calls if all(call.name in names for call in calls) else []


def _may_be(turn: Turn) -> bool:
    text = turn.content.strip() if turn.role == "assistant" and not turn.calls else ""
    return len(text) > 2 and ENDS.get(text[0]) == text[-1]


def _is_call(item: Any) -> bool:
    """Whether an object has a call's name and arguments, and nothing else."""
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item.keys() <= KEYS:
        return False
    return any(isinstance(item.get(key), dict) for key in ARGUMENTS)


def _names(turns: Sequence[Turn], record: dict[str, Any]) -> set[str]:
    """Of the tools that the record lists, or else its system text."""
    listed = next((record[key] for key in TOOLS if record.get(key)), None)
    if listed is None or listed == "[]":
        system = "\n".join(turn.content for turn in turns if turn.role == "system")
        listed = split_system(system)[1] if "<tools>" in system else None
    return {tool.name for tool in tools_of(listed, [])}
