"""What a docstring says about a function and its arguments, in the four usual spellings.

    describe('''Weather of a city.

    Args:
        city (str): name of the city
    ''')                              # ("Weather of a city.", {"city": "name of the city"})

Google ("Args:"), NumPy ("Parameters" underlined), Sphinx (":param city:") and plain lines "city: name of the city", as
the embedded tools have them. A section "Questions:" has examples of how users ask (`phrases.py`). Used by `apis.py`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator

SPHINX = re.compile(r":(?:param|parameter|arg|argument|key)\s([^:]*+):\s*(.*)")  # a type may stand before the name
STARRED = re.compile(r"\*{0,2}(\w+)")
GOOGLE = re.compile(r"(?:Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments)\s*:")
OTHER = re.compile(
    r"(?:Returns?|Yields?|Raises|Examples?|Notes?|See Also|References|Warnings?|Attributes|Questions)\s*:?"
)
ASKED = re.compile(r"Questions\s*:")
ENTRY = re.compile(r"\*{0,2}(\w+)\s*+(?:\([^)]*+\)\s*+)?:\s*(.*)")
NUMPY_ENTRY = re.compile(r"\*{0,2}(\w+(?:\s*,\s*\w+)*)\s*(?::.*)?")
PLAIN = re.compile(r"(\w+): (.+)")


def describe(text: str | None, names: Collection[str] = ()) -> tuple[str, dict[str, str]]:
    """(what the function does, what each argument means); `names` are the arguments that plain lines may explain."""
    lines = inspect.cleandoc(text or "").splitlines()
    head = " ".join(_paragraph(lines, names))
    found: dict[str, str] = {}
    for name, meaning in (*_plain(lines, names), *_numpy(lines), *_google(lines), *_sphinx(lines)):
        if meaning and (not names or name in names):
            found[name] = meaning
    return head, found


def questions(text: str | None) -> tuple[str, ...]:
    """The lines of the section "Questions:", as users may ask: ("Is it cold in {city}?",)."""
    lines = inspect.cleandoc(text or "").splitlines()
    start = next((number for number, line in enumerate(lines) if ASKED.fullmatch(line.strip())), None)
    if start is None:
        return ()
    block = _deeper(lines, start + 1, _indent(lines[start]))
    return tuple(line.strip().removeprefix("- ") for line in block if line.strip())


def _paragraph(lines: list[str], names: Collection[str]) -> Iterator[str]:
    for line in lines:
        stripped = line.strip()
        plain = PLAIN.fullmatch(stripped)
        if not stripped or stripped.startswith(":") or GOOGLE.fullmatch(stripped) or OTHER.fullmatch(stripped):
            return
        if plain and plain[1] in names:
            return
        yield stripped


def _plain(lines: list[str], names: Collection[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if (match := PLAIN.fullmatch(line.strip())) and match[1] in names:
            yield match[1], match[2].strip()


def _sphinx(lines: list[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines):
        match = SPHINX.match(line.strip())
        if match and (name := STARRED.fullmatch((match[1].split() or [""])[-1])):
            yield name[1], _joined([match[2], *_deeper(lines, number + 1, _indent(line))])


def _google(lines: list[str]) -> Iterator[tuple[str, str]]:
    for start, line in enumerate(lines):
        if not GOOGLE.fullmatch(line.strip()):
            continue
        block = list(_deeper(lines, start + 1, _indent(line)))
        level = _indent(block[0]) if block else 0
        for number, entry in enumerate(block):
            if _indent(entry) == level and (match := ENTRY.match(entry.strip())):
                yield match[1], _joined([match[2], *_deeper(block, number + 1, level)])


def _numpy(lines: list[str]) -> Iterator[tuple[str, str]]:
    for start in range(len(lines) - 1):
        underlined = re.fullmatch(r"-{3,}", lines[start + 1].strip())
        if lines[start].strip() not in ("Parameters", "Other Parameters") or not underlined:
            continue
        block = lines[start + 2 :]
        for number, entry in enumerate(block):
            if re.fullmatch(r"-{3,}", entry.strip()):
                break
            if entry.strip() and not _indent(entry) and (match := NUMPY_ENTRY.fullmatch(entry.strip())):
                meaning = _joined(_deeper(block, number + 1, 0))
                yield from ((name.strip(), meaning) for name in match[1].split(","))


def _deeper(lines: list[str], start: int, level: int) -> Iterator[str]:
    """The lines from there on that stand further in; blank lines end it unless a deeper one follows."""
    for number in range(start, len(lines)):
        line, later = lines[number], lines[number + 1 : number + 2]
        if line.strip() and _indent(line) <= level:
            return
        if not line.strip() and not any(_indent(one) > level for one in later):
            return
        yield line


def _joined(lines: Iterator[str] | list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
