"""BFCL's categories by name, and how the leaderboard makes one number of their scores.

Used by notebook 05 and by whoever compares with the leaderboard. The weights are not ours:

* v4, since 2025: `generate_leaderboard_csv` of `bfcl-eval` 2026.3.23; one tenth
  each for single turns made by the authors, for those of users (live), and for tools that don't fit, three tenths for
  several turns, four for agentic tasks.
* v2, August to mid-September 2024, the board of the xLAM paper's table (arXiv 2409.03215, of 3 September 2024): the
  same function of that time in the repository of the leaderboard; the plain mean of ten columns. Four of these executed
  the calls against live services, which v4's data no longer have.

A category without a score counts as 0 on the leaderboard, and so it does here, by name:

    found = overall({"simple_python": 0.9, "multiple": 0.8})      # of v4
    found.value, found.parts["non_live"], found.missing           # 0.0275, 0.275, ("simple_java", ...)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from xlam_lib.environments.bfcl_multi_turn import CATEGORIES as MULTI_TURN
from xlam_lib.environments.bfcl_multi_turn import BfclError

NON_LIVE = (
    "simple_python", "simple_java", "simple_javascript", "multiple", "parallel", "parallel_multiple", "irrelevance",
)  # fmt: skip
LIVE = (
    "live_simple", "live_multiple", "live_parallel", "live_parallel_multiple", "live_irrelevance", "live_relevance",
)  # fmt: skip
WEB_SEARCH = ("web_search_base", "web_search_no_snippet")
MEMORY = ("memory_kv", "memory_vector", "memory_rec_sum")
V4 = (*NON_LIVE, *LIVE, *MULTI_TURN, *MEMORY, *WEB_SEARCH)
FORMATS = "format_sensitivity"  # a category of v4 that is shown beside the score and no part of it
EXECUTED = ("exec_simple", "rest", "exec_multiple", "exec_parallel", "exec_parallel_multiple")  # of v1 to v3
V2 = (*NON_LIVE, *LIVE, *EXECUTED)
SIZES = {"live_simple": 258, "live_multiple": 1053, "live_parallel": 16, "live_parallel_multiple": 24}
WEIGHTS = {"non_live": 10, "live": 10, "irrelevance": 10, "multi_turn": 30, "agentic": 40}  # percent, of v4
Version = Literal["v2", "v4"]


@dataclass(frozen=True)
class Overall:
    """`Overall(0.5, {"non_live": 0.9, ...}, ("memory_kv", ...))`: the number, what it is made of, what was not run."""

    value: float
    parts: Mapping[str, float]  # columns of the leaderboard; the relevance of v4 has no weight in the value
    missing: tuple[str, ...] = ()


def overall(scores: Mapping[str, float], version: Version = "v4", sizes: Mapping[str, int] = SIZES) -> Overall:
    """The leaderboard's score of a model, all scores as shares: `overall({"irrelevance": 0.7}, "v2").value` -> 0.035.

    `sizes` says how many questions of each live category were asked, where it was not all of them: these four weigh as
    many as they are. A category that the version doesn't know, or a share outside 0 to 1, is a BfclError.
    """
    known = {"v2": V2, "v4": V4}.get(version)
    if known is None:
        raise BfclError(f"no version {version!r} of BFCL's weights here; there are v2 and v4")
    if unknown := [name for name in scores if name not in known]:
        raise BfclError(f"BFCL {version} has no category {unknown[0]!r}; it has {', '.join(known)}")
    if wrong := [name for name, score in scores.items() if not 0 <= score <= 1]:
        raise BfclError(f"the score of {wrong[0]} is {scores[wrong[0]]!r}; expected a share between 0 and 1")
    given = dict.fromkeys(known, 0.0) | scores
    missing = tuple(name for name in known if name not in scores)
    if version == "v2":
        parts = _v2(given)
        return Overall(_mean(list(parts.values())), parts, missing)
    parts = _v4(given, sizes)
    value = sum(weight * parts[name] for name, weight in WEIGHTS.items()) / sum(WEIGHTS.values())
    return Overall(value, parts, missing)


def _v4(of: Mapping[str, float], sizes: Mapping[str, int]) -> dict[str, float]:
    singles = ("multiple", "parallel", "parallel_multiple")
    web_search, memory = _mean([of[name] for name in WEB_SEARCH]), _mean([of[name] for name in MEMORY])
    total = sum(sizes[name] for name in SIZES)
    return {
        "non_live": _mean([_simple(of), *(of[name] for name in singles)]),
        "live": sum(of[name] * sizes[name] for name in SIZES) / total if total else 0.0,
        "irrelevance": _mean([of["irrelevance"], of["live_irrelevance"]]),
        "relevance": of["live_relevance"],
        "multi_turn": _mean([of[name] for name in MULTI_TURN]),
        "web_search": web_search,
        "memory": memory,
        "agentic": _mean([web_search, memory]),
    }


def _v2(of: Mapping[str, float]) -> dict[str, float]:
    return {
        "simple": _mean([_simple(of), of["live_simple"]]),
        **{name: _mean([of[name], of[f"live_{name}"]]) for name in ("multiple", "parallel", "parallel_multiple")},
        "exec_simple": _mean([of["exec_simple"], of["rest"]]),
        **{name: of[name] for name in ("exec_multiple", "exec_parallel", "exec_parallel_multiple")},
        "irrelevance": _mean([of["irrelevance"], of["live_irrelevance"]]),
        "relevance": of["live_relevance"],
    }


def _simple(of: Mapping[str, float]) -> float:
    """The three languages weigh the same, though there are 400, 100 and 50 questions."""
    return _mean([of["simple_python"], of["simple_java"], of["simple_javascript"]])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
