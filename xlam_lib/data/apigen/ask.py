"""What a user says: clauses made from a tool's frames, joined to queries with the usual politeness and noise.

Used by `generate.py`. `clause(rng, spec, "train")` draws arguments and words for one call; `say(rng, clause)` makes a
whole query of it, e.g. "Hello! Could you show me the weather forecast for Kelford on 2026-03-14?"
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xlam_lib.data.apigen.library.frames import Frame
from xlam_lib.data.apigen.library.registry import Link
from xlam_lib.data.apigen.library.spec import ToolSpec

MARK = "\x00"  # stands for a value that an earlier call will find
WRAPS = (
    "{}.", "{}.", "{}.", "{}, please.", "Please {}.", "Please {}.", "Could you {}?", "Can you {}?", "Would you {}?",
    "I need you to {}.",
    "I would like you to {}.", "Go ahead and {}.",
)  # fmt: skip
BEFORE = (
    "Hello!",
    "Hi there.",
    "Good morning.",
    "Hey,",
    "Sorry to bother you.",
    "I am in a hurry.",
    "One more thing.",
    "Quick question.",
    "I have a request.",
)
AFTER = (
    "Thanks!",
    "Thank you.",
    "Thanks a lot for your help.",
    "I appreciate it.",
    "That is all.",
    "No rush.",
    "I am waiting.",
    "That would be great.",
)
JOINS = ("{} and {}", "{} and {}", "{} and then {}", "{}, and also {}", "first {}, then {}", "{}, then {}")
AGAIN = ("And{}?", "And now{}?", "Now the same{}.", "Do the same{}.", "Once more{}, please.", "Again{}, please.")
REPLIES = ("{}.", "{}", "It is {}.", "{}, please.", "Sure, {}.", "I mean {}.")


@dataclass(frozen=True)
class Clause:
    """One asked thing: the tool, its frame, the arguments of the call and the texts the values have in the query."""

    spec: ToolSpec
    frame: Frame
    arguments: dict[str, Any]
    texts: dict[str, Any] = field(default_factory=dict)

    def words(self, rng: random.Random, without: str = "") -> str:
        """The clause in words, e.g. "get the forecast for Oslo"; `without` leaves one argument out."""
        return self.frame.render(rng, {name: text for name, text in self.texts.items() if name != without})


def text_of(value: Any) -> str | bool:
    """How a value stands in a query: verbatim, lists as comma lists; booleans choose words later."""
    if isinstance(value, bool):
        return value
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def clause(
    rng: random.Random,
    spec: ToolSpec,
    half: str,
    frames: tuple[Frame, ...] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Clause:
    """A clause with fresh values of a half ("train"); `frames` narrows the phrasings, `fixed` sets arguments."""
    frame = rng.choice(frames or spec.frames)
    fixed = fixed or {}
    arguments = {}
    for param in spec.params:
        if param.name in fixed:
            arguments[param.name] = fixed[param.name]
        elif param.required or param.name in frame.firm or (param.name in frame.slots and rng.random() < 0.5):
            arguments[param.name] = param.draw(rng, half)
    return Clause(spec, frame, arguments, {name: text_of(value) for name, value in arguments.items()})


def requests(spec: ToolSpec) -> tuple[Frame, ...]:
    """The frames that are orders."""
    return tuple(frame for frame in spec.frames if frame.is_request)


def capital(text: str) -> str:
    """The text with a capital first letter: "get it" -> "Get it"."""
    return text[:1].upper() + text[1:]


def dress(rng: random.Random, text: str, is_request: bool) -> str:
    """A whole query: requests are wrapped ("Could you ...?"), and sometimes something polite is added."""
    query = rng.choice(WRAPS).format(text) if is_request else text
    query = capital(query)
    roll = rng.random()
    if roll < 0.15:
        before = rng.choice(BEFORE)
        query = f"{before} {query[0].lower() + query[1:] if before.endswith(',') and query[:2] != 'I ' else query}"
    elif roll < 0.3:
        query = f"{query} {rng.choice(AFTER)}"
    return query.replace('"', "'") if rng.random() < 0.2 else query


def say(rng: random.Random, asked: Clause, without: str = "") -> str:
    """One clause as a query."""
    return dress(rng, asked.words(rng, without), asked.frame.is_request)


def say_same(rng: random.Random, clauses: list[Clause]) -> str:
    """Several clauses of one frame: "Get the forecast for Oslo and for Rome."; without a tail, as separate clauses."""
    first = clauses[0]
    if not first.frame.has_tail or rng.random() < 0.3:
        return say_both(rng, clauses)
    tails = [other.frame.tail(rng, other.texts) for other in clauses[1:]]
    middle = "".join(f",{tail}" for tail in tails[:-1])
    return dress(rng, f"{first.words(rng)}{middle}{rng.choice((' and', ' and', ' and also'))}{tails[-1]}", True)


def say_both(rng: random.Random, clauses: list[Clause]) -> str:
    """Several clauses, one after another; clauses that are no requests become sentences of their own."""
    texts = [(one.words(rng), one.frame.is_request) for one in clauses]
    if len(texts) == 2 and all(is_request for _, is_request in texts) and rng.random() < 0.7:
        return dress(rng, rng.choice(JOINS).format(texts[0][0], texts[1][0]), True)
    sentences = [capital(f"{text}." if is_request else text) for text, is_request in texts]
    return dress(rng, " ".join(sentences), False)


def say_chain(rng: random.Random, first: Clause, second: Clause, link: Link) -> str:
    """Two requests of which the second needs the first's result: "find a train ... and book a seat on that train"."""
    text = rng.choice(("{} and {}", "{} and then {}", "{}, then {}")).format(first.words(rng), second.words(rng))
    if link.role:
        text = re.sub(rf"(?:the )?\b{re.escape(link.role)} {MARK}", f"{link.mention} as {link.role}", text)
    for noun in link.nouns:
        text = re.sub(rf"(?:(?:the|my|a) )?\b{re.escape(noun)} {MARK}", link.mention, text)
    return dress(rng, text.replace(MARK, link.mention), True)


def say_again(rng: random.Random, asked: Clause) -> str:
    """The same thing once more, with other values: "And for Rome?"."""
    return rng.choice(AGAIN).format(asked.frame.tail(rng, asked.texts))


def say_value(rng: random.Random, asked: Clause, name: str) -> str:
    """The answer to a question for one argument: "It is Oslo." or "For Oslo."."""
    if rng.random() < 0.4:
        return f"{capital(asked.frame.segment(rng, name, asked.texts).strip())}."
    return rng.choice(REPLIES).format(asked.texts[name])
