"""Kinds of questions about papers and authors, each with the calls that answer it (notebook 05; see `embedded.py`).

A kind is a function of a `Solver` and a source of random numbers; it knows titles and names to ask about, finds the
answer through the tools, and returns None where the answer would be a matter of luck.
"""

from __future__ import annotations

import random
from typing import Any

from xlam_lib.environments.tool_query.academia import AUTHORS, PAPERS
from xlam_lib.environments.tool_query.academia_data import academia
from xlam_lib.environments.tool_query.goals import Question, Solver

NUMBER = "Please give me a numerical value as an answer."
YES_NO = "Please answer 'Yes' or 'No'."
LIST = "Please answer in the form of a list ['author1', 'author2', ...]."


def mutual(ask: Solver, rng: random.Random) -> Question:
    """How many collaborators two authors share."""
    one, other = rng.sample(academia().names, 2)
    _load_authors(ask)
    first, second = (set(_partners(ask, name)) for name in (one, other))
    return Question(
        f"How many collaborators do {one} and {other} have in common? {NUMBER}",
        len(first & second),
        "Load the authors, list the neighbours of both, and count those that are in both lists.",
    )


def more_cited(ask: Solver, rng: random.Random) -> Question | None:
    """Which of two papers is cited more often."""
    titles = rng.sample(academia().titles, 2)
    _load_papers(ask)
    counts = [_paper(ask, title)["n_citation"] for title in titles]
    if counts[0] == counts[1]:
        return None
    return Question(
        f"Which paper has received more citations: '{titles[0]}' or '{titles[1]}'? Please answer with its title.",
        titles[counts[1] > counts[0]],
        "Load the papers, read the numbers of citations of both, and compare.",
    )


def wrote(ask: Solver, rng: random.Random) -> Question:
    """Who wrote a paper, as a list."""
    title = rng.choice(academia().titles)
    _load_papers(ask)
    return Question(
        f"Who wrote the paper titled '{title}'? {LIST}",
        _paper(ask, title)["authors"],
        "Load the papers and read the authors of that one.",
    )


def same_venue(ask: Solver, rng: random.Random) -> Question:
    """Whether two papers appeared at the same venue."""
    titles = rng.sample(academia().titles, 2)
    _load_papers(ask)
    one, other = (_paper(ask, title)["venue"] for title in titles)
    return Question(
        f"Were '{titles[0]}' and '{titles[1]}' published at the same venue? {YES_NO}",
        "Yes" if one == other else "No",
        "Load the papers, read the venues of both, and compare.",
    )


def organization(ask: Solver, rng: random.Random) -> Question:
    """Where the first author of a paper works, for which both graphs are needed."""
    title = rng.choice(academia().titles)
    _load_papers(ask)
    first = _paper(ask, title)["authors"][0]
    _load_authors(ask)
    return Question(
        f"With which organization is the first author of '{title}' affiliated? Please answer with its name.",
        _author(ask, first)["org"],
        "Load both graphs, read the first author of the paper, then that author's organization.",
    )


def colleagues(ask: Solver, rng: random.Random) -> Question | None:
    """Collaborators from the same organization, as a list."""
    name = rng.choice(academia().names)
    _load_authors(ask)
    org = _author(ask, name)["org"]
    partners = _partners(ask, name)
    if not 1 <= len(partners) <= 6:
        return None
    found = [partner for partner in partners if _author(ask, partner)["org"] == org]
    return Question(
        f"Which collaborators of {name} are from the same organization as {name}? {LIST} "
        "Give an empty list if there are none.",
        found,
        "Load the authors, read the organization of each collaborator, and keep those of the same one.",
    )


def cites(ask: Solver, rng: random.Random) -> Question:
    """How many papers a paper cites."""
    title = rng.choice(academia().titles)
    _load_papers(ask)
    found = ask(f"What does '{title}' cite?", "neighbourCheck", graph=PAPERS, node=title)
    return Question(
        f"How many papers does '{title}' cite in the citation network? {NUMBER}",
        len(found),
        "Load the papers and count the neighbours of that one.",
    )


def best_joint_paper(ask: Solver, rng: random.Random) -> Question | None:
    """The most cited paper of two authors."""
    one, other = rng.choice(academia().papers[rng.choice(academia().titles)]["authors"]), rng.choice(academia().names)
    if not 1 <= len((academia().author_edge(one, other) or {}).get("papers", ())) <= 3:
        return None
    _load_authors(ask)
    titles = ask(f"What did {one} and {other} write?", "authorEdgeCheck", node1=one, node2=other)["papers"]
    _load_papers(ask)
    counts = [_paper(ask, title)["n_citation"] for title in titles]
    if counts.count(max(counts)) > 1:
        return None
    return Question(
        f"Which of the papers that {one} and {other} wrote together has the most citations? "
        "Please answer with its title.",
        titles[counts.index(max(counts))],
        "Load both graphs, list the papers that both wrote, and compare their numbers of citations.",
    )


KINDS = (mutual, more_cited, wrote, same_venue, organization, colleagues, cites, best_joint_paper)


def _load_papers(ask: Solver) -> None:
    ask("Papers are asked for, so I need their graph.", "loadPaperNet")


def _load_authors(ask: Solver) -> None:
    ask("Authors are asked for, so I need their graph.", "loadAuthorNet")


def _paper(ask: Solver, title: str) -> dict[str, Any]:
    return ask(f"I look at '{title}'.", "paperNodeCheck", node=title)


def _author(ask: Solver, name: str) -> dict[str, Any]:
    return ask(f"I look at {name}.", "authorNodeCheck", node=name)


def _partners(ask: Solver, name: str) -> list[str]:
    return ask(f"Whom did {name} write with?", "neighbourCheck", graph=AUTHORS, node=name)
