"""The append journal: one JSON object a line, on the disk as soon as a result is there, read back on a rerun.

    journal = Journal("answers.jsonl", Reply, "answers", {"q1": fingerprint("Weather in Oslo?")})
    if "q1" not in journal.done:
        journal.append(Reply("q1", "4 degrees", asked=fingerprint("Weather in Oslo?")))

Used for what a model was asked (`endpoint.py`): answers of benchmarks (notebooks 02, 03, 05) and a judge's ratings
(notebook 01). A row is a dataclass; one with an `error` is no result and is asked again. What a crash left of a last
line is cut away, and processes that append to the same file wait for each other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from filelock import FileLock

from xlam_lib.errors import XlamError
from xlam_lib.files import cut_torn_line, no_link

log = logging.getLogger(__name__)

LOCK_SECONDS = 60.0  # a line is written in less than a millisecond


class JournalError(XlamError, RuntimeError):
    """A journal that can't be read, belongs to other requests, or can't be written."""


class Row(Protocol):
    """What a journal needs of its rows, which are dataclasses."""

    @property
    def error(self) -> str:
        """Why there is no result, or ""."""

    @property
    def key(self) -> Hashable:
        """What the result belongs to."""

    @property
    def fingerprint(self) -> str:
        """Hash of the request, see `fingerprint`."""


RowType = TypeVar("RowType", bound=Row)


def fingerprint(text: str) -> str:
    """A hash by which a changed request is noticed: `fingerprint("Hi")` -> "3639efcd08abb273"."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Journal(Generic[RowType]):
    """Results by key and their file: `Journal("ratings.jsonl", Judgement, "ratings").done`; no file without a path.

    With `expected`, the fingerprints of the requests at hand by key, their rows are held in `rows`, and a row of such a
    key with another fingerprint is an error. Without it only the keys are held, of however many rows.
    """

    def __init__(
        self,
        path: str | Path | None,
        row_type: type[RowType],
        name: str = "answers",
        expected: Mapping[Any, str] | None = None,
    ) -> None:
        self.path = Path(path) if path is not None else None
        self.row_type, self.name, self.expected = row_type, name, expected
        self.done: set[Hashable] = set()  # keys that have a result
        self.rows: dict[Hashable, RowType] = {}
        if self.path is not None and self.path.is_file():
            self._read(self.path)

    def append(self, row: RowType) -> None:
        """Keep a row, in the file before anything else happens."""
        if self.path is not None:
            line = json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n"
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with _lock(self.path):
                    self._cut_torn_line(self.path)
                    with open(self.path, "ab", opener=no_link) as file:
                        file.write(line.encode("utf-8", "surrogatepass"))
            except OSError as error:
                raise JournalError(
                    f"{self.path} can't be written ({error.strerror or error}); the {self.name} before are kept: "
                    "make room and run again"
                ) from error
        self._hold(row)

    def status(self) -> str:
        """How far it is: "7 of 40 are answered (kept in answers.jsonl)"."""
        total = f" of {len(self.expected)}" if self.expected is not None else ""
        return f"{len(self.done)}{total} are answered" + (f" (kept in {self.path})" if self.path is not None else "")

    def _hold(self, row: RowType) -> None:
        if row.error and row.key in self.done:
            return
        if not row.error:
            self.done.add(row.key)
        if self.expected is not None:
            self.rows[row.key] = row

    def _read(self, path: Path) -> None:
        if _is_torn(path):
            with _lock(path):
                self._cut_torn_line(path)
        for number, row in enumerate(read_rows(path, self.row_type, self.name), start=1):
            if self.expected is None:
                self._hold(row)
            elif row.key in self.expected:
                if row.fingerprint != self.expected[row.key]:
                    raise JournalError(
                        f"{path}:{number}: {row.key!r} was asked with other words, tools, model or settings; "
                        "choose another file, or remove this one to ask again"
                    )
                self._hold(row)

    def _cut_torn_line(self, path: Path) -> None:
        """With the lock held a torn line is nobody's any more: whoever wrote it has ended."""
        if path.is_file() and _is_torn(path):
            torn = cut_torn_line(path)
            log.warning("%s: the last line is cut off (%d bytes); it is removed and asked again", path, torn)


def read_rows(path: str | Path, row_type: type[RowType], name: str = "answers") -> Iterator[RowType]:
    """The rows of a journal's file, in order; an error names the line: `list(read_rows("answers.jsonl", Reply))`."""
    names = [field.name for field in dataclasses.fields(row_type)]
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}:{number}"
            try:
                value = json.loads(line)
            except ValueError as error:
                raise JournalError(
                    f"{where}: not JSON ({error}); remove the line, or the file, and run again"
                ) from error
            if not isinstance(value, dict) or set(value) != set(names):
                raise JournalError(f"{where}: no line of {name} (expected {', '.join(names)}); choose another file")
            yield row_type(**value)


def _lock(path: Path) -> FileLock:
    return FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS)


def _is_torn(path: Path) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
