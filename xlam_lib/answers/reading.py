"""The one parser of what a model generates: what a text offers as calls, and what is only words.

A call is made where the text offers it, and nowhere else:

- the answer is JSON of a known form (`forms.py`), or begins with it: one object or list, or several in a row, bare, in
  a code fence or behind [TOOL_CALLS]; or <tool_call> tags or [TOOL_CALLS] set JSON apart from the words before it, on a
  line of its own or at the end of the text, and not as code;
- a thought that <think> tags part from the answer is over, and nothing in it counts;
- the name was offered, where the tools are known.

JSON that a sentence quotes, or that shows what could be written, is words. Words are kept whatever stands beside them:
before the calls, behind them, in other keys of the object, and calls that could not be made are words, too. Of an
answer that was cut off, no call is made, and the bits of its JSON are not words.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from xlam_lib.answers.forms import Answer, json_text
from xlam_lib.answers.parts import halves, is_object, like_call, read_call
from xlam_lib.answers.values import HALF, CutOffError, read_json, string_part
from xlam_lib.schema import Tool, ToolCall
from xlam_lib.validation import argument_problems

MAX_TRIES = 16  # places where an answer is looked for in vain
MALFORMED = "malformed or cut-off JSON"
NO_ANSWER = "JSON, but neither an answer nor a list of calls"
NO_JSON = "plain text instead of JSON"

_BEFORE = re.compile(r"(?:\s++|```\w*+|\[TOOL_CALLS\]|<tool_call>)*+")  # what may stand before the JSON of an answer
_BETWEEN = re.compile(r"(?:[\s,;]++|```\w*+|\[TOOL_CALLS\]|<tool_call>)*+")  # and between that of several
_BEHIND = re.compile(r"(?:\s*(?:</tool_call>|```(?!\w)))*+(?:\s*(?:`{1,2}|</[a-z_]*)\Z)?")
_MARK = re.compile(r"<tool_call>|\[TOOL_CALLS\]|<think>")
_PART_OF_MARK = re.compile(r"(?:(?:\A|\n)[ \t]*<(?:t(?:oo?)?)?|<tool(?:_[cal]*)?|\[TOOL(?:_[CALS]*)?)\Z")
_KEYS = ("thought", "tool_calls", "name", "arguments", "parameters", "function", "type", "id")
_BEGUN = re.compile(r'(?:\[\s*(?:\{|\Z)|\{)\s*(?:"(\w*)("|\Z)|\Z)')  # the first key of an answer, as far as it goes
_THOUGHT = re.compile(r'\{\s*"thought"\s*:\s*"')
_NAME = re.compile(r'"name"\s*:\s*"([^"\\]*)("|\Z)(?:\s*,\s*"(\w*)("|\Z))?')


@dataclass(frozen=True)
class Parsed:
    """An answer as read from text, with everything that was wrong about the text; no problems means clean.

    `content` is what a reader is shown of it: the thought, or of an answer that is text (which is then the thought, as
    it stands) the words, without a thought in tags and without bits of JSON that was cut off.
    """

    answer: Answer
    problems: tuple[str, ...]
    form: Literal["object", "list", "text"]
    shown: str | None = None  # where it isn't the whole thought

    @property
    def content(self) -> str:
        """The words of the answer: 'There is nothing to do.'."""
        return self.answer.thought if self.shown is None else self.shown


def parse_answer(text: str, tools: Sequence[Tool] | None = None) -> Parsed:
    """Reads what a model generated; never raises, whatever the text. What counts as a call, the module says.

    Clean are the object and the list, alone, in a code fence, after </think> or after [TOOL_CALLS]. All else is read
    as far as its meaning is plain and noted in `problems`: text around the JSON, several in a row, arguments as a
    string, "parameters" for "arguments", keys missing, unknown or repeated, calls without a name. What is cut off,
    malformed or offers no JSON becomes the thought of an answer without calls, form "text".
    Given `tools`, a call of another name is no call, and calls that don't fit their tools are problems too.

    Example: `parse_answer('[{"name": "now", "arguments": {}}]').answer.calls[0].name` -> 'now'
    """
    offered = None if tools is None else {tool.name: tool for tool in tools}
    parsed = _parse(HALF.sub("?", text).strip(), offered)
    if offered is None:
        return parsed
    misfits = [
        problem for call in parsed.answer.calls for problem in argument_problems(offered[call.name], call.arguments)
    ]
    return Parsed(parsed.answer, (*parsed.problems, *misfits), parsed.form, parsed.shown)


def _parse(text: str, offered: Collection[str] | None) -> Parsed:
    if not text:
        return Parsed(Answer(), ("the answer is empty",), "text")
    if (text.startswith("<think>") or "<think>".startswith(text)) and "</think>" not in text:
        thought = re.sub(r"<(?:/[think]*)?\Z", "", text[len("<think>") :])
        return Parsed(Answer(text), ("cut-off thought: it has no end",), "text", thought.strip())
    first = _Reading(text, offered)
    end = first.row(0)
    if end == len(text):
        return first.parsed(text)
    if not text.startswith(("{", "[")):  # where it does, </think> is part of what it says
        for found in itertools.islice(re.finditer("</think>", text), MAX_TRIES):
            body = text[found.end() :].strip()
            reading = _Reading(body, offered, [_thought(text[: found.start()])])
            if body and reading.row(0) == len(body) and not reading.cut:
                return reading.parsed(text)
    first.rest(end)
    if any("</think>" in words for words in first.around) and (end or not text.startswith(("{", "["))):
        return _behind_a_thought(text, offered)
    return first.parsed(text)


def _thought(text: str) -> str:
    return text.removeprefix("<think>").removeprefix("\n").removesuffix("\n")


def _behind_a_thought(text: str, offered: Collection[str] | None) -> Parsed:
    """What stands behind the last end of a thought, where it isn't an answer and nothing else."""
    thought, _, body = text.rpartition("</think>")
    reading = _Reading(body.strip(), offered)
    reading.rest(reading.row(0))
    parsed = reading.parsed(text)
    if parsed.form == "text" and not reading.cut:  # words, and the thought isn't among them where a tag began it
        shown = (reading.content or _thought(thought).strip()) if text.startswith("<think>") else ""
        return replace(parsed, shown=shown or None)
    reading.words.insert(0, _thought(thought).strip())
    return reading.parsed(text)


def _among(word: str, whole: str, words: Iterable[str]) -> bool:
    """Whether a word is one of these, or may become one of them where it isn't whole."""
    return any(one == word if whole else one.startswith(word) for one in words)


@dataclass
class _Reading:
    """A text on its way to an answer: its words, its calls, and what was wrong."""

    text: str
    offered: Collection[str] | None
    words: list[str] = field(default_factory=list)
    around: list[str] = field(default_factory=list)  # those of the words that stand around the JSON
    calls: list[ToolCall] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    form: Literal["object", "list", ""] = ""  # of the first JSON that is an answer
    problem: str = ""  # why there is none
    looked: int = 0  # where JSON was looked for at last
    cut: bool = False
    marked: bool = False  # by tags, which are no words
    said: bool = False  # an object has a thought
    missed: bool = False  # something in the place of a call is none

    @property
    def content(self) -> str:
        return "\n".join(filter(None, self.words))

    def parsed(self, text: str) -> Parsed:
        """What was read of `text`, which is the answer itself where it offers none."""
        if self.cut or not self.form:
            return Parsed(Answer(text), (self.problem or NO_JSON,), "text", self.content if self.cut else None)
        if self.missed and not self.calls and not self.said:
            return Parsed(Answer(text), tuple(self.notes), "text", self.content if self.marked else None)
        return Parsed(Answer(self.content, tuple(self.calls)), tuple(self.notes), self.form)

    def row(self, at: int) -> int:
        """Reads the answers that stand at `at`, one behind the other; returns where they end, `at` for none."""
        end = at
        while True:
            start = (_BETWEEN if self.form else _BEFORE).match(self.text, end).end()
            marks, self.looked = self.text[end:start], start
            if start == len(self.text) and ("<tool_call>" in marks or "[TOOL_CALLS]" in marks):
                return self._cut_off("nothing behind the mark of a call")
            if not self.text.startswith(("{", "["), start):
                return end
            try:
                value, behind, notes = read_json(self.text, start)
            except ValueError as error:
                if isinstance(error, CutOffError) and self._begun(start):
                    return self._cut_off(str(error), start)
                self.problem = self.problem or f"{MALFORMED}: {error}"
                return end
            if "<tool_call>" in marks:
                notes.append("calls in <tool_call> tags")
                self.marked = True
            behind = _BEHIND.match(self.text, behind).end()
            alone = not self.form and behind == len(self.text)
            if (value == [] and not alone) or not self._take(value, notes):
                self.problem = self.problem or NO_ANSWER
                return end
            end = behind

    def rest(self, at: int) -> None:
        """Reads the words from `at` on, and what tags set apart from them."""
        seen = kept = counted = at
        fences = ticks = vain = 0
        blank = True  # the line so far
        for mark in _MARK.finditer(self.text, at):
            if mark.start() < seen:
                continue
            between = self.text[counted : mark.start()]
            line = between.rpartition("\n")
            fences += between.count("```")
            ticks = line[2].count("`") + (0 if line[1] else ticks)
            blank = not line[2].strip() and (blank or bool(line[1]))
            counted = mark.end()
            if mark[0] == "<think>":
                break
            if not fences % 2 and not ticks % 2 and vain < MAX_TRIES:
                part = _Reading(self.text, self.offered)
                end = part.row(mark.start())
                vain += bool(part.problem)
                seen = part.looked  # of marks in a row, none has more behind it than the first
                if part.form or part.cut:
                    seen = counted = end
                    if blank or end == len(self.text):
                        self._add(self.text[kept : mark.start()], part)
                        kept = end
            blank = False
        if self.cut:
            return
        left = self.text[kept:]
        begun = None if (fences + self.text.count("```", counted)) % 2 else _PART_OF_MARK.search(left)
        self._say(left[: begun.start()] if begun else left)
        if begun:
            self._cut_off("the mark of a call is not whole")

    def _add(self, before: str, part: _Reading) -> None:
        """What a mark offers, behind some words."""
        self._say(before)
        self.words += part.words
        self.calls += part.calls
        self.notes += part.notes
        self.form = self.form or part.form or "list"
        self.problem, self.cut, self.marked = part.problem, part.cut, True
        self.said, self.missed = self.said or part.said, self.missed or part.missed

    def _say(self, text: str) -> None:
        if text := text.strip():
            self.words.append(text)
            self.around.append(text)
            self.notes.append(f"text {'after' if self.form else 'before'} the JSON: {text[:80]!r}")

    def _cut_off(self, why: str, at: int | None = None) -> int:
        self.cut, self.problem = True, f"{MALFORMED}: {why}"
        if at is not None and (thought := _THOUGHT.match(self.text, at)):
            self.words.append(string_part(self.text, thought.end())[0])
        self.calls.clear()
        return len(self.text)

    def _begun(self, at: int) -> bool:
        """Whether JSON that is cut off began as an answer does, so that it isn't words."""
        first = _BEGUN.match(self.text, at)
        if not first or (self.offered is not None and not self.offered and self.text[at] == "["):
            return False
        key = first[1] or ""
        if not first[2]:
            return _among(key, "", _KEYS)
        if key in ("thought", "tool_calls"):
            return True
        named = _NAME.search(self.text, at)
        if not named:
            return key in ("name", "function", "arguments", "parameters") or '"function' in self.text[at:]
        name, named_so, following, followed_so = named.groups()
        if self.offered is not None and not _among(name, named_so, self.offered):
            return False
        return key in _KEYS and (following is None or _among(following, followed_so, _KEYS))

    def _take(self, value: Any, notes: list[str]) -> bool:
        """Adds what a decoded value says and calls; False when it is JSON of another kind."""
        form: Literal["object", "list"] = "object" if is_object(value) else "list"
        words: list[str] = []
        if form == "object":
            words, value = halves(value, notes)
        if like_call(value):
            notes.append("a single call, not in a list")
            value = [value]
        if form == "list" and not (isinstance(value, list) and all(map(like_call, value))):
            return False
        if not isinstance(value, list):
            notes.append(f"'tool_calls' is {type(value).__name__}, expected list")
            value = [value] if value else []
        self.said = self.said or any(words)
        if self.form:
            notes.insert(0, "another answer behind the first")
        for index, item in enumerate(value):
            call = read_call(item, index, notes)
            if call and self.offered is not None and call.name not in self.offered:
                notes.append(f"calls {call.name!r}, which is not among the tools")
                call = None
            if call:
                self.calls.append(call)
            else:
                self.missed = True
                words.append(json_text(item))
        self.words += words
        self.notes += notes
        self.form = self.form or form
        return True
