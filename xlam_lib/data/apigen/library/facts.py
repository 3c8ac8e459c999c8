"""Deterministic little facts for the embedded tools: what a tool "knows" about a city nobody has heard of.

Used by the tools of `xlam_lib.data.apigen.tools`. Each fact is a pure function of its keys (a checksum picks from a
table), so a call always has the same result: `number(0, 30, "Oslo")`.
"""

from __future__ import annotations

import datetime
import zlib
from collections.abc import Sequence
from typing import Any, TypeVar

from xlam_lib.data import wordlists

T = TypeVar("T")


def _sum(*keys: Any) -> int:
    return zlib.crc32("|".join(str(key) for key in keys).encode("utf-8"))


def pick(table: Sequence[T], *keys: Any) -> T:
    """One entry of a table, always the same for the same keys: `pick(("sunny", "rainy"), "Oslo")`."""
    return table[_sum(*keys, "pick") % len(table)]


def number(low: int, high: int, *keys: Any) -> int:
    """A whole number between both ends: `number(0, 30, "Oslo")`."""
    return low + _sum(*keys, "number") % (high - low + 1)


def code(*keys: Any) -> str:
    """A code such as "KX-4821"."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    return f"{pick(letters, *keys, 1)}{pick(letters, *keys, 2)}-{number(100, 9998, *keys)}"


def person(*keys: Any) -> str:
    """A full name such as "Mara Holston"."""
    last = pick(wordlists.NAME_STARTS, *keys, 2) + pick(wordlists.NAME_ENDS, *keys, 3)
    return f"{pick(wordlists.FIRST_NAMES, *keys, 1)} {last}"


def city(*keys: Any) -> str:
    """A city such as "Kelford"."""
    return pick(wordlists.NAME_STARTS, *keys, 4) + pick(wordlists.CITY_ENDS, *keys, 5)


def title(*keys: Any) -> str:
    """A title such as "Silver River"."""
    return f"{pick(wordlists.ADJECTIVES, *keys, 6)} {pick(wordlists.THINGS, *keys, 7)}"


def date(*keys: Any) -> str:
    """A day such as "2026-03-14"."""
    return (datetime.date(2025, 1, 1) + datetime.timedelta(days=number(0, 1459, *keys))).isoformat()


def clock(*keys: Any) -> str:
    """A time of day such as "14:35"."""
    return f"{number(6, 22, *keys, 8):02d}:{number(0, 59, *keys, 9):02d}"


def day(text: str) -> datetime.date:
    """The day a text such as "2026-03-14" names; anything else is a ValueError."""
    return datetime.date.fromisoformat(text)


def positive(value: float, name: str) -> float:
    """The value when it is above zero, e.g. `positive(3, "amount")`; else a ValueError that names it."""
    if value <= 0:
        raise ValueError(f"{name} must be above zero, got {value}")
    return value


def different(first: Any, second: Any, name: str) -> None:
    """Raises a ValueError when two things that must differ are equal, e.g. `different("Oslo", "Rome", "cities")`."""
    if first == second:
        raise ValueError(f"the two {name} must differ, got {first!r} twice")


MAKERS = {
    "code": code,
    "person": person,
    "city": city,
    "title": title,
    "date": date,
    "time": clock,
    "number": lambda *keys: number(10, 990, *keys),
    "word": lambda *keys: pick(wordlists.TOPICS, *keys),
    "color": lambda *keys: pick(wordlists.COLORS, *keys),
}


def echo(arguments: dict, returns: dict[str, str]) -> dict:
    """What a made-up tool answers: a made-up fact per field, e.g. `echo({"barn": "Red"}, {"owner": "person"})`."""
    keys = [f"{name}={value}" for name, value in sorted(arguments.items())]
    if not returns:
        return {"status": "done"}
    return {field: MAKERS[kind](field, *keys) for field, kind in returns.items()}
