"""Query frames: a tiny grammar from which one line of text yields many phrasings.

Used by notebook 01 (through `xlam_lib.data.apigen`). In a frame

* `(get|show|check)`            is one of these,
* `[ quickly]`                  may be left out,
* `{city}`                      is the value of the argument `city`,
* `{breakfast?with breakfast|without breakfast}`  is the text of a boolean,
* `< for {city}>< on {date}>`   are segments: neighbours swap places freely, and a segment whose argument is missing
  is left out.

A frame that begins in lower case is a request ("get the forecast< for {city}>"), one that begins with a capital a
sentence of its own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DOUBLE_SPACE = re.compile(r" {2,}")
BEFORE_VOWEL = re.compile(r"\b([Aa])(?= [aeio])")
CLOSERS = {"(": ")", "[": "]", "<": ">", "{": "}"}


@dataclass(frozen=True)
class Node:
    """A piece of a frame: kind is "text", "slot", "all", "any" (choice), "maybe" or "segment"."""

    kind: str
    text: str = ""
    parts: tuple[Node, ...] = ()

    def slots(self) -> Iterator[str]:
        """Names of the slots inside, in order."""
        if self.kind == "slot":
            yield self.text.split("?", 1)[0]
        for part in self.parts:
            yield from part.slots()

    def firm_slots(self) -> Iterator[str]:
        """Names of the slots outside of segments, which can't be left out."""
        if self.kind == "slot":
            yield self.text.split("?", 1)[0]
        for part in self.parts:
            if part.kind != "segment":
                yield from part.firm_slots()


def _parse(text: str, at: int, closer: str, where: str) -> tuple[Node, int]:
    """Parses up to the closer; returns an "all" or "any" node and the position behind the closer."""
    options: list[list[Node]] = [[]]
    while at < len(text) and text[at] != closer:
        char = text[at]
        if char == "|" and closer == ")":
            options.append([])
            at += 1
        elif char == "{":
            end = text.index("}", at)
            options[-1].append(Node("slot", text[at + 1 : end]))
            at = end + 1
        elif char in CLOSERS:
            inner, at = _parse(text, at + 1, CLOSERS[char], where)
            kind = {"(": "", "[": "maybe", "<": "segment"}[char]
            options[-1].append(Node(kind, parts=(inner,)) if kind else inner)
        else:
            run = re.compile(r"[^()\[\]<>{}|]+").match(text, at)
            if run is None:
                raise ValueError(f"frame {where!r}: unexpected {char!r} at {at}")
            options[-1].append(Node("text", run.group()))
            at = run.end()
    if closer and at >= len(text):
        raise ValueError(f"frame {where!r}: {closer!r} is missing")
    nodes = [Node("all", parts=tuple(option)) for option in options]
    return (nodes[0] if len(nodes) == 1 else Node("any", parts=tuple(nodes))), at + 1


@dataclass(frozen=True)
class Frame:
    """A parsed frame, e.g. `Frame.parse("get the forecast< for {city}>< on {date}>")`."""

    text: str
    root: Node
    slots: tuple[str, ...]
    firm: tuple[str, ...] = ()  # slots that can't be left out
    droppable: tuple[str, ...] = ()  # slots alone in a segment, which can be asked for later

    @classmethod
    def parse(cls, text: str) -> Frame:
        """Parses a frame; a ValueError names the text and the place."""
        root, _ = _parse(text, 0, "", text)
        slots = tuple(root.slots())
        segments = [tuple(part.slots()) for part in root.parts if part.kind == "segment"]
        alone = tuple(segment[0] for segment in segments if len(segment) == 1 and slots.count(segment[0]) == 1)
        return cls(text, root, tuple(dict.fromkeys(slots)), tuple(dict.fromkeys(root.firm_slots())), alone)

    @property
    def is_request(self) -> bool:
        """Whether it is an order ("get ..."), which may follow "please" or "and"."""
        return self.text.lstrip("(")[:1].islower()

    @property
    def has_tail(self) -> bool:
        """Whether all values stand in segments at the end, so that "and" plus the segments repeats the request."""
        kinds = [part.kind for part in self.root.parts]
        first = kinds.index("segment") if "segment" in kinds else len(kinds)
        head_free = not any(True for part in self.root.parts[:first] for _ in part.slots())
        return self.is_request and first < len(kinds) and head_free and set(kinds[first:]) == {"segment"}

    def render(self, rng: random.Random, texts: Mapping[str, str | bool]) -> str:
        """The frame with these texts filled in; segments of absent slots are left out."""
        return _render_all(self.root.parts, rng, texts)

    def tail(self, rng: random.Random, texts: Mapping[str, str | bool]) -> str:
        """Only the segments: " for Oslo on 2026-03-14"."""
        return _render_all(tuple(part for part in self.root.parts if part.kind == "segment"), rng, texts)

    def segment(self, rng: random.Random, slot: str, texts: Mapping[str, str | bool]) -> str:
        """Only the segment of one slot: " for Oslo"."""
        chosen = [part for part in self.root.parts if part.kind == "segment" and tuple(part.slots()) == (slot,)]
        return _render_all(tuple(chosen), rng, texts)


def _render_all(nodes: tuple[Node, ...], rng: random.Random, texts: Mapping[str, str | bool]) -> str:
    """Renders nodes in order; runs of neighbouring segments in random order."""
    ordered: list[Node] = []
    run: list[Node] = []
    for node in (*nodes, None):
        if node is not None and node.kind == "segment":
            run.append(node)
            continue
        rng.shuffle(run)
        ordered += run
        run = []
        if node is not None:
            ordered.append(node)
    text = "".join(_render(node, rng, texts) for node in ordered)
    return BEFORE_VOWEL.sub(r"\1n", DOUBLE_SPACE.sub(" ", text))


def _render(node: Node, rng: random.Random, texts: Mapping[str, str | bool]) -> str:
    if node.kind == "text":
        return node.text
    if node.kind == "slot":
        name, _, choice = node.text.partition("?")
        value = texts[name]
        if choice:
            yes, _, no = choice.partition("|")
            return yes if value else no
        return str(value)
    if node.kind == "any":
        return _render(rng.choice(node.parts), rng, texts)
    if node.kind == "maybe" and rng.random() < 0.5:
        return ""
    if node.kind == "segment" and any(slot not in texts for slot in node.slots()):
        return ""
    return _render_all(node.parts, rng, texts)
