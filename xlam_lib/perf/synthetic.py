"""Samples of random tokens with a declared shape, seeded: what `throughput.py` trains on where no records are at hand.

    groups = trajectories(ALFWORLD, count=8, vocabulary=32000, seed=0)    # the rows of each trajectory
    groups = single(4096, count=8, vocabulary=32000, seed=0)              # a row each, nothing is shared

How fast a model reads doesn't depend on which tokens it reads, only on how many and on what they share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xlam_lib.models.tokens import IGNORED
from xlam_lib.train.packing.grouping import Row

SINGLE = 8  # an eighth of a single sample is its answer


@dataclass(frozen=True)
class TrajectoryShape:
    """What the samples of a trajectory are made of, in tokens; sample `n` has n turns behind it."""

    prefix: int  # instructions and tools that all trajectories begin with
    own: int  # the task
    turn: int  # an earlier answer and what was observed, which later samples share
    tail: int  # what ends a prompt, which later samples don't repeat
    answer: int  # what is trained
    steps: tuple[int, int]  # the fewest and the most samples of a trajectory, all counts alike likely

    def scaled(self, by: float) -> TrajectoryShape:
        """The same shape with shorter texts: `ALFWORLD.scaled(0.1).prefix` -> 114."""
        sizes = (self.prefix, self.own, self.turn, self.tail, self.answer)
        return TrajectoryShape(*(max(1, round(by * size)) for size in sizes), self.steps)

    @property
    def longest(self) -> int:
        """Tokens of the longest sample there can be: `ALFWORLD.longest` -> 2982."""
        return self.prefix + self.own + self.turn * (self.steps[1] - 1) + self.tail + self.answer


# of 24 real ALFWorld trajectories with 4 to 34 samples (`workloads.py`): 1,140 tokens alike in all, the first 1,335,
# 61 more with each turn, 46 at the end that the next sample doesn't repeat, of which 33 the answer; 16 samples each
ALFWORLD = TrajectoryShape(prefix=1140, own=149, turn=61, tail=13, answer=33, steps=(4, 28))


def trajectories(shape: TrajectoryShape, count: int, vocabulary: int, seed: int) -> list[list[Row]]:
    """`count` trajectories that begin alike: the rows {"input_ids", "labels"} of each."""
    rng = np.random.default_rng(seed)

    def drawn(size: int) -> list[int]:
        return rng.integers(vocabulary, size=size).tolist()

    prefix, groups = drawn(shape.prefix), []
    for _ in range(count):
        history, rows = prefix + drawn(shape.own), []
        for _ in range(rng.integers(shape.steps[0], shape.steps[1], endpoint=True)):
            rows.append(_row(history + drawn(shape.tail), drawn(shape.answer)))
            history = history + drawn(shape.turn)
        groups.append(rows)
    return groups


def single(length: int, count: int, vocabulary: int, seed: int) -> list[list[Row]]:
    """`count` samples of `length` tokens that share nothing, each of which fills a row."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(vocabulary, size=(count, length)).tolist()
    answer = max(1, length // SINGLE)
    return [[_row(ids[:-answer], ids[-answer:])] for ids in drawn]


def _row(prompt: list[int], answer: list[int]) -> Row:
    return {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}
