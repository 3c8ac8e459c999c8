"""Messages of either spelling -> turns: OpenAI's roles and content parts, ShareGPT's from and value (notebook 01).

The first half of `conversations.py`. `turns_of([{"from": "human", "value": "Hi"}])` -> [Turn("user", "Hi")].
Understood besides (`chats/` has it): content as parts (text, reasoning, calls, results), thoughts in <think> tags or a
field, calls as text in <tool_call> tags or in a field, results that failed, messages that aren't to be learnt from. To
learn words without the calls that belong to them is to learn the wrong thing: a field that holds calls is read, or it
loses the record.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from msgspec.structs import replace

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import need_objects
from xlam_lib.data.formats.call_forms import FoundCall, found_calls
from xlam_lib.data.formats.chats.assistants import calls_in_fields, thoughts_of
from xlam_lib.data.formats.chats.learning import WEIGHTS, is_trainable, reward_of
from xlam_lib.data.formats.chats.parts import RESULTS, Parts, content_text, is_parts, kind_of
from xlam_lib.data.formats.chats.results import failure_of, ids_of, name_of, with_words
from xlam_lib.data.formats.chats.turn import Turn, json_text
from xlam_lib.data.formats.chats.unknown import unknown_fields
from xlam_lib.data.formats.dialects import split_calls
from xlam_lib.data.formats.literals import decode
from xlam_lib.data.recognise import recognised, refused

ROLES = {
    "system": "system developer system_prompt",
    "user": "user human prompter",
    "assistant": "assistant gpt model bot chatgpt chatbot ai agent llm",
    "call": "function_call tool_call function_calls tool_calls tool_use",
    "tool": "tool function observation observations ipython environment env tool_response tool_responses tool_result"
    " tool_results tool_output function_response function_responses function_result function_output function_return",
}
BY_ROLE = {word: role for role, words in ROLES.items() for word in words.split()}
SPACED = re.compile(r"[-\s]+")  # in a role of several words: "tool-response"
THINK = re.compile(r"\s*<(think|thinking|scratch_pad)>(.*?)</\1>\s*", re.DOTALL)
LABEL = re.compile(r"\s*[A-Z][\w ]{0,30}:\s*(?=[\[{])")  # "Calling tools:" before the calls
MESSAGES = ("messages", "conversations", "conversation")
HALVES = ("prompt", "completion")  # TRL's, of one conversation
BARE = frozenset(("from", "value", "role", "content"))  # all that most messages have


def messages_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of a record, also as JSON text; TRL's prompt and completion are joined."""
    return [message for _, messages in named_messages(record) for message in messages]


def named_messages(record: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(field, the messages in it) of each field that has some: `named_messages({"messages": [m]})` has one of them."""
    if all(isinstance(record.get(key), list) for key in HALVES):
        return [(key, need_objects(record[key], key)) for key in HALVES]
    key = next((key for key in MESSAGES if record.get(key)), None)
    if key is None:
        empty = next((key for key in MESSAGES if key in record), None)
        raise refused(record, "no messages") if empty is None else Drop("no messages", f"{empty!r} is empty")
    value = record[key]
    first = value[0] if isinstance(value, list) else None
    other = "rejected" in record or (isinstance(first, dict) and "role" not in first and "from" not in first)
    if other and recognised(record):
        raise refused(record, "no messages that can be read here")
    if isinstance(value, str):
        try:
            value = decode(value)[0]
        except ValueError as error:
            raise Drop("messages are not JSON", f"{error}: {value[:80]!r}") from error
    return [(key, need_objects(value, key))]


def turns_of(messages: list[dict[str, Any]], place: str = "") -> list[Turn]:
    """One or more turns of each message, in order.

    With `place`, the name that the list has in its record, fields that no step could hold are kept with their turns.
    """
    return [turn for number, message in enumerate(messages) for turn in _turns(message, number, place)]


def _turns(message: dict[str, Any], number: int, place: str) -> list[Turn]:
    word = message.get("from") if message.get("role") is None else message["role"]
    role = BY_ROLE.get(word) or BY_ROLE.get(SPACED.sub("_", word.strip().lower())) if isinstance(word, str) else None
    if role is None:
        raise Drop("message of an unknown role", f"{str(word)[:80]!r} at {number}")
    content = message.get("value") if message.get("content") is None else message["content"]
    bare = message.keys() <= BARE
    named = place and len(message) > 2  # a role and a content are all that most have
    unknown = unknown_fields(message, role, f"{place}[{number}]") or None if named else None
    if role in ("user", "system") and isinstance(content, str):
        return [Turn(role, content, unknown=unknown)]
    if role == "call":
        return [_call(message, content, number, unknown)]
    parts = Parts(content, role, number, f"{place}[{number}].content" if place else "")
    if parts.unknown:
        unknown = {**(unknown or {}), **parts.unknown}
    if role == "assistant" and parts.results:
        return _with_results(message, content, number, unknown)
    if role == "assistant":
        return [_assistant(message, parts, number, bare, unknown)]
    if role == "tool":
        return _results(message, parts, bare, unknown)
    if parts.calls or parts.thoughts:
        raise Drop("message content is not text", f"{parts.where}: a call or a thought")
    if parts.results and not parts.text:
        return [*parts.results[:-1], replace(parts.results[-1], unknown=unknown)]
    return [*parts.results, Turn(role, parts.text, unknown=unknown)]


def _call(message: dict[str, Any], content: Any, number: int, unknown: dict[str, Any] | None) -> Turn:
    """A message that is nothing but calls: in its content, in a field, or it is one itself."""
    if is_parts(content):
        content = content_text(content, "assistant")
    text = json_text(content) if content else ""
    label = LABEL.match(text)
    words, found = _given_calls(text[label.end() :] if label else content)
    calls, texts = calls_in_fields(message, number, _calls, found)
    if not calls:
        raise Drop("call without a name", f"message {number} is empty")
    return Turn(
        "assistant",
        words,
        "\n".join(thoughts_of(message)),
        calls=tuple(calls),
        texts=tuple([text, *texts] if text else texts),
        trainable=is_trainable(message),
        joins=True,
        unknown=unknown,
    )


def _given_calls(value: Any) -> tuple[str, list[FoundCall]]:
    """(words, calls) of what is there to hold calls: a list, an object, their JSON, or text with marks of a model."""
    if isinstance(value, list):
        return "", [call for item in value for call in (_calls(item) if isinstance(item, str) else found_calls([item]))]
    if isinstance(value, str):
        words, calls, _ = split_calls(value)
        if calls:
            return words, calls
    return "", found_calls(value)


def _calls(value: Any) -> list[FoundCall]:
    return _given_calls(value)[1]


def _assistant(message: dict[str, Any], parts: Parts, number: int, bare: bool, unknown: dict[str, Any] | None) -> Turn:
    thoughts, content = [*([] if bare else thoughts_of(message)), *parts.thoughts], parts.text
    if thought := THINK.match(content):
        thoughts.append(thought[2].strip())
        content = content[thought.end() :]
    calls, texts = [call for value in parts.calls for call in _calls(value)], parts.call_texts
    if not bare:
        calls, found = calls_in_fields(message, number, _calls, calls)
        texts = [*texts, *found]
        if isinstance(message.get("refusal"), str):
            content = with_words(content, message["refusal"])
    if not calls:
        content, calls, texts = split_calls(content)
    return Turn(
        "assistant",
        content,
        "\n".join(filter(None, thoughts)),
        tuple(calls),
        tuple(texts),
        trainable=parts.trainable and (bare or is_trainable(message)),
        reward=None if bare else reward_of(message),
        unknown=unknown,
    )


def _with_results(message: dict[str, Any], content: Any, number: int, unknown: dict[str, Any] | None) -> list[Turn]:
    """The turns of an assistant's message that has results among its parts: a model that runs its tools itself."""
    turns: list[Turn] = []
    content = content if isinstance(content, list) else [content]
    for is_result, run in groupby(content, key=lambda part: kind_of(part) in RESULTS):
        parts = Parts(list(run), "assistant", number)
        if is_result and not turns:  # what its fields say comes first
            first = _assistant(message, Parts("", "assistant"), number, False, None)
            turns += [first] if first.calls or first.content or first.reasoning else []
        turns += parts.results if is_result else [_assistant(message, parts, number, False, None)]
        message = {key: message[key] for key in WEIGHTS if key in message}
    return [*turns[:-1], replace(turns[-1], unknown=unknown)]


def _results(message: dict[str, Any], parts: Parts, bare: bool, unknown: dict[str, Any] | None) -> list[Turn]:
    """A result, or several where the content is parts of results; a text beside those belongs to the last of them."""
    if parts.results:
        *others, last = parts.results
        return [*others, replace(last, content=with_words(last.content, parts.text), unknown=unknown)]
    several = tuple(parts.texts) if len(parts.texts) > 1 else ()
    if bare:
        return [Turn("tool", parts.text, parts=several)]
    failed, said = failure_of(message)
    ids, own = ids_of(message), message.get("id")
    return [
        Turn(
            "tool",
            with_words(parts.text, said),
            name=name_of(message),
            raw_id=ids[0] if len(ids) == 1 else "",
            raw_ids=ids if len(ids) > 1 else (),
            own_id=str(own) if type(own) in (str, int) else "",
            parts=several if not said else (),
            is_error=failed,
            unknown=unknown,
        )
    ]
