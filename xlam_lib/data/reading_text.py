"""Plain-text files -> raw records, for sources that publish logs and transcripts instead of JSON (notebook 01).

The source says how a text is taken apart: `split(text)` yields (line, record). Faults are told as `reading.py` tells
them: a file that is not UTF-8 or whose gzip stream breaks off is one quarantined entry, since a record that is cut off
can't be told from a short one.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Loss
from xlam_lib.data.reading import Raw, ReadError

Split = Callable[[str], Iterator[tuple[int, dict[str, Any]]]]


def read_text(path: str | Path, split: Split) -> Iterator[Raw | Loss]:
    """The records of one text file: `next(read_text("episodes.txt", webshop.split)).line` -> 1."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ReadError(f"{path}: cannot be opened ({error.strerror or error}); is the path right?") from error
    try:
        text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield Loss("quarantined", str(path), 0, f"the gzip stream is broken ({error}); fetch the file again")
        return
    except UnicodeDecodeError as error:
        line = 1 + data[: error.start].count(b"\n")
        reason = f"not UTF-8: byte 0x{error.object[error.start]:02x} (Latin-1 or Windows-1252 text?)"
        yield Loss("quarantined", str(path), line, reason)
        return
    empty = True
    for line, record in split(text):
        empty = False
        yield Raw(record, str(path), line)
    if empty:
        yield Loss("quarantined", str(path), 0, "the file is empty" if not text.strip() else "no record in this text")
