"""Real records of function calls as training samples, where their licences allow it, told apart from every benchmark.

    count = RealCount()
    samples = list(real_samples("/data/real", benchmarks_in("/data/real"), count))
    count.to_dict()      # {"read": {"glaive": 100, ...}, "kept": {...}, "dropped": {"asked by a benchmark": 3, ...}}

The folder holds a folder for each source, as the environment variable XLAM_REAL_DATA names it. Only training files
lend; what tests or evaluates models never does, and its questions are what the others are held against.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Accounting
from xlam_lib.data.pipeline.contamination import BFCL, Questions, benchmark_texts, user_text
from xlam_lib.data.sources import find_source, load_source
from xlam_lib.trajectory import Trajectory

LENDERS = {  # training files of the sources; the Chinese ones of glaive are no help to an English base
    "api_bank_sft": ("training-data_*.json",),
    "glaive": ("glaive_toolcall_en_demo.json", "glaive_v2_*.json"),
    "hermes": ("hermes_fc_v1_*.json",),
    "reason_tool_use": ("*.jsonl",),
    "toolrl_rlla": ("rlla_*.json",),
    "xlam_fc_60k": ("*.json",),
}
BENCHMARKS = {  # files whose questions are asked of models
    "agentboard_tool_query": ("*.jsonl",),
    "api_bank": ("lv1-lv2-samples/**/*.jsonl", "lv3-samples/*.txt"),
    "api_bank_sft": ("test-data_*.json",),
    "bfcl_v4": ("BFCL_*.json",),
    "hammer_tests": ("*.json",),
    "stabletoolbench": ("**/*.json",),
    "tau2_bench": ("*simulations.json",),
    "tau_bench": ("*.json",),
    "toolalpaca": ("eval_*.json",),
}
ALLOWED = frozenset({"Apache-2.0", "MIT", "CC-BY-4.0", "CC0-1.0", "BSD-3-Clause"})
ASKED = "asked by a benchmark"


@dataclass
class RealCount:
    """What became of the records: `read` and `kept` by source, `dropped` by reason, `grams` by benchmark question."""

    read: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    grams: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `accounting.json`."""
        return {name: dict(sorted(counter.items())) for name, counter in vars(self).items()}


def benchmarks_in(folder: str | Path, names: Iterable[str] = (BFCL,)) -> Questions:
    """The questions of the benchmarks that are named, and of those whose records lie in the folder."""
    texts = benchmark_texts(names)
    for source, file in _files(Path(folder), BENCHMARKS):
        for trajectory in load_source(source, file):
            texts.setdefault(f"{source}: {trajectory.trajectory_id}", []).append(user_text(trajectory))
    return Questions.of(texts)


def real_samples(folder: str | Path, questions: Questions, count: RealCount | None = None) -> Iterator[Trajectory]:
    """Sound trajectories with tools of the sources that may lend, in order; `count` says what was left out and why."""
    count = RealCount() if count is None else count
    for source, file in _files(Path(folder), LENDERS):
        accounting = Accounting(source)
        for trajectory in load_source(source, file, accounting):
            if reason := _fault(trajectory, questions, count):
                count.dropped[reason] += 1
            else:
                count.kept[source] += 1
                count.licenses[trajectory.source.license] += 1
                yield trajectory
        count.read[source] += accounting.records_in
        count.dropped.update({f"{source}: {reason}": number for reason, number in accounting.dropped.items()})


def _files(folder: Path, patterns: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, Path]]:
    for source, names in patterns.items():
        for name in names:
            yield from ((find_source(source).SOURCE.name, file) for file in sorted((folder / source).glob(name)))


def _fault(trajectory: Trajectory, questions: Questions, count: RealCount) -> str:
    """Why a trajectory may not be learnt from; "" if it may."""
    if not ALLOWED.issuperset(trajectory.source.license.split(" AND ")):
        return f"licence {trajectory.source.license}"
    if not trajectory.tools:
        return "lists no tools"
    if hit := questions.hit(user_text(trajectory)):
        count.grams[hit] += 1
        return ASKED
    return "argument against its schema" if trajectory.validate("warning") else ""
