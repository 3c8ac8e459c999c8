"""One source of a mixture, and the part of it that one device sees (used by the mixture).

A source is a sequence (a list, `datasets.Dataset`, `JsonLines`), a path, or a stream: whatever can be iterated again
and again and gives the same samples in the same order, or a function that returns such an iterator. A sequence is
shuffled as a whole; a stream chunk by chunk, for nobody can look ahead. Every device walks the same order and keeps
each world-th sample, so the parts are disjoint and nothing is left over. In later passes a device reshuffles its part.
"""

from __future__ import annotations

import gzip
import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from xlam_lib.errors import MixtureError
from xlam_lib.seeds import key_of
from xlam_lib.train.mixture.schedule import Permutation, shard_size

CHUNK = 1000  # samples of a stream that are shuffled together


class JsonLines:
    """The values of a file's lines, blank ones left out: `JsonLines("train.jsonl")[-1]["trajectory_id"]`.

    The file isn't held in memory: one pass notes where the lines begin (8 bytes a line). Each process opens it itself.
    """

    def __init__(self, path: str | Path, parse: Callable[[Any], Any] | None = None) -> None:
        self.path, self.parse, self.starts = Path(path), parse, array("Q")
        self._opened: tuple[int, IO[bytes]] | None = None
        start = 0
        with open(self.path, "rb") as file:
            for line in file:
                if line.strip():
                    self.starts.append(start)
                start += len(line)
        self.bytes = start

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Any:
        file = self._file()
        file.seek(self.starts[index])
        try:
            value = json.loads(file.readline())
            return self.parse(value) if self.parse else value
        except ValueError as error:
            raise ValueError(f"{self.path}: record {index + 1} of {len(self)}: {error}") from error

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def _file(self) -> IO[bytes]:
        """The file, opened by this very process: a forked one would share its place in it."""
        if self._opened is None or self._opened[0] != os.getpid():
            file = open(self.path, "rb")  # noqa: SIM115  (kept open)
            size = os.fstat(file.fileno()).st_size
            if size != self.bytes:
                file.close()
                raise ValueError(
                    f"{self.path} has {size} bytes, but had {self.bytes} when it was indexed: open it anew"
                )
            self._opened = (os.getpid(), file)
        return self._opened[1]


@dataclass(frozen=True)
class Shard:
    """Which samples of a source are a device's: each `world`-th from `index` on, in an order given by the key."""

    index: int
    world: int
    key: int  # the same on all devices
    own_key: int  # of this device

    def size(self, total: int) -> int:
        """How many of `total` samples: `Shard(1, 2, 0, 0).size(5)` -> 2."""
        return shard_size(total, 0, self.index, self.world)


class MapSource:
    """A source with random access: `MapSource("demo", ["a", "b"]).size` -> 2."""

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
    """A source that is read from front to back: `IterableSource("demo", lambda: iter("ab")).sized().size` -> 2."""

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
