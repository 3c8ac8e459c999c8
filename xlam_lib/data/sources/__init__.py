"""The sources: one file a data set, each with `SOURCE` (what it is) and `convert` (raw record -> trajectories).

    calls/     questions with tools and the calls that answer them       agents/    episodes in environments
    exchange/  formats in which projects hand on trajectories            catalogs/  tools that records name only
    logs/      what agent frameworks write down of their runs

To add one, write `sources/<family>/<name>.py`; a module with a `SOURCE` is found by itself:

    SOURCE = SourceInfo(
        name="<name>", license="<SPDX>", url="https://...", files=("*.json",), samples={...},
        fields=("id", "messages[].role", "messages[].content"),       # what it reads; others are kept and counted
        left_out={"meta.embedding": "a vector of numbers, not text"},  # what it doesn't take over, and why
        layout={"^(Question|Answer):": "labels of the turns"},         # the same for parts of texts
    )

    def convert(record: dict, where: str) -> list[Trajectory]:
        ...                       # raise Drop("a short fixed reason", "what was found") for what can't be used

Five more functions where a source needs them:

    def unpack(value: dict) -> list[dict]:               # a JSON object that holds several records
    def split(text: str) -> Iterator[tuple[int, dict]]:  # a file of SOURCE.text_files: (line, record) of each
    def join(record: dict, other: dict) -> dict | None:  # with a line of the file that SOURCE.paired_file names
    def native(trajectory: Trajectory) -> list[str]:     # each action as the source writes it, exactly
    def rejected_siblings(record: dict, where: str) -> list[Sibling]:  # what a search tried beside the path it took

Its docstring shows one raw record and says what was decided and why. Everything else (reading, validation, accounting,
duplicate ids, writing) is done around it. Records in = converted + dropped + quarantined: a line that completes
another record is a part of it, one that completes none is a record itself (see `data/inputs.py`).
Example: `next(load_source("tau_bench", "gpt-4o-airline.json")).steps[0]`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.convert import convert_files, convert_records, converter, unpacked
from xlam_lib.data.formats.base import SourceInfo
from xlam_lib.data.hub import hub_records
from xlam_lib.data.inputs import find_input
from xlam_lib.data.quality.repair import unrepaired
from xlam_lib.data.reading import ReadError
from xlam_lib.trajectory import Trajectory

__all__ = ["SOURCES", "Drop", "SourceInfo", "SourceModule", "find_source", "load_source", "native"]


class SourceModule(Protocol):
    """What a module of this package offers; see above for what it may offer besides."""

    SOURCE: SourceInfo

    def convert(self, record: dict[str, Any], where: str) -> list[Trajectory]: ...


def _modules() -> Iterator[SourceModule]:
    """The sources of all families, in the order of their files' names."""
    found = [info.name for info in pkgutil.walk_packages(__path__, f"{__name__}.") if not info.ispkg]
    for name in sorted(found, key=lambda name: name.rpartition(".")[2]):
        module: Any = importlib.import_module(name)
        if hasattr(module, "SOURCE"):
            yield module


def _by_name() -> dict[str, SourceModule]:
    found: dict[str, SourceModule] = {}
    for module in _modules():
        name = module.SOURCE.name
        if name in found:
            raise ReadError(f"{module.__name__} and {found[name].__name__} are both called {name!r}; rename one")
        found[name] = module
    return found


SOURCES = _by_name()


def find_source(name: str) -> SourceModule:
    """The source of that name, or a ReadError that names the most alike and lists those there are."""
    if name not in SOURCES:
        alike = difflib.get_close_matches(name.lower().replace("-", "_"), SOURCES, 1)
        meant = f"; did you mean {alike[0]!r}?" if alike else "."
        there = ", ".join(SOURCES)
        raise ReadError(f"no source {name!r}{meant} There are {there} (python -m xlam_lib.data.unify --list)")
    return SOURCES[name]


def native(trajectory: Trajectory) -> list[str]:
    """Each action as its source writes it, exactly: `native(t)` -> ["search[red shoes]", "click[Buy Now]"].

    Repairs that `verify` has made are undone before. [] for a source that writes no actions as text.
    """
    source = find_source(trajectory.source.name)
    return source.native(unrepaired(trajectory)) if hasattr(source, "native") else []


def load_source(name: str, path: str | Path = "", accounting: Accounting | None = None) -> Iterator[Trajectory]:
    """Trajectories of a file or folder of raw records, one at a time; pass an `Accounting` to see what was lost.

    Where the hub can be reached, `path` may name a data set of it instead, which is streamed: "Team-ACE/ToolACE" (see
    `xlam_lib.data.hub`). Without a path, or with "hub", it is the source's own: `next(load_source("toolace"))`.
    """
    source = find_source(name)
    accounting = Accounting(name) if accounting is None else accounting
    found = find_input(source, path)
    if found.hub:
        accounting.files += 1
        records = unpacked(source, hub_records(found.hub))
        return convert_records(converter(source), records, accounting, source.SOURCE.argument_level)
    accounting.ignored_files += [str(file) for file in found.ignored]
    return convert_files(source, found.files, accounting)
