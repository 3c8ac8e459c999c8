"""The samples of a step as rows for the devices: merged into tries and shared out evenly, or padded (SFT-lite).

    packer = TriePacker(row_tokens=8192)
    packed = packer.pack(trajectories, rank=0, devices=2)
    for batch in packed.batches: ...                    # forward and backward, one after another

Each device is given all samples of the step and works out the same plan, so nothing is sent between them: tries of
samples that begin alike (`grouping.py`), the most costly first, to the device with the least to do; then, on each
device, into rows of at most `row_tokens` nodes. All devices get equally many rows, for FSDP and DDP talk at every one;
a row that is missing is two tokens without a label. What a batch holds is what `trie_model.read_tries` reads, and a
weight for each label; their sum over all devices is `Packed.weight`, by which the loss is divided.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from xlam_lib.models.tokens import IGNORED
from xlam_lib.train.packing.grouping import Row, Samples, tries_of
from xlam_lib.train.packing.trie import Trie, trie
from xlam_lib.train.packing.trie_model import TrieRow

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Packed:
    """A step's rows of one device, e.g. `Packed([batch, batch], weight=311.0, tokens=9400, read=2100, padding=0)`.

    `weight` sums the labels of all devices. This device's `tokens` are those of its samples, `read` those that the
    model reads for them (fewer where samples share a beginning), `padding` the ones among these that are nothing.
    """

    batches: list[Batch]
    weight: float
    tokens: int
    read: int
    padding: int


class Packer(Protocol):
    """What makes batches of a step's samples; see the module's text."""

    def pack(self, groups: Sequence[Sequence[Row]], rank: int = 0, devices: int = 1) -> Packed:
        """The batches of one device; a group is what begins alike, such as the samples of a trajectory."""
        ...


@dataclass(frozen=True)
class TriePacker:
    """Tries of groups that begin alike; attention to `crossing` / 2 tokens costs as much as the weights (6 x width)."""

    row_tokens: int = 8192
    crossing: int = 2048

    def pack(self, groups: Sequence[Sequence[Row]], rank: int = 0, devices: int = 1) -> Packed:
        """See `Packer`. A group of more nodes than a row may hold becomes several tries, which share nothing."""
        tries = self.merged(groups, devices)
        lengths = [len(made) for _, made in tries]
        shares = share_out([self.cost(made) for _, made in tries], devices)
        rows = [into_rows(share, lengths, self.row_tokens) for share in shares]
        batches = [_batch([tries[number] for number in row]) for row in rows[rank]]
        batches += [empty() for _ in range(max(map(len, rows)) - len(batches))]
        return Packed(
            batches,
            weight=sum(_weight(row) for samples, _ in tries for row in samples),
            tokens=sum(len(row["input_ids"]) for number in shares[rank] for row in tries[number][0]),
            read=sum(lengths[number] for number in shares[rank]),
            padding=0,
        )

    def merged(self, groups: Sequence[Sequence[Row]], devices: int) -> list[Samples]:
        """Which samples share a trie, and their trie."""
        return tries_of(groups, self.row_tokens, devices)

    def cost(self, made: Trie) -> float:
        """About what a trie takes, in tokens of a short row: one sample of 1,000 tokens, crossing 2,000 -> 1499.5."""
        return len(made) + 2 * int(made.depth.sum()) / self.crossing


@dataclass(frozen=True)
class SeparatePacker(TriePacker):
    """The same rows with each sample a trie of its own, behind one another without padding: nothing is shared."""

    def merged(self, groups: Sequence[Sequence[Row]], devices: int) -> list[Samples]:
        """One for each sample."""
        return [([row], trie([row["input_ids"]])) for group in groups for row in group]


@dataclass(frozen=True)
class PaddedPacker:
    """Samples apart, in batches of similar length, as `collate` pads them (a transformers or trl collator)."""

    collate: Callable[[list[Row]], Batch]
    batch_size: int = 8

    def pack(self, groups: Sequence[Sequence[Row]], rank: int = 0, devices: int = 1) -> Packed:
        """See `Packer`; the groups have no meaning here."""
        rows = sorted((row for group in groups for row in group), key=lambda row: -len(row["input_ids"]))
        mine, most = rows[rank::devices], rows[::devices]
        parts = [mine[at : at + self.batch_size] for at in range(0, len(most), self.batch_size)]
        batches = [self._collated(part) if part else empty() for part in parts]
        size = sum(batch["input_ids"].numel() for batch in batches if "input_ids" in batch)
        tokens = sum(len(row["input_ids"]) for row in mine)
        return Packed(batches, sum(map(self._weight, rows)), tokens, size, size - tokens)

    def _collated(self, rows: list[Row]) -> Batch:
        """What `collate` makes of the rows; it needn't know of sources."""
        batch = self.collate([{name: values for name, values in row.items() if name != "source"} for row in rows])
        return dict(batch) | _sources(rows)

    def _weight(self, row: Row) -> float:
        """The labels that a row has, or that the collator gives it."""
        if "labels" in row:
            return _weight(row)
        return float((self.collate([row])["labels"][:, 1:] != IGNORED).sum())


def share_out(costs: Sequence[float], devices: int) -> list[list[int]]:
    """Which items each device takes: the most costly first, to whoever has the least. None has much more than another.

    Example: `share_out([9, 5, 4, 2], 2)` -> [[0, 3], [1, 2]]
    """
    loads = [(0.0, device) for device in range(devices)]
    shares: list[list[int]] = [[] for _ in range(devices)]
    for number in sorted(range(len(costs)), key=lambda number: (-costs[number], number)):
        load, device = heapq.heappop(loads)
        shares[device].append(number)
        heapq.heappush(loads, (load + costs[number], device))
    return shares


def into_rows(numbers: Sequence[int], lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Items in rows of at most `row_tokens`, the longest first, each into the fullest row that has room for it.

    Example: `into_rows([0, 1, 2], [6, 5, 3], 10)` -> [[0, 2], [1]]
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for number in sorted(numbers, key=lambda number: (-lengths[number], number)):
        fits = [row for row, left in enumerate(room) if left >= lengths[number]]
        if not fits:
            rows.append([])
            room.append(row_tokens)
            fits = [len(rows) - 1]
        row = min(fits, key=room.__getitem__)
        rows[row].append(number)
        room[row] -= lengths[number]
    return rows


def _batch(tries: Sequence[tuple[Sequence[Row], Trie]]) -> Batch:
    made = TrieRow.concatenated([one for _, one in tries])
    labels = torch.full(made.node.shape, IGNORED)
    weights = torch.zeros(made.node.shape)
    rows = [row for rows, _ in tries for row in rows]
    for number, row in enumerate(rows):
        length = len(row["labels"])
        labels[number, :length] = torch.tensor(row["labels"])
        weights[number, :length] = torch.tensor(_weights(row))
    return {"labels": labels, "weights": weights, **made.tensors(), **_sources(rows)}


def _sources(rows: Sequence[Row]) -> Batch:
    """The number of each row's source, if the rows have it."""
    return {"source": torch.tensor([row["source"][0] for row in rows])} if rows and "source" in rows[0] else {}


def empty() -> Batch:
    """A batch that trains nothing, for a device that has less to do: two tokens without labels, of no sample."""
    row = {"input_ids": [0, 0], "labels": [IGNORED, IGNORED]}
    batch = _batch([([row], trie([row["input_ids"]]))])
    return batch | {"trie_count": torch.zeros_like(batch["trie_count"])}


def _weights(row: Row) -> list[float]:
    """The weight of each label; the first token is predicted from nothing, so it has none."""
    given = row.get("weights") or [1.0] * len(row["labels"])
    return [0.0] + [
        float(weight) * (label != IGNORED) for weight, label in zip(given[1:], row["labels"][1:], strict=True)
    ]


def _weight(row: Row) -> float:
    return sum(_weights(row))
