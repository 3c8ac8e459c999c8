"""Is an argument's value grounded in the model's context, or made up? Used by `verify.py` (notebook 01).

    context = Context()
    context.add("Book a table for twenty-five on May 5th")
    context.ungrounded({"guests": 25, "date": "2024-05-05", "name": "Smith"})  # [("name", "Smith")]

What can be put in other words is given the benefit of the doubt, so that what is reported is hallucinated indeed:
numbers in words or other units, dates and times in other spellings, words with other endings or a typo, abbreviations,
short codes ("en", "USD"), values that the tool's own description names, another script (a translation), and texts
that the model writes itself, such as a search text or a message.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from xlam_lib.data.quality.spellings import RELATIVE, TIME_WORDS, Date, dates_in, numbers_in, times_in
from xlam_lib.data.wordlists import COMMON
from xlam_lib.trajectory import Tool

COMPOSED = frozenset(  # words in the name of an argument that the model writes itself
    "query queries keyword keywords search term terms code sql cmd command expression equation formula message content "
    "body text title subject description summary comment comments note notes prompt answer reason reasoning thought "
    "explanation feedback response regex pattern script plan instruction instructions statement sentence question "
    "solution html markdown caption".split()
)
BOOLEANS = ("true", "false", "yes", "no", "none", "null", "on", "off")
NEUTRAL = (0, 1, -1)
FACTORS = (100, 1000, 10**6, 60, 3600, 24, 7, 12, 30, 365)
LARGEST = 1e300
MANY = 5000
LONGEST = 6  # words of a value; what is longer is a text, not a value
EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.\w+")
NUMBER = re.compile(r"[-+]?[$€£]?\s?(?:[\d,]*+\.\d++|[\d,]*\d)\s?%?")
AFFIXED = re.compile(r"[a-z]?(\d{1,15})[a-z]{0,2}")
NAME_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
TOKEN = re.compile(r"[^\W_]+")
WIDE = re.compile(r"[\u0400-\u04ff\u0590-\u06ff\u0900-\u0dff\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
TIME_VALUE = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:\s?[ap]\.?m\.?)?(?:z|[+-]\d{2}:?\d{2})?", re.IGNORECASE)


class Texts:
    """Texts looked at in several ways: words, numbers, dates, times.

    Each way is worked out only when it is asked for, and only for the texts that came since; a long history is never
    read twice: `texts.add("In São Paulo at 5"); texts.has("sao paulo"); texts.numbers` -> {5.0}.
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._done: dict[str, int] = {}
        self._folded: list[str] = []
        self._squeezed: list[str] = []
        self._values: dict[str, Any] = {}

    def add(self, text: str) -> None:
        """More of the context: an instruction, a message, a result."""
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


class Context(Texts):
    """All that the model has read so far; `add` more as the steps go by."""

    def ungrounded(self, arguments: dict[str, Any], tool: Tool | None = None) -> list[tuple[str, Any]]:
        """(argument, value) for each single value that stands nowhere; see the top of this module."""
        return [
            (name, value)
            for name, value in _leaves(arguments)
            if not self.grounded(value, name) and not (tool and _described(tool).stated(value))
        ]

    def stated(self, value: Any) -> bool:
        """Whether a value stands there as it is: a default, an example, one of an enum."""
        if isinstance(value, str):
            folded = fold(value).strip()
            return self.has(folded) if len(folded) > 3 else folded in self.tokens
        return value in self.numbers

    def grounded(self, value: Any, name: str = "") -> bool:
        """Whether a single value stands in the context, in whatever spelling: `context.grounded("Oslo", "city")`."""
        if isinstance(value, bool) or value is None:
            return True
        if isinstance(value, int | float):
            return self._number(float(value)) if abs(value) < LARGEST else self.has(str(value))
        return self._text(value, name) if isinstance(value, str) else True

    def _number(self, value: float) -> bool:
        """Found, or one step of arithmetic away: another unit, rounded, or of two of few numbers."""
        if value in NEUTRAL or value != value or abs(value) in self.numbers:
            return True
        value, numbers = abs(value), self.numbers
        if any(_near(value * factor, one) or _near(value, one * factor) for factor in FACTORS for one in numbers):
            return True
        decimals = len(repr(value).partition(".")[2])
        if not value.is_integer() and any(abs(one - value) <= 0.5 * 10**-decimals for one in numbers):
            return True
        few = [one for one in numbers if one] if len(numbers) <= 8 else []
        pairs = itertools.permutations(few, 2)
        return any(value in (a + b, a - b, a * b) or _near(value, a / b) for a, b in pairs)

    def _text(self, value: str, name: str) -> bool:
        folded = fold(value).strip()
        if len(folded) > 3 and self.has(folded):
            return True
        tokens = TOKEN.findall(folded)
        if not tokens or folded in BOOLEANS or _is_code(value.strip()) or len(tokens) > LONGEST or "\n" in value:
            return True
        if len(folded) <= 3 and folded in self.tokens:
            return True
        small = squeeze(folded)
        if len(small) > 3 and self.has_squeezed(small):
            return True
        if EMAIL.fullmatch(folded):
            return False
        if NUMBER.fullmatch(folded):
            return any(self._number(one) for one in numbers_in(folded)) or self._moment(folded)
        return self._moment(folded) or self._words(value, tokens, name)

    def _moment(self, folded: str) -> bool:
        """A date or time found in another spelling, or can be meant by "tomorrow"."""
        day, clock = folded, TIME_VALUE.search(folded)
        if clock:
            day = folded[: clock.start()].rstrip(" t") + folded[clock.end() :]
            if not self._time(clock[0]):
                return False
            if not day.strip(" tz"):
                return True
        dates = dates_in(day)
        return bool(dates) and self._date(dates)

    def _date(self, dates: set[tuple[int | None, int, int | None]]) -> bool:
        if self.relative:
            return True
        for (year, month, day), (y, m, d) in itertools.product(dates, self.dates):
            if month == m and (None in (year, y) or year == y) and (day == d or d is None or day is None):
                return True
        # the first and the last day of a year that was named
        return any((m, d) in ((1, 1), (12, 31), (12, None), (1, None)) and y in self.numbers for y, m, d in dates)

    def _time(self, clock: str) -> bool:
        expected = times_in(clock.rstrip("z"))
        if expected & {(0, 0), (23, 59)}:
            return True
        return bool(expected & self.times) or self.durations

    def _words(self, value: str, tokens: list[str], name: str) -> bool:
        """Each part with digits is found, and half of the words; those that name the argument prove nothing."""
        digits = [token for token in tokens if any(char.isdigit() for char in token)]
        if not all(self.has_squeezed(token) or self._digits(token) for token in digits):
            return False
        words = [token for token in tokens if token not in digits and len(token) > 2 and token not in COMMON]
        words = [word for word in words if word not in fold(name)] or words
        if not words:
            return bool(digits) or any(token in self.tokens for token in tokens)
        if 2 * sum(self._known(word) for word in words) >= len(words) or self._abbreviated(value, tokens):
            return True
        if bool(WIDE.search(value)) != self.wide:
            return True  # a translation
        if self.wide:
            return any(self.has(a + b) for a, b in itertools.pairwise(squeeze(fold(value))))
        near = self.tokens if len(self.tokens) < MANY else ()  # looking for typos in more takes seconds
        return any(difflib.get_close_matches(word, near, 1, 0.8) for word in words if len(word) > 3)

    def _digits(self, token: str) -> bool:
        """A number with a unit, like 5kg or 3rd, whose number is found."""
        number = AFFIXED.fullmatch(token)
        return number is not None and float(number[1]) in self.numbers

    def _known(self, word: str) -> bool:
        """Found, perhaps with another ending, or as a part of a longer word."""
        if word in self.tokens:
            return True
        if len(word) < 4:
            return False
        stem = word[: max(4, len(word) - 3)]
        return any(token.startswith(stem) for token in self.tokens) or (len(word) > 4 and self.has_squeezed(word))

    def _abbreviated(self, value: str, tokens: list[str]) -> bool:
        """The initials of words that are found, or words whose initials are, or a ticker like AAPL."""
        initials = "".join(token[0] for token in tokens)
        if len(tokens) > 1 and initials in self.tokens:
            return True
        if len(tokens) == 1 and len(tokens[0]) <= 6 and value.isupper():
            return any(token.startswith(tokens[0][0]) for token in self.tokens)
        return False


def _leaves(arguments: dict[str, Any], top: str = "") -> Iterator[tuple[str, Any]]:
    """Single values with the name of the argument they stand in, without those that the model writes itself."""
    for name, value in arguments.items():
        if not _composed(name):
            yield from _single(top or name, value)


def _single(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from _leaves(value, name)
    elif isinstance(value, list):
        for item in value:
            yield from _single(name, item)
    else:
        yield name, value


@lru_cache(maxsize=4096)
def _composed(name: str) -> bool:
    return any(word.lower() in COMPOSED for word in NAME_WORD.findall(name))


def _is_code(value: str) -> bool:
    """A short code that stands for a word: "en", "USD"."""
    return len(value) <= 3 and value.isalpha() and value.isascii() and (value.isupper() or value.islower())


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def _described(tool: Tool) -> Context:
    return _schema_context(json.dumps([tool.name, tool.description, tool.parameters], ensure_ascii=False))


@lru_cache(maxsize=1024)
def _schema_context(text: str) -> Context:
    """What the tool's own description says: defaults, examples and the values of an enum are no inventions."""
    context = Context()
    context.add(text)
    return context


def fold(text: str) -> str:
    """Without case and accents: `fold("Évora")` -> "evora"."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text)
    return "".join(char for char in parts if not unicodedata.combining(char)).casefold()


def squeeze(text: str) -> str:
    """Letters and digits only: `squeeze("a-b c")` -> "abc"."""
    return "".join(TOKEN.findall(text))
