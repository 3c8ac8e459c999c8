"""What a record of another format is, so that it is refused by its name, with the source that reads it (notebook 01).

    refused({"contents": [{"role": "user", "parts": [...]}]}, "no messages")
        -> Drop("no messages: Gemini's contents, which the source gemini reads")

A record is recognised by its keys alone. What isn't recognised is refused for what it lacks, as before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xlam_lib.data.accounting import Drop

Record = dict[str, Any]
LANGCHAIN = ("human", "ai", "constructor")
ITEMS = (
    *("function_call", "function_call_output", "message", "reasoning", "mcp_call", "mcp_list_tools"),
    *("custom_tool_call", "custom_tool_call_output"),
)
EVENTS = ("user", "agent", "environment")


def _first(record: Record, *keys: str) -> Record:
    """The first object of the first list (or list of lists) that the record has under one of the keys; {} without."""
    listed = next((record[key] for key in keys if isinstance(record.get(key), list) and record[key]), [None])
    listed = listed[0] if isinstance(listed[0], list) and listed[0] else listed
    return listed[0] if isinstance(listed[0], dict) else {}


FORMATS: dict[str, tuple[str, Callable[[Record], bool]]] = {  # source -> (the format, whether a record is of it)
    "preferences": ("chosen and rejected answers", lambda r: "chosen" in r and "rejected" in r),
    "gemini": ("Gemini's contents", lambda r: "parts" in _first(r, "contents") or "systemInstruction" in r),
    "langchain": (
        "LangChain's messages",
        lambda r: "lc" in _first(r, "messages") or _first(r, "messages").get("type") in LANGCHAIN,
    ),
    "verifiers": (
        "a rollout of verifiers",
        lambda r: {"prompt", "completion"} <= r.keys() and bool({"example_id", "reward"} & r.keys()),
    ),
    "atif": ("an ATIF trajectory", lambda r: str(r.get("schema_version")).startswith("ATIF")),
    "swe_agent": (
        "a trajectory of SWE-agent",
        lambda r: (
            ("history" in r and "info" in r)
            or "observation" in _first(r, "trajectory")
            or str(r.get("trajectory_format")).startswith("mini-swe-agent")
        ),
    ),
    "inspect_ai": (
        "a log of inspect_ai",
        lambda r: {"eval", "status"} <= r.keys() or {"epoch", "target", "scores"} <= r.keys(),
    ),
    "openai_responses": (
        "items of OpenAI's Responses",
        lambda r: (
            any(_first(r, key).get("type") in ITEMS for key in ("input", "output", "items")) or r.get("type") in ITEMS
        ),
    ),
    "openhands": (
        "events of OpenHands",
        lambda r: (
            _first(r, "history", "events").get("source") in EVENTS
            or (r.get("source") in EVENTS and bool({"action", "observation", "kind"} & r.keys()))
        ),
    ),
    "tau_bench": ("a trajectory of tau-bench", lambda r: {"traj", "task_id"} <= r.keys()),
    "tau2_bench": ("results of tau2-bench", lambda r: {"simulations", "tasks"} <= r.keys()),
    "toolbench": ("an answer of ToolBench", lambda r: "answer_generation" in r),
    "glaive": ("a text of Glaive", lambda r: {"chat", "system"} <= r.keys()),
    "xlam_fc_60k": ("a row of xlam-function-calling-60k", lambda r: {"query", "answers", "tools"} <= r.keys()),
    "bfcl_v4": ("a question of BFCL", lambda r: {"question", "function"} <= r.keys()),
}


def recognised(record: Record) -> tuple[str, str] | None:
    """(the format, the source that reads it) of a record, None where it is not known.

    Example: `recognised({"prompt": "2+2?", "chosen": "4", "rejected": "5"})[1]` -> "preferences"
    """
    return next(((title, name) for name, (title, is_so) in FORMATS.items() if is_so(record)), None)


def refused(record: Record, reason: str, source: str = "") -> Drop:
    """The Drop of a record that lacks what `source` reads: for the reason, and by name where it is another format."""
    keys = ", ".join(map(repr, list(record)[:12])) or "no keys"
    found = recognised(record)
    if found is None or found[1] == source:
        return Drop(reason, f"the record has {keys}")
    return Drop(f"{reason}: {found[0]}, which the source {found[1]} reads", f"the record has {keys}")
