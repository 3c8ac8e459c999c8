"""What one decoded JSON value says and calls, in the forms of an answer and in those that models write instead."""

from __future__ import annotations

from typing import Any

from xlam_lib.answers.forms import json_text
from xlam_lib.answers.values import read_arguments, sound
from xlam_lib.schema import ToolCall


def is_object(value: Any) -> bool:
    """Whether a value is an answer of the object form: `is_object({"thought": "Hi"})` -> True."""
    return isinstance(value, dict) and bool(value.keys() & {"thought", "tool_calls"})


def halves(value: dict[str, Any], notes: list[str]) -> tuple[list[str], Any]:
    """(words, calls) of an object; what its other keys say is words, too.

    Example: `halves({"thought": "Hi", "tool_calls": [], "mood": 1}, [])` -> (["Hi", "", '{"mood": 1}'], [])
    """
    others = {key: item for key, item in value.items() if key not in ("thought", "tool_calls")}
    notes += [f"key {key!r} is missing" for key in ("thought", "tool_calls") if key not in value]
    notes += [f"unknown key {key!r}" for key in others]
    thought = value.get("thought", "")
    if not isinstance(thought, str):
        notes.append(f"'thought' is {type(thought).__name__}, expected str")
        thought = "" if thought is None else json_text(thought)
    if others.get("role") == "assistant" and isinstance(others.get("content"), str):  # a message of OpenAI's form
        del others["role"]
    content = others.pop("content") if isinstance(others.get("content"), str) else ""
    return [thought, content, json_text(others) if others else ""], value.get("tool_calls", [])


def like_call(item: Any) -> bool:
    """Whether an object has the form of a call, and not that of a tool or of any other thing with a name.

    Example: `like_call({"name": "now", "arguments": {}})` -> True; `like_call({"name": "Ann", "age": 31})` -> False
    """
    if not isinstance(item, dict) or not ("name" in item or "function" in item):
        return False
    inner = item["function"] if isinstance(item.get("function"), dict) else item
    if "arguments" in inner:
        return True
    if "parameters" in inner:
        given = inner["parameters"]
        schema = isinstance(given, dict) and given.get("type") == "object" and isinstance(given.get("properties"), dict)
        return "description" not in inner and not schema
    return inner.keys() <= {"name", "id", "type", "index", "function"}


def read_call(item: Any, index: int, notes: list[str]) -> ToolCall | None:
    """One call of a list, or None with a note when it can't be called.

    Example: `read_call({"name": "f", "parameters": {"x": 1}}, 0, notes)` -> ToolCall("f", {"x": 1})
    """
    where = f"call {index}"
    if isinstance(item, dict) and isinstance(item.get("function"), dict):
        notes.append(f"{where} is nested in 'function'")
        item = item["function"]
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
        notes.append(f"{where} was left out: it has no name")
        return None
    key = "arguments" if "arguments" in item or "parameters" not in item else "parameters"
    if key == "parameters":
        notes.append(f"{where} says 'parameters' for 'arguments'")
    notes += [f"{where} has the unknown key {other!r}" for other in item if other not in ("name", key)]
    given = item.get(key)
    if given is None:
        notes.append(f"{where} has no arguments")
    elif isinstance(given, str):
        notes.append(f"{where} has its arguments in a string")
    try:
        arguments, repair = read_arguments(given)
        arguments = sound(arguments, notes) if isinstance(given, str) else arguments
    except (TypeError, ValueError):
        notes.append(f"{where} was left out: its arguments are {type(given).__name__}, expected object")
        return None
    if repair and given is not None:
        notes.append(f"{where}: {repair}")
    return ToolCall(item["name"], arguments)
