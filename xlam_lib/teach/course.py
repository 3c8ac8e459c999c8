"""The whole course: questions about the tools, training on them, a test with held-out questions (notebook 07).

    report = teach(TeachSettings(("my_tools",), "runs/mine"), show=print)
    report.exact            # Interval(mean=0.93, low=0.88, high=0.97, n=100)

The run's folder holds `data`, `model` (a checkpoint that is served like any other), `answers.jsonl` and `report.json`.
Each part is taken up where it was broken off: the same settings again go on, and what is finished is not done twice.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from xlam_lib.bench.bootstrap import Interval
from xlam_lib.bench.results import HeldOut, failure_examples
from xlam_lib.bench.tasks.heldout import offline
from xlam_lib.codec import BRIEF_STYLE
from xlam_lib.data.apigen.apis import Library
from xlam_lib.endpoint import Progress
from xlam_lib.errors import XlamError
from xlam_lib.files import is_complete, write_json
from xlam_lib.models.folders import digest
from xlam_lib.teach.questions import digest_of, library_of, questions
from xlam_lib.teach.settings import TeachSettings
from xlam_lib.teach.taught import ANSWER
from xlam_lib.train.loop import child
from xlam_lib.train.loop.launcher import default_processes
from xlam_lib.trajectory import read_jsonl

logger = logging.getLogger(__name__)

DATA, MODEL, COURSE, SPENT, REPORT = "data", "model", "course.json", "seconds.json", "report.json"
BATCH = 16  # questions of the test that are answered at once


@dataclass(frozen=True)
class Report:
    """What came of a course; `seconds` by part, over all sittings."""

    tools: list[str]
    trained: int
    exact: Interval
    failures: dict[str, int]
    kinds: dict[str, dict[str, Any]]  # {"multiple": {"n": 52, "exact": 0.79}, ...}
    seconds: dict[str, float] = field(default_factory=dict)
    examples: str = ""  # of wrong answers, to look at

    def __str__(self) -> str:
        spent = ", ".join(f"{part} {seconds / 60:.1f} min" for part, seconds in self.seconds.items())
        kinds = ", ".join(f"{kind} {one['exact']:.0%} of {one['n']}" for kind, one in self.kinds.items())
        wrong = ", ".join(f"{kind} {count}" for kind, count in self.failures.items()) or "nothing"
        return (
            f"{len(self.tools)} tools, {self.trained} questions ({spent})\n"
            f"held-out questions answered with exactly the right calls: {self.exact}\n"
            f"by kind: {kinds}\nwrong: {wrong}"
        )


def teach(
    settings: TeachSettings,
    library: Library | None = None,
    show: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Runs all parts that aren't there yet; `show` gets lines of the training, `progress` counts the test's answers.

    A `library` may be given instead of names of modules: `teach(settings, Library.of_functions([weather, ...]))`.
    """
    out = Path(settings.out)
    library = library or library_of(settings.tools)
    _check_same(out, {**asdict(settings), "tools": digest_of(library)})
    if not is_complete(out / DATA):
        logger.info("asking questions about %d tools", len(library))
        with _timed(out, "questions"):
            questions(library, settings, out / DATA)
    if not is_complete(out / MODEL):
        logger.info("training %s on them", settings.base)
        with _timed(out, "training"):
            child.run("xlam_lib.train.sft_lite", training(settings), log=out / "training.txt", show=show)
    with _timed(out, "test"):
        tested = _tested(out, progress)
    accounting = json.loads((out / DATA / "accounting.json").read_text("utf-8"))
    report = Report(
        accounting["tools"],
        accounting["trained"],
        tested.interval("exact", settings.seed),
        tested.failures(),
        tested.by_kind(),
        _spent(out),
        failure_examples(tested),
    )
    write_json(out / REPORT, asdict(report) | {"settings": asdict(settings)})
    return report


def training(settings: TeachSettings) -> dict[str, Any]:
    """The options of the training command: `training(settings)["base"]` -> "smollm2-135m-fc"."""
    out = Path(settings.out)
    return {
        "base": settings.base,
        "data": out / DATA / "train.jsonl",
        "out": out / MODEL,
        "lr": settings.lr,
        "together": settings.questions_per_list,
        "batch_size": settings.lists_per_step,
        "max_length": settings.max_length,
        "row_tokens": settings.max_length,
        "seed": settings.seed,
        "precision": settings.precision,
        "processes": settings.processes or min(default_processes(), settings.lists_per_step),
        "save_every": 5,
        "log_every": 1,
    }


def _check_same(out: Path, described: dict[str, Any]) -> None:
    """An XlamError where what is there was made of other tools or settings; the number of processes may change."""
    described = {name: value for name, value in described.items() if name not in ("out", "processes")}
    path = out / COURSE
    found = json.loads(path.read_text("utf-8")) if path.is_file() else described
    if other := [name for name, value in described.items() if found.get(name) != value]:
        raise XlamError(f"{out}: a course with other {', '.join(other)}; give another --out, or remove the folder")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, described)


def _tested(out: Path, progress: Progress | None) -> HeldOut:
    """The held-out questions, answered by the model; answers that are there already aren't asked for again."""
    from xlam_lib.serve.engines.transformers import Greedy

    model = Greedy(out / MODEL, batch_size=BATCH)
    return offline(
        read_jsonl(out / DATA / "test.jsonl"),
        lambda prompts: model.answers(prompts, ANSWER),
        BRIEF_STYLE,
        path=out / "answers.jsonl",
        model=digest(out / MODEL),
        progress=progress,
    )


@contextmanager
def _timed(out: Path, part: str) -> Iterator[None]:
    """Adds the seconds of a part to those of earlier sittings, also where it is broken off."""
    began = time.perf_counter()
    try:
        yield
    finally:
        spent = _spent(out)
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / SPENT, spent | {part: spent.get(part, 0.0) + time.perf_counter() - began})


def _spent(out: Path) -> dict[str, float]:
    """Seconds of all sittings, by part."""
    path = out / SPENT
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}
