"""Texts made to be slow, and how the time that they take grows with their length.

What backtracks takes n² or more for n characters of the right kind. Which kind that is shows in an expression itself:
`shapes_of` repeats what its repetitions take, behind what leads up to them, with and without a fitting end. For
parsers, `shapes_of_words` does the same with the words that their modules look for.
"""

import re
import signal
import time
from collections.abc import Callable, Iterable
from re import _constants as ops  # the parts of an expression, for which `re` has no public names
from re import _parser
from typing import Any, NamedTuple

LARGE = 4096  # characters; the other text has an eighth of them
LIMIT = 12.0  # times the time that eight times the text may cost
FLOOR = 0.003  # seconds: what takes less says nothing about growth
HANG = 0.25  # seconds after which nobody waits any longer
SAMPLES = "a \n1A,.-_\"'`<([{:/\\\t=*"
CHARACTERS = SAMPLES + ";)]}>|#$&é字\x00"
MIXTURES = ("a ", "1 ", "\n ", "a\n", "a,", "1,", "1.", "a.", "\\n", '\\"', '",', '": "', "[]", "{}", "()", "<a>",
            "</a>", "```\n", "```json\n", "a=1, ", "a='", "'a', ", "a(", '{"a": ', '[{"a": 1}, ', "**", "- ", "1. ",
            "a: ", "a: \n")  # fmt: skip
CLASSES = {
    ops.CATEGORY_DIGIT: str.isdecimal,
    ops.CATEGORY_NOT_DIGIT: lambda char: not char.isdecimal(),
    ops.CATEGORY_SPACE: str.isspace,
    ops.CATEGORY_NOT_SPACE: lambda char: not char.isspace(),
    ops.CATEGORY_WORD: lambda char: char.isalnum() or char == "_",
    ops.CATEGORY_NOT_WORD: lambda char: not (char.isalnum() or char == "_"),
}
REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT)


class Shape(NamedTuple):
    """A text of any length: `Shape("<a>", "b", "!").text(6)` -> "<a>bb!"."""

    head: str
    unit: str
    end: str = ""

    def text(self, size: int) -> str:
        room = size - len(self.head) - len(self.end)
        return self.head + (self.unit * (room // len(self.unit) + 1))[: max(room, 0)] + self.end


GENERIC = tuple(Shape("", unit) for unit in (*CHARACTERS, *MIXTURES))


class TooSlow(BaseException):
    """Ends whatever runs when its time is up, also where errors are caught."""


def stop(signum: int, frame: Any) -> None:
    """The handler of SIGVTALRM: an expression looks for signals while it runs."""
    raise TooSlow


def seconds(run: Callable[[str], Any], text: str, times: int = 1, most: float = HANG) -> float:
    """The least processor time of so many runs, `most` where one takes longer than that."""
    best = most
    for _ in range(times):
        signal.setitimer(signal.ITIMER_VIRTUAL, most)
        begun = time.thread_time()
        try:
            run(text)
            best = min(best, time.thread_time() - begun)
        except TooSlow:
            return most
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return best


def growth(run: Callable[[str], Any], shape: Shape, large: int = LARGE) -> str:
    """What is wrong where eight times the text costs too much, else "": "31 times the time, 0.400 s, for ...".

    It must show again for longer texts, the last of which goes on where the first ended: another process may have
    disturbed a measurement, and a text of 4,096 quotes may just be read otherwise than one of 512.
    """
    found = ""
    for times in (1, 4, 8):
        if not (found := _growth(run, shape, times * large, times * HANG)):
            break
    return found


def _growth(run: Callable[[str], Any], shape: Shape, large: int, most: float) -> str:
    small_text, text = shape.text(large // 8), shape.text(large)
    took = seconds(run, text, most=most)
    if took < FLOOR:
        return ""
    shown = tuple(part[:60] for part in shape)
    if took == most:
        return f"{most} s and more, for {shown}"
    for tries in (1, 3, 9):
        before = seconds(run, small_text, 3 * tries)
        if took <= LIMIT * before:
            return ""
        if took < HANG / 5:
            took = min(took, seconds(run, text, tries))
    if took <= LIMIT * before:
        return ""
    return f"{took / before:.0f} times the time, {took:.3f} s, for {shown}"


def shapes_of(pattern: re.Pattern) -> list[Shape]:
    """Texts that an expression may be slow on."""
    whole, found = match_of(pattern)
    shapes = []
    for head, unit in found:
        shapes += [Shape(head, unit, end) for end in ("", "\x00", "\n", whole[len(head) :])]
        shapes.append(Shape("", head + unit * 3))
    starts = [whole, whole[:-1], *(head for head, _ in found)]
    shapes += [Shape("", start, end) for start in dict.fromkeys(starts) if start for end in ("", "\x00")]
    return [*dict.fromkeys((*GENERIC, *shapes))]


def match_of(pattern: re.Pattern) -> tuple[str, dict[tuple[str, str], None]]:
    """(about what an expression matches, (what leads up to it, what it takes) of each of its repetitions)."""
    found: dict[tuple[str, str], None] = {}
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    flags = pattern.flags if isinstance(pattern.pattern, str) else pattern.flags | re.UNICODE
    return _walk(_parser.parse(source, flags), "", {}, found), found


def _walk(tree: Iterable[Any], head: str, groups: dict[int, str], found: dict[tuple[str, str], None]) -> str:
    """`head` with a match of the tree behind it; adds each repetition: what leads up to it, and what it takes."""
    for op, value in tree:
        if op in REPEATS:
            low, high, body = value
            if high > 8:
                found.update(dict.fromkeys((head, unit) for unit in _units(body, groups)))
            once = _walk(body, head, groups, found)
            head = once + once[len(head) :] * (min(low, 50) - 1)
        elif op is ops.SUBPATTERN:
            after = _walk(value[3], head, groups, found)
            groups[value[0]] = after[len(head) :]
            head = after
        elif op is ops.BRANCH:
            head = [_walk(branch, head, dict(groups), found) for branch in value[1]][0]
        elif op is ops.ATOMIC_GROUP:
            head = _walk(value, head, groups, found)
        elif op in (ops.ASSERT, ops.ASSERT_NOT):
            _walk(value[1], head, groups, found)
        elif op is ops.GROUPREF_EXISTS:
            head = _walk(value[1], head, groups, found)
        elif op is ops.GROUPREF:
            head += groups.get(value, "")
        elif op is not ops.AT:
            head += _taken(op, value)[:1]
    return head


def _units(body: Any, groups: dict[int, str]) -> list[str]:
    """What a repetition may take at once: characters of its class, or matches of its body and of parts of it."""
    made = [] if len(body) == 1 and body[0][0] is ops.IN else [_walk(body, "", dict(groups), {})]
    for op, value in body:
        if op is ops.SUBPATTERN:
            made += _units(value[3], groups)
        elif op is ops.BRANCH:
            made += [unit for branch in value[1][:12] for unit in _units(branch, groups)]
        elif op in REPEATS:
            made += _units(value[2], groups)
        elif op in (ops.IN, ops.ANY, ops.NOT_LITERAL):
            made += _taken(op, value)[:12]
    return [unit for unit in dict.fromkeys(made) if unit]


def _taken(op: Any, value: Any) -> str:
    """Characters that one part of an expression takes, of those that texts are made of and those that it names."""
    if op is ops.LITERAL:
        return chr(value)
    if op is ops.ANY:
        return SAMPLES
    items = [(ops.NEGATE, None), (ops.LITERAL, value)] if op is ops.NOT_LITERAL else value
    named = "".join(
        chr(what if one is ops.LITERAL else what[0]) for one, what in items if one in (ops.LITERAL, ops.RANGE)
    )
    negated = items[0][0] is ops.NEGATE
    tried = dict.fromkeys(SAMPLES + named + "字")
    return "".join(char for char in tried if negated != any(_is_in(*item, char) for item in items))


def _is_in(op: Any, value: Any, char: str) -> bool:
    if op is ops.CATEGORY:
        return CLASSES[value](char)
    return op is not ops.NEGATE and (char == chr(value) if op is ops.LITERAL else value[0] <= ord(char) <= value[1])
