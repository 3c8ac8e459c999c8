"""Files that complete the records of another file: BFCL's possible answers beside its questions (notebook 01).

A source declares where such a file lies and by what key lines belong together (`SourceInfo.companion`), and offers
`join(record, other)`. The books stay exact: a line that completes a record is a part of that record; one that completes
none is a record of its own, behind those of the file it belongs to, and the converter says why it is dropped.
A companion whose file isn't there is read like any other file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Loss
from xlam_lib.data.reading import Raw, read_records


def companion_of(source: Any, file: Path) -> Path | None:
    """The file that completes this one, None where there is none: `companion_of(bfcl_v4, Path("BFCL_v4_x.json"))`."""
    declared = source.SOURCE.companion
    path = file.parent / declared.path.format(name=file.name) if declared else file
    return path if path != file and path.is_file() else None


def completed(source: Any, files: Sequence[Path]) -> dict[Path, Path | None]:
    """The files to be read in their order, each with its companion; the companions themselves are left out."""
    found = {file: companion_of(source, file) for file in files}
    companions = set(found.values())
    return {file: companion for file, companion in found.items() if file not in companions}


def joined(source: Any, records: Iterable[Raw | Loss], companion: Path) -> Iterator[Raw | Loss]:
    """The records, completed where the companion has something for them, and then what it has for none."""
    key, others, rest = source.SOURCE.companion.key, {}, []
    for other in read_records(companion):
        id = other.value.get(key) if isinstance(other, Raw) else None
        if not isinstance(id, str) or others.setdefault(id, other) is not other:
            rest.append(other)
    left = dict(others)
    for raw in records:
        id = raw.value.get(key) if isinstance(raw, Raw) else None
        other = others.get(id) if isinstance(id, str) else None
        whole = source.join(raw.value, other.value) if other else None
        if whole is not None:
            left.pop(id, None)
        yield raw if whole is None else Raw(whole, raw.file, raw.line)
    yield from sorted([*rest, *left.values()], key=lambda raw: raw.line)
