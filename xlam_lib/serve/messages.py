"""Messages as people write them, made into what an OpenAI API takes, and into steps for the codec.

Used by `client.py` (notebook 04_serving). Accepted are OpenAI messages (dictionaries or the openai package's objects)
and the looser ones of xLAM's examples: `tool_calls` may be one call, a call may be bare `{"name", "arguments"}`,
arguments may be an object, ids may be missing, and a tool result without an id belongs to the first open call of its
name. What client libraries dump besides is left out where a model reads none of it (`dumps.py`). Nothing is guessed
beyond that: what can't be understood, or would be lost, raises MessageError, which names the message.

System messages (developer is another word for it) may be several and may come late. The prompt has one place for them,
the task instruction: they stand there in their order, a blank line between them, in the codec's prompt as in the chat
template's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from xlam_lib.answers import json_text
from xlam_lib.errors import XlamError
from xlam_lib.serve.dumps import READ, plain_message
from xlam_lib.trajectory import Step, ToolCall
from xlam_lib.views import (
    call_ids,
    call_to_openai,
    decode_arguments,
    field,
    open_calls,
    raw_call,
    step_of,
    text_of,
)

ROLES = ("system", "developer", "user", "assistant", "tool")
THOUGHT = ("reasoning", "reasoning_content")  # two names of one thing


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
    unanswered: list[tuple[str, ToolCall]] = []
    strict = []
    for index, message in enumerate(given):
        clean = {"role": message["role"], "content": _text(message, index)}
        if message["role"] == "assistant":
            clean |= {key: message[key] for key in THOUGHT if message.get(key)}
            unanswered = [(call.id, call) for call in (_call(item, ids, index) for item in _call_list(message, index))]
            clean |= {"tool_calls": [call_to_openai(call) for _, call in unanswered]} if unanswered else {}
            if len(dict(unanswered)) < len(unanswered):
                raise MessageError(f"message {index}: two of its calls have the same id")
        elif message["role"] == "tool":
            found = _answered(message, unanswered, index)
            unanswered.remove(found)
            clean |= {"tool_call_id": found[0], "name": found[1].name}
        elif message.get("name"):
            clean["name"] = message["name"]
        strict.append(clean)
    return strict


def steps_of(messages: Sequence[dict[str, Any]]) -> tuple[str, list[Step]]:
    """(system text, steps) of messages in the strict form: ("", [Step("user", "Weather in Oslo?")])."""
    steps = [step_of(message, f"message {index}") for index, message in enumerate(messages)]
    system = "\n\n".join(step.content for step in steps if step.role == "system" and step.content)
    return system, [step for step in steps if step.role != "system"]


def _as_dict(given: Any, index: int) -> dict[str, Any]:
    message = plain_message(given)
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise MessageError(f"message {index}: expected an object with a role of {', '.join(ROLES)}, found {given!r}")
    if unknown := [key for key in message if key not in READ]:
        raise MessageError(
            f"message {index} ({message['role']}): unknown {', '.join(map(repr, unknown))}; known are {', '.join(READ)}"
        )
    for key, role in (*((key, "assistant") for key in (*THOUGHT, "tool_calls")), ("tool_call_id", "tool")):
        if message.get(key) and message["role"] != role:
            raise MessageError(f"message {index} ({message['role']}): {key!r} belongs to {role} messages")
    thoughts = [message[key] for key in THOUGHT if message.get(key)]
    if not all(isinstance(thought, str) and thought == thoughts[0] for thought in thoughts):
        found = " and ".join(map(repr, thoughts))
        raise MessageError(f"message {index} (assistant): its reasoning is {found}, expected one text")
    return message


def _text(message: dict[str, Any], index: int) -> str | None:
    """The content as text: parts joined by newlines, a tool's result that is no text as JSON."""
    content, role = message.get("content"), message["role"]
    text = text_of(content)
    if text is not None:
        return whole_text(text, f"message {index} ({role})")
    if role == "tool" and "content" in message:
        try:
            return whole_text(json_text(content), f"message {index} (tool)")
        except (TypeError, ValueError) as error:
            if isinstance(error, MessageError):
                raise
            raise MessageError(
                f"message {index} (tool): its content can't be written as JSON ({error}); give text or plain data"
            ) from error
    if content in (None, []) and role == "assistant":
        return None
    raise MessageError(
        f"message {index} ({role}): content is {content!r}, expected text; other kinds than text "
        "can't be read by these models"
    )


def whole_text(text: str, where: str) -> str:
    """The text, unless it holds half a character (a lone surrogate), which no request can: `whole_text("Hi", "x")`."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise MessageError(
            f"{where}: character {error.start} is half of one ({text[error.start]!r}), which can't be sent; "
            "read the text as UTF-8, or leave it out"
        ) from error
    return text


def _call_list(message: dict[str, Any], index: int) -> list[Any]:
    calls = message.get("tool_calls")
    if calls is None:
        return []
    if isinstance(calls, dict):
        return [calls]
    if not isinstance(calls, list | tuple):
        raise MessageError(f"message {index}: tool_calls is {calls!r}, expected a list of calls")
    return list(calls)


def _call(item: Any, ids: Iterator[str], index: int) -> ToolCall:
    call = raw_call(item)
    if not isinstance(call.name, str) or not call.name:
        raise MessageError(f"message {index}: a call is {item!r}, expected one with a name and arguments")
    try:
        arguments = decode_arguments(call.arguments)
        arguments = {} if arguments is None or arguments == "" else arguments  # JSON's null, too
        json_text(arguments).encode()  # as it will be sent
    except (TypeError, ValueError) as error:
        raise MessageError(
            f"message {index}: the arguments of {call.name!r} are no JSON ({error}): {call.arguments!r}"
        ) from error
    if not isinstance(arguments, dict):
        raise MessageError(f"message {index}: the arguments of {call.name!r} are {arguments!r}, expected an object")
    return ToolCall(call.name, arguments, call.id or next(ids))


def fresh_ids(messages: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Ids for further calls of a conversation: call_0, call_1, ... without those that the messages use themselves."""
    return call_ids(
        {
            str(field(call, "id"))
            for index, message in enumerate(messages)
            if message["role"] == "assistant"
            for call in _call_list(message, index)
        }
    )


def _answered(message: dict[str, Any], unanswered: Sequence[tuple[str, ToolCall]], index: int) -> tuple[str, ToolCall]:
    """The open call that a tool's result answers, with its id."""
    id_, name = message.get("tool_call_id") or "", message.get("name") or ""
    if fitting := open_calls(unanswered, id_, name):
        return fitting[0]
    which = f"the call {id_!r}" if id_ else f"a call of {name!r}" if name else "a call"
    listed = ", ".join(f"{call_id} ({call.name})" for call_id, call in unanswered) or "none"
    raise MessageError(f"message {index} (tool): answers {which}, which is not open; open calls: {listed}")
