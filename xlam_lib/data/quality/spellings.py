"""Numbers, dates and times in the spellings that people use, as plain values. Used by `grounding.py` (notebook 01).

numbers_in("twenty-five of the 1,200, or 3rd")  # {25, 1200, 3} and the parts of what is written
dates_in("on May 5th, 2024")                    # {(2024, 5, 5)}
times_in("at 5:30 pm")                          # {(17, 30)}
"""

from __future__ import annotations

import itertools
import re

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
SUFFIXES = {"k": 1000, "m": 10**6, "b": 10**9, "mn": 10**6, "bn": 10**9, "%": 0.01, "万": 10**4, "亿": 10**8}
WORDS: dict[str, float] = (
    {word: value for value, word in enumerate(ONES)}
    | {word: 10 * value for value, word in enumerate(TENS, start=2)}
    | {word: value for value, word in enumerate(ORDINALS)}
    | {"half": 0.5, "quarter": 0.25, "dozen": 12, "couple": 2, "pair": 2, "twice": 2, "double": 2, "thrice": 3}
    | {"decade": 10, "score": 20, "single": 1, "once": 1, "triple": 3, "fortnight": 14, "both": 2, "century": 100}
    | {char: value for value, char in enumerate("零一二三四五六七八九十")}
    | {"两": 2, "半": 0.5}
)
DIGITS = re.compile(r"\d+(?:[,_]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+")
SUFFIX = re.compile(r"\s?(hundred|thousand|million|billion|trillion|[kmb]n?\b|%|percent|万|亿)", re.IGNORECASE)
WORD = re.compile(r"[a-z]+|[零一二三四五六七八九十两半]")

MONTHS = "january february march april may june july august september october november december".split()
MONTH = r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"  # noqa: E501
DATES = [
    re.compile(r"(?<!\d)(?P<y>\d{4})[-/.年]\s?(?P<m>\d{1,2})(?:[-/.月]\s?(?P<d>\d{1,2}))?(?!\d)"),
    re.compile(r"(?<!\d)(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?!\d)"),
    re.compile(r"(?<!\d)(?<!\d[-/.])(?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?:[-/.](?P<y>\d{4}|\d{2}))?(?!\d)"),
    re.compile(r"(?<!\d)(?<!\d[-/.])(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})(?:[-/.](?P<y>\d{4}|\d{2}))?(?!\d)"),
    re.compile(r"(?<!\d)(?P<m>\d{1,2})月(?:(?P<d>\d{1,2})[日号])?"),
    re.compile(r"\b" + MONTH.format("w") + r"\s*(?P<d>\d{1,2})(?:st|nd|rd|th)?\b(?:,?\s*(?P<y>\d{4}))?"),
    re.compile(r"\b(?P<d>\d{1,2})(?:st|nd|rd|th)?[\s-]*(?:of\s+)?" + MONTH.format("w") + r"(?:[\s,-]*(?P<y>\d{4}))?"),
    re.compile(r"\b" + MONTH.format("w") + r"(?:,?\s*(?:of\s+)?(?P<y>\d{4}))?"),
]
UNIT = r"(?:minute|hour|day|night|morning|afternoon|evening|week|weekend|month|quarter|year|season|semester)s?"
RELATIVE = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|current(?:ly)?|upcoming|weekend|(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|christmas|new year|easter|halloween|valentine|thanksgiving|spring|summer|autumn|winter"
    r"|(?:next|last|past|this|coming|following|previous)(?: \w+)? UNIT|in(?: \w+){1,2} UNIT"
    r"|UNIT(?: \w+)? (?:ago|later|before|after|earlier|from now|in advance)|recent(?:ly)?|latest)\b"
    r"|[今明昨后前]天|[上下本这][周个月年]|现在|目前|最近|[今明去]年".replace("UNIT", UNIT),
    re.IGNORECASE,
)
TIME = re.compile(r"(?<![\d:])(\d{1,2})(?:[:.h点](\d{2}))?(?::\d{2})?\s?([ap])?(?(3)\.?m\b)?", re.IGNORECASE)
TIME_WORDS = re.compile(
    r"\b(?:half past|quarter (?:to|past)|o'?clock|hours?|minutes?|mins?|hrs?)\b|[点分]", re.IGNORECASE
)

Date = tuple[int | None, int, int | None]


def numbers_in(text: str) -> set[float]:
    """All numbers of a text, in digits or in words; "3 million" gives 3 and 3,000,000, "50%" gives 50 and 0.5."""
    text = text.lower()
    found: set[float] = set()
    for match in DIGITS.finditer(text):
        value = _number(match[0])
        found.add(value)
        if "." in match[0]:
            found |= {float(part) for part in match[0].replace(",", "").split(".") if part.isdecimal()}
        if suffix := SUFFIX.match(text, match.end()):
            word = suffix[1]
            found.add(value * (SCALES.get(word) or SUFFIXES.get(word) or 0.01))
    return found | _in_words(text)


def _number(text: str) -> float:
    return float(text.replace(",", "").replace("_", ""))


def _in_words(text: str) -> set[float]:
    """Runs of number words: "two hundred and fifty" -> {2, 100, 50, 250, ...}; every beginning of a run counts."""
    found: set[float] = set()
    total, current, running = 0.0, 0.0, False
    for match in WORD.finditer(text):
        word = match[0]
        value = WORDS.get(word, WORDS.get(word.removesuffix("s")) if len(word) > 3 else None)
        if value is not None:
            found.add(value)
            current, running = current + value if running else value, True
        elif word in SCALES:
            scale = SCALES[word]
            if scale == 100:
                current = (current or 1) * scale
            else:
                total, current = total + (current or 1) * scale, 0.0
            running = True
        elif word in ("and", "a"):
            continue
        else:
            total, current, running = 0.0, 0.0, False
            continue
        found.add(total + current)
    return found


def dates_in(text: str) -> set[Date]:
    """All dates of a text as (year or None, month, day or None); what has two readings gives both."""
    text = text.lower()
    found: set[Date] = set()
    months: set[int] = set()  # where a month's name stands that has been read with its day
    for match in itertools.chain.from_iterable(pattern.finditer(text) for pattern in DATES):
        part = match.groupdict()
        word = part.get("w")
        if word and match.start("w") in months and not part.get("d"):
            continue
        months |= {match.start("w")} if word else set()
        month = next(n for n, name in enumerate(MONTHS, 1) if name[:3] == word[:3]) if word else int(part["m"])
        day = int(part["d"]) if part.get("d") else None
        year = int(part["y"]) if part.get("y") else None
        if 1 <= month <= 12 and (day is None or 1 <= day <= 31):
            found.add((year + 2000 if year is not None and year < 100 else year, month, day))
    return found


def times_in(text: str) -> set[tuple[int, int]]:
    """All times of day of a text; a bare hour counts as both halves of the day: "at 5" -> {(5, 0), (17, 0)}."""
    found: set[tuple[int, int]] = set()
    for match in TIME.finditer(text):
        hour, minute, half = int(match[1]), int(match[2] or 0), (match[3] or "").lower()
        if hour > 24 or minute > 59:
            continue
        halves = [hour, hour + 12] if hour < 12 else [hour % 24]
        found |= {(one, minute) for one in ([hour % 12 + 12 * (half == "p")] if half else halves)}
    lowered = text.lower()
    return found | ({(12, 0)} if "noon" in lowered else set()) | ({(0, 0)} if "midnight" in lowered else set())
