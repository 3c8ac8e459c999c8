"""What is given to be read: a file, a folder, or a data set of the hub; and files that complete others (notebook 01).

    find_input(source, "raw/toolbench")             files, in their order, and what is left alone
    find_input(source, "Team-ACE/ToolACE#train")    a data set of the hub, see `hub.py`
    find_input(source, "hub")                       the source's own data set

What exists as a file or folder is one, whatever else it may mean.

A source declares where a file lies that completes another, its paired file, and by what key lines belong together
(`SourceInfo.paired_file`), and offers `join(record, other)`. The books stay exact: a line that completes
a record is a part of that record; one that completes none is a record of its own, behind those of the file it belongs
to, and the converter says why it is dropped. A paired file whose file isn't there is read like any other file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Loss
from xlam_lib.data.boundary import attempt
from xlam_lib.data.hub import HubId, hub_id, parsed
from xlam_lib.data.reading import Raw, ReadError, data_files, read_records

HUB = "hub"


@dataclass
class Input:
    """Files to read, each with its paired file, and files left alone; or a data set of the hub."""

    name: str
    files: dict[Path, Path | None] = field(default_factory=dict)
    ignored: list[Path] = field(default_factory=list)
    hub: HubId | None = None

    @property
    def count(self) -> int:
        """How many files the books speak of; a data set is one."""
        return 1 if self.hub else len(self._all())

    def _all(self) -> list[Path]:
        return [file for pair in self.files.items() for file in pair if file]

    def to_dict(self) -> dict[str, Any]:
        """Shows whether an earlier run read the same: files by path, size and time of change, a data set by name.

        Whether a data set has changed is not asked: name its revision to be sure, or convert anew.
        """
        stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in self._all()]
        return {
            "files": self.count,
            "input": self.name,
            "fingerprint": hashlib.sha256(repr(self.hub or stats).encode()).hexdigest(),
        }


def find_input(source: Any, given: str | Path) -> Input:
    """The input that a text names for a source (a module of `sources/`), or a ReadError: there is no such thing."""
    info = source.SOURCE
    if given in (HUB, "") and not (given and Path(given).exists()):
        if not info.hub_id:
            raise ReadError(f"{info.name} lies on no hub: download it from {info.url} and give the file or folder")
        return Input(info.hub_id, hub=parsed(info.hub_id))
    if hub := hub_id(given):
        return Input(str(given), hub=hub)
    files, ignored = data_files(given, info.own_files)
    return Input(str(Path(given).resolve()), with_paired_files(source, files), ignored)


def paired_file_of(source: Any, file: Path) -> Path | None:
    """The file that completes this one, None where there is none: `paired_file_of(bfcl_v4, Path("BFCL_v4_x.json"))`."""
    declared = source.SOURCE.paired_file
    path = file.parent / declared.path.format(name=file.name) if declared else file
    return path if path != file and path.is_file() else None


def with_paired_files(source: Any, files: Sequence[Path]) -> dict[Path, Path | None]:
    """The files to be read in their order, each with its paired file; those themselves are left out."""
    found = {file: paired_file_of(source, file) for file in files}
    paired = set(found.values())
    return {file: other for file, other in found.items() if file not in paired}


def join_records(source: Any, records: Iterable[Raw | Loss], paired: Path) -> Iterator[Raw | Loss]:
    """The records, completed where the paired file has something for them, and then what it has for none."""
    key, others, rest = source.SOURCE.paired_file.key, {}, []
    for other in read_records(paired):
        id = other.value.get(key) if isinstance(other, Raw) else None
        if not isinstance(id, str) or others.setdefault(id, other) is not other:
            rest.append(other)
    left = dict(others)
    for raw in records:
        id = raw.value.get(key) if isinstance(raw, Raw) else None
        other = others.get(id) if isinstance(id, str) else None
        whole = attempt(lambda raw, other=other: source.join(raw.value, other.value), raw) if other else None
        if whole is not None:
            left.pop(id, None)
        if whole is None or type(whole) is Loss:
            yield whole or raw
        else:
            yield Raw(whole, raw.file, raw.line)
    yield from sorted([*rest, *left.values()], key=lambda raw: raw.line)
