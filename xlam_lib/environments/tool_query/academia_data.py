"""Papers and authors made by us, as the two graphs that Tool-Query asks (notebook 05).

    graphs = EmbeddedAcademia()
    graphs.neighbours("AuthorNet", graphs.names[0])       # whom the first author wrote with

Nothing of it is real, so nothing can be answered from memory. The same data for the same seed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from xlam_lib.data import wordlists
from xlam_lib.environments.tool_query.academia import PAPERS

AUTHORS, TITLES, MOST_CITED = 30, 50, 5
WAYS = ("Sparse", "Robust", "Causal", "Modular", "Layered", "Greedy", "Adaptive", "Compact", "Guarded", "Recurrent")
THINGS = ("Planning", "Retrieval", "Tool Use", "Memory", "Dialogue", "Grounding", "Search", "Reward Models")
FIELDS = ("Household Robots", "Web Agents", "Timetables", "Small Models", "Spreadsheets", "Long Documents")
VENUES = ("Journal of Made-up Results", "Northern Agents Conference", "Letters on Planning", "Tool Use Workshop")
ORGS = ("University of Fenmer", "Harbour Institute", "Ravenfield Labs", "Tall Pine College", "Old Bridge Research")
KEYWORDS = ("agents", "benchmarks", "planning", "retrieval", "tool use", "memory", "language models", "safety")


class EmbeddedAcademia:
    """The service, e.g. `EmbeddedAcademia(seed=0)`; see `academia.AcademiaService`."""

    def __init__(self, seed: int = 0) -> None:
        rng = random.Random(f"academia:{seed}")
        self.names = _names(rng)
        self.orgs = {name: rng.choice(ORGS) for name in self.names}
        self.papers = _papers(rng, self.names)
        self.titles = tuple(self.papers)
        self.cited = {
            title: tuple(rng.sample(self.titles[:at], min(at, rng.randint(1, MOST_CITED))))
            for at, title in enumerate(self.titles)  # only what was published before
        }

    def neighbours(self, graph: str, node: str) -> Sequence[str] | None:
        """What a paper cites, or whom an author wrote with, or None."""
        if graph == PAPERS:
            return self.cited.get(node)
        if node not in self.orgs:
            return None
        wrote = [name for paper in self.papers.values() if node in paper["authors"] for name in paper["authors"]]
        return sorted(set(wrote) - {node})

    def paper(self, title: str) -> Mapping[str, Any] | None:
        """A paper by its title, or None."""
        return self.papers.get(title)

    def author(self, name: str) -> Mapping[str, Any] | None:
        """An author by name, or None."""
        return {"name": name, "org": self.orgs[name]} if name in self.orgs else None

    def paper_edge(self, one: str, other: str) -> Mapping[str, Any] | None:
        """{} where the one cites the other, or None."""
        return {} if other in self.cited.get(one, ()) else None

    def author_edge(self, one: str, other: str) -> Mapping[str, Any] | None:
        """The papers that both wrote, or None."""
        both = [title for title, paper in self.papers.items() if {one, other} <= set(paper["authors"])]
        return {"papers": both} if both and one != other else None


@cache
def academia() -> EmbeddedAcademia:
    """The service with seed 0, made once."""
    return EmbeddedAcademia()


def _names(rng: random.Random) -> tuple[str, ...]:
    pairs = [(first, start) for first in wordlists.FIRST_NAMES for start in wordlists.NAME_STARTS]
    return tuple(f"{first} {start}{rng.choice(('den', 'wick', 'mont'))}" for first, start in rng.sample(pairs, AUTHORS))


def _papers(rng: random.Random, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    titles = rng.sample([f"{way} {thing} for {field}" for way in WAYS for thing in THINGS for field in FIELDS], TITLES)
    years = sorted(rng.randint(2008, 2023) for _ in titles)
    return {
        title: {
            "authors": rng.sample(names, rng.randint(2, 4)),
            "year": year,
            "venue": rng.choice(VENUES),
            "n_citation": rng.randint(0, 300),
            "keywords": rng.sample(KEYWORDS, rng.randint(1, 4)),
            "doc_type": rng.choice(("Conference", "Journal")),
        }
        for title, year in zip(titles, years, strict=True)
    }
