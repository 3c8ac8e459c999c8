"""Builds the broad data: train.jsonl, test_seen.jsonl, test_unseen.jsonl, real.jsonl if asked for, accounting.json.

    paths = build_broad("runs/broad", seed=0, train=20000, test=500)

The folder appears whole or not at all; the same seed and catalogue give the same bytes. Nothing in it asks what a
benchmark asks, and no tool has the name of a benchmark's function: such samples are drawn anew, such tools renamed,
and both are counted.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from xlam_lib.data.apigen.broad.catalogue import FOLDER, read_catalogue
from xlam_lib.data.apigen.broad.lists import SPLITS, without_names
from xlam_lib.data.apigen.broad.real import RealCount, benchmarks_in, real_samples
from xlam_lib.data.apigen.broad.sampler import QUESTIONS_PER_LIST, broad
from xlam_lib.data.apigen.broad.signatures import real_tools, sources
from xlam_lib.data.apigen.broad.tools import BroadTool
from xlam_lib.data.pipeline.contamination import (
    BFCL,
    Questions,
    benchmark_functions,
    benchmark_questions,
    user_text,
)
from xlam_lib.files import complete_dir, write_json
from xlam_lib.trajectory import Trajectory, write_jsonl

logger = logging.getLogger(__name__)


def build_broad(
    out: str | Path,
    seed: int = 0,
    train: int = 8000,
    test: int = 400,
    questions_per_list: int = QUESTIONS_PER_LIST,
    catalogue: str | Path = FOLDER,
    benchmarks: Sequence[str] = (BFCL,),
    real: str | Path | None = None,
) -> dict[str, Path]:
    """The files by name, e.g. `build_broad("runs/broad")["train"]`; `test` samples of each of the two tests.

    `real` names a folder of real records, of which those that may be learnt from are written beside.
    """
    given = read_catalogue(catalogue)
    questions, taken = benchmark_questions(benchmarks), benchmark_functions(benchmarks)
    tools, renamed, left_out = without_names(given, taken)
    books: dict[str, Any] = {
        "seed": seed,
        "questions_per_list": questions_per_list,
        "benchmarks": list(benchmarks),
        "catalogue": _catalogue_books(tools) | {"renamed": renamed, "left_out": left_out},
        "signatures": {"tools": len(real_tools()), "sources": sources()},
        "files": {},
    }
    with complete_dir(out, {"seed": seed, "train": train, "test": test}) as folder:
        for split in SPLITS:
            size = train if split == "train" else test
            drawn = broad(split, seed, sys.maxsize, questions_per_list, tools, taken)
            counts = {"kinds": Counter(), "tools listed": Counter(), "decontaminated": Counter()}
            write_jsonl(folder / f"{split}.jsonl", islice(_clean(drawn, questions, counts), size))
            books["files"][split] = {"samples": size, **{name: dict(found) for name, found in counts.items()}}
        if real is not None:
            count = RealCount()
            write_jsonl(folder / "real.jsonl", real_samples(real, benchmarks_in(real, benchmarks), count))
            books["files"]["real"] = {"samples": count.kept.total(), **count.to_dict()}
        write_json(folder / "accounting.json", books)
    logger.info("broad data: %d samples for training -> %s", train, out)
    names = [*SPLITS, *(["real"] if real is not None else [])]
    return {**{name: Path(out) / f"{name}.jsonl" for name in names}, "accounting": Path(out) / "accounting.json"}


def _clean(drawn: Iterator[Trajectory], questions: Questions, counts: Mapping[str, Counter]) -> Iterator[Trajectory]:
    """The samples that ask nothing that a benchmark asks; the others are counted by question and n-gram."""
    for trajectory in drawn:
        if hit := questions.hit(user_text(trajectory)):
            counts["decontaminated"][hit] += 1
            continue
        counts["kinds"][trajectory.tags[0]] += 1
        counts["tools listed"][str(len(trajectory.tools))] += 1
        yield trajectory


def _catalogue_books(tools: Mapping[str, BroadTool]) -> dict[str, Any]:
    domains = Counter(tool.domain for tool in tools.values())
    unseen = sorted(name for name, tool in tools.items() if tool.unseen)
    return {"tools": len(tools), "domains": dict(domains), "unseen": unseen}
