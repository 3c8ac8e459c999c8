"""From a model's text to an OpenAI message, at once or piece by piece, with the same result however the text is cut.

Used by `tool_parser.py` inside vLLM (notebook 04_serving); knows nothing of vLLM itself. What the text means is the
codec's to say: tool calls and content come from `parse_answer`, and calls only once the answer is whole, since nobody
should act on half an answer. What can be sent early is sent early: plain text as it comes, and the thought of an
answer `{"thought": "...` while it is being generated. Should such an answer turn out to be malformed, what was sent
stands and the rest follows as the model wrote it, so nothing is lost and nothing is sent twice. Of one that was cut
off, only the words are content; the text as it stands is the thought of `Message.parsed`.

    stream = AnswerStream(tools=tools)
    for piece in pieces:
        show(stream.feed(piece))
    rest = stream.finish()  # the content that is left, and the calls
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xlam_lib.answers.values import HALF, string_part
from xlam_lib.codec import Parsed, ToolCall, parse_answer
from xlam_lib.trajectory import Tool

_OPENING = '{"thought":"'
_GAPS = (1, 10, 11)  # places in it where there may be blanks
_MARK = re.compile(r"</think>|<tool_call>|\[TOOL_CALLS\]")  # behind which calls may be offered within text
_WORDS = ("</think>", "<tool_call>", "[TOOL_CALLS]")


@dataclass(frozen=True)
class Message:
    """What a client receives: `Message("", (ToolCall("get_weather", {"city": "Oslo"}),))`, and how it was read."""

    content: str
    calls: tuple[ToolCall, ...]
    parsed: Parsed


def read_message(text: str, calls_allowed: bool = True, tools: Sequence[Tool] | None = None) -> Message:
    """The message of a whole answer; equal to what `AnswerStream` sends of the same text in pieces.

    Example: `read_message('{"thought": "Hello", "tool_calls": []}').content` -> 'Hello'
    """
    stream = AnswerStream(calls_allowed, tools)
    content = stream.feed(text)
    rest = stream.finish()
    return Message(content + rest.content, rest.calls, rest.parsed)


class AnswerStream:
    """One answer on its way to a client: `feed` every piece of text, `finish` once; both return what is new.

    Given `tools`, a call of another name is no call; where calls aren't allowed (a request without tools), none is.
    What isn't called is sent as text.
    """

    def __init__(self, calls_allowed: bool = True, tools: Sequence[Tool] | None = None) -> None:
        self._tools = tools if calls_allowed else ()
        self._pieces: list[str] = []
        self._left = ""  # of the text, what isn't dealt with: never more than the last piece and a few characters
        self._blanks: list[str] = []  # at the end of the text so far, so they may be its end
        self._at = 0  # up to here the text was sent
        self._sent: list[str] = []
        self._opened = 0  # characters of _OPENING that have come
        self._step: Callable[[], str] = self._begin

    def feed(self, piece: str) -> str:
        """Content that can be sent now, often none: `stream.feed('{"thought": "Let me')` -> 'Let me'."""
        piece = HALF.sub("?", piece)
        self._pieces.append(piece)
        self._left += piece
        content = self._step()
        if content:
            self._sent.append(content)
        return content

    def finish(self) -> Message:
        """What is left to send when the text has ended, with the calls of the answer."""
        text, sent = "".join(self._pieces), "".join(self._sent)
        parsed = parse_answer(text, self._tools)
        if parsed.content.startswith(sent):
            return Message(parsed.content[len(sent) :], parsed.answer.calls, parsed)
        if parsed.content == sent.rstrip():  # cut off behind a blank
            return Message("", parsed.answer.calls, parsed)
        as_written = parsed.form == "text" and parsed.shown is None  # sent too early: send the rest as well
        rest = text[self._at :].strip() if as_written else parsed.content
        return Message("\n" + rest if rest else "", parsed.answer.calls, parsed)

    def _begin(self) -> str:
        """Decide by the first characters whether something can be sent early."""
        left = self._left.lstrip()
        self._done(len(self._left) - len(left))
        if not left:
            return ""
        if left[0] in "[<`":
            return self._wait()
        return self._go(self._open if left[0] == "{" else self._stream_text)

    def _open(self) -> str:
        """Whether the text begins as an answer whose thought comes first."""
        for index, char in enumerate(self._left):
            if char in " \t\r\n" and self._opened in _GAPS:
                continue
            if char != _OPENING[self._opened]:
                return self._wait()
            self._opened += 1
            if self._opened == len(_OPENING):
                self._done(index + 1)
                return self._go(self._stream_thought)
        self._done(len(self._left))
        return ""

    def _done(self, size: int) -> None:
        self._left = self._left[size:]
        self._at += size

    def _go(self, step: Callable[[], str]) -> str:
        self._step = step
        return step()

    def _wait(self) -> str:
        """Send nothing more, whatever comes, until the end."""
        self._left, self._step = "", self._wait
        return ""

    def _stream_text(self) -> str:
        """Plain text up to where calls may be offered; blanks at the end may be the end, so they wait."""
        mark = _MARK.search(self._left)
        part = self._left[: mark.start() if mark else self._part_of_mark()]
        self._left = self._left[len(part) :]
        content = part.rstrip()
        if content:
            content, self._blanks = "".join(self._blanks) + content, []
            self._at += len(content)
        self._blanks.append(part[len(part.rstrip()) :])
        if mark:
            self._wait()
        return content

    def _part_of_mark(self) -> int:
        """Where the end of the text may be the beginning of a mark; the length of the text when it can't."""
        left = self._left
        sizes = (size for word in _WORDS for size in range(1, len(word)) if left.endswith(word[:size]))
        return len(left) - max(sizes, default=0)

    def _stream_thought(self) -> str:
        """The characters of a JSON string as far as they have come, up to its closing quote."""
        content, end, ended = string_part(self._left)
        self._done(end)
        if ended:  # by the closing quote, or by what can't stand in a JSON string
            self._done(self._left.startswith('"'))
            self._wait()
        return content


class AsWritten:
    """In place of an `AnswerStream` where the text is not an answer of ours: what is fed comes out."""

    def feed(self, piece: str) -> str:
        return piece

    def finish(self) -> Message:
        return read_message("")
