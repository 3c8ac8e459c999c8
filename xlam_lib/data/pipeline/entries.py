"""What the tasks hand to the merge: the lines of their trajectories, and an index with an entry for each raw record.

    00007.jsonl   finished lines
    00007.index   one line of JSON a record: where it lies, what became of it, what to warn of
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlam_lib.atomic import writing
from xlam_lib.data.accounting import Accounting, Loss
from xlam_lib.data.converting import small_digest
from xlam_lib.exact_json import UNWRITTEN, fast_bytes, loads, spaced_bytes

BUFFER = 1 << 20  # bytes read and written at a time
DIGEST = 16  # bytes
SORTS = ("jsonl", "index", "losses", "books")


@dataclass
class Kept:
    """A trajectory of the shard: its id, its size, and what later steps ask of it."""

    id: str
    steps: int
    size: int  # bytes of its line, without the line's end
    at: int = -1  # where `"split"` may be put into the line; -1: it has one already
    task: str = ""
    toolset: str = ""
    content: str = ""  # digest of tools and steps


@dataclass
class Entry:
    """One raw record: lost, or with trajectories that are kept and others that a step left out."""

    file: str
    line: int
    loss: Loss | None = None
    kept: list[Kept] = field(default_factory=list)
    left: list[tuple[str, str, str]] = field(default_factory=list)  # (id, reason, detail)
    warned: list[tuple[str, str]] = field(default_factory=list)
    digest: str = ""  # of all its lines

    def dumps(self) -> bytes:
        """A line of the index."""
        if self.loss is not None:
            return _line({"loss": vars(self.loss)})
        kept = [list(vars(one).values()) for one in self.kept]
        row = {"file": self.file, "line": self.line, "kept": kept, "digest": self.digest}
        row |= {"left": self.left} if self.left else {}
        row |= {"warned": self.warned} if self.warned else {}
        return _line(row)

    @classmethod
    def loads(cls, line: bytes) -> Entry:
        """What `dumps` gave."""
        row: dict[str, Any] = loads(line)
        if "loss" in row:
            loss = Loss(**row["loss"])
            return cls(loss.file, loss.line, loss)
        kept = [Kept(*one) for one in row["kept"]]
        return cls(row["file"], row["line"], None, kept, row.get("left", []), row.get("warned", []), row["digest"])


def _line(row: dict[str, Any]) -> bytes:
    try:
        return fast_bytes(row) + b"\n"
    except UnicodeEncodeError:  # a lone surrogate in what was found
        return json.dumps(row).encode() + b"\n"


def loss_line(loss: Loss) -> bytes:
    """A line of losses.jsonl, as json.dumps writes it."""
    try:
        line = spaced_bytes(vars(loss))
    except UNWRITTEN:
        line = b"\x7f"
    if not line.isascii() or b"\x7f" in line:  # which json.dumps writes with a backslash
        line = json.dumps(vars(loss)).encode()
    return line + b"\n"


def name(folder: Path, shard: int, sort: str) -> Path:
    """One of the files of a shard: `name(folder, 7, "index")` -> folder/00007.index."""
    return folder / f"{shard:05d}.{sort}"


def entries(folder: Path, shard: int, with_lines: bool = True) -> Iterator[tuple[Entry, list[bytes]]]:
    """Each record of a shard with the lines of its trajectories (without their ends; [] if they aren't wanted)."""
    with open(name(folder, shard, "jsonl"), "rb", BUFFER) as texts, open(name(folder, shard, "index"), "rb") as rows:
        for row in rows:
            entry = Entry.loads(row)
            yield entry, [texts.read(one.size + 1)[:-1] for one in entry.kept] if with_lines else []


class ShardWriter:
    """The files of a shard, whole or not at all: `with ShardWriter(folder, 7) as shard: shard.add(entry, lines)`."""

    def __init__(self, folder: Path, shard: int) -> None:
        self.books, self.digests = Accounting(""), bytearray()
        self.folder, self.shard, self.open = folder, shard, ExitStack()

    def __enter__(self) -> ShardWriter:
        with ExitStack() as stack:
            files = [name(self.folder, self.shard, sort) for sort in SORTS]
            self.files = [stack.enter_context(writing(file, "wb", BUFFER)) for file in files]
            self.open = stack.pop_all()
        self.books.sink = lambda loss: self.files[2].write(loss_line(loss))
        return self

    def add(self, entry: Entry, lines: list[bytes]) -> None:
        """A raw record and the lines of its trajectories."""
        self.files[1].write(entry.dumps())
        enter(self.books, entry, entry.loss, [one.steps for one in entry.kept], entry.left)
        if entry.loss is None:
            self.files[0].write(b"\n".join(lines) + b"\n")
            digest = bytes.fromhex(entry.digest)
            for one in entry.kept:
                self.digests += small_digest(one.id.encode()) + digest

    def __exit__(self, *error: Any) -> bool | None:
        if error[0] is None:
            self.books.sink = None
            self.files[3].write(_line(self.books.to_dict()) + self.digests)
        return self.open.__exit__(*error)


def enter(
    books: Accounting, entry: Entry, loss: Loss | None, steps: list[int], left: list[tuple[str, str, str]]
) -> None:
    """A record is entered into books: lost, or so many steps of each trajectory that is kept, and those left out."""
    if loss is not None:
        books.lose(loss)
        return
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
