"""The steps of one task: raw records of its shard -> checked trajectories -> two files that the merge reads.

    [Read(source, shards), Convert(source), Verify(source), Rate(), Decontaminate(folder), Check(source), Write(out)]

Each is called as datatrove calls a step, `step(data, rank, world_size)`, takes what the one before yields and loses
nothing: what it won't keep goes on, marked as lost, until `Write` puts it into the books. What a step does with a
record it does within the boundary of `each`, so that no record can end the run.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from xlam_lib.data.accounting import Loss
from xlam_lib.data.boundary import SECONDS, attempt, time_limit
from xlam_lib.data.convert import ARGUMENTS, converted, converter, notes, small_digest
from xlam_lib.data.pipeline import shards
from xlam_lib.data.pipeline.contamination import Questions, user_text
from xlam_lib.data.pipeline.entries import RecordEntry, ShardWriter, TrajectoryEntry
from xlam_lib.data.pipeline.shards import FilePart
from xlam_lib.data.pipeline.splitting import task_key
from xlam_lib.data.reading import Raw
from xlam_lib.data.sources import find_source
from xlam_lib.serialize import dumps
from xlam_lib.trajectory import Trajectory
from xlam_lib.validation import KnownTools, check_and_serialize

CONTAMINATED = "a benchmark's question"


class Item(msgspec.Struct):
    """A record on its way: trajectories, what was found in each, and what was left out of it."""

    file: str
    line: int
    trajectories: list[Trajectory]
    findings: list[list[Any]] = []
    lines: list[bytes] = []
    left: list[tuple[str, str, str]] = []
    warned: list[tuple[str, str]] = []

    def leave(self, reasons: list[tuple[str, str] | None]) -> Item | Loss:
        """Without the trajectories that have a (reason, detail); a record that keeps none is lost for the first."""
        found = [(t.trajectory_id, *why) for t, why in zip(self.trajectories, reasons, strict=True) if why]
        if not found:
            return self
        self.left += found
        stay = [why is None for why in reasons]
        self.trajectories = [t for t, kept in zip(self.trajectories, stay, strict=True) if kept]
        self.findings = [f for f, kept in zip(self.findings, stay, strict=False) if kept]
        if self.trajectories:
            return self
        _, reason, detail = self.left[0]
        return Loss("dropped", self.file, self.line, reason, detail)


Items = Iterable[Item | Loss]


def each(work: Callable[[Any], Item | Loss], data: Iterable[Any]) -> Iterator[Item | Loss]:
    """What `work` makes of each record; one that fails is lost, and what is lost already goes on."""
    for record in data:
        yield record if type(record) is Loss else attempt(work, record)


@dataclass
class Read:
    """The raw records of shard number `rank`."""

    source: str
    shards: list[list[FilePart]]

    def __deepcopy__(self, memo: dict[int, Any]) -> Read:
        return self  # steps are copied for each task, but the plan of all tasks is only read

    def __call__(self, data: None = None, rank: int = 0, world_size: int = 1) -> Iterator[Raw | Loss]:
        yield from shards.records(find_source(self.source), self.shards[rank])


@dataclass
class Convert:
    """The source's `convert`; fields that it doesn't know are kept."""

    source: str

    def __call__(self, data: Iterable[Raw | Loss], rank: int = 0, world_size: int = 1) -> Iterator[Item | Loss]:
        convert = converter(find_source(self.source))

        def work(raw: Raw) -> Item:
            made = converted(convert, raw)
            return Item(raw.file, raw.line, made, warned=[note for t in made if t.extra for note in notes(t)])

        return each(work, data)


@dataclass
class Verify:
    """What verification finds is a warning; with `strict`, a finding of level error costs the trajectory its place."""

    source: str
    strict: bool = False

    def __call__(self, data: Items, rank: int = 0, world_size: int = 1) -> Iterator[Item | Loss]:
        from xlam_lib.data.quality.verify import first_error, policy_of, verify

        policy = policy_of(find_source(self.source).SOURCE)

        def work(item: Item) -> Item | Loss:
            pairs = [verify(t, policy) for t in item.trajectories]
            item.trajectories = [t for t, _ in pairs]
            item.findings = [findings for _, findings in pairs]
            for one in (finding for findings in item.findings for finding in findings):
                item.warned.append((one.rule, f"{one.trajectory_id}, step {one.step}: {one.found}"))
            errors = [first_error(findings) for findings in item.findings] if self.strict else []
            return item.leave([(bad.rule, bad.found) if bad else None for bad in errors]) if errors else item

        return each(work, data)


@dataclass
class Rate:
    """The rating by rules, added to `quality`."""

    def __call__(self, data: Items, rank: int = 0, world_size: int = 1) -> Iterator[Item | Loss]:
        from xlam_lib.data.quality.rules import rate

        def work(item: Item) -> Item:
            findings = item.findings or [[]] * len(item.trajectories)
            item.trajectories = [
                dataclasses.replace(t, quality=(*t.quality, rate(t, found)))
                for t, found in zip(item.trajectories, findings, strict=True)
            ]
            return item

        return each(work, data)


@dataclass
class Decontaminate:
    """Leaves out trajectories in which users ask what a benchmark asks; `path` is a file that `Questions` saved."""

    path: str

    def __call__(self, data: Items, rank: int = 0, world_size: int = 1) -> Iterator[Item | Loss]:
        questions = Questions.load(self.path)

        def work(item: Item) -> Item | Loss:
            hits = [questions.hit(user_text(t)) for t in item.trajectories]
            return item.leave([(CONTAMINATED, hit) if hit else None for hit in hits])

        return each(work, data)


@dataclass
class Check:
    """The rules of `Trajectory.validate`; a record with an unsound trajectory is lost as a whole."""

    source: str
    warn: bool = True  # of arguments against their schema, where verification hasn't reported them already

    def __call__(self, data: Items, rank: int = 0, world_size: int = 1) -> Iterator[Item | Loss]:
        level, known = find_source(self.source).SOURCE.argument_level, KnownTools()

        def work(item: Item) -> Item:
            for t in item.trajectories:
                warnings, line = check_and_serialize(t, level, known)
                item.lines.append(line)
                if warnings and self.warn:
                    item.warned += [(ARGUMENTS, text) for text in warnings]
            return item

        return each(work, data)


@dataclass
class Write:
    """The last step: the files of the shard, each whole or not at all."""

    folder: str
    contents: bool = False  # digests of contents, to find duplicates by
    groups: bool = False  # tasks and tool sets, to split by
    seconds: float = SECONDS  # of processor time for one record in one step

    def __call__(self, data: Items, rank: int = 0, world_size: int = 1) -> None:
        if not Path(self.folder).is_dir():  # whoever made it is gone, and has tidied up
            raise FileNotFoundError(f"{self.folder} is not there any more")
        with time_limit(self.seconds), ShardWriter(Path(self.folder), rank) as shard:
            for item in data:  # which drives all the steps before
                entry = item if type(item) is Loss else attempt(self.entry, item)
                if type(entry) is Loss:
                    shard.lose(entry)
                else:
                    shard.add(entry, item.lines)

    def entry(self, item: Item) -> RecordEntry:
        """What the index says of a record."""
        kept = list(map(self._kept, item.trajectories, item.lines))
        return RecordEntry(item.file, item.line, kept, item.left, item.warned, small_digest(b"\n".join(item.lines)))

    def _kept(self, t: Trajectory, line: bytes) -> TrajectoryEntry:
        kept = TrajectoryEntry(t.trajectory_id, len(t.steps), len(line))
        if self.groups:
            kept.at, kept.task, kept.toolset = split_place(t, line), task_key(t), t.toolset_id if t.tools else ""
        if self.contents:
            kept.content = content_digest(t)
        return kept


def content_digest(t: Trajectory) -> bytes:
    """The same for trajectories with the same tools and steps, whatever their ids say."""
    plain = [[tool.to_dict() for tool in t.tools], [step.to_dict() for step in t.steps]]
    return small_digest(json.dumps(plain, sort_keys=True).encode())


def split_place(t: Trajectory, line: bytes) -> int:
    """Where `"split"` belongs in the line of a trajectory without one: before its tags and extra; -1 if it has one."""
    if t.split:
        return -1
    plain: dict[str, Any] = {"tags": list(t.tags)} if t.tags else {}
    plain |= {"extra": t.extra} if t.extra else {}
    if not plain:
        return len(line) - 1
    return len(line) - len(dumps(plain)) - 1
