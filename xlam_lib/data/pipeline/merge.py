"""The last step: the shards, in their order, become one folder with the books.

Here is everything that must see all records: ids given twice, duplicates, the split. What is held of a record is
a few digests, less than 1 kB a trajectory with all of it (`experiments/LOG.md`). A shard in which no id comes again is
copied as bytes and its books are added, unless duplicates or a split are asked for, which need each record. The folder
appears whole or not at all, and only with books that balance.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from xlam_lib import files
from xlam_lib.data.accounting import Accounting, Drop, Loss
from xlam_lib.data.convert import RENAMED, Names
from xlam_lib.data.pipeline.entries import (
    BUFFER,
    Books,
    RecordEntry,
    TrajectoryEntry,
    account,
    entries,
    loss_line,
    name,
)
from xlam_lib.data.pipeline.phases import Options
from xlam_lib.data.pipeline.splitting import Disjoint, Groups
from xlam_lib.data.reading import ReadError
from xlam_lib.serialize import dumps

TRAJECTORIES, LOSSES, BOOKS, PARQUET = "trajectories.jsonl", "losses.jsonl", "accounting.json", "trajectories.parquet"
EXACT = "exact duplicate of another trajectory"
NEAR = "near-duplicate of another trajectory"


class OutputRecord(msgspec.Struct):
    """A record as it goes into the output: its trajectories with the ids that they get, and what was left out."""

    entry: RecordEntry
    lost: bytes = b""  # lines of losses in a row
    loss: Loss | None = None
    kept: list[tuple[TrajectoryEntry, str, bytes]] = []  # (of the index, id, line)
    left: list[tuple[str, str, str]] = []


@dataclass
class Seen:
    """What is held of the records so far."""

    names: Names = field(default_factory=Names)
    contents: dict[bytes, str] = field(default_factory=dict)  # digest of a content -> id
    clusters: dict[int, str] = field(default_factory=dict)  # of near-duplicates -> id


@dataclass
class Merge:
    """`Merge(...)()` writes the folder; `work` holds the shards, `started` is when the run began."""

    work: str
    output: str
    input: str
    source: str
    shards: int
    files: int
    ignored: list[str]
    job: dict[str, Any]
    options: Options
    started: float = 0.0

    def __call__(self, data: None = None, rank: int = 0, world_size: int = 1) -> None:
        accounting = Accounting(self.source, files=self.files, ignored_files=self.ignored)
        with files.complete_dir(self.output, info=self.job) as folder:
            with (
                open(folder / LOSSES, "wb", BUFFER) as losses,
                open(folder / TRAJECTORIES, "wb", BUFFER) as lines,
            ):
                accounting.sink = lambda loss: losses.write(loss_line(loss))
                self._fill(accounting, lines, losses)
            accounting.sink = None
            _check(accounting, self.input)
            if self.options.parquet:
                from xlam_lib.data.store import write_parquet
                from xlam_lib.trajectory import read_jsonl

                write_parquet(folder / PARQUET, read_jsonl(folder / TRAJECTORIES))
            accounting.seconds = time.time() - self.started if self.started else 0.0
            files.write_json(folder / BOOKS, accounting.to_dict())

    def _fill(self, accounting: Accounting, lines: IO[bytes], losses: IO[bytes]) -> None:
        side, proof, seen = self._sides(), Disjoint(self.options.split_by), Seen()
        for shard in range(self.shards):
            if self._copied(shard, seen.names, accounting, lines, losses):
                continue
            for record in self._output_records(shard, seen):
                if record.entry.lost:
                    accounting.count_losses(record.entry.lost)
                    losses.write(record.lost)
                    continue
                if record.loss is not None:
                    accounting.lose(record.loss)
                    continue
                account(accounting, record.entry, [kept.steps for kept, _, _ in record.kept], record.left)
                for kept, id, line in record.kept:
                    if id != kept.id:
                        accounting.warn(RENAMED, id)
                    if side is not None:
                        chosen = side(kept.task, kept.toolset)
                        proof.see(kept.task, kept.toolset, chosen)
                        line = with_split(line, kept.at, chosen)
                    lines.write((line if id == kept.id else renamed(line, kept.id, id)) + b"\n")

    def _copied(self, shard: int, names: Names, accounting: Accounting, lines: IO[bytes], losses: IO[bytes]) -> bool:
        """Takes a shard over as it is, where no line of it is changed and none left out; False: look at each record."""
        folder = Path(self.work) / "shards"
        known = name(folder, shard, "books").is_file()  # not of a run that an older version has begun
        if self.options.split or self.options.dedup != "none" or not known:
            return False
        books = Books.read(folder, shard)
        if not names.take(books.ids, books.records):
            return False
        accounting.add(books.accounting)
        for sort, output in (("jsonl", lines), ("losses", losses)):
            with open(name(folder, shard, sort), "rb") as file:
                shutil.copyfileobj(file, output, BUFFER)
        return True

    def _sides(self) -> Callable[[str, str], str] | None:
        """Which side a task and its tools belong to; to know that, the index is read once before."""
        if not self.options.split:
            return None
        groups = Groups(self.options.split_by)
        seen = Seen()
        for shard in range(self.shards):
            for record in self._output_records(shard, seen, with_lines=False):
                for kept, _, _ in record.kept:
                    groups.add(kept.task, kept.toolset)
        return groups.assign(self.options.split, self.options.seed)

    def _output_records(self, shard: int, seen: Seen, with_lines: bool = True) -> Iterator[OutputRecord]:
        """The records of a shard in the order of the input, duplicates told apart; the same each time."""
        alike, number = self._clusters(shard), 0
        for entry, lines, lost in entries(Path(self.work) / "shards", shard, with_lines):
            record = OutputRecord(entry, lost, None, [], list(entry.left))
            if not entry.lost:
                numbers = range(number, number + len(entry.kept))
                number += len(entry.kept)
                self._deduplicate(record, lines, seen, [alike.get(n) for n in numbers])
            yield record

    def _deduplicate(
        self,
        record: OutputRecord,
        lines: list[bytes],
        seen: Seen,
        alike: list[int | None],
    ) -> None:
        entry = record.entry
        try:
            ids = seen.names.give([kept.id for kept in entry.kept], entry.digest)
        except Drop as drop:
            record.loss = Loss("dropped", entry.file, entry.line, drop.reason, drop.detail)
            return
        for kept, id, line, cluster in zip(entry.kept, ids, lines or [b""] * len(ids), alike, strict=True):
            if kept.content and (first := seen.contents.setdefault(kept.content, id)) != id:
                record.left.append((id, EXACT, f"exact duplicate of {first}"))
            elif cluster is not None and (first := seen.clusters.setdefault(cluster, id)) != id:
                record.left.append((id, NEAR, f"near-duplicate of {first}"))
            else:
                record.kept.append((kept, id, line))
        if not record.kept:
            _, reason, detail = record.left[0]
            record.loss = Loss("dropped", entry.file, entry.line, reason, detail)

    def _clusters(self, shard: int) -> dict[int, int]:
        if self.options.dedup != "near":
            return {}
        from xlam_lib.data.pipeline.near import read_clusters

        return read_clusters(Path(self.work) / "clusters", shard)


def with_split(line: bytes, at: int, side: str) -> bytes:
    """The line of a trajectory with its side, at the place that `steps.split_place` found (or -1: it has one)."""
    if at < 0:
        from xlam_lib.trajectory import Trajectory

        t = dataclasses.replace(Trajectory.from_dict(json.loads(line)), split=side)
        return dumps(t.to_dict())
    return b'%s, "split": "%s"%s' % (line[:at], side.encode(), line[at:])


def renamed(line: bytes, id: str, new: str) -> bytes:
    """The line of a trajectory under another id; the id is the first thing behind the schema's version."""
    before, after = (b'"trajectory_id": ' + dumps(one) for one in (id, new))
    return line.replace(before, after, 1)


def _check(accounting: Accounting, input: str) -> None:
    accounting.check()
    if not accounting.records_in:
        raise ReadError(f"{input}: {accounting.files} file(s), but no record in them; is this the right place?")
    if accounting.quarantined == accounting.records_in:
        first = accounting.losses[0]
        raise ReadError(f"{input}: no record could be read; first: {first.where}: {first.reason}")
