"""The whole course: questions about the tools, training on them, a test with held-out questions.

    report = teach(TeachSettings(("my_tools",), "runs/mine"), show=print)
    report.exact            # Interval(mean=0.93, low=0.88, high=0.97, n=100)

The run's folder holds `data`, `model` (a checkpoint that is served like any other), `answers.jsonl` and `report.json`.
Each part is taken up where it was broken off: the same settings again go on, and what is finished is not done twice.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
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
from xlam_lib.files import MARKER, is_complete, write_json
from xlam_lib.models.folders import digest
from xlam_lib.teach.questions import library_of, made_of, questions
from xlam_lib.teach.settings import TeachSettings
from xlam_lib.teach.taught import ANSWER
from xlam_lib.train.loop import child
from xlam_lib.train.loop.launcher import default_processes
from xlam_lib.trajectory import read_jsonl

logger = logging.getLogger(__name__)

DATA, MODEL, REPORT = "data", "model", "report.json"
BATCH = 16  # questions of the test that are answered at once


@dataclass(frozen=True)
class Report:
    """What came of a course; `seconds` by part, over all sittings."""

    tools: list[str]
    trained: int
    exact: Interval
    failures: dict[str, int]
    seconds: dict[str, float] = field(default_factory=dict)
    examples: str = ""  # of wrong answers, to look at

    def __str__(self) -> str:
        spent = ", ".join(f"{part} {seconds / 60:.1f} min" for part, seconds in self.seconds.items())
        wrong = ", ".join(f"{kind} {count}" for kind, count in self.failures.items()) or "nothing"
        return (
            f"{len(self.tools)} tools, {self.trained} questions ({spent})\n"
            f"held-out questions answered with exactly the right calls: {self.exact}\nwrong: {wrong}"
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
    out, seconds = Path(settings.out), _spent(Path(settings.out))
    library = library or library_of(settings.tools)
    began = time.perf_counter()
    if is_complete(out / DATA):
        _check_same(out / DATA, made_of(library, settings))
    else:
        logger.info("asking questions about %d tools", len(library))
        questions(library, settings, out / DATA)
        seconds["questions"] = time.perf_counter() - began
    if not is_complete(out / MODEL):
        logger.info("training %s on them", settings.base)
        spent = child.run("xlam_lib.train.sft_lite", training(settings), log=out / "training.txt", show=show)
        seconds["training"] = seconds.get("training", 0.0) + spent
        write_json(out / REPORT, {"seconds": seconds})
    began = time.perf_counter()
    tested = _tested(out, progress)
    seconds.setdefault("test", time.perf_counter() - began)
    accounting = json.loads((out / DATA / "accounting.json").read_text("utf-8"))
    report = Report(
        accounting["tools"],
        accounting["trained"],
        tested.interval("exact", settings.seed),
        tested.failures(),
        seconds,
        failure_examples(tested),
    )
    write_json(out / REPORT, asdict(report) | {"settings": asdict(settings)})
    return report


def training(settings: TeachSettings) -> dict[str, Any]:
    """The options of the training command: `training(settings)["base"]` -> "smollm2-135m"."""
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
        "processes": settings.processes or default_processes(),
        "save_every": 5,
        "log_every": 1,
    }


def _check_same(data: Path, expected: dict[str, Any]) -> None:
    """An XlamError where the questions that are there were made of other tools or settings."""
    found = json.loads((data / MARKER).read_text("utf-8"))
    if other := [name for name, value in expected.items() if found.get(name) != value]:
        raise XlamError(
            f"{data}: its questions were made with other {', '.join(other)}; give another --out, or remove the folder"
        )


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


def _spent(out: Path) -> dict[str, float]:
    """Seconds of earlier sittings, by part."""
    path = out / REPORT
    return json.loads(path.read_text("utf-8"))["seconds"] if path.is_file() else {}
