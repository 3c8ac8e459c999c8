"""The grammar of the catalogue's questions: values, parts that come and go with a value, and choices of words.

    Phrasing.parse("<What's|Tell me> the weather in {city}[ on {date}]?").render(rng, {"city": "Oslo"})
    # "What's the weather in Oslo?"

* `{city}`        how the value of a parameter is said,
* `[ on {date}]`  is there exactly when the values in it are given,
* `<a|b|c>`       one of these.

Unlike the frames of the executable library (`library/frames.py`), parts don't swap places, and articles are mended only
where a value follows: what is said of a value stands there letter by letter.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

TEXT = re.compile(r"[^\[\]<>{}|]+")
SLOT = re.compile(r"\{([A-Za-z_][\w.]*)\}")
CLOSERS = {"[": "]", "<": ">"}
ARTICLE = re.compile(r"(?<![\w'])([Aa])n? $")
VOWEL = re.compile(r"[aeiouAEIOU](?!ne\b|nce\b|uro|ni(?![mn])|s[eu])|8|1[18](?!\d)|hour|honest|heir")
# What stands before and behind a slot that may be left out with its preposition: "the weather in {city} on {date}".
BEFORE = re.compile(r"(\s(?:in|at|on|for|over|from|to|by|during|near|around|using|as|into|through|under))\s(?:the )?$")
BEHIND = re.compile(r"\s*[.?!]?$|[,;]|\s(?:in|at|on|for|over|from|to|by|with|during|near|using|as|into)\s$|\s\w+ing\s")


@dataclass(frozen=True)
class Node:
    """A piece: kind is "text", "slot", "part" (in brackets) or "choice", whose options are nodes of kind "all"."""

    kind: str
    text: str = ""
    inner: tuple[Node, ...] = ()

    @cached_property
    def slots(self) -> frozenset[str]:
        """Names of the values inside: `frozenset({"city"})`."""
        own = (self.text,) if self.kind == "slot" else ()
        return frozenset(own).union(*(one.slots for one in self.inner))


@dataclass(frozen=True)
class Phrasing:
    """A parsed question or phrase: `Phrasing.parse("get the weather in {city}").firm` -> frozenset({"city"})."""

    text: str
    root: tuple[Node, ...]

    @classmethod
    def parse(cls, text: str) -> Phrasing:
        """Parses a text of the grammar; a ValueError says what is wrong with it, and where."""
        nodes, at = _parse(text, 0, "")
        if at < len(text):
            raise ValueError(f"{text!r}: unexpected {text[at]!r} at character {at + 1}")
        return cls(text, nodes)

    @cached_property
    def firm(self) -> frozenset[str]:
        """The values that are always said."""
        return _firm(self.root)

    @cached_property
    def parts(self) -> tuple[frozenset[str], ...]:
        """The values of each part in brackets, which come and go together."""
        return tuple(_parts(self.root))

    @cached_property
    def slots(self) -> frozenset[str]:
        """All values: those that are always said, and those of the parts."""
        return frozenset().union(*(node.slots for node in self.root))

    @cached_property
    def droppable(self) -> tuple[str, ...]:
        """The values that can be left out with the preposition before them, and what is left is a sentence still."""
        return tuple(node.text for at, node in enumerate(self.root) if _may_go(self.root, at))

    def lead(self, slot: str) -> str:
        """The preposition before a droppable value: "in" of "the weather in {city}"."""
        at = next(at for at, node in enumerate(self.root) if node.kind == "slot" and node.text == slot)
        return BEFORE.search(self.root[at - 1].text)[0].strip().removesuffix(" the")

    def render(self, rng: random.Random, texts: Mapping[str, str], without: str = "") -> str:
        """The text with these values said; `without` names one of `droppable`, which is left out."""
        pieces: list[str] = []
        _render(self.root, rng, texts, without, pieces)
        return "".join(pieces)


def _parse(text: str, at: int, closer: str) -> tuple[tuple[Node, ...], int]:
    """The nodes up to the closer, and its position."""
    nodes: list[Node] = []
    options: list[Node] = []
    while at < len(text) and text[at] != closer:
        char = text[at]
        if char == "|" and closer == ">":
            options.append(Node("all", inner=tuple(nodes)))
            nodes, at = [], at + 1
        elif char in CLOSERS:
            inner, end = _parse(text, at + 1, CLOSERS[char])
            if end >= len(text):
                raise ValueError(f"{text!r}: the {char!r} at character {at + 1} has no {CLOSERS[char]!r}")
            nodes.append(Node("part" if char == "[" else "choice", inner=inner))
            at = end + 1
        elif slot := SLOT.match(text, at):
            nodes.append(Node("slot", slot[1]))
            at = slot.end()
        elif run := TEXT.match(text, at):
            nodes.append(Node("text", run.group()))
            at = run.end()
        else:
            raise ValueError(f"{text!r}: unexpected {char!r} at character {at + 1}; expected {{name}}, [part] or <a|b>")
    if closer == ">":
        nodes = [*options, Node("all", inner=tuple(nodes))]
    return tuple(nodes), at


def _firm(nodes: tuple[Node, ...]) -> frozenset[str]:
    found: set[str] = set()
    for node in nodes:
        if node.kind == "slot":
            found.add(node.text)
        elif node.kind == "choice":
            found |= frozenset.intersection(*(_firm(option.inner) for option in node.inner))
    return frozenset(found)


def _parts(nodes: tuple[Node, ...]) -> Iterator[frozenset[str]]:
    for node in nodes:
        if node.kind == "part":
            yield node.slots
        elif node.kind == "choice":
            for option in node.inner:
                yield from _parts(option.inner)


def _may_go(nodes: tuple[Node, ...], at: int) -> bool:
    """Whether a preposition stands before the value, and behind it an end, a comma or the next preposition."""
    if nodes[at].kind != "slot" or at == 0 or nodes[at - 1].kind != "text":
        return False
    behind = nodes[at + 1] if at + 1 < len(nodes) else Node("text")
    if behind.kind == "part":
        behind = Node("text")
    if sum(node.kind == "slot" and node.text == nodes[at].text for node in nodes) > 1 or behind.kind != "text":
        return False
    return bool(BEFORE.search(nodes[at - 1].text)) and bool(BEHIND.match(behind.text))


def _render(
    nodes: tuple[Node, ...], rng: random.Random, texts: Mapping[str, str], without: str, pieces: list[str]
) -> None:
    for node in nodes:
        if node.kind == "text":
            pieces.append(node.text)
        elif node.kind == "choice":
            _render(rng.choice(node.inner).inner, rng, texts, without, pieces)
        elif node.kind == "part":
            if all(slot in texts for slot in node.slots):
                _render(node.inner, rng, texts, without, pieces)
        elif node.text == without:
            pieces[-1] = BEFORE.sub("", pieces[-1])
        else:
            said = texts[node.text]
            if pieces and pieces[-1][-2:] in ("a ", "n "):
                pieces[-1] = ARTICLE.sub(r"\1n " if VOWEL.match(said) else r"\1 ", pieces[-1])
            pieces.append(said)
