"""What the tasks hand to the merge: the lines of their trajectories, and an index with an entry for each raw record.

`00007.jsonl` holds finished lines, `00007.index` one line of JSON a record: where it lies, what became of it, what to
warn of. So the merge copies bytes and decodes little. Both are read with `entries(folder, 7)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Loss
from xlam_lib.exact_json import fast_bytes, loads

BUFFER = 1 << 20  # bytes read and written at a time


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


def names(folder: Path, shard: int) -> tuple[Path, Path]:
    """(lines, index) of a shard."""
    return folder / f"{shard:05d}.jsonl", folder / f"{shard:05d}.index"


def entries(folder: Path, shard: int, with_lines: bool = True) -> Iterator[tuple[Entry, list[bytes]]]:
    """Each record of a shard with the lines of its trajectories (without their ends; [] if they aren't wanted)."""
    lines, index = names(folder, shard)
    with open(lines, "rb", BUFFER) as texts, open(index, "rb", BUFFER) as rows:
        for row in rows:
            entry = Entry.loads(row)
            yield entry, [texts.read(one.size + 1)[:-1] for one in entry.kept] if with_lines else []
