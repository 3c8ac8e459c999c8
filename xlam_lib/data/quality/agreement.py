"""How far several raters agree on the same trajectories (notebook 01).

    scores = scores_of(trajectories)           # a row a trajectory, a column a rater
    print(agreement_table(agreement(scores)))  # a row a pair of raters

Kappa is Cohen's with quadratic weights, over scores rounded to whole numbers: 1 is agreement, 0 what chance would
give. It and Spearman's rank correlation are missing (NaN) where a rater gives everyone the same score.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from xlam_lib import markdown
from xlam_lib.data.quality.judge import Judgement
from xlam_lib.trajectory import Trajectory

COLUMNS = ["rater a", "rater b", "n", "mean a", "mean b", "exact", "within one", "kappa", "spearman"]
LEVELS = 5


def scores_of(
    trajectories: Iterable[Trajectory] = (), judgements: Mapping[str, Iterable[Judgement]] | None = None
) -> pd.DataFrame:
    """Scores by trajectory and rater, of `quality` and of judges' results: `scores_of(ts, {"M": read_judgements(p)})`.

    A trajectory that a rater has not rated is NaN in its column; of several ratings the last one counts.
    """
    columns: dict[str, dict[str, float]] = {}
    for t in trajectories:
        for rating in t.quality:
            columns.setdefault(rating.rater, {})[t.trajectory_id] = rating.score
    for rater, results in (judgements or {}).items():
        column = columns.setdefault(rater, {})
        column.update((one.trajectory_id, float(one.score)) for one in results if one.score is not None)
    return pd.DataFrame({rater: pd.Series(column, dtype=float) for rater, column in columns.items()})


def agreement(scores: pd.DataFrame) -> pd.DataFrame:
    """A row for each pair of raters, over the trajectories that both rated: see COLUMNS.

    Example: `agreement(pd.DataFrame({"a": [1, 2], "b": [1, 3]}))["exact"][0]` -> 0.5
    """
    rows = [
        [a, b, *_pair(both[a].to_numpy(), both[b].to_numpy())]
        for a, b in itertools.combinations(scores.columns, 2)
        for both in [scores[[a, b]].dropna()]
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _pair(a: np.ndarray, b: np.ndarray) -> list[float]:
    if not len(a):
        return [0, *[float("nan")] * 6]
    apart = np.abs(a - b)
    return [
        len(a),
        float(a.mean()),
        float(b.mean()),
        float((apart == 0).mean()),
        float((apart <= 1).mean()),
        weighted_kappa(a, b),
        spearman(a, b),
    ]


def weighted_kappa(a: np.ndarray, b: np.ndarray, levels: int = LEVELS) -> float:
    """Cohen's kappa with quadratic weights: `weighted_kappa(np.array([1, 5]), np.array([1, 5]))` -> 1.0."""
    rows = np.clip(np.floor(a + 0.5), 1, levels).astype(int) - 1
    columns = np.clip(np.floor(b + 0.5), 1, levels).astype(int) - 1
    seen = np.zeros((levels, levels))
    np.add.at(seen, (rows, columns), 1)
    weights = np.subtract.outer(np.arange(levels), np.arange(levels)) ** 2
    expected = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / len(a)
    by_chance = (weights * expected).sum()
    return float(1 - (weights * seen).sum() / by_chance) if by_chance else float("nan")


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation, ties with their mean rank: `spearman(np.array([1, 2, 3]), np.array([2, 3, 9]))` -> 1.0."""
    ranks = [pd.Series(values).rank().to_numpy() for values in (a, b)]
    if len(a) < 2 or any(np.ptp(values) == 0 for values in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def agreement_table(table: pd.DataFrame) -> str:
    """The same as markdown; what is missing shows as "-"."""
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return markdown.table(list(table.columns), rows)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "-" if np.isnan(value) else f"{value:.2f}"
    return value
