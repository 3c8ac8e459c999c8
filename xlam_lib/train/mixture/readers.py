"""One source of a mixture, and the part of it that one device sees (used by the mixture).

A source is a sequence (a list, `datasets.Dataset`, `JsonLines`), a path, or a stream: whatever can be iterated again
and again and gives the same samples in the same order, or a function that returns such an iterator. A sequence is
shuffled as a whole; a stream chunk by chunk, for nobody can look ahead. Every device walks the same order and keeps
each world-th sample, so the parts are disjoint and nothing is left over. In later passes a device reshuffles its part.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xlam_lib.errors import MixtureError
from xlam_lib.seeds import key_of
from xlam_lib.train.mixture.jsonl import JsonLines
from xlam_lib.train.mixture.schedule import Permutation, shard_size

CHUNK = 1000  # samples of a stream that are shuffled together


@dataclass(frozen=True)
class Shard:
    """Which samples of a source are a device's: each `world`-th from `lane` on, in an order told by the key."""

    index: int
    world: int
    key: int  # the same on all devices
    own_key: int  # of this device

    def size(self, total: int) -> int:
        """How many of `total` samples: `Lot(1, 2, 0, 0).size(5)` -> 2."""
        return shard_size(total, 0, self.index, self.world)


class MapSource:
    """A source with random access: `Listed("demo", ["a", "b"]).size` -> 2."""

    def __init__(self, name: str, data: Any) -> None:
        self.name, self.data, self.size = name, data, len(data)

    def sized(self) -> MapSource:
        """Itself: its size is known."""
        return self

    def reader(self, shard: Shard) -> Callable[[int], Any]:
        """A function from the number of the device's draw to the sample."""
        size, order = shard.size(self.size), Permutation(self.size, shard.key)
        passes: dict[int, Permutation] = {}

        def read(number: int) -> Any:
            cycle, index = divmod(number, size)
            if cycle:
                if cycle not in passes:
                    passes.clear()
                    passes[cycle] = Permutation(size, key_of(shard.own_key, cycle))
                index = passes[cycle][index]
            return self.data[order[shard.index + shard.world * index]]

        return read


class IterableSource:
    """A source that is read from front to back: `Streamed("demo", lambda: iter("ab")).counted().size` -> 2."""

    def __init__(self, name: str, begin: Callable[[], Iterable[Any]], size: int | None = None) -> None:
        self.name, self.begin, self.size = name, begin, size

    def sized(self) -> IterableSource:
        """The same, with its size; a stream of unknown size is read once to count it."""
        if self.size is not None:
            return self
        return IterableSource(self.name, self.begin, sum(1 for _ in self.begin()))

    def reader(self, shard: Shard) -> Callable[[int], Any]:
        """A function from the number of the device's draw to the sample; numbers must rise."""
        samples, done = self._samples(shard), 0

        def read(number: int) -> Any:
            nonlocal done
            if number < done:
                raise ValueError(f"{self.name}: draw {number} after {done}; a stream can't go back, take a new reader")
            for _ in range(number - done):
                next(samples)
            done = number + 1
            return next(samples)

        return read

    def _samples(self, shard: Shard) -> Iterator[Any]:
        cycle, before = 0, self.size
        while True:
            total, chunk, chunks = 0, [], 0
            for sample in self.begin():
                if total % shard.world == shard.index:
                    chunk.append(sample)
                total += 1
                if len(chunk) == CHUNK:
                    yield from _shuffled(chunk, key_of(shard.own_key, cycle, chunks))
                    chunk, chunks = [], chunks + 1
            if before is not None and total != before:
                raise MixtureError(
                    f"source {self.name!r} gave {total} samples, but {before} before: it must not change"
                )
            if not shard.size(total):
                raise MixtureError(
                    f"source {self.name!r} has {total} samples for {shard.world} devices: each needs one"
                )
            yield from _shuffled(chunk, key_of(shard.own_key, cycle, chunks))
            cycle, before = cycle + 1, total


Source = MapSource | IterableSource


def open_source(name: str, source: Any) -> Source:
    """A list, data set, path of .jsonl, .jsonl.gz or .parquet, stream or function as a source of a mixture."""
    if isinstance(source, MapSource | IterableSource):
        return source
    if isinstance(source, str | Path):
        return _open_file(name, Path(source))
    if isinstance(source, type) or (callable(source) and not hasattr(source, "__iter__")):
        return IterableSource(name, source)
    if hasattr(source, "__getitem__") and hasattr(source, "__len__") and not isinstance(source, Mapping):
        return MapSource(name, source)
    if hasattr(source, "__iter__") and not isinstance(source, Mapping):
        if hasattr(source, "__next__"):
            raise MixtureError(
                f"source {name!r} is an iterator ({type(source).__name__}), which can be read only once: "
                "give a function that makes it anew, or a list"
            )
        return IterableSource(name, partial(_reopen, source))
    raise MixtureError(f"source {name!r} is a {type(source).__name__}: expected a sequence, a path or a stream")


def _open_file(name: str, path: Path) -> Source:
    if path.name.endswith((".jsonl", ".ndjson")):
        return MapSource(name, JsonLines(path))
    if path.name.endswith((".jsonl.gz", ".ndjson.gz")):
        return IterableSource(name, partial(_gzip_lines, path))
    if path.suffix == ".parquet":
        from datasets import Dataset

        return MapSource(name, Dataset.from_parquet(str(path)))
    raise MixtureError(f"source {name!r}: {path} is no .jsonl, .jsonl.gz or .parquet file")


def _reopen(source: Iterable[Any]) -> Iterable[Any]:
    return source


def _gzip_lines(path: Path) -> Iterator[Any]:
    with gzip.open(path, "rb") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _shuffled(chunk: list[Any], key: int) -> Iterator[Any]:
    order = Permutation(len(chunk), key)
    for index in range(len(chunk)):
        yield chunk[order[index]]
