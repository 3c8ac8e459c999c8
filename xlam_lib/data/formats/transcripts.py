"""Plain-text logs of text-driven agents -> turns: what the sources that publish such logs share (notebook 01).

Two shapes are common. Labelled lines, numbered or not, and a prompt sign:

    Thought 1: I need to search Rome.            > go to shelf 1
    Action 1: Search[Rome]                       On the shelf 1, you see a mug 2.
    Observation 1: Rome is a city.               > take mug 2 from shelf 1
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

LABELS = "Thought|Action|Observation"
NUMBERED = re.compile(rf"^({LABELS}) (\d+):[^\S\n]?", re.MULTILINE)
PLAIN = re.compile(rf"^({LABELS}):[^\S\n]?", re.MULTILINE)
SIGN = re.compile(r"^>( ?)(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Turn:
    """One thought and one action, and what came of it; `observation` is None where the text ends before it.

    `rest` is what stands below an action that has no observation: often the task of the next episode.
    """

    action: str | None
    observation: str | None = None
    thought: str = ""
    rest: str = ""
    first: bool = False  # numbered 1


def line_numbers(text: str) -> Callable[[int], int]:
    """Says in which line a place stands, for one place after the other: `line_numbers("a\\nb")(2)` -> 2."""
    line, counted = 1, 0

    def line_of(at: int) -> int:
        nonlocal line, counted
        line, counted = line + text.count("\n", counted, at), at
        return line

    return line_of


def labelled_turns(text: str) -> tuple[str, list[Turn]]:
    """(what stands before the first label, the turns): `labelled_turns("Q\\nAction 1: Finish[x]")[1][0].action`.

    Where labels bear numbers, an unnumbered "Action:" within a text is no label. An action is one line.
    """
    marks = list(NUMBERED.finditer(text)) or list(PLAIN.finditer(text))
    if not marks:
        return text, []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    turns: list[Turn] = []
    thoughts: list[str] = []
    action, rest, first = None, "", False
    for mark, end in zip(marks, ends, strict=True):
        label, body = mark[1], text[mark.end() : end]
        if label == "Observation":
            turns.append(Turn(action, body.strip(), "\n".join(thoughts), first=first))
            thoughts, action, rest = [], None, ""
            continue
        if action is not None:  # another turn begins, though this action had no observation
            turns.append(Turn(action, None, "\n".join(thoughts), rest, first))
            thoughts, action, rest = [], None, ""
        first = mark.re is NUMBERED and mark[2] == "1"
        if label == "Thought":
            thoughts += [body.strip()] if body.strip() else []
        else:
            action, _, rest = body.partition("\n")
    if action is not None or thoughts:
        turns.append(Turn(action, None, "\n".join(thoughts), rest, first))
    return text[: marks[0].start()], turns


def prompted_turns(text: str) -> tuple[str, list[Turn], list[int]]:
    """(what stands before the first prompt sign, the turns, the numbers of those without a space behind the sign)."""
    marks = list(SIGN.finditer(text))
    if not marks:
        return text, [], []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    turns = []
    for mark, end in zip(marks, ends, strict=True):
        below = text[mark.end() : end]
        turns.append(Turn(mark[2], below.strip() if below.strip() or end < len(text) else None))
    tight = [number for number, mark in enumerate(marks) if not mark[1]]
    return text[: marks[0].start()], turns, tight
