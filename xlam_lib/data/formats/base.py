"""What every source declares, and what converters share. See `sources/__init__.py` for how to add one."""

from __future__ import annotations

import functools
import hashlib
import marshal
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from xlam_lib.codec import BLOCK_MARKS
from xlam_lib.data.accounting import Drop
from xlam_lib.data.fields import Fields
from xlam_lib.data.quality.findings import Policy
from xlam_lib.serialize import loads, sorted_bytes
from xlam_lib.trajectory import Source, Tool

CACHE_SIZE = 4096  # results of each function
LONGEST_KEY = 1 << 16  # bytes of the values: longer ones are made anew
SPEAKER = "the speaker, who is the step's role"  # reasons to leave a field out that several sources have
TYPE_WORD = "a type in another language's words; the schema has JSON Schema's"
CALL_ID = "calls get ids of our own, by which their results stay linked"
ALWAYS_FUNCTION = "the kind of a tool or call, which is always function"
FORMAT_BLOCK = ".*?".join(re.escape(mark.format("FORMAT INSTRUCTION")) for mark in BLOCK_MARKS)  # of a prompt
P, T = ParamSpec("P"), TypeVar("T")
KINDS = {str: "text", dict: "an object", list: "a list", int: "a whole number"}


@dataclass(frozen=True)
class PairedFile:
    """Where the file lies that completes another, from its folder: `PairedFile("possible_answer/{name}", "id")`."""

    path: str
    key: str  # what a record and the line that completes it have in common


@dataclass(frozen=True)
class ZippedFile:
    """A zip file of records: `ZippedFile("*.eval", "samples/*.json", ("header.json",), "samples")`."""

    files: str  # pattern of the names of such files
    members: str  # pattern of the members that are records
    shared: tuple[str, ...]  # the member that says what holds for all of them; the first that is there
    key: str  # under which a log that is no zip has its records


@dataclass(frozen=True)
class SourceInfo:
    """Provenance and rules of a source: `SourceInfo("tau_bench", "MIT", "https://...", ("*.json",))`."""

    name: str
    license: str  # SPDX
    url: str
    files: tuple[str, ...]  # what its publisher calls the files
    hub_id: str = ""
    version: str = "1"  # of the converter; raise it when its output changes
    argument_level: Literal["error", "warning"] = "warning"
    text_files: tuple[str, ...] = ()  # patterns of names of plain-text files, which the module's `split` takes apart
    samples: Mapping[str, Sequence[int | str] | None] = field(default_factory=dict)  # golden files; see `data.golden`
    zipped_file: ZippedFile | None = None  # a kind of zip files that hold records
    paired_file: PairedFile | None = None  # a file that completes another; the module's `join` says how
    policy: Policy = Policy()  # where it is verified otherwise than `quality.findings` says
    fields: tuple[str, ...] = ()  # paths of what a record may have: others are kept and counted; see `data.fields`
    left_out: Mapping[str, str] = field(default_factory=dict)  # paths of what isn't taken over, each with the reason
    layout: Mapping[str, str] = field(default_factory=dict)  # the same for parts of texts, by regular expressions

    @functools.cached_property
    def known_fields(self) -> Fields:
        """What a record of this source may have, with what is left out: `known_fields.unknown(record)` -> {}."""
        return Fields.of(self.fields, self.left_out)

    @property
    def own_files(self) -> tuple[str, ...]:
        """Patterns of names of files that are read as this source says: `webshop.SOURCE.own_files` -> ("*.txt",)."""
        return (*self.text_files, self.zipped_file.files) if self.zipped_file else self.text_files

    def source(self, raw_id: str, license: str = "", url: str = "") -> Source:
        """The provenance block of one trajectory."""
        converter = f"{self.name}@{self.version}"
        return Source(self.name, license or self.license, raw_id=raw_id, url=url or self.url, converter=converter)


def need(record: dict[str, Any], key: str, kind: type) -> Any:
    """`record[key]`, or a Drop when it is missing or of another kind: `need(row, "query", str)`."""
    if key not in record:
        raise Drop(f"no {key!r}", f"the record has {', '.join(map(repr, list(record)[:12])) or 'no keys'}")
    value = record[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Drop(f"{key!r} is not {KINDS[kind]}", f"found {type(value).__name__} {str(value)[:80]!r}")
    return value


def need_json(record: dict[str, Any], key: str) -> Any:
    """`record[key]`, decoded when it is JSON text: `need_json({"tools": "[]"}, "tools")` -> []."""
    value = record.get(key)
    if not isinstance(value, str):
        return need(record, key, list)
    try:
        return loads(value)
    except (ValueError, RecursionError) as error:
        raise Drop(f"{key!r} is not JSON", f"{error}: {value[:80]!r}") from error


def need_objects(value: Any, what: str) -> list[dict[str, Any]]:
    """`value` as a list of objects, or a Drop: `need_objects(row["tools"], "tools")`."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Drop(f"{what!r} is not a list of objects", f"found {str(value)[:80]!r}")
    return value


def as_reward(value: Any) -> float | None:
    """A reward, None for what is no number: `as_reward(1)` -> 1.0; one that no float can hold is a Drop."""
    if type(value) not in (int, float):
        return None
    if not abs(value) <= sys.float_info.max:
        raise Drop("a reward beyond all numbers", f"more than {sys.float_info.max:g}")
    return float(value)


def unique_tools(tools: list[Tool]) -> tuple[Tool, ...]:
    """The tools without repetitions; two different ones of the same name are a Drop."""
    by_name: dict[str, Tool] = {}
    for tool in tools:
        if by_name.setdefault(tool.name, tool) != tool:
            raise Drop("two different tools of one name", tool.name)
    return tuple(by_name.values())


def need_declared(names: list[str], tools: tuple[Tool, ...]) -> None:
    """A Drop when a call names no tool of the list: nothing could be learnt from it but inventing tools."""
    known = {tool.name for tool in tools}
    for name in names:
        if name not in known:
            raise Drop("call of an undeclared tool", f"{name!r} is not among {', '.join(sorted(known)) or 'no tools'}")


def place(where: str) -> str:
    """A short id from file and line: "/data/G1_answer/10_x.json:1" -> "G1_answer/10_x"; ":7" stays."""
    path, _, line = where.rpartition(":")
    path, line = (path, line) if path and line.isdigit() else (where, "1")
    return _short_path(path) + ("" if line == "1" else f":{line}")


@functools.lru_cache(maxsize=64)
def _short_path(path: str) -> str:
    """The last folder and the name without its ending; asked for every record of a file."""
    parts = PurePath(path).parts[-2:]
    stem = parts[-1].removesuffix(".gz").rpartition(".")[0] or parts[-1] if parts else ""
    return "/".join([*(part for part in parts[:-1] if part != "/"), stem])


def content_id(record: dict[str, Any]) -> str:
    """An id for records that have none, from what they say: the same record, the same 12 characters."""
    return hashlib.sha256(sorted_bytes(record)).hexdigest()[:12]


def cached_by_value(make: Callable[Concatenate[list[str], P], T]) -> Callable[Concatenate[list[str], P], T]:
    """A bounded cache of tools: data sets list the same ones again and again.

        @cached_by_value
        def tool(notes, raw): ...           # JSON values -> anything, with notes of what wasn't understood

    xlam-function-calling-60k has 3,673 APIs in 60,000 records, tau-bench one list for all. What was made of the very
    same values, type for type, is returned again, itself, with the notes that were taken then: nobody may edit it. A
    Drop is not cached; a full cache begins anew. How many tools are really new is what `xlam_lib.perf.conversion` has
    two figures for.
    """
    cache: dict[bytes, tuple[T, list[str]]] = {}

    @functools.wraps(make)
    def cached(notes: list[str], *values: P.args, **named: P.kwargs) -> T:
        if named:
            return make(notes, *values, **named)
        try:
            key = marshal.dumps(values, 2)  # version 2: equal values of the same types give the same bytes
        except ValueError:  # nested too deep
            return make(notes, *values)
        if (found := cache.get(key)) is None:
            taken: list[str] = []
            found = make(taken, *values), taken
            if len(key) <= LONGEST_KEY:
                if len(cache) >= CACHE_SIZE:
                    cache.clear()
                cache[key] = found
        notes += found[1]
        return found[0]

    return cached
