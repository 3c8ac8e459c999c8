"""Is every string of a raw record in what became of it? Strings are compared word by word, so that layout is folded.

A string is there when its words stand in a row in one of the trajectory's strings. One that was taken apart (a prompt
with several turns in it) is looked for piece by piece: lines, and within lines clauses. JSON within strings is decoded,
on both sides. Keys aren't looked for: they are fields, of which those that nobody knows are counted.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from xlam_lib.data.formats.base import SourceInfo
from xlam_lib.data.formats.literals import decode

ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\[nrt]")  # as JSON has them within a text that isn't JSON as a whole
WORD = re.compile(r"\w+")
CLAUSE = re.compile(r"[^\w\s'’-]+")  # between clauses
SHORT = 8  # word characters of a clause of a string that was taken apart: shorter ones may well be layout


def folded(text: str) -> str:
    """Its words, single-spaced: `folded("Hi,  you!")` -> " Hi you "."""
    text = ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text)
    return f" {' '.join(WORD.findall(text))} "


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, string) of every string, also within JSON text."""
    if isinstance(value, str):
        inner = decoded(value)
        yield from [(path, value)] if inner is None else strings(inner, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item, f"{path}[]")


def decoded(text: str) -> Any:
    """The object or list that a text is in JSON or as a Python literal, else None."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = decode(text)[0]
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def haystack(values: Iterable[Any]) -> str:
    """All words of all strings, by which `lost` looks: decoded strings and the texts as they stand."""
    parts = []
    for value in values:
        parts += [folded(text) for _, text in strings(value)]
        parts += [folded(key) for key in _keys(value)]
        parts += [folded(text) for text in _texts(value)]
    return "\0".join(parts)


def _keys(value: Any) -> Iterator[str]:
    """All keys: what was a string may have become one, as a parameter's name does."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _keys(item)


def _texts(value: Any) -> Iterator[str]:
    """Strings that hold JSON, as they are."""
    if isinstance(value, str):
        if decoded(value) is not None:
            yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def pieces_lost(text: str, words: str, layout: re.Pattern[str] | None = None) -> list[str]:
    """The pieces of a string that aren't among the words: lines, and clauses of those."""
    if folded(text) in words:
        return []
    lost = []
    text = layout.sub("\n", text) if layout else text
    for line in text.splitlines():
        if folded(line) in words:
            continue
        inner = decoded(line)
        if inner is not None:
            lost += [piece for _, each in strings(inner) for piece in pieces_lost(each, words, layout)]
            continue
        for clause in CLAUSE.split(line):
            needle = folded(clause)
            if len(needle.replace(" ", "")) >= SHORT and needle not in words:
                lost.append(clause.strip())
    return lost


class Rules:
    """What a source declares, in the form in which this asks for it."""

    def __init__(self, info: SourceInfo) -> None:
        self.left_out = _matching(info.left_out, "(?:$|[.\\[])")
        layout = "|".join(f"(?:{pattern})" for pattern in info.layout)
        self.layout = re.compile(layout, re.MULTILINE | re.DOTALL) if layout else None

    def lost(self, raw: Any, made: Iterable[Any]) -> list[tuple[str, str]]:
        """(path, piece) of all that is in none of the trajectories (or other values), nor left out by declaration."""
        words = haystack(made)
        found = []
        for path, text in strings(raw):
            if self.left_out.match(path):
                continue
            if len(WORD.findall(text)) > 1:
                found += [(path, piece) for piece in pieces_lost(text, words, self.layout)]
            elif folded(text) not in words and WORD.search(self.layout.sub("", text) if self.layout else text):
                found.append((path, text))
        return found


def _matching(paths: Iterable[str], end: str) -> re.Pattern[str]:
    patterns = [re.escape(path).replace(r"\.\*\*", r"(?:[.\[].*)?").replace(r"\*", r"[^.\[\]]+") for path in paths]
    return re.compile(f"(?:{'|'.join(patterns)}){end}" if patterns else r"(?!)")
