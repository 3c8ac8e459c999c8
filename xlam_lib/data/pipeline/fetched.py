"""Rows of a data set of the hub, stored before they are converted, so that a run that was killed goes on (notebook 01).

    files = fetch(HubId("Team-ACE/ToolACE"), work / "rows")   # 00000.rows, 00001.rows, ... of about SHARD bytes each
    for raw in fetched(files[0]): ...                         # the Raw and Loss objects that `hub_records` gave

Each file appears whole or not at all. What is stored isn't asked for again, but the stream begins at the beginning and
its rows are passed over up to there. A data set that may change in between should be named with its revision.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from xlam_lib.data.accounting import Loss
from xlam_lib.data.hub import Changed, HubId, hub_records
from xlam_lib.data.pipeline import shards
from xlam_lib.data.reading import Raw, ReadError
from xlam_lib.files import writing

log = logging.getLogger(__name__)


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
            if size >= shards.SHARD:
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
    """A Raw is a list of three, a Loss one of five."""
    parts = [record.file, record.line, record.value] if isinstance(record, Raw) else astuple(record)
    return json.dumps(parts, allow_nan=False).encode() + b"\n"


def _record(line: bytes) -> Raw | Loss:
    parts = json.loads(line)
    return Raw(parts[2], parts[0], parts[1]) if len(parts) == 3 else Loss(*parts)


def _last(files: list[Path]) -> tuple[str, int] | None:
    """Place and number of the last row stored."""
    last = None
    for record in fetched(files[-1]) if files else ():
        last = record.file, record.line
    return last
