"""What the content of a message holds: text alone, or a list of parts of several types (notebook 01).

    Parts([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Yes"}], "assistant").thoughts -> ["hm"]

Types are spelt with "_" or "-"; Bedrock's parts have their type for a key ({"toolUse": {...}}). A part that is neither
text nor thought, call or result (an image) is a Drop.
"""

from __future__ import annotations

from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.chats.learning import is_trainable
from xlam_lib.data.formats.chats.results import failure_of, ids_of, name_of, with_words
from xlam_lib.data.formats.chats.turn import Turn, json_text
from xlam_lib.data.formats.chats.unknown import unknown_in_part

TEXTS = ("text", "input_text", "output_text", "refusal")
THOUGHTS = ("reasoning", "thinking", "thought", "reasoning_content")
CALLS = ("tool_call", "tool_calls", "tool_use", "function_call")
RESULTS = ("tool_result", "tool_response")
SAID = ("text", "value", "content")  # where the text of a part stands, if not in a field of the name of its type
VALUES = {kind: (*SAID[:2], kind, *SAID[2:]) for kind in (*TEXTS, *THOUGHTS, *CALLS)}
VALUES |= {kind: (*SAID, kind, "result", "output") for kind in RESULTS}
UNTYPED = {"text": "text", "toolUse": "tool_use", "toolResult": "tool_result"}


class Parts:
    """The parts of one content by their kind; `place` is where it lies, if fields that aren't read are to be kept."""

    def __init__(self, content: Any, role: str, number: int = -1, place: str = "") -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[Any] = []  # as they are written
        self.call_texts: list[str] = []
        self.results: list[Turn] = []
        self.trainable = True
        self.unknown: dict[str, Any] = {}
        self.place = place
        self.where = f"{role} at {number}"
        if role == "tool" and not is_parts(content):
            self.texts = [json_text(content)] if content is not None else [""]
        elif isinstance(content, str):
            self.texts = [content]
        elif isinstance(content, list):
            for at, part in enumerate(content):
                self._add(part, at)
        elif isinstance(content, dict):
            self._add(content, 0)
        elif content is not None:
            self._add({"type": "text", "text": content}, 0)
        self.text = "\n".join(self.texts)

    def _add(self, part: Any, at: int) -> None:
        part = {"type": "text", "text": part} if isinstance(part, str) else part
        kind = kind_of(part)
        if kind is None:
            raise Drop("message content is not text", f"{self.where}: {str(part)[:80]!r}")
        if "type" not in part:
            part = next(part[key] for key in UNTYPED if key in part)
            part = part if isinstance(part, dict) else {"text": part}
        value = ""
        for key in VALUES.get(kind, SAID):
            if part.get(key) is not None:
                value = part[key]
                break
        if len(part) > 2:  # type and text are all that most have
            self.trainable = self.trainable and is_trainable(part)
            self.unknown |= unknown_in_part(part, kind, value, f"{self.place}[{at}]") if self.place else {}
        if kind in TEXTS and isinstance(value, str):
            self.texts.append(value)
        elif kind in THOUGHTS and isinstance(value, str):
            self.thoughts.append(value)
        elif kind in CALLS:
            self.calls.append(value or part)
            self.call_texts += [value] if isinstance(value, str) and value else []
        elif kind in RESULTS:
            self.results.append(_result(part, value))
        else:
            raise Drop("message content is not text", f"{self.where}: a part of type {kind[:40]!r}")


def content_text(content: Any, role: str) -> str:
    """The text of a content that is nothing else, in any form, or a Drop.

    Example: `content_text([{"type": "text", "text": "a"}], "system")` -> "a"
    """
    return text_of(Parts(content, role))


def text_of(parts: Parts) -> str:
    """The text of a content, or a Drop where it has anything but text: `text_of(Parts("a", "system"))` -> "a"."""
    if parts.calls or parts.thoughts or parts.results:
        raise Drop("message content is not text", f"{parts.where}: a call, a thought or a result")
    return parts.text


def kind_of(part: Any) -> str | None:
    """The type of a part, its words joined by "_", None where it has none: `kind_of({"type": "tool-call"})`."""
    if not isinstance(part, dict):
        return None
    kind = part.get("type")
    if isinstance(kind, str):
        return kind.replace("-", "_") if "-" in kind else kind
    return None if "type" in part else next((kind for key, kind in UNTYPED.items() if key in part), None)


def is_parts(content: Any) -> bool:
    """Whether a result is a list of content parts, and not a list that a tool gave back."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(kind_of(part) in TEXTS + RESULTS and len(part) <= 6 for part in content)
    )


def _result(part: dict[str, Any], value: Any) -> Turn:
    (failed, said), ids = failure_of(part), ids_of(part)
    text = with_words(content_text(value, "tool"), said)
    return Turn("tool", text, name=name_of(part), raw_id=ids[0] if ids else "", is_error=failed)
