"""Token sequences that begin alike, merged into a trie that lies in one row (notebooks 02 and 03).

    made = trie([[5, 6, 7], [5, 6, 8, 9]])
    made.tokens  # [5, 6, 7, 8, 9]         depth first
    made.depth   # [0, 1, 2, 2, 3]         the position ids
    made.exit    # [5, 5, 3, 5, 5]         where the subtree of each node ends
    made.count   # [2, 2, 1, 1, 1]         how many sequences hold it
    made.nodes   # [[0, 1, 2], [0, 1, 3, 4]]  the node of each token of each sequence

A trajectory of T steps gives T samples whose prompts share nearly all their tokens, and a preference pair shares its
prompt: a model that reads the trie reads each shared token once. Token `k` is an ancestor of `q` exactly when
`k <= q < exit[k]`, so one integer a token is the whole attention mask. What a node then holds is what it would hold in
its own sequence, for it attends to the same tokens at the same positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trie:
    """See the example above; arrays of int64, of the length of the row or of a sequence."""

    tokens: np.ndarray
    depth: np.ndarray
    exit: np.ndarray
    count: np.ndarray
    nodes: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def saved(self) -> float:
        """The share of the tokens that need not be read: `trie([[1, 2], [1, 2]]).saved` -> 0.5."""
        total = sum(map(len, self.nodes))
        return 1 - len(self) / total if total else 0.0

    def mask(self) -> np.ndarray:
        """(row, row) booleans, whether a query (first axis) attends to a key: what `exit` says, written out."""
        at = np.arange(len(self))
        return (at[None, :] <= at[:, None]) & (at[:, None] < self.exit[None, :])


def trie(sequences: Sequence[Sequence[int]]) -> Trie:
    """The trie of some sequences of token ids; equal sequences share all of their nodes."""
    arrays = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    tokens: list[np.ndarray] = []
    depth: list[np.ndarray] = []
    exit = np.zeros(sum(map(len, arrays)), dtype=np.int64)
    count = np.zeros_like(exit)
    nodes: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(arrays)
    size, before, path = 0, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for index in sorted(range(len(arrays)), key=lambda i: arrays[i].astype(">u4").tobytes()):
        sequence = arrays[index]
        shared = common(before, sequence)
        exit[path[shared:]] = size
        new = sequence[shared:]
        path = np.concatenate([path[:shared], np.arange(size, size + len(new))])
        tokens.append(new)
        depth.append(np.arange(shared, len(sequence)))
        count[path] += 1
        nodes[index], before, size = path, sequence, size + len(new)
    exit[path] = size
    if not size:
        raise ValueError("a trie of no tokens: expected at least one sequence that isn't empty")
    return Trie(np.concatenate(tokens), np.concatenate(depth), exit[:size], count[:size], nodes)


def common(a: np.ndarray, b: np.ndarray) -> int:
    """How many tokens two sequences share at their beginning: [5, 6, 7] and [5, 6, 8, 9] -> 2."""
    length = min(len(a), len(b))
    apart = np.flatnonzero(a[:length] != b[:length])
    return int(apart[0]) if len(apart) else length
