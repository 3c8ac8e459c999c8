"""What is given to be read: a file, a folder, or a data set of the hub (notebook 01).

    find_input(source, "raw/toolbench")             files, in their order, and what is left alone
    find_input(source, "Team-ACE/ToolACE#train")    a data set of the hub, see `hub.py`
    find_input(source, "hub")                       the source's own data set

What exists as a file or folder is one, whatever else it may mean.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlam_lib.data.companions import completed
from xlam_lib.data.hub import HubId, hub_id, parsed
from xlam_lib.data.reading import ReadError, data_files

HUB = "hub"


@dataclass
class Input:
    """Files to read, each with its companion, and files left alone; or a data set of the hub."""

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
        """What tells whether an earlier run read the same: files by path, size and time of change, a data set by name.

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
    files, ignored = data_files(given, info.text_files)
    return Input(str(Path(given).resolve()), completed(source, files), ignored)
