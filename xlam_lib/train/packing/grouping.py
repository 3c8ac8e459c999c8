"""Which samples of a step share a trie: those of a trajectory, and trajectories that begin alike (SFT-lite).

    made = tries_of(groups, row_tokens=8192, devices=2)     # [(samples, their trie), ...]

Trajectories of a source often begin with the same instructions and tools, a third and more of their tokens. So groups
that begin alike are laid side by side and joined as long as the trie fits into a row, and into a device's part of the
step; a group that is too long is cut, and its parts share nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xlam_lib.train.packing.trie import Trie, common, trie

Row = Mapping[str, Sequence[int]]  # {"input_ids", "labels"}, and "weights" where labels don't all count alike
Samples = tuple[list[Row], Trie]
MIN_SHARED = 64  # tokens: for less, joining saves next to nothing and only makes parts larger


def tries_of(groups: Sequence[Sequence[Row]], row_tokens: int, devices: int = 1) -> list[Samples]:
    """The samples of a step with the trie of each part: at most `row_tokens` nodes, or one longer sample alone."""
    parts = [part for group in groups for part in _split_to_fit(list(group), row_tokens)]
    starts = [np.asarray(rows[0]["input_ids"], dtype=np.int64) for rows, _ in parts]
    order = sorted(range(len(parts)), key=lambda number: starts[number].astype(">u4").tobytes())
    parts, starts = [parts[number] for number in order], [starts[number] for number in order]
    shared = [0, *(common(a, b) for a, b in zip(starts, starts[1:], strict=False))]
    sizes = [len(made) for _, made in parts]
    saved = [count for count in shared if count >= MIN_SHARED]
    most = max(saved, default=0)  # what every device reads, beside its part of all else
    own = sum(sizes) - sum(saved) - most
    limit = min(row_tokens, most + -(-own // devices))
    return [_join(parts[first:last]) for first, last in _runs(sizes, shared, limit)]


def _runs(sizes: Sequence[int], shared: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Which neighbours to join: `_runs([300, 300, 200], [0, 100, 100], 500)` -> [(0, 2), (2, 3)].

    `shared[n]` tokens of n are also in the one before it, so a joined trie has at most the sum of sizes less of shares.
    """
    runs: list[tuple[int, int]] = []
    nodes = 0
    for number, (size, prefix) in enumerate(zip(sizes, shared, strict=True)):
        if runs and prefix >= MIN_SHARED and nodes + size - prefix <= limit:
            runs[-1] = (runs[-1][0], number + 1)
            nodes += size - prefix
        else:
            runs.append((number, number + 1))
            nodes = size
    return runs


def _join(parts: Sequence[Samples]) -> Samples:
    if len(parts) == 1:
        return parts[0]
    rows = [row for rows, _ in parts for row in rows]
    return rows, trie([row["input_ids"] for row in rows])


def _split_to_fit(rows: list[Row], row_tokens: int) -> list[Samples]:
    """The rows as one trie, or cut in two, and again, until each fits; one row alone may be longer."""
    made = trie([row["input_ids"] for row in rows])
    if len(made) <= row_tokens or len(rows) == 1:
        return [(rows, made)]
    middle = len(rows) // 2
    return _split_to_fit(rows[:middle], row_tokens) + _split_to_fit(rows[middle:], row_tokens)
