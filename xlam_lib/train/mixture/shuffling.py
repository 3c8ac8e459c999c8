"""Random orders that need no memory and are the same on every machine: a number in, a number out.

Used by the mixture. `Permutation(n, key)[i]` is the i-th of n numbers in an order told by the key alone, so an order
of a billion samples takes no room, can be entered anywhere, and does not hang on the version of a random library.
"""

from __future__ import annotations

import hashlib

WORD = (1 << 64) - 1
SMALL = 4096  # up to here the order is a list
ROUNDS = 4


def key_of(*parts: str | int) -> int:
    """A 64-bit key of anything that tells it: `key_of(42, "webshop", 3)`; different parts give different keys."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest())


def mix(key: int, number: int) -> int:
    """64 random-looking bits of a key and a number (the finaliser of splitmix64)."""
    x = (key + (number + 1) * 0x9E3779B97F4A7C15) & WORD
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & WORD
    return x ^ (x >> 31)


def unit(key: int, number: int) -> float:
    """A random-looking number from 0 to below 1: `0 <= unit(7, 0) < 1`."""
    return (mix(key, number) >> 11) / (1 << 53)


class Permutation:
    """The numbers below n in an order told by the key: `sorted(Permutation(5, 42)[i] for i in range(5))`.

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
