"""What a run does, and in which order: shards, near-duplicates if asked for, then the merge.

A phase is steps and a number of tasks:

for phase in phases(work, "tau_bench", shards, options): run_local(phase, work, workers=2)
merge()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from xlam_lib.data.boundary import SECONDS
from xlam_lib.data.pipeline import steps
from xlam_lib.data.pipeline.contamination import benchmark_questions
from xlam_lib.data.pipeline.shards import FilePart
from xlam_lib.data.pipeline.splitting import BY

QUESTIONS = "questions.json"


@dataclass(frozen=True)
class Options:
    """What a run does beside converting: `Options(dedup="near", split=(0.9, 0.05, 0.05))`.

    Verification and the rating by rules are on; what leaves trajectories out must be asked for.
    """

    verify: bool = True
    rate: bool = True
    strict: bool = False  # a finding of level error costs the trajectory its place
    dedup: Literal["none", "exact", "near"] = "none"
    decontaminate: tuple[str, ...] = ()  # "bfcl", or files of questions
    split: tuple[float, ...] = ()  # shares of train, val and test
    split_by: tuple[str, ...] = BY
    seed: int = 0
    parquet: bool = False
    record_seconds: float = SECONDS  # of processor time for one record in one step; what takes longer is lost

    def __post_init__(self) -> None:
        if self.strict and not self.verify:
            raise ValueError("strict is about what verification finds: it can't be without verify")
        if not self.record_seconds > 0:
            raise ValueError(f"record_seconds is {self.record_seconds}, expected more than 0")
        if self.dedup not in ("none", "exact", "near"):
            raise ValueError(f"dedup is {self.dedup!r}, expected none, exact or near")

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, which tell whether an earlier run asked for the same."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


@dataclass
class Phase:
    """Tasks that may run at the same time; the next phase needs all of them."""

    name: str
    steps: list[Callable[..., Any]]
    tasks: int


def phases(work: Path, source: str, shards: list[list[FilePart]], options: Options) -> list[Phase]:
    """What is done before the merge."""
    folder = work / "shards"
    folder.mkdir(exist_ok=True)
    found = [Phase("convert", convert_steps(work, folder, source, shards, options), len(shards))]
    if options.dedup == "near":
        from xlam_lib.data.pipeline import near

        found += [
            Phase("signatures", near.signatures(folder, work / "signatures"), len(shards)),
            Phase("buckets", near.buckets(work / "signatures", work / "pairs"), near.CONFIG.num_buckets),
            Phase("cluster", near.clusters(work / "pairs", work / "clusters"), 1),
        ]
    return found


def convert_steps(
    work: Path, folder: Path, source: str, shards: list[list[FilePart]], options: Options
) -> list[Callable[..., Any]]:
    """The steps from raw records to a shard."""
    made: list[Callable[..., Any]] = [steps.Read(source, shards), steps.Convert(source)]
    if options.verify:
        made.append(steps.Verify(source, options.strict))
    if options.rate:
        made.append(steps.Rate())
    if options.decontaminate:
        if not (work / QUESTIONS).is_file():
            benchmark_questions(options.decontaminate).save(work / QUESTIONS)
        made.append(steps.Decontaminate(str(work / QUESTIONS)))
    return [
        *made,
        steps.Check(source, warn=not options.verify),
        steps.Write(str(folder), options.dedup != "none", bool(options.split), options.record_seconds),
    ]
