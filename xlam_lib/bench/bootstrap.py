"""Bootstrap intervals, and pass^k: how far a score would move on another draw of the questions, or of the trials.

Used by notebooks 02, 03 and 05. A score on 300 questions is an estimate; the percentile bootstrap draws the questions
again with replacement and shows the spread of the mean. Two models answering the *same* questions are compared paired:
the difference is taken per question first, which removes the spread that both share. Steps of one trajectory
rise and fall together, so pass their trajectory ids as `groups` and whole trajectories are drawn.

    >>> interval([1, 1, 1, 0], seed=0)
    Interval(mean=0.75, low=0.25, high=1.0, n=4)
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import comb
from typing import Any

import numpy as np

from xlam_lib.errors import XlamError

RESAMPLES = 10_000
CONFIDENCE = 0.95
_CHUNK = 2_000_000  # indices drawn at once: about 16 MB


class IntervalError(XlamError, ValueError):
    """Values that have no interval, or can't be compared."""


@dataclass(frozen=True)
class Interval:
    """A mean with its interval, e.g. `Interval(mean=0.75, low=0.25, high=1.0, n=4)`; n counts questions."""

    mean: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, e.g. `{"mean": 0.75, "low": 0.25, "high": 1.0, "n": 4}`."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


def interval(
    values: Sequence[float | bool],
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Interval of a mean, e.g. `interval([row["exact"] for row in rows], seed=0)`; same seed, same interval."""
    numbers = _checked(values, "values")
    means = _resampled_means(numbers, _clusters(groups, len(numbers)), resamples, seed)
    low, high = _percentiles(means, confidence)
    return Interval(float(numbers.mean()), low, high, len(numbers))


def paired(
    before: Sequence[float | bool],
    after: Sequence[float | bool],
    *,
    groups: Sequence[Hashable] | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Interval of the mean of `after - before` on the same questions, e.g. `paired(sft_exact, dpo_exact)`.

    An interval that holds 0 means: these questions can't tell the two apart.
    """
    first, second = _checked(before, "before"), _checked(after, "after")
    if len(first) != len(second):
        raise IntervalError(
            f"paired(): before has {len(first)} values, after has {len(second)}; "
            "pass both models' results on the same questions in the same order"
        )
    return interval(second - first, groups=groups, confidence=confidence, resamples=resamples, seed=seed)


def _checked(values: Sequence[float | bool], name: str) -> np.ndarray:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0:
        raise IntervalError(f"{name} has shape {numbers.shape}: expected a flat list with at least one number")
    if not np.isfinite(numbers).all():
        where = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise IntervalError(f"{name}[{where}] is {numbers[where]}: expected finite numbers; leave others out")
    return numbers


def _clusters(groups: Sequence[Hashable] | None, n: int) -> np.ndarray:
    """Number of the group of each value: 0, 1, 2, ... in order of first appearance; each its own group by default."""
    if groups is None:
        return np.arange(n)
    if len(groups) != n:
        raise IntervalError(f"groups has {len(groups)} entries for {n} values: expected one group per value")
    first_seen: dict[Hashable, int] = {}
    return np.asarray([first_seen.setdefault(group, len(first_seen)) for group in groups])


def _resampled_means(numbers: np.ndarray, clusters: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    if resamples < 1:
        raise IntervalError(f"resamples is {resamples}: expected at least 1")
    count = int(clusters.max()) + 1
    sums = np.bincount(clusters, weights=numbers, minlength=count)
    sizes = np.bincount(clusters, minlength=count)
    generator = np.random.default_rng(seed)
    means, step = [], max(1, _CHUNK // count)
    for start in range(0, resamples, step):
        drawn = generator.integers(0, count, size=(min(step, resamples - start), count))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)


def _percentiles(means: np.ndarray, confidence: float) -> tuple[float, float]:
    if not 0 < confidence < 1:
        raise IntervalError(f"confidence is {confidence}: expected a number between 0 and 1, e.g. 0.95")
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def pass_hat_k(rewards: Mapping[str, Sequence[float]], k: int) -> float:
    """pass^k: the chance that k trials of a task all succeed, estimated without bias, mean over the tasks.

    Of n trials c have reward 1: C(c, k) / C(n, k), as in arXiv 2406.12045. A IntervalError where there is
    no task, or one with fewer than k trials. `pass_hat_k({"a": [1.0, 0.0]}, 1)` -> 0.5
    """
    if not rewards or k < 1:
        raise IntervalError(f"pass^{k} of {len(rewards)} tasks: expected at least one task and k of at least 1")
    if few := [name for name, trials in rewards.items() if len(trials) < k]:
        raise IntervalError(f"pass^{k}: task {few[0]!r} has {len(rewards[few[0]])} trials; play it at least {k} times")
    chances = (comb(sum(one == 1 for one in trials), k) / comb(len(trials), k) for trials in rewards.values())
    return sum(chances) / len(rewards)
