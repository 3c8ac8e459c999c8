"""What a model was told, looked at in several ways: words, numbers, dates, times. Used by `grounding.py` (notebook 01).

Each way is worked out only when it is asked for, and only for the texts that came since; a long history is never read
twice.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from xlam_lib.data.quality.spellings import RELATIVE, TIME_WORDS, Date, dates_in, numbers_in, times_in

TOKEN = re.compile(r"[^\W_]+")
WIDE = re.compile(r"[\u0400-\u04ff\u0590-\u06ff\u0900-\u0dff\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


class Texts:
    """`texts.add("In São Paulo at 5"); texts.has("sao paulo"); texts.numbers` -> {5.0}."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._done: dict[str, int] = {}
        self._folded: list[str] = []
        self._squeezed: list[str] = []
        self._values: dict[str, Any] = {}

    def add(self, text: str) -> None:
        """More that the model was told."""
        if text:
            self._texts.append(text)

    def _new(self, facet: str) -> list[str]:
        """The folded texts that a facet has not seen yet."""
        self._folded += [fold(text) for text in self._texts[len(self._folded) :]]
        start, self._done[facet] = self._done.get(facet, 0), len(self._folded)
        return self._folded[start:]

    def has(self, folded: str) -> bool:
        """Whether a text holds this, without regard to case and accents."""
        self._new("folded")
        return any(folded in text for text in self._folded)

    def has_squeezed(self, squeezed: str) -> bool:
        """Whether a text holds these letters and digits, whatever stands between: 4155550123 in "(415) 555-0123"."""
        self._squeezed += [squeeze(text) for text in self._new("squeezed")]
        return any(squeezed in text for text in self._squeezed)

    def _set(self, facet: str, find: Any) -> set:
        values = self._values.setdefault(facet, set())
        for text in self._new(facet):
            values.update(find(text))
        return values

    def _any(self, facet: str, pattern: re.Pattern[str]) -> bool:
        found = self._values.get(facet) or any(pattern.search(text) for text in self._new(facet))
        self._values[facet] = found
        return found

    @property
    def tokens(self) -> set[str]:
        """Words and numbers, folded."""
        return self._set("tokens", TOKEN.findall)

    @property
    def numbers(self) -> set[float]:
        """Numbers, also those in words."""
        return self._set("numbers", numbers_in)

    @property
    def dates(self) -> set[Date]:
        """Dates, as (year or None, month, day or None)."""
        return self._set("dates", dates_in)

    @property
    def times(self) -> set[tuple[int, int]]:
        """Times of day."""
        return self._set("times", times_in)

    @property
    def relative(self) -> bool:
        """Whether there is a word like "tomorrow", which may mean any date."""
        return self._any("relative", RELATIVE)

    @property
    def durations(self) -> bool:
        """Whether there is a word like "hours", by which a time may be reckoned."""
        return self._any("durations", TIME_WORDS)

    @property
    def wide(self) -> bool:
        """Whether there is another script than the Latin one."""
        return self._any("wide", WIDE)


def fold(text: str) -> str:
    """Without case and accents: `fold("Évora")` -> "evora"."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text)
    return "".join(char for char in parts if not unicodedata.combining(char)).casefold()


def squeeze(text: str) -> str:
    """Letters and digits only: `squeeze("a-b c")` -> "abc"."""
    return "".join(TOKEN.findall(text))
