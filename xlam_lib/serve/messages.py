"""Messages and tools as people write them, made into what an OpenAI API takes, and into steps for the codec.

Used by `client.py` (notebook 04_serving). Accepted are OpenAI messages (dictionaries or the openai package's objects)
and the looser ones of xLAM's examples: `tool_calls` may be one call, a call may be bare `{"name", "arguments"}`,
arguments may be an object, ids may be missing, and a tool result without an id belongs to the first open call of its
name. Nothing is guessed beyond that: what can't be understood raises MessageError, which names the message.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from xlam_lib.codec import tools_from_any
from xlam_lib.errors import XlamError
from xlam_lib.trajectory import Step, ToolCall

ROLES = ("system", "developer", "user", "assistant", "tool")
KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning", "reasoning_content")


class MessageError(XlamError, ValueError):
    """A message that can't be sent; says which one, what was found, and what was expected."""


def openai_messages(messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Messages in the strict OpenAI form, with ids that link calls and results.

    Example: `openai_messages([{"role": "tool", "name": "get_weather", "content": {"celsius": 4}}])` raises, for no call
    is open; after an assistant message that calls get_weather it becomes
    {"role": "tool", "content": '{"celsius": 4}', "tool_call_id": "call_0", "name": "get_weather"}.
    """
    given = [_as_dict(message, index) for index, message in enumerate(messages)]
    if not given:
        raise MessageError("there are no messages; expected at least one, of the user")
    ids = fresh_ids(given)
    open_calls: dict[str, str] = {}
    strict = []
    for index, message in enumerate(given):
        clean = {"role": message["role"], "content": _text(message, index)}
        if message["role"] == "assistant":
            clean |= {key: message[key] for key in ("reasoning", "reasoning_content") if message.get(key)}
            calls = [_call(call, ids, index) for call in _call_list(message, index)]
            clean |= {"tool_calls": calls} if calls else {}
            open_calls = {call["id"]: call["function"]["name"] for call in calls}
            if len(open_calls) < len(calls):
                raise MessageError(f"message {index}: two of its calls have the same id")
        elif message["role"] == "tool":
            clean["tool_call_id"] = _answered(message, open_calls, index)
            clean["name"] = open_calls.pop(clean["tool_call_id"])
        elif message.get("name"):
            clean["name"] = message["name"]
        strict.append(clean)
    return strict


def openai_tools(tools: Iterable[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Tools in the OpenAI form, from any that the codec reads: [{"type": "function", "function": {"name": ...}}]."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools_from_any(tools or [])
    ]


def steps_of(messages: Sequence[dict[str, Any]]) -> tuple[str, list[Step]]:
    """(system text, steps) of messages in the strict form: ("", [Step("user", "Weather in Oslo?")])."""
    system, steps = "", []
    for index, message in enumerate(messages):
        role, content = message["role"], message["content"] or ""
        if role in ("system", "developer"):
            if index:
                raise MessageError(f"message {index}: a {role} message may only come first")
            system = content
        elif role == "assistant":
            calls = tuple(
                ToolCall(call["function"]["name"], json.loads(call["function"]["arguments"]), call["id"])
                for call in message.get("tool_calls", ())
            )
            reasoning = message.get("reasoning") or message.get("reasoning_content") or ""
            steps.append(Step(role, content, reasoning, calls))
        elif role == "tool":
            steps.append(Step(role, content, tool_call_id=message["tool_call_id"], name=message["name"]))
        else:
            steps.append(Step(role, content))
    return system, steps


def _as_dict(message: Any, index: int) -> dict[str, Any]:
    if hasattr(message, "model_dump"):  # an object of the openai package, with fields that it leaves empty
        message = {key: value for key, value in message.model_dump(exclude_none=True).items() if value or key in KEYS}
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise MessageError(f"message {index}: expected an object with a role of {', '.join(ROLES)}, found {message!r}")
    unknown = [key for key, value in message.items() if key not in KEYS and value is not None]
    if unknown:
        raise MessageError(
            f"message {index} ({message['role']}): unknown {', '.join(map(repr, unknown))}; known are {', '.join(KEYS)}"
        )
    for key, role in (("tool_calls", "assistant"), ("tool_call_id", "tool")):
        if message.get(key) and message["role"] != role:
            raise MessageError(f"message {index} ({message['role']}): {key!r} belongs to {role} messages")
    return message


def _text(message: dict[str, Any], index: int) -> str | None:
    """The content as text: parts joined by newlines, a tool's result that is no text as JSON."""
    content, role = message.get("content"), message["role"]
    if isinstance(content, str):
        return content
    if (
        isinstance(content, list)
        and content
        and all(
            isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
            for part in content
        )
    ):
        return "\n".join(part["text"] for part in content)
    if role == "tool" and "content" in message:
        try:
            return json.dumps(content, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise MessageError(
                f"message {index} (tool): its content can't be written as JSON ({error}); give text or plain data"
            ) from error
    if content is None and role == "assistant":
        return None
    raise MessageError(
        f"message {index} ({role}): content is {content!r}, expected text; other kinds than text "
        "can't be read by these models"
    )


def _call_list(message: dict[str, Any], index: int) -> list[Any]:
    calls = message.get("tool_calls")
    if calls is None:
        return []
    if isinstance(calls, dict):
        return [calls]
    if not isinstance(calls, list | tuple):
        raise MessageError(f"message {index}: tool_calls is {calls!r}, expected a list of calls")
    return list(calls)


def _call(call: Any, ids: Iterator[str], index: int) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise MessageError(f"message {index}: a call is {call!r}, expected one with a name and arguments")
    arguments = function.get("arguments")
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = json.loads(arguments)
        except ValueError as error:
            raise MessageError(
                f"message {index}: the arguments of {function['name']!r} are no JSON ({error}): "
                f"{function['arguments']!r}"
            ) from error
    arguments = {} if arguments is None or arguments == "" else arguments
    if not isinstance(arguments, dict):
        raise MessageError(
            f"message {index}: the arguments of {function['name']!r} are {arguments!r}, expected an object"
        )
    text = json.dumps(arguments, ensure_ascii=False)
    return {
        "id": call.get("id") or next(ids),
        "type": "function",
        "function": {"name": function["name"], "arguments": text},
    }


def fresh_ids(messages: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Ids for further calls of a conversation: call_0, call_1, ... without those that the messages use themselves."""
    used = {
        str(call.get("id"))
        for index, message in enumerate(messages)
        if message["role"] == "assistant"
        for call in _call_list(message, index)
        if isinstance(call, dict)
    }
    return (name for number in itertools.count() if (name := f"call_{number}") not in used)


def _answered(message: dict[str, Any], open_calls: dict[str, str], index: int) -> str:
    """The id of the open call that a tool's result answers."""
    asked, name = message.get("tool_call_id"), message.get("name")
    for call_id, called in open_calls.items():
        if (call_id == asked) if asked else (not name or name == called):
            return call_id
    which = f"the call {asked!r}" if asked else f"a call of {name!r}" if name else "a call"
    listed = ", ".join(f"{call_id} ({called})" for call_id, called in open_calls.items()) or "none"
    raise MessageError(f"message {index} (tool): answers {which}, which is not open; open calls: {listed}")
