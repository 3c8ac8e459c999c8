"""The loop around every converter: read, convert, validate, tell duplicates apart, account (notebook 01).

Nothing here knows a data set: it gets a `convert` function and files, and yields trajectories.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from xlam_lib.data.accounting import Accounting, Drop, Loss
from xlam_lib.data.archives import read_zip
from xlam_lib.data.boundary import NOT_OF_THE_RECORD, attempt, drop_of, time_limit
from xlam_lib.data.fields import UNKNOWN, UNKNOWN_FIELDS, path_of
from xlam_lib.data.inputs import join_records, paired_file_of, with_paired_files
from xlam_lib.data.padding import PADDING
from xlam_lib.data.reading import Raw, matches, read_records, read_text
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Trajectory
from xlam_lib.validation import KnownTools, check_and_serialize

log = logging.getLogger(__name__)
Convert = Callable[[dict[str, Any], str], list[Trajectory]]
DUPLICATE = "duplicate of an earlier record"
RENAMED = "id given twice, renamed"
ARGUMENTS = "argument against its schema"
SHOWN = 200  # characters of an unknown field, its name or an example
NOTES = {  # lists in Trajectory.extra
    "repairs": "arguments repaired",
    "unknown_types": "parameter type or keyword not understood",
    PADDING: "nulls of a table taken out",
}


class Names:
    """The ids given so far, each with what its record became; kept as digests, so that many need little memory.

    A record whose trajectories were all there before is a duplicate: Drop. Another record of the same id gets an id of
    its own, "x", "x~2", "x~3"; trajectories of one record may share an id as little as those of two.
    """

    def __init__(self) -> None:
        self.seen: dict[bytes, bytes] = {}
        self.numbers: dict[bytes, int] = {}  # of ids given twice: the number to try next, for a record and for any

    def give(self, ids: Sequence[str], digest: bytes) -> list[str]:
        """The ids under which these trajectories of one record may stand: `give(["x"], b"...")` -> ["x~2"]."""
        names: dict[str, bytes] = {}
        renamed: dict[bytes, int] = {}
        for id in ids:
            name, number = id, 1
            while name in names or self.seen.get(key := small_digest(name.encode()), digest) != digest:
                number = number + 1 if number > 1 else self._first(id, digest)
                name = f"{id}~{number}"
            names[name] = key
            if number > 1:
                renamed |= {small_digest(id.encode()): number + 1}
                renamed.setdefault(small_digest(id.encode() + digest), number)
        if all(key in self.seen for key in names.values()):
            raise Drop(DUPLICATE, ", ".join(names))
        self.seen.update(dict.fromkeys(names.values(), digest))
        for key, number in renamed.items():
            self.numbers[key] = max(number, self.numbers.get(key, 0))
        return list(names)

    def take(self, ids: Sequence[bytes], digests: Sequence[bytes]) -> bool:
        """Whether none of these ids (as digests) was there before, nor comes twice: then they are given as they are.

        `digests` are of the record of each. The same as `give` for each record, for thousands at once.
        """
        if len(set(ids)) < len(ids) or not self.seen.keys().isdisjoint(ids):
            return False
        self.seen.update(zip(ids, digests, strict=True))
        return True

    def _first(self, id: str, digest: bytes) -> int:
        """Where the search begins: what lies before is taken by others, so a thousand of one id cost no million."""
        own = self.numbers.get(small_digest(id.encode() + digest))
        return own or self.numbers.get(small_digest(id.encode()), 2)


def small_digest(data: bytes) -> bytes:
    """16 bytes that tell contents apart: `small_digest(b"...")`."""
    return hashlib.sha256(data).digest()[:16]  # the quickest where processors have it built in


def convert_files(source: Any, files: Iterable[Path], accounting: Accounting) -> Iterator[Trajectory]:
    """Trajectories of all files of a source (a module of `sources/`).

    `accounting` is complete when the iterator is exhausted.
    """
    names = Names()
    with time_limit():
        for file, paired in with_paired_files(source, list(files)).items():
            accounting.files += 2 if paired else 1
            before = accounting.records_in
            yield from convert_records(
                converter(source), raw_records(source, file), accounting, source.SOURCE.argument_level, names
            )
            log.debug("%s: %d records", file, accounting.records_in - before)


def raw_records(source: Any, file: Path) -> Iterator[Raw | Loss]:
    """The raw records of one file, objects that hold several taken apart, and others completed by another file."""
    zipped = source.SOURCE.zipped_file
    if zipped and matches(file, (zipped.files,)):
        return unpacked(source, read_zip(file, zipped))
    if matches(file, source.SOURCE.text_files):
        return unpacked(source, read_text(file, source.split))
    records = unpacked(source, read_records(file))
    paired = paired_file_of(source, file)
    return join_records(source, records, paired) if paired else records


def unpacked(source: Any, records: Iterable[Raw | Loss]) -> Iterator[Raw | Loss]:
    """The records, with objects that hold several taken apart where the source knows how."""
    unpack = getattr(source, "unpack", None)
    return iter(records) if unpack is None else _unpacked(unpack, records)


def _unpacked(
    unpack: Callable[[dict[str, Any]], list[dict[str, Any]]], records: Iterable[Raw | Loss]
) -> Iterator[Raw | Loss]:
    for raw in records:
        if type(raw) is Loss:
            yield raw
            continue
        inner = attempt(lambda raw: unpack(raw.value), raw)
        if type(inner) is Loss:
            yield inner
            continue
        # an object that turns out to hold none is a record itself: the converter says what it is
        yield from (Raw(value, raw.file, raw.line) for value in inner) if inner else (raw,)


def converter(source: Any) -> Convert:
    """The `convert` of a source; fields that it doesn't know are kept with the first trajectory of their record.

    Example: `converter(openai_chat)({"messages": [...], "seed": 7}, "")[0].extra["unknown_fields"]` -> {"seed": 7}
    """
    convert: Convert = source.convert
    if not source.SOURCE.fields:
        return convert
    unknown_of = source.SOURCE.known_fields.unknown

    def keeping(record: dict[str, Any], where: str) -> list[Trajectory]:
        made = convert(record, where)
        if made and (unknown := unknown_of(record)):
            extra = made[0].extra
            kept = {**extra.get(UNKNOWN_FIELDS, {}), **unknown}
            return [msgspec.structs.replace(made[0], extra={**extra, UNKNOWN_FIELDS: kept}), *made[1:]]
        return made

    return keeping


def pairs(source: Any, files: Iterable[Path]) -> Iterator[tuple[dict[str, Any], Trajectory]]:
    """Raw records that convert, each with its first trajectory: `next(pairs(tau_bench, files))`, to look at."""
    for file in files:
        for raw in raw_records(source, file):
            if isinstance(raw, Raw):
                try:
                    yield raw.value, converted(converter(source), raw)[0]
                except (Drop, TrajectoryError) as error:
                    log.debug("%s: %s", raw.where, error)


def convert_records(
    convert: Convert,
    records: Iterable[Raw | Loss],
    accounting: Accounting,
    level: Literal["error", "warning"] = "warning",
    names: Names | None = None,
) -> Iterator[Trajectory]:
    """Trajectories of raw records. `names` has the ids given so far."""
    names, known = Names() if names is None else names, KnownTools()

    def work(raw: Raw) -> tuple[list[Trajectory], list[str], list[tuple[str, str]]]:
        trajectories = converted(convert, raw)
        checked = [check_and_serialize(t, level, known) for t in trajectories]
        warned = [(ARGUMENTS, warning) for warnings, _ in checked for warning in warnings]
        warned += [note for t in trajectories if t.extra for note in notes(t)]
        digest = small_digest(b"\n".join(line for _, line in checked))
        return trajectories, names.give([t.trajectory_id for t in trajectories], digest), warned

    with time_limit():
        for raw in records:
            done = raw if type(raw) is Loss else attempt(work, raw)
            if type(done) is Loss:
                accounting.lose(done)
                continue
            trajectories, given, warned = done
            accounting.convert(len(trajectories), sum(len(t.steps) for t in trajectories))
            for kind, example in warned:
                accounting.warn(kind, example)
            for t, name in zip(trajectories, given, strict=True):
                if name != t.trajectory_id:
                    accounting.warn(RENAMED, name)
                yield t if name == t.trajectory_id else dataclasses.replace(t, trajectory_id=name)


def converted(convert: Convert, raw: Raw) -> list[Trajectory]:
    """What the converter makes of a record; nothing at all is a Drop.

    A converter raises nothing but Drop, and tests with damaged records hold it to that. Where one fails all the same,
    over a record that nobody foresaw, that record is dropped under a reason of its own and logged with its traceback.
    """
    try:
        trajectories = convert(raw.value, raw.where)
    except (Drop, TrajectoryError, *NOT_OF_THE_RECORD):
        raise
    except Exception as error:
        raise drop_of(error, raw.where) from error
    if not trajectories:
        raise Drop("the converter made nothing of it")
    if raw.padding:
        found = {**trajectories[0].extra, PADDING: [f"{raw.padding} null(s)"]}
        return [msgspec.structs.replace(trajectories[0], extra=found), *trajectories[1:]]
    return trajectories


def notes(t: Trajectory) -> Iterator[tuple[str, str]]:
    """(kind, example) of what the converter noted in `extra`: ("arguments repaired", "x/1: call_0: empty text")."""
    for key, kind in NOTES.items():
        for note in t.extra.get(key, []):
            yield kind, f"{t.trajectory_id}: {note}"
    for place, value in t.extra.get(UNKNOWN_FIELDS, {}).items():
        yield f"{UNKNOWN}{path_of(place)[:SHOWN]!r}", f"{t.trajectory_id}: {place}: {str(value)}"[:SHOWN]
