"""A file as bytes, unzipped if need be, and the records that are made of them: what the readers share (notebook 01).

with Stream(Path("rows.json.gz")) as stream: stream.peek(), stream.read()
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Loss
from xlam_lib.errors import XlamError
from xlam_lib.records import Frozen

CHUNK = 1 << 20
HEAD = 8 << 20  # bytes that are looked at first: a list that is no longer is taken apart at once


class ReadError(XlamError, ValueError):
    """The input as a whole can't be read: missing, or nothing in it."""


class Raw(Frozen, frozen=True):
    """A record as it lies in the file: `Raw({"id": 0, ...}, "/data/rows.jsonl", 17)`."""

    value: dict[str, Any]
    file: str
    line: int

    @property
    def where(self) -> str:
        """File and line, "/data/rows.jsonl:17", as converters and error messages get it."""
        return f"{self.file}:{self.line}"


class Stream:
    """The bytes of a file, unzipped if need be. A broken gzip stream ends early, and `fault` says so."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.fault = path, str(path), ""
        self.raw = open(path, "rb")  # noqa: SIM115  (closed by __exit__)
        zipped = self.raw.peek(2)[:2] == b"\x1f\x8b"
        self.file = gzip.GzipFile(fileobj=self.raw) if zipped else self.raw
        self.head: bytes | None = None

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.raw.close()

    def _read(self, size: int) -> bytes:
        """Up to `size` bytes. read1 hands out what it has before a fault is met; read would throw it away."""
        if self.fault:
            return b""
        try:
            return self.file.read1(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self.fault = f"the gzip stream is broken here ({error}); fetch the file again"
            return b""

    def peek(self) -> bytes:
        """The first bytes, without taking them; one read gives but a buffer of them."""
        parts = []
        while sum(map(len, parts)) < HEAD and (data := self._read(CHUNK)):
            parts.append(data)
        self.head = b"".join(parts)
        return self.head

    @property
    def whole(self) -> bytes:
        """All of the file where the first bytes are all, and not taken yet; else nothing."""
        return self.head if self.head and len(self.head) < HEAD and not self.fault else b""

    def read(self, size: int = CHUNK) -> bytes:
        """The next bytes; empty at the end."""
        if self.head:
            data, self.head = self.head, None
            return data
        return self._read(size)

    def loss(self, line: int, reason: str) -> Loss:
        return Loss("quarantined", self.name, line, reason)

    def record(self, value: Any, line: int) -> Raw | Loss:
        if isinstance(value, dict):
            return Raw(value, self.name, line)
        return self.loss(line, f"a record must be a JSON object, found {type(value).__name__}")


def bad_byte(data: bytes, at: int) -> str:
    return f"not UTF-8: byte 0x{data[at]:02x} at position {at + 1} of the record (Latin-1 or Windows-1252 text?)"
