"""The words around what is asked: how questions are dressed, and how several of them are joined.

one(rng, asked)             # "Please work out the monthly payment on $5,000 over 12 years at 4.5%."
several(rng, [asked, other])  # "Convert 5 miles to km, and then find out the dew point of ..."
refusal(rng, tool)          # "None of the available tools can calculate the wind chill temperature."
"""

from __future__ import annotations

import random

from xlam_lib.data.apigen.ask import AFTER, BEFORE, WRAPS, capital
from xlam_lib.data.apigen.broad.tools import Asked
from xlam_lib.data.apigen.broad.values import joined

BEGIN = tuple(one for one in BEFORE if not one.endswith(","))
PAIRS = (
    "{} and {}", "{} and then {}", "{}, and also {}", "{}, then {}", "{}; after that, {}", "{}, and {}",
    "first {}, then {}",
)  # fmt: skip
ALSO = (
    "Also, {}.",
    "Then {}, please.",
    "And please {}.",
    "After that, {}.",
    "Besides, could you {}?",
    "I also need you to {}.",
)


def ended(text: str) -> bool:
    """Whether a text has an end mark; none is added, for a text that is to be translated may stand at its end."""
    return text[-1:] in ".?!"


def side_by_side(rng: random.Random, texts: list[str]) -> str:
    """Sentences after one another, on lines of their own where one has no end mark."""
    return ("\n" if not all(map(ended, texts[:-1])) else rng.choice((" ", " ", "\n"))).join(texts)


def one(rng: random.Random, asked: Asked, without: str = "") -> str:
    """One thing as a user says it; phrases are made sentences. `without` leaves out a value."""
    words = asked.words(rng, without)
    text = capital(rng.choice(WRAPS).format(words)) if asked.phrasing in asked.tool.phrases else words
    return polite(rng, text)


def polite(rng: random.Random, text: str) -> str:
    """The text with something polite before or behind it, now and then."""
    roll = rng.random()
    if roll < 0.06:
        return f"{rng.choice(BEGIN)} {capital(text)}"
    return f"{text} {rng.choice(AFTER)}" if roll < 0.12 and ended(text) else text


def several(rng: random.Random, asked: list[Asked]) -> str:
    """Several things in one message: phrases joined, sentences side by side, or a list."""
    texts = [one.words(rng) for one in asked]
    phrases = [one.phrasing in one.tool.phrases for one in asked]
    roll = rng.random()
    if all(phrases) and len(texts) == 2 and roll < 0.75:
        return polite(rng, capital(rng.choice(WRAPS).format(rng.choice(PAIRS).format(*texts))))
    if all(phrases) and roll < 0.45:
        return polite(rng, capital(rng.choice(WRAPS).format("; ".join(texts[:-1]) + f"; and {texts[-1]}")))
    if all(phrases) and roll < 0.8:
        leads = ["First, {}.", *["Then {}."] * (len(texts) - 2), "Finally, {}."]
        return " ".join(lead.format(text) for lead, text in zip(leads, texts, strict=True))
    if roll < 0.88 or not all(phrases):
        first = capital(rng.choice(WRAPS).format(texts[0])) if phrases[0] else texts[0]
        pairs = zip(texts[1:], phrases[1:], strict=True)
        rest = [rng.choice(ALSO).format(text) if is_phrase else text for text, is_phrase in pairs]
        return side_by_side(rng, [first, *rest])
    lead = rng.choice(("Please do the following:", "I need these things:", "To do:", "A few things for you:"))
    marks = rng.choice(((f"{n}. " for n in range(1, 9)), ("- " for _ in texts)))
    return "\n".join([lead, *(f"{mark}{capital(text)}" for mark, text in zip(marks, texts, strict=False))])


def repeated(rng: random.Random, asked: list[Asked], slot: str) -> str:
    """One question for several values of a slot: "The weather in Oslo and Rome?" or "... in Oslo? And in Rome?"."""
    first, said = asked[0], [one.texts[slot] for one in asked]
    listed = any("," in text or " and " in text for text in said)
    if rng.random() < 0.65 and not (listed and len(said) > 2):
        last = rng.choice((" and ", " and ", " as well as ")) if not listed else " and "
        return one(rng, Asked(first.tool, first.phrasing, first.values, {**first.texts, slot: joined(said, last=last)}))
    lead = first.phrasing.lead(slot)
    more = joined([f"{lead} {text}" for text in said[1:]])
    again = rng.choice(("And {}?", "Also {}.", "The same {}, please.", "And then {}."))
    return side_by_side(rng, [one(rng, first), again.format(more)])
