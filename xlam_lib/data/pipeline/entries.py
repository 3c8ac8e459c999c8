"""What the tasks hand to the merge: the lines of their trajectories, and an index with an entry for each raw record.

    00007.jsonl   finished lines
    00007.index   one line of JSON a record: where it lies, what became of it, what to warn of;
                  one for many records that were lost one after the other
    00007.losses  finished lines of losses.jsonl
    00007.books   the books of the shard as a line of JSON; behind it 32 bytes a trajectory, by which the merge finds
                  out whether any id comes twice: digests of its id and of what its record became

A shard of which no record has to be looked at goes into the output as it is: bytes are copied, books are summed. Any
other is read record for record, with `entries(folder, 7)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from xlam_lib.data.accounting import Accounting, Loss
from xlam_lib.data.convert import small_digest
from xlam_lib.files import writing
from xlam_lib.serialize import DECODE_ERRORS, ENCODE_ERRORS, fast_bytes, loads, spaced_bytes

BUFFER = 1 << 20  # bytes read and written at a time
DIGEST = 16  # bytes
ROW = 1000  # lost records of one entry, at most
SORTS = ("jsonl", "index", "losses", "books")


class TrajectoryEntry(msgspec.Struct, array_like=True):
    """A trajectory of the shard: its id, its size, and what later steps ask of it."""

    id: str
    steps: int
    size: int  # bytes of its line, without the line's end
    at: int = -1  # where `"split"` may be put into the line; -1: it has one already
    task: str = ""
    toolset: str = ""
    content: bytes = b""  # digest of tools and steps


class RecordEntry(msgspec.Struct, omit_defaults=True):
    """A raw record with trajectories that are kept and others that a step left out; or lost records in a row."""

    file: str
    line: int
    kept: list[TrajectoryEntry] = []
    left: list[tuple[str, str, str]] = []  # (id, reason, detail)
    warned: list[tuple[str, str]] = []
    digest: bytes = b""  # of all its lines
    lost: list[Loss] = []
    size: int = 0  # bytes of what stands of it in the file of losses

    def dumps(self) -> bytes:
        """A line of the index."""
        try:
            return fast_bytes(self) + b"\n"
        except UnicodeEncodeError:  # a lone surrogate in what was found
            return json.dumps(msgspec.to_builtins(self)).encode() + b"\n"

    @classmethod
    def loads(cls, line: bytes) -> RecordEntry:
        """What `dumps` gave."""
        try:
            return _read(line)
        except DECODE_ERRORS:
            return msgspec.convert(json.loads(line), cls)


_read = msgspec.json.Decoder(RecordEntry).decode


def loss_line(loss: Loss) -> bytes:
    """A line of losses.jsonl, as json.dumps writes it."""
    try:
        line = spaced_bytes(loss)
    except ENCODE_ERRORS:
        line = b"\x7f"
    if not line.isascii() or b"\x7f" in line:  # which json.dumps writes with a backslash
        line = json.dumps(msgspec.structs.asdict(loss)).encode()
    return line + b"\n"


def name(folder: Path, shard: int, sort: str) -> Path:
    """One of the files of a shard: `name(folder, 7, "index")` -> folder/00007.index."""
    return folder / f"{shard:05d}.{sort}"


def entries(folder: Path, shard: int, with_lines: bool = True) -> Iterator[tuple[RecordEntry, list[bytes], bytes]]:
    """Each entry of a shard, the lines of its trajectories (without their ends; [] if unwanted), and of its losses."""
    with ExitStack() as stack:
        texts, rows, losses = (
            stack.enter_context(open(name(folder, shard, sort), "rb", BUFFER)) for sort in ("jsonl", "index", "losses")
        )
        for row in rows:
            entry = RecordEntry.loads(row)
            lines = [texts.read(one.size + 1)[:-1] for one in entry.kept] if with_lines else []
            yield entry, lines, losses.read(entry.size) if entry.size else b""


class ShardWriter:
    """The files of a shard, whole or not at all: `with ShardWriter(folder, 7) as shard: shard.add(entry, lines)`."""

    def __init__(self, folder: Path, shard: int) -> None:
        self.books, self.digests = Accounting(""), bytearray()
        self.folder, self.shard, self.open = folder, shard, ExitStack()
        self.lost: list[Loss] = []  # in a row, not yet in the index
        self.size = 0  # bytes of losses that no entry has yet

    def __enter__(self) -> ShardWriter:
        with ExitStack() as stack:
            files = [name(self.folder, self.shard, sort) for sort in SORTS]
            self.files = [stack.enter_context(writing(file, "wb", BUFFER)) for file in files]
            self.open = stack.pop_all()
        self.books.sink = self._write
        return self

    def _write(self, loss: Loss) -> None:
        self.size += self.files[2].write(loss_line(loss))

    def lose(self, loss: Loss) -> None:
        """A raw record of which nothing came."""
        self.books.lose(loss)
        self.lost.append(loss)
        if len(self.lost) == ROW:
            self._end_row()

    def _end_row(self) -> None:
        if self.lost:
            first = self.lost[0]
            self.files[1].write(RecordEntry(first.file, first.line, lost=self.lost, size=self.size).dumps())
            self.lost, self.size = [], 0

    def add(self, entry: RecordEntry, lines: list[bytes]) -> None:
        """A raw record and the lines of its trajectories."""
        self._end_row()
        account(self.books, entry, [one.steps for one in entry.kept], entry.left)
        entry.size, self.size = self.size, 0
        self.files[1].write(entry.dumps())
        self.files[0].write(b"\n".join(lines) + b"\n")
        for one in entry.kept:
            self.digests += small_digest(one.id.encode()) + entry.digest

    def __exit__(self, *error: Any) -> bool | None:
        if error[0] is None:
            self._end_row()
            self.books.sink = None
            self.files[3].write(_books_line(self.books) + self.digests)
        return self.open.__exit__(*error)


def _books_line(books: Accounting) -> bytes:
    plain = books.to_dict()
    try:
        return fast_bytes(plain) + b"\n"
    except UnicodeEncodeError:  # a lone surrogate in what was found
        return json.dumps(plain).encode() + b"\n"


def account(books: Accounting, entry: RecordEntry, steps: list[int], left: list[tuple[str, str, str]]) -> None:
    """A record is entered into books: so many steps of each trajectory that is kept, and those left out."""
    books.convert(len(steps), sum(steps))
    for id, reason, detail in left:
        books.remove(Loss("removed", entry.file, entry.line, reason, f"{id}: {detail}"))
    for kind, example in entry.warned:
        books.warn(kind, example)


@dataclass
class Books:
    """What is known of a shard as a whole."""

    accounting: Accounting
    ids: list[bytes]  # digests of the ids of its trajectories
    records: list[bytes]  # of what the record of each became

    @classmethod
    def read(cls, folder: Path, shard: int) -> Books:
        """What a `ShardWriter` has left."""
        with open(name(folder, shard, "books"), "rb") as file:
            accounting, digests = Accounting.from_dict(loads(file.readline())), file.read()
        parts = [digests[at : at + DIGEST] for at in range(0, len(digests), DIGEST)]
        return cls(accounting, parts[::2], parts[1::2])
