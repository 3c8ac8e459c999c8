"""The loop around every converter: read, convert, validate, tell duplicates apart, account (notebook 01).

Nothing here knows a data set: it gets a `convert` function and files, and yields trajectories.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from xlam_lib.data.accounting import Accounting, Drop, Loss
from xlam_lib.data.reading import Raw, matches, read_records
from xlam_lib.data.reading_text import read_text
from xlam_lib.trajectory import Trajectory, TrajectoryError

log = logging.getLogger(__name__)
Convert = Callable[[dict[str, Any], str], list[Trajectory]]
DUPLICATE = "duplicate of an earlier record"
ARGUMENTS = "argument against its schema"
NOTES = {"repairs": "arguments repaired", "unknown_types": "parameter type not understood"}  # lists in Trajectory.extra


def convert_files(source: Any, files: Iterable[Path], accounting: Accounting) -> Iterator[Trajectory]:
    """Trajectories of all files of a source (a module of `sources/`).

    `accounting` is complete when the iterator is exhausted.
    """
    seen: dict[str, bytes] = {}
    for file in files:
        accounting.files += 1
        before = accounting.records_in
        yield from convert_records(
            source.convert, raw_records(source, file), accounting, source.SOURCE.argument_level, seen
        )
        log.debug("%s: %d records", file, accounting.records_in - before)


def raw_records(source: Any, file: Path) -> Iterator[Raw | Loss]:
    """The raw records of one file, with objects that hold several taken apart: `next(raw_records(tau_bench, path))`."""
    if matches(file, source.SOURCE.text_files):
        yield from read_text(file, source.split)
        return
    unpack = getattr(source, "unpack", None)
    for raw in read_records(file):
        if unpack is None or isinstance(raw, Loss):
            yield raw
        else:
            yield from (Raw(value, raw.file, raw.line) for value in unpack(raw.value))


def convert_records(
    convert: Convert,
    records: Iterable[Raw | Loss],
    accounting: Accounting,
    level: Literal["error", "warning"] = "warning",
    seen: dict[str, bytes] | None = None,
) -> Iterator[Trajectory]:
    """Trajectories of raw records. `seen` maps the ids given so far to the record they stand for."""
    seen = {} if seen is None else seen
    for raw in records:
        if isinstance(raw, Loss):
            accounting.lose(raw)
            continue
        try:
            digest = _digest(raw.value)
            trajectories = _distinct(convert(raw.value, raw.where), digest, seen)
            warnings = [warning for t in trajectories for warning in t.validate(level)]
        except Drop as drop:
            accounting.lose(Loss("dropped", raw.file, raw.line, drop.reason, drop.detail))
            continue
        except TrajectoryError as error:
            accounting.lose(Loss("dropped", raw.file, raw.line, _reason(error), str(error)))
            continue
        seen.update((t.trajectory_id, digest) for t in trajectories)
        accounting.convert(len(trajectories), sum(len(t.steps) for t in trajectories))
        _warn(accounting, trajectories, warnings)
        yield from trajectories


def _reason(error: TrajectoryError) -> str:
    from jsonschema import SchemaError  # takes seconds to import, and validate has done so by now

    bad_schema = isinstance(error.__cause__, SchemaError)
    return "tool schema is not JSON Schema" if bad_schema else "fails validation"


def _distinct(trajectories: list[Trajectory], digest: bytes, seen: dict[str, bytes]) -> list[Trajectory]:
    """Drops a record that was there before; gives another record of the same id an id of its own: "x", "x~2", "x~3".

    Trajectories of one record may share an id as little as those of two.
    """
    if not trajectories:
        raise Drop("the converter made nothing of it")
    new: dict[str, Trajectory] = {}
    for t in trajectories:
        name, number = t.trajectory_id, 1
        while name in new or seen.get(name, digest) != digest:
            number += 1
            name = f"{t.trajectory_id}~{number}"
        new[name] = t if number == 1 else dataclasses.replace(t, trajectory_id=name)
    if all(name in seen for name in new):
        raise Drop(DUPLICATE, ", ".join(new))
    return list(new.values())


def _digest(record: dict[str, Any]) -> bytes:
    """What a record says."""
    return hashlib.blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=16).digest()


def _warn(accounting: Accounting, trajectories: list[Trajectory], warnings: list[str]) -> None:
    for warning in warnings:
        accounting.warn(ARGUMENTS, warning)
    for t in trajectories:
        for key, kind in NOTES.items():
            for note in t.extra.get(key, []):
                accounting.warn(kind, f"{t.trajectory_id}: {note}")
        if "~" in t.trajectory_id.rpartition("/")[2]:
            accounting.warn("id given twice, renamed", t.trajectory_id)
