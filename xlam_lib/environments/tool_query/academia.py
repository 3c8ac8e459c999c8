"""The tools of Tool-Query over papers and authors, and the service behind them (notebook 05).

Two graphs, which have to be loaded before they are asked: papers with what they cite, authors with whom they wrote.
`academia_data.py` has both, made by us; give your own service to `Services` for the original's part of DBLP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from xlam_lib.environments.tool_query.toolkit import ToolFailure, Toolkit

PAPERS, AUTHORS = "PaperNet", "AuthorNet"


class AcademiaService(Protocol):
    """The two graphs; None for a node or an edge that isn't there."""

    def neighbours(self, graph: str, node: str) -> Sequence[str] | None:
        """Papers that a paper cites ("PaperNet"), or people with whom an author wrote ("AuthorNet")."""

    def paper(self, title: str) -> Mapping[str, Any] | None:
        """{"authors": ["Ada"], "year": 2021, "venue": "V", "n_citation": 3, "keywords": [], "doc_type": "Journal"}"""

    def author(self, name: str) -> Mapping[str, Any] | None:
        """{"name": "Ada Fenmer", "org": "..."}"""

    def paper_edge(self, one: str, other: str) -> Mapping[str, Any] | None:
        """What is known of a citation: {}."""

    def author_edge(self, one: str, other: str) -> Mapping[str, Any] | None:
        """{"papers": [titles that both wrote]}"""


class AcademiaTools(Toolkit):
    """The tools, e.g. `AcademiaTools(service, {})`; for each episode new, for what is loaded belongs to it."""

    domain = "academia"
    _service: AcademiaService

    def __init__(self, service: AcademiaService, setup: Mapping[str, Any]) -> None:
        super().__init__(service, setup)
        self._loaded: set[str] = set()

    def loadPaperNet(self) -> str:
        """Load PaperNet, a graph whose nodes are papers and whose edges are citations."""
        return self._load(PAPERS)

    def loadAuthorNet(self) -> str:
        """Load AuthorNet, a graph whose nodes are authors and whose edges are collaborations."""
        return self._load(AUTHORS)

    def neighbourCheck(self, graph: Literal["PaperNet", "AuthorNet"], node: str) -> list:
        """List the neighbours of a node: what a paper cites (PaperNet), or with whom an author wrote (AuthorNet).

        graph: the graph to look into
        node: title of the paper or name of the author
        """
        return list(self._known(graph, self._service.neighbours(graph, node), node))

    def paperNodeCheck(self, node: str) -> dict:
        """Get authors, year, venue, number of citations, keywords and type of a paper.

        node: title of the paper
        """
        return dict(self._known(PAPERS, self._service.paper(node), node))

    def authorNodeCheck(self, node: str) -> dict:
        """Get name and organization of an author.

        node: name of the author
        """
        return dict(self._known(AUTHORS, self._service.author(node), node))

    def authorEdgeCheck(self, node1: str, node2: str) -> dict:
        """Get the papers that two authors wrote together.

        node1: name of one author
        node2: name of the other
        """
        return dict(self._known(AUTHORS, self._service.author_edge(node1, node2), node1, node2))

    def paperEdgeCheck(self, node1: str, node2: str) -> dict:
        """Get what is known of the citation of one paper by another.

        node1: title of the citing paper
        node2: title of the cited paper
        """
        return dict(self._known(PAPERS, self._service.paper_edge(node1, node2), node1, node2))

    def _load(self, graph: str) -> str:
        self._loaded.add(graph)
        return f"{graph} is loaded."

    def _known(self, graph: str, found: Any, *nodes: str) -> Any:
        if graph not in self._loaded:
            raise ToolFailure(f"please load the {graph} first")
        if found is None:
            what = (
                f"no node named {nodes[0][:80]!r}"
                if len(nodes) == 1
                else f"no edge between {nodes[0][:80]!r} and {nodes[1][:80]!r}"
            )
            raise ToolFailure(f"there is {what} in the {graph}")
        return found
