"""How often each source is drawn, by whom, and in which order: exact arithmetic, no data (used by the mixture).

The draws of a source are spread evenly over the epoch, each at a random place within its own interval. So at any
moment every source has been drawn as often as it should, give or take a draw or two, and yet the order is random. The
place of a draw is a hash of its number: the schedule can be entered at any draw without going through those before.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from xlam_lib.seeds import key_of, mix, unit

SMALL = 4096  # up to here an order is a list
ROUNDS = 4  # of the Feistel network that orders more
TOLERANCE = Fraction(1, 10**6)


def exact_shares(shares: Sequence[float]) -> list[Fraction]:
    """Probabilities as fractions that sum to exactly 1: `exact_shares([0.7, 0.3])` -> [7/10, 3/10]."""
    if any(not (isinstance(share, int | float | Fraction) and math.isfinite(share) and share > 0) for share in shares):
        raise ValueError(f"probabilities {list(shares)}: each must be above 0; leave out a source you don't want")
    fractions = [Fraction(share).limit_denominator(10**9) or Fraction(share) for share in shares]  # 0.7 is 7/10
    total = sum(fractions)
    if abs(total - 1) > TOLERANCE:
        raise ValueError(f"probabilities {list(shares)} sum to {float(total):g}: they must sum to 1")
    return [fraction / total for fraction in fractions]


def tempered(sizes: Sequence[int], temperature: float) -> list[Fraction]:
    """Shares by size, flattened: `tempered([90, 10], 1)` -> [9/10, 1/10]; towards equal shares as it grows."""
    if not temperature > 0:
        raise ValueError(f"the temperature is {temperature}: expected a number above 0 (1: by size)")
    if temperature == 1:
        return [Fraction(size, sum(sizes)) for size in sizes]
    powers = [(size / max(sizes)) ** (1 / temperature) for size in sizes]
    return exact_shares([power / sum(powers) for power in powers])


def apportion(total: int, shares: Sequence[Fraction]) -> list[int]:
    """Whole draws that sum to the total, each within one of its share: `apportion(10, [1/3, 2/3])` -> [3, 7]."""
    draws = [int(total * share) for share in shares]
    by_rest = sorted(range(len(shares)), key=lambda i: (draws[i] - total * shares[i], i))
    for i in by_rest[: total - sum(draws)]:
        draws[i] += 1
    return draws


def shard_size(total: int, offset: int, rank: int, world: int) -> int:
    """How many of `total` samples a device gets when dealing begins at `offset`: `shard_size(5, 0, 0, 2)` -> 3."""
    return max(0, (total - (rank - offset) % world + world - 1) // world)


class Schedule:
    """The order of the draws of one device: `next(Schedule([3, 1], [7, 8]).draws())` -> (0, 0), source and its draw.

    `weights` are whole numbers of draws, or shares of an endless schedule. `keys` determine the places of the draws.
    """

    def __init__(self, weights: Sequence[float], keys: Sequence[int], endless: bool = False) -> None:
        self.weights, self.keys, self.endless = list(weights), list(keys), endless

    def draws(self, start: int = 0) -> Iterator[tuple[int, int]]:
        """(source, number of the draw from that source), from the draw `start` on."""
        counts, done = self._near(start)
        waiting = [(self._time(i, k), i, k) for i, k in enumerate(counts) if self._has(i, k)]
        heapq.heapify(waiting)
        while waiting:
            _, source, number = waiting[0]
            follower = number + 1
            if self._has(source, follower):
                heapq.heapreplace(waiting, (self._time(source, follower), source, follower))
            else:
                heapq.heappop(waiting)
            if done >= start:
                yield source, number
            done += 1

    def _has(self, source: int, number: int) -> bool:
        return self.weights[source] > 0 if self.endless else number < self.weights[source]

    def _time(self, source: int, number: int) -> float:
        return (number + unit(self.keys[source], number)) / self.weights[source]

    def _count(self, source: int, time: float) -> int:
        """How many draws of a source lie at or before a time."""
        number = int(time * self.weights[source])
        if not self.endless:
            number = min(number, int(self.weights[source]))
        while self._has(source, number) and self._time(source, number) <= time:
            number += 1
        while number and self._time(source, number - 1) > time:
            number -= 1
        return number

    def _near(self, start: int) -> tuple[list[int], int]:
        """Draws of each source at a moment at or shortly before the draw `start`, found by bisection."""
        sources = range(len(self.weights))
        low, high = 0.0, 1.0
        if start and self.endless:
            while sum(self._count(i, high) for i in sources) < start:
                low, high = high, high * 2
        for _ in range(64 if start else 0):
            middle = (low + high) / 2
            if sum(self._count(i, middle) for i in sources) <= start:
                low = middle
            else:
                high = middle
        counts = [self._count(i, low) if start else 0 for i in sources]
        return counts, sum(counts)


class Permutation:
    """The numbers below n in an order given by the key: `sorted(Permutation(5, 42)[i] for i in range(5))`.

    Small ones are sorted by a hash; large ones go through a Feistel network over the next power of two, which is
    walked until it falls below n (less than two steps on average).
    """

    def __init__(self, size: int, key: int) -> None:
        self.size = size
        self.order = sorted(range(size), key=lambda i: mix(key, i)) if size <= SMALL else None
        bits = max(2, (size - 1).bit_length())
        self.low = bits // 2
        self.low_mask, self.high_mask = (1 << self.low) - 1, (1 << (bits - self.low)) - 1
        self.keys = [key_of(key, number) for number in range(ROUNDS)]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self.size:
            raise IndexError(f"place {index} in an order of {self.size}")
        if self.order is not None:
            return self.order[index]
        index = self._scramble(index)
        while index >= self.size:
            index = self._scramble(index)
        return index

    def _scramble(self, index: int) -> int:
        high, low = index >> self.low, index & self.low_mask
        for number in range(0, ROUNDS, 2):
            high ^= mix(self.keys[number], low) & self.high_mask
            low ^= mix(self.keys[number + 1], high) & self.low_mask
        return high << self.low | low
