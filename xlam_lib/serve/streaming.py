"""From a model's text to an OpenAI message, at once or piece by piece, with the same result however the text is cut.

Used by `tool_parser.py` inside vLLM (notebook 04_serving); knows nothing of vLLM itself. What the text means is the
codec's to say: tool calls and content come from `parse_answer`, and calls only once the answer is whole, since nobody
should act on half an answer. What can be sent early is sent early: plain text as it comes, and the thought of an
answer `{"thought": "...` while it is being generated. Should such an answer turn out to be malformed or cut off, what
was sent stands and the rest follows as the model wrote it, so nothing is lost and nothing is sent twice.

    stream = AnswerStream()
    for piece in pieces:
        show(stream.feed(piece))
    rest = stream.finish()  # the content that is left, and the calls
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from xlam_lib.codec import Parsed, ToolCall, parse_answer

_OPENING = '{"thought":"'
_THOUGHT = re.compile(r'\{[ \t\r\n]*"thought"[ \t\r\n]*:[ \t\r\n]*"')
_BLANK = re.compile(r"[ \t\r\n]+")
_PLAIN_PART = re.compile(r'[^"\\\x00-\x1f]+')  # of a JSON string
_HIGH = r"\\u[dD][89abAB][0-9a-fA-F]{2}"  # the first half of a surrogate pair
_ESCAPE = re.compile(rf'{_HIGH}\\u[dD][c-fC-F][0-9a-fA-F]{{2}}|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}})')
_UNFINISHED = re.compile(rf"(?:\\(?:u[0-9a-fA-F]{{0,3}})?|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)\Z")
_MARK = re.compile(r'\{\s*"|\[\s*\{|```|</think>|\[TOOL_CALLS\]')  # behind which an answer may begin within text
_PART_OF_MARK = re.compile(r"(?:\{\s*|\[\s*|`{1,2})\Z")
_WORDS = ("</think>", "[TOOL_CALLS]")


@dataclass(frozen=True)
class Message:
    """What a client receives: `Message("", (ToolCall("get_weather", {"city": "Oslo"}),))`, and how it was read."""

    content: str
    calls: tuple[ToolCall, ...]
    parsed: Parsed


def read_message(text: str, calls_allowed: bool = True) -> Message:
    """The message of a whole answer; equal to what `AnswerStream` sends of the same text in pieces.

    Example: `read_message('{"thought": "Hello", "tool_calls": []}').content` -> 'Hello'
    """
    stream = AnswerStream(calls_allowed)
    content = stream.feed(text)
    rest = stream.finish()
    return Message(content + rest.content, rest.calls, rest.parsed)


class AnswerStream:
    """One answer on its way to a client: `feed` every piece of text, `finish` once; both return what is new.

    Where calls aren't allowed (a request without tools), an answer that makes some is sent as the text it is.
    """

    def __init__(self, calls_allowed: bool = True) -> None:
        self._calls_allowed = calls_allowed
        self._text = ""
        self._at = 0  # up to here the text has been dealt with
        self._sent: list[str] = []
        self._step: Callable[[], str] = self._begin

    def feed(self, piece: str) -> str:
        """Content that can be sent now, often none: `stream.feed('{"thought": "Let me')` -> 'Let me'."""
        self._text += piece.encode("utf-8", "replace").decode()
        content = self._step()
        if content:
            self._sent.append(content)
        return content

    def finish(self) -> Message:
        """What is left to send when the text has ended, with the calls of the answer."""
        parsed = parse_answer(self._text)
        sent, answer = "".join(self._sent), parsed.answer
        as_text = parsed.form == "text"
        if answer.calls and not self._calls_allowed:
            as_text = True
        target = self._text.strip() if as_text else answer.thought
        calls = () if as_text else answer.calls
        if target.startswith(sent):
            return Message(target[len(sent) :], calls, parsed)
        rest = self._text[self._at :].strip() if as_text else target  # sent too early: send the rest as well
        return Message("\n" + rest if rest else "", calls, parsed)

    def _begin(self) -> str:
        """Decide by the first characters whether something can be sent early."""
        start = len(self._text) - len(self._text.lstrip())
        head = self._text[start:]
        if not head:
            return ""
        if head[0] in "[<`":
            return self._wait()
        if head[0] != "{":
            self._at = start
            return self._go(self._stream_text)
        if opened := _THOUGHT.match(head):
            self._at = start + opened.end()
            return self._go(self._stream_thought)
        compact = _BLANK.sub("", head)
        if compact == _OPENING or not _OPENING.startswith(compact):
            return self._wait()
        return ""

    def _go(self, step: Callable[[], str]) -> str:
        self._step = step
        return step()

    def _wait(self) -> str:
        self._step = str  # sends nothing, whatever comes
        return ""

    def _stream_text(self) -> str:
        """Plain text up to where an answer may begin; blanks at the end may be the end, so they wait."""
        mark = _MARK.search(self._text, self._at)
        end = mark.start() if mark else self._part_of_mark()
        content = self._text[self._at : end].rstrip()
        self._at += len(content)
        if mark:
            self._step = str
        return content

    def _part_of_mark(self) -> int:
        """Where the end of the text may be the beginning of a mark; the length of the text when it can't."""
        found = _PART_OF_MARK.search(self._text, self._at)
        end = found.start() if found else len(self._text)
        for word in _WORDS:
            for size in range(1, len(word)):
                if self._text.endswith(word[:size], self._at):
                    end = min(end, len(self._text) - size)
        return end

    def _stream_thought(self) -> str:
        """The characters of a JSON string as far as they have come, up to its closing quote."""
        parts = []
        while not _UNFINISHED.match(self._text, self._at):
            if part := _PLAIN_PART.match(self._text, self._at):
                parts.append(part[0])
            elif part := _ESCAPE.match(self._text, self._at):
                parts.append(json.loads(f'"{part[0]}"').encode("utf-8", "replace").decode())
            else:
                break
            self._at = part.end()
        else:
            return "".join(parts)
        if self._at < len(self._text):  # the closing quote, or what can't stand in a JSON string
            self._at += self._text[self._at] == '"'
            self._step = str
        return "".join(parts)
