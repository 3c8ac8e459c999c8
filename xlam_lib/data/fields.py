"""The fields that a source knows, and what a raw record has besides: nothing is passed over in silence (notebook 01).

    known = Fields.of(["id", "messages[].role", "messages[].content"])
    known.unknown({"id": 1, "resolved": True, "messages": [{"role": "user", "content": "Hi", "seed": 7}]})
        -> {"resolved": True, "messages[0].seed": 7}

A path has keys joined by ".", "[]" for every element of a list, "*" for every key and, in what is left out, "**" for
any way down. A path without deeper ones is taken as a whole: what lies below it is known, too. `path_of` is the path
of a value's place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

UNKNOWN_FIELDS = "unknown_fields"  # key of `Trajectory.extra`: {place: value}
UNKNOWN = "unknown field "  # how the warnings begin that count them
EACH, ANY, DEEP = "[]", "*", "**"
NUMBER = re.compile(r"\[\d+\]")


@dataclass(slots=True)
class Fields:
    """One level of a record: the keys that are known, and those whose values have levels of their own."""

    known: set[str] = field(default_factory=set)
    inner: dict[str, Fields] = field(default_factory=dict)  # key, EACH or ANY -> the level below
    keyed: tuple[tuple[str, Fields], ...] = ()  # of `inner` those of a key
    each: Fields | None = None
    every: Fields | None = None
    open: bool = True  # every key is known, because none is listed

    @classmethod
    def of(cls, paths: Iterable[str], left_out: Iterable[str] = ()) -> Fields:
        """The levels that paths speak of: `Fields.of(["id", "messages[].role"]).known` -> {"id", "messages"}.

        What is left out is known, too; a path into what is taken as a whole says nothing about the keys beside it.
        """
        top, wholes = cls(), set()
        for path in paths:
            wholes.add(id(top._add(path, set())))
        for path in left_out:
            top._add(path, wholes)
        top._settle()
        return top

    def _add(self, path: str, wholes: set[int]) -> Fields:
        """Makes the levels of a path known, down to its end or to what is taken as a whole."""
        level = self
        for part in path.replace(EACH, f".{EACH}").split("."):
            any_ = level.inner.get(ANY)
            if part == DEEP or (id(level) in wholes and not level.known) or (id(any_) in wholes and not any_.known):
                break
            level.known.add(part)
            level = level.inner.setdefault(part, Fields())
        return level

    def _settle(self) -> None:
        """Leaves the levels that say something, so that a walk over a record is short."""
        self.open = ANY in self.known or not self.known - {EACH}
        self.inner = {part: level for part, level in self.inner.items() if level.known}
        for level in self.inner.values():
            level._settle()
        self.each, self.every = self.inner.get(EACH), self.inner.get(ANY)
        self.keyed = tuple((part, level) for part, level in self.inner.items() if part not in (EACH, ANY))

    def unknown(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """What a record has besides, by its place; null says nothing, so that it isn't counted."""
        found: dict[str, Any] = {}
        self._walk(record, "", found)
        return found

    def _walk(self, value: Any, place: str, found: dict[str, Any]) -> None:
        if type(value) is dict:
            if not self.open and not value.keys() <= self.known:
                rest = (key for key in value if key not in self.known and value[key] is not None)
                found.update((f"{place}.{key}" if place else key, value[key]) for key in rest)
            for key, level in self.keyed:
                if inner := value.get(key):
                    level._walk(inner, f"{place}.{key}" if place else key, found)
            if self.every:
                for key, inner in value.items():
                    if key not in self.known:
                        self.every._walk(inner, f"{place}.{key}" if place else key, found)
        elif type(value) is list and self.each:
            for number, inner in enumerate(value):
                self.each._walk(inner, f"{place}[{number}]", found)


def of_the_record(unknown: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the record itself, for formats with a way back: `of_the_record({"a": 1, "b.c": 2})` -> {"a": 1}."""
    return {place: value for place, value in unknown.items() if "." not in place and EACH[0] not in place}


def path_of(place: str) -> str:
    """The path of a place, under which it is counted: `path_of("messages[3].seed")` -> "messages[].seed"."""
    return NUMBER.sub(EACH, place)
