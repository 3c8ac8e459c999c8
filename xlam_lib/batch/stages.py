"""What a notebook needs from the ones before it: taken where it is there, else the small version is made.

Used by notebooks 02 to 05, so that each of them runs alone. `data(out)` is the embedded data, `checkpoints(out)` the
base, SFT and DPO checkpoints; what is complete is never made again, whatever settings it was made with. The steps from
a checkpoint to a preferred one (`fresh_prompts`, `graded_answers`, `preference_pairs`, `dpo`) are notebook 03's own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xlam_lib.codec import STYLES
from xlam_lib.data.apigen.embedded import embedded
from xlam_lib.endpoint import Progress
from xlam_lib.files import is_complete
from xlam_lib.grading import Graded, cases_of, grade
from xlam_lib.models.bases import base
from xlam_lib.models.folders import digest
from xlam_lib.train.loop import child
from xlam_lib.train.loop.launcher import default_processes
from xlam_lib.train.preference.pairs import Pair, build, write_pairs
from xlam_lib.trajectory import read_jsonl

logger = logging.getLogger(__name__)

SIZES = {"n_train": 1200, "n_test_seen": 60, "n_test_unseen": 40}
SAMPLES = 400  # rows of the small SFT run
PROMPTS = 100  # trajectories whose answers make the small run's pairs
Show = Callable[[str], None]


def data(out: Path, seed: int = 0) -> dict[str, Path]:
    """The embedded data of a run's folder by name, e.g. `data(out)["test_seen"]`; built small when missing."""
    if is_complete(out / "data"):
        return embedded(out / "data")
    return embedded(out / "data", seed=seed, **SIZES)


def sft(out: Path, name: str = "sft", show: Show | None = None, **options: Any) -> Path:
    """Fine-tune into `<out>/<name>` in a child process: `sft(out, samples=6000, lr=1e-3)`; its log lies beside it."""
    given = {"base": base(), "data": data(out)["train"], "out": out / name, "processes": default_processes(), **options}
    child.run("xlam_lib.train.sft", given, log=out / f"{name}.txt", show=show)
    return out / name


def answer_cache(out: Path, model: Path, questions: Path, style: str) -> dict[str, Any]:
    """Where a checkpoint's answers to a file of questions are kept for all notebooks of a run, and by which name.

    Other weights, other questions or another style make another file: `offline(ts, ask, prompts, **answer_cache(...))`.
    """
    weights = digest(model)
    return {"path": out / "answers" / f"{model.name}-{weights}-{digest(questions)}-{style}.jsonl", "model": weights}


def fresh_prompts(out: Path, seed: int, size: int) -> Path:
    """Trajectories of the training kind that SFT did not see, for preference pairs: other draws, the same tools."""
    sizes = {"n_train": size, "n_test_seen": 1, "n_test_unseen": 1}
    return embedded(out / "data_preference", seed=seed + 1_000_003, **sizes)["train"]


def graded_answers(
    model: Path, trajectories: Path, style: str, progress: Progress | None = None
) -> tuple[list[Graded], list[int]]:
    """What a checkpoint answers to the turns of a file, graded, and the indices of answers that were cut off."""
    from xlam_lib.serve.engines.transformers import Greedy

    cases = cases_of(read_jsonl(trajectories), STYLES[style])
    decoded = Greedy(model).decode([case.prompt for case in cases], progress=progress)
    cut = [index for index, one in enumerate(decoded) if one.truncated]
    return grade(cases, [one.text for one in decoded]), cut


def preference_pairs(graded: Sequence[Graded], cut: Sequence[int], path: Path, seed: int) -> list[Pair]:
    """Preference pairs of graded answers, written to a file and returned."""
    pairs = build(graded, seed=seed, cut=cut)
    write_pairs(path, pairs)
    return pairs


def dpo(out: Path, checkpoint: Path, pairs: Path, name: str = "dpo", show: Show | None = None, **options: Any) -> Path:
    """Train on preferences into `<out>/<name>` in a child process: `dpo(out, out / "sft", out / "pairs.jsonl")`."""
    given = {"base": checkpoint, "pairs": pairs, "out": out / name, "processes": default_processes(), **options}
    child.run("xlam_lib.train.dpo", given, log=out / f"{name}.txt", show=show)
    return out / name


def grpo(
    out: Path, checkpoint: Path, prompts: Path, name: str = "grpo", show: Show | None = None, **options: Any
) -> Path:
    """Train by rewards into `<out>/<name>` in a child process: `grpo(out, out / "sft", fresh_prompts(out, 0, 100))`."""
    given = {"base": checkpoint, "data": prompts, "out": out / name, "processes": default_processes(), **options}
    child.run("xlam_lib.train.grpo", given, log=out / f"{name}.txt", show=show)
    return out / name


def sft_checkpoint(out: Path, seed: int = 0, style: str = "brief", base_model: str = "") -> Path:
    """The SFT checkpoint of a run's folder; a missing one is trained small from the base, and that is logged."""
    if not is_complete(out / "sft"):
        logger.warning("%s is not there: training the small one (%d rows)", out / "sft", SAMPLES)
        sft(out, samples=SAMPLES, seed=seed, style=style, base=base(base_model))
    return out / "sft"


def checkpoints(out: Path, seed: int = 0, style: str = "brief", base_model: str = "") -> dict[str, Path]:
    """All checkpoints of a run's folder, e.g. `checkpoints(out)["dpo"]`; missing ones are trained small."""
    found = {"base": base(base_model), "sft": sft_checkpoint(out, seed, style, base_model), "dpo": out / "dpo"}
    if not is_complete(found["dpo"]):
        logger.warning("%s is not there: training the small one", found["dpo"])
        graded, cut = graded_answers(found["sft"], fresh_prompts(out, seed, PROMPTS), style)
        preference_pairs(graded, cut, out / "pairs.jsonl", seed)
        dpo(out, found["sft"], out / "pairs.jsonl", seed=seed)
    return found
