"""Which part of which file each task reads: files dealt out, large files of JSON Lines cut between two lines.

The cut depends on the files alone, so that one worker and sixteen make the same shards and the same output. A list of
JSON, a text and a gzip stream can't be entered in their middle: such a file is one part, however large.

    plan(files)                            -> [[FilePart("/data/rows.jsonl", 0, 33554441, 1)], ...]
    for raw in records(source, shard): ...

Rows of a data set of the hub are stored before they are converted, so that a run that was killed goes on:
`fetch(HubId("Team-ACE/ToolACE"), work / "rows")` gives files of about SHARD bytes each, which appear whole or not at
all. What is stored isn't asked for again, but the stream begins at the beginning and its rows are passed over up to
there. A data set that may change in between should be named with its revision.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Loss
from xlam_lib.data.boundary import attempt
from xlam_lib.data.convert import raw_records, unpacked
from xlam_lib.data.hub import Changed, HubId, hub_records
from xlam_lib.data.reading import Raw, ReadError, is_lines, matches, read_lines
from xlam_lib.data.streams import skip_line
from xlam_lib.files import writing

log = logging.getLogger(__name__)
SHARD = 32 << 20  # bytes that a task reads, about
CHUNK = 1 << 20


@dataclass(frozen=True)
class FilePart:
    """A file, or the lines of it that begin at bytes `start` up to `end`; the first of them is line `line`."""

    file: str
    start: int = 0
    end: int = 0  # 0 for the whole file
    line: int = 1
    fetched: bool = False  # rows of the hub, as `fetch` stored them


def plan(
    files: Mapping[Path, Path | None] | Iterable[Path], texts: Iterable[str] = (), size: int = 0
) -> list[list[FilePart]]:
    """The parts of each task, in the order of the files; small files are put together.

    A file with a paired file stays whole, since it takes the whole file to know what the paired one has left over.
    """
    size, shards, filled = size or SHARD, [], 0
    texts = tuple(texts)
    paired_files = files if isinstance(files, Mapping) else {}
    for file in files:
        bytes_ = file.stat().st_size
        parts = [FilePart(str(file))] if paired_files.get(file) else _parts(file, bytes_, texts, size)
        for part in parts:
            length = (part.end or bytes_) - part.start
            if not shards or filled + length > size:
                shards.append([])
                filled = 0
            shards[-1].append(part)
            filled += length
    return shards


def _parts(file: Path, length: int, texts: tuple[str, ...], size: int) -> Iterator[FilePart]:
    if length <= size or matches(file, texts) or not is_lines(file):
        yield FilePart(str(file))
        return
    line = 1
    with open(file, "rb") as data:
        starts, target = [0], size
        while target < length:
            data.seek(target - 1)  # a line that begins at `target` itself stays whole
            skip_line(data)
            if data.tell() < length:
                starts.append(data.tell())
            target = (data.tell() // size + 1) * size  # not once more within the same line, however long it is
        for start, end in pairwise([*starts, length]):
            yield FilePart(str(file), start, end, line)
            line += _count_lines(data, start, end)


def _count_lines(data: Any, start: int, end: int) -> int:
    data.seek(start)
    count = 0
    while start < end and (chunk := data.read(min(CHUNK, end - start))):
        count += chunk.count(b"\n")
        start += len(chunk)
    return count


def records(source: Any, parts: Iterable[FilePart]) -> Iterator[Raw | Loss]:
    """The raw records of one shard of a source (a module of `sources/`)."""
    for part in parts:
        if part.fetched:
            yield from unpacked(source, fetched(Path(part.file)))
        elif part.end:
            yield from unpacked(source, read_lines(part.file, part.start, part.end, part.line))
        else:
            yield from raw_records(source, Path(part.file))


class BrokenOff(ReadError):
    """The stream ended too early; what was read is stored, and the same command goes on."""


def fetch(hub: HubId, folder: Path) -> list[Path]:
    """Stores what isn't stored yet of a data set; returns all files, in the order of its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    files, lines, size = sorted(folder.glob("*.rows")), [], 0
    try:
        for record in hub_records(hub, _last(files)):
            lines.append(_line(record))
            size += len(lines[-1])
            if size >= SHARD:
                _store(folder, files, lines)
                size = 0
    except Changed:
        raise
    except ReadError as error:
        _store(folder, files, lines)
        if not files:
            raise
        raise BrokenOff(f"{error}. What was read is kept: the same command goes on from there") from error
    _store(folder, files, lines)
    return files


def fetched(file: Path) -> Iterator[Raw | Loss]:
    """What one file holds."""
    with open(file, "rb") as lines:
        for line in lines:
            yield _record(line)


def _store(folder: Path, files: list[Path], lines: list[bytes]) -> None:
    """The lines become the next file."""
    if lines:
        with writing(folder / f"{len(files):05d}.rows", "wb") as file:
            file.writelines(lines)
        files.append(folder / f"{len(files):05d}.rows")
        log.info("%s: %d row(s) stored", files[-1].name, len(lines))
        lines.clear()


def _line(record: Raw | Loss) -> bytes:
    """A Raw is a list of four, a Loss one of five."""
    if isinstance(record, Raw):
        line = attempt(lambda raw: _dumped([raw.file, raw.line, raw.value, raw.padding]), record)
        if not isinstance(line, Loss):
            return line
        record = line
    return _dumped(astuple(record))


def _dumped(parts: Iterable[Any]) -> bytes:
    return json.dumps(parts, allow_nan=False).encode() + b"\n"


def _record(line: bytes) -> Raw | Loss:
    parts = json.loads(line)
    return Raw(parts[2], parts[0], parts[1], parts[3]) if len(parts) == 4 else Loss(*parts)


def _last(files: list[Path]) -> tuple[str, int] | None:
    """Place and number of the last row stored."""
    last = None
    for record in fetched(files[-1]) if files else ():
        last = record.file, record.line
    return last
