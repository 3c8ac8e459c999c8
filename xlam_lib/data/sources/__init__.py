"""The sources: one file a data set, each with `SOURCE` (what it is) and `convert` (raw record -> trajectories).

To add one, write `sources/<name>.py` and put it into `MODULES`:

    SOURCE = SourceInfo(name="<name>", license="<SPDX>", url="https://...", files=("*.json",))

    def convert(record: dict, where: str) -> list[Trajectory]:
        ...                       # raise Drop("a short fixed reason", "what was found") for what can't be used

Its docstring shows one raw record and says what was decided and why. Everything else (reading, validation, accounting,
duplicate ids, writing) is done around it. Example: `next(load_source("tau_bench", "gpt-4o-airline.json")).steps[0]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.converting import convert_files
from xlam_lib.data.reading import data_files
from xlam_lib.data.sources import tau_bench, toolbench, xlam_fc_60k
from xlam_lib.data.sources.base import SourceInfo
from xlam_lib.trajectory import Trajectory

__all__ = ["SOURCES", "Drop", "SourceInfo", "SourceModule", "find_source", "load_source"]


class SourceModule(Protocol):
    """What a module of this package offers."""

    SOURCE: SourceInfo

    def convert(self, record: dict[str, Any], where: str) -> list[Trajectory]: ...


MODULES: tuple[SourceModule, ...] = (tau_bench, toolbench, xlam_fc_60k)
SOURCES: dict[str, SourceModule] = {module.SOURCE.name: module for module in MODULES}


def find_source(name: str) -> SourceModule:
    """The source of that name, or a ValueError that lists those there are."""
    if name not in SOURCES:
        raise ValueError(f"no source {name!r}; there are {', '.join(SOURCES)} (python -m xlam_lib.data.unify --list)")
    return SOURCES[name]


def load_source(name: str, path: str | Path, accounting: Accounting | None = None) -> Iterator[Trajectory]:
    """Trajectories of a file or folder of raw records, one at a time; pass an `Accounting` to see what was lost."""
    source = find_source(name)
    files, ignored = data_files(path)
    accounting = Accounting(name) if accounting is None else accounting
    accounting.ignored_files += [str(file) for file in ignored]
    return convert_files(source.convert, files, accounting, source.SOURCE.argument_level)
