"""A tool of the catalogue as the sampler needs it: its schema, its values, and how people ask for it.

    asked = tool.ask(rng, "train", rng.choice(tool.questions))
    asked.words(rng)       # "What would I pay each month on a loan of $5,000 over 12 years at 4.5%?"
    asked.arguments        # {"principal": 5000, "annual_rate": 4.5, "years": 12}

`catalogue.py` reads them from YAML.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xlam_lib.data.apigen.broad.phrasing import Phrasing
from xlam_lib.data.apigen.broad.values import Kind, Said
from xlam_lib.trajectory import Tool

GIVEN = 0.5  # how often an optional value is given where a question has a part for it
UNSEEN = 26  # of 256 tools are kept out of training
DISTINCT = 20  # draws after which two values of a kind may be the same


@dataclass(frozen=True)
class Leaf:
    """A value that can be said: `Leaf("person.age", kind, "Age in years.", required=True)`."""

    slot: str
    kind: Kind
    description: str
    required: bool

    @property
    def label(self) -> str:
        """Its name in words: "annual rate"."""
        return " ".join(split_words(self.slot.rpartition(".")[2]))


@dataclass(frozen=True)
class BroadTool:
    """A tool with its domain, the values it takes and the questions that ask for it."""

    name: str
    domain: str
    description: str
    parameters: dict
    leaves: Mapping[str, Leaf]
    questions: tuple[Phrasing, ...]
    phrases: tuple[Phrasing, ...]
    key: str  # domain and name as in the catalogue: a tool that is renamed stays in its half

    @cached_property
    def schema(self) -> Tool:
        """The tool as a model sees it."""
        return Tool(self.name, self.description, self.parameters)

    @cached_property
    def unseen(self) -> bool:
        """Whether a hash of its name keeps it out of training: about one in ten."""
        return hashlib.sha256(f"test:{self.key}".encode()).digest()[0] < UNSEEN

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The slots that every question must say."""
        return tuple(leaf.slot for leaf in self.leaves.values() if leaf.required)

    def ask(self, rng: random.Random, half: str, phrasing: Phrasing, given: frozenset[str] | None = None) -> Asked:
        """A question with fresh values of a half ("train" or "test"); `given` says which values, else it is drawn."""
        if given is None:
            given = phrasing.firm.union(*(part for part in phrasing.parts if rng.random() < GIVEN))
        said: dict[str, Said] = {}
        for slot, leaf in self.leaves.items():
            if slot in given:
                said[slot] = self._draw(rng, half, leaf, [one.value for one in said.values()])
        values = {slot: one.value for slot, one in said.items()}
        return Asked(self, phrasing, values, {slot: one.text for slot, one in said.items()})

    def _draw(self, rng: random.Random, half: str, leaf: Leaf, taken: list[Any]) -> Said:
        """A value that no other parameter has, if there is one: nobody converts miles to miles."""
        for _ in range(DISTINCT):
            said = leaf.kind.draw(rng, half)
            if said.value not in taken:
                break
        return said


@dataclass(frozen=True)
class Asked:
    """One thing that a user asks for: the tool, the words, the values and how they are said."""

    tool: BroadTool
    phrasing: Phrasing
    values: dict[str, Any]
    texts: dict[str, str]

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the call: values of "person.age" lie in an object."""
        found: dict[str, Any] = {}
        for slot, value in self.values.items():
            *outer, name = slot.split(".")
            inner = found
            for part in outer:
                inner = inner.setdefault(part, {})
            inner[name] = value
        return found

    def words(self, rng: random.Random, without: str = "") -> str:
        """What the user says; `without` leaves one value out, for which he is to be asked."""
        return self.phrasing.render(rng, self.texts, without)


def split_words(name: str) -> list[str]:
    """The words of a name: `split_words("annualRate")` -> ["annual", "rate"]."""
    spaced = "".join(
        f" {char}" if char.isupper() and before.islower() else char
        for before, char in zip(f" {name}", name, strict=False)
    )
    return spaced.replace("_", " ").replace(".", " ").lower().split()
