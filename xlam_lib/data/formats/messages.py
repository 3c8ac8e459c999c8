"""Messages of either spelling -> turns: OpenAI's roles and content parts, ShareGPT's from and value (notebook 01).

The first half of `conversations.py`. `turns_of([{"from": "human", "value": "Hi"}])` -> [Turn("user", "Hi")].
Understood besides: content as parts (text, reasoning, calls, results), thoughts in <think> tags or a field of their
own, calls as text in <tool_call> tags, results in <tool_response> tags, messages that aren't to be learnt from.
"""

from __future__ import annotations

import re
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.base import need_objects
from xlam_lib.data.formats.call_forms import FoundCall, found_call, found_calls
from xlam_lib.data.formats.conversations import MESSAGES, Turn, json_text
from xlam_lib.data.formats.dialects import split_calls
from xlam_lib.data.formats.literals import decode
from xlam_lib.data.recognise import recognised, refused

ROLES = {
    "system": "system developer",
    "user": "user human prompter",
    "assistant": "assistant gpt model bot chatgpt ai",
    "call": "function_call tool_call function-call tool-call function_calls tool_calls",
    "tool": "tool function observation ipython environment tool_response tool_result tool_results tool_output"
    " function_response function-response function_result function_output function_return",
}
BY_ROLE = {word: role for role, words in ROLES.items() for word in words.split()}
THINK = re.compile(r"\s*<(think|thinking|scratch_pad)>(.*?)</\1>\s*", re.DOTALL)
RESPONSE = re.compile(r"<tool_response>(.*?)</tool_response>", re.DOTALL)
REASONING = ("reasoning_content", "reasoning", "thinking", "thought")
TEXTS = ("text", "input_text", "output_text", "refusal")
THOUGHTS = ("reasoning", "thinking", "thought")
CALLS = ("tool_call", "tool_calls", "tool_use", "function_call")
BARE = frozenset(("from", "value", "role", "content"))  # all that most messages have
RESULTS = ("tool_result", "tool_response")


def messages_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of a record, also as JSON text; TRL's prompt and completion are joined."""
    if isinstance(record.get("prompt"), list) and isinstance(record.get("completion"), list):
        return need_objects(record["prompt"] + record["completion"], "prompt")
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
    return need_objects(value, key)


def turns_of(messages: list[dict[str, Any]]) -> list[Turn]:
    """One or more turns of each message, in order."""
    return [turn for number, message in enumerate(messages) for turn in _turns(message, number)]


def _turns(message: dict[str, Any], number: int) -> list[Turn]:
    word = message.get("from") if message.get("role") is None else message["role"]
    role = BY_ROLE.get(word.strip().lower()) if isinstance(word, str) else None
    if role is None:
        raise Drop("message of an unknown role", f"{str(word)[:80]!r} at {number}")
    content = message.get("value") if message.get("content") is None else message["content"]
    if role == "call":
        text = json_text(content) if content else ""
        words, calls = _given_calls(content)
        if not calls:
            raise Drop("call without a name", f"message {number} is empty")
        return [Turn("assistant", words, calls=tuple(calls), texts=(text,), trainable=_trainable(message), joins=True)]
    if role in ("user", "system") and isinstance(content, str):
        return [Turn(role, content)]
    parts = _Parts(content, role, number)
    if role == "assistant":
        return [_assistant(message, parts)]
    if role == "tool":
        return _results(message, parts)
    return [*parts.results, *([Turn(role, parts.text)] if parts.text or not parts.results else [])]


class _Parts:
    """What a content holds: text alone, or a list of parts of several types."""

    def __init__(self, content: Any, role: str, number: int) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[FoundCall] = []
        self.call_texts: list[str] = []
        self.results: list[Turn] = []
        self.where = f"{role} at {number}"
        if role == "tool" and not _is_parts(content):
            self.texts = [json_text(content)] if content is not None else [""]
        elif isinstance(content, str):
            self.texts = [content]
        elif isinstance(content, list):
            for part in content:
                self._add(part)
        elif isinstance(content, dict):
            self._add(content)
        elif content is not None:
            self._add({"type": "text", "text": content})
        self.text = "\n".join(self.texts)

    def _add(self, part: Any) -> None:
        part = {"type": "text", "text": part} if isinstance(part, str) else part
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            raise Drop("message content is not text", f"{self.where}: {str(part)[:80]!r}")
        value = next((part[key] for key in ("text", "value", kind, "content") if part.get(key) is not None), "")
        if kind in TEXTS + THOUGHTS and isinstance(value, str):
            (self.thoughts if kind in THOUGHTS else self.texts).append(value)
        elif kind in CALLS:
            self.calls += _given_calls(value)[1] if value else [found_call(part)]
            self.call_texts += [value] if isinstance(value, str) and value else []
        elif kind in RESULTS:
            raw_id, name = (part.get(key) if isinstance(part.get(key), str) else "" for key in ("tool_use_id", "name"))
            inner = _Parts(value, "tool", -1).text
            self.results.append(Turn("tool", inner, name=name, raw_id=raw_id, is_error=part.get("is_error") is True))
        else:
            raise Drop("message content is not text", f"{self.where}: a part of type {kind[:40]!r}")


def _given_calls(value: Any) -> tuple[str, list[FoundCall]]:
    """(words, calls) of what is there to hold calls: a list, an object, their JSON, or text with marks of a model."""
    if isinstance(value, str):
        words, calls, _ = split_calls(value)
        if calls:
            return words, calls
    return "", found_calls(value)


def _is_parts(content: Any) -> bool:
    """Whether a result is a list of content parts, and not a list that a tool gave back."""
    kinds = TEXTS + RESULTS
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(part, dict) and part.get("type") in kinds and len(part) <= 5 for part in content)
    )


def _trainable(message: dict[str, Any]) -> bool:
    """OpenAI's weight 0, and what others call it."""
    weight = message.get("weight")
    no_weight = isinstance(weight, int | float) and not weight
    return not (no_weight or any(message.get(key) is False for key in ("trainable", "train", "loss")))


def _assistant(message: dict[str, Any], parts: _Parts) -> Turn:
    bare = message.keys() <= BARE
    thought = (
        None if bare else next((key for key in REASONING if isinstance(message.get(key), str) and message[key]), None)
    )
    field = message[thought] if thought else ""
    thoughts, content = [*([field] if field else []), *parts.thoughts], parts.text
    if thought := THINK.match(content):
        thoughts.append(thought[2].strip())
        content = content[thought.end() :]
    calls, texts = parts.calls, parts.call_texts
    if not bare:
        calls = calls or _given_calls(message.get("tool_calls"))[1] or _given_calls(message.get("function_call"))[1]
    if not calls:
        content, calls, texts = split_calls(content)
    reasoning = "\n".join(filter(None, thoughts))
    return Turn("assistant", content, reasoning, tuple(calls), tuple(texts), trainable=bare or _trainable(message))


def _results(message: dict[str, Any], parts: _Parts) -> list[Turn]:
    """A result, or several where the content is parts of results or texts in tags."""
    if parts.results:
        return parts.results
    name, raw_id = (message.get(key) if isinstance(message.get(key), str) else "" for key in ("name", "tool_call_id"))
    failed = message.get("is_error") is True or message.get("error") is True
    tagged = [text.strip() for text in RESPONSE.findall(parts.text)]
    several = parts.texts if len(parts.texts) > 1 else tagged
    if len(several) < 2:
        return [Turn("tool", tagged[0] if tagged else parts.text, name=name, raw_id=raw_id, is_error=failed)]
    return [Turn("tool", text, name=name, raw_id=raw_id, is_error=failed) for text in several]
