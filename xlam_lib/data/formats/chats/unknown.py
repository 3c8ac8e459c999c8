"""Fields of a message that no reader knows: kept and counted, and a loss where calls stand in them (notebook 01).

    unknown_fields({"role": "user", "content": "Hi", "seed": 7}, "user", "messages[0]") -> {"messages[0].seed": 7}

What is known depends on who speaks and on what stands there: a result has a name and an id, a user's name is nothing
that a step could hold; a weight is a number, not a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.call_forms import ARGUMENTS, NAMES
from xlam_lib.data.formats.call_forms import IDS as CALL_IDS
from xlam_lib.data.formats.chats import assistants, results
from xlam_lib.data.formats.chats.learning import REWARD, WEIGHTS, is_weight

Reads = Callable[[Mapping[str, Any], Any], bool]  # whether a field of that value is read in this message
TOOLS = ("tools", "functions", "available_tools", "tools_json", "tool_definitions")  # of a record, or a message
DONE = frozenset(("success", "succeeded", "ok", "completed", "complete", "done", "finished"))
CALL_FIELDS = (*NAMES, *ARGUMENTS, *CALL_IDS, "type", "index")
PART_OF_CALL = frozenset((*CALL_FIELDS, "function"))
CALL_PARTS = ("call", "calls", "use")  # how the types of such parts end
RESULT_PARTS = ("result", "response")


def _always(message: Mapping[str, Any], value: Any) -> bool:
    return True


def _weighs(message: Mapping[str, Any], value: Any) -> bool:
    return is_weight(value)


def _instead_of(*first: str) -> Reads:
    """Reads a field that stands for others, where none of those is there or they say the same."""
    return lambda message, value: all(message.get(key) is None or message[key] == value for key in first)


def _in_call(message: Mapping[str, Any], value: Any) -> bool:
    return any(value is read for read in (assistants.spread_call(message) or {}).values())


def _is_action(message: Mapping[str, Any], value: Any) -> bool:
    return assistants.holds_calls(value) or (isinstance(value, str) and assistants.is_named_action(message))


SPOKEN: dict[str, Reads] = {
    **{"role": _always, "content": _always, "from": _instead_of("role"), "value": _instead_of("content")},
    **dict.fromkeys(WEIGHTS, _weighs),
}
LISTING: dict[str, Reads] = dict.fromkeys(TOOLS, _always)
ASKING: dict[str, Reads] = {
    **dict.fromkeys((*NAMES, *ARGUMENTS, *CALL_IDS), _in_call),
    **dict.fromkeys(assistants.CALLS, _always),
    **dict.fromkeys(assistants.ACTIONS, _is_action),
    "action_input": lambda message, value: assistants.is_named_action(message),
    **dict.fromkeys(assistants.THOUGHTS, lambda message, value: assistants.is_thought(value)),
    REWARD: lambda message, value: isinstance(value, int | float),
}
ANSWERING: dict[str, Reads] = {
    **dict.fromkeys(results.IDS, lambda message, value: results.is_id_or_ids(value)),
    **dict.fromkeys(results.NAMES, lambda message, value: value == results.name_of(message)),
    **dict.fromkeys((*results.FLAGS, *results.OPPOSITES), lambda message, value: isinstance(value, bool)),
    "error": _always,
    "status": lambda message, value: isinstance(value, str) and value.strip().lower() in results.FAILED | DONE,
}
READS: dict[str, dict[str, Reads]] = {
    "system": {**SPOKEN, **LISTING},
    "user": {**SPOKEN, **LISTING},
    "assistant": {**SPOKEN, **ASKING, "refusal": lambda message, value: isinstance(value, str)},
    "call": {**SPOKEN, **ASKING},
    "tool": {**SPOKEN, **ANSWERING},
}
EVERY_FIELD = frozenset().union(*READS.values())


def unknown_fields(message: Mapping[str, Any], role: str, place: str) -> dict[str, Any]:
    """The fields of a message that aren't read, by their place; empty ones say nothing.

    A call in one of them is a Drop: words would be learnt without the calls that belong to them.
    """
    found: dict[str, Any] = {}
    reads = READS[role]
    for key, value in message.items():
        if value is not None and not (key in reads and reads[key](message, value)):
            _keep(found, f"{place}.{key}", value)
    return found


def unknown_in_part(part: Mapping[str, Any], kind: str, value: Any, place: str) -> dict[str, Any]:
    """The same for a part of a content, of which `value` is read: {"type": "text", "text": "a", "n": 1} has an n."""
    found: dict[str, Any] = {}
    ending = kind.rpartition("_")[2]
    for key, item in part.items():
        known = item is None or item is value or key == "type" or (key in WEIGHTS and is_weight(item))
        known = known or (ending in CALL_PARTS and key in PART_OF_CALL)
        known = known or (ending in RESULT_PARTS and key in ANSWERING and ANSWERING[key](part, item))
        if not known:
            _keep(found, f"{place}.{key}", item)
    return found


def _keep(found: dict[str, Any], place: str, value: Any) -> None:
    if value in ("", [], {}):
        return
    if assistants.holds_calls(value):
        raise Drop("calls in a field that isn't read", f"{place}: {str(value)[:80]!r}")
    found[place] = value
