"""The order of the work: shards, near-duplicates if asked for, then the merge; a phase is steps and a number of tasks.

for phase in phases(work, "tau_bench", shards, options): run_local(phase, work, workers=2)
merge()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlam_lib.data.pipeline import steps
from xlam_lib.data.pipeline.contamination import benchmark_questions
from xlam_lib.data.pipeline.options import Options
from xlam_lib.data.pipeline.shards import Part

QUESTIONS = "questions.json"


@dataclass
class Phase:
    """Tasks that may run at the same time; the next phase needs all of them."""

    name: str
    steps: list[Callable[..., Any]]
    tasks: int


def phases(work: Path, source: str, shards: list[list[Part]], options: Options) -> list[Phase]:
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
    work: Path, folder: Path, source: str, shards: list[list[Part]], options: Options
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
        steps.Write(str(folder), contents=options.dedup != "none", groups=bool(options.split)),
    ]
