"""A whole run of SFT-lite, from settings to a saved checkpoint; the command is `xlam_lib/train/sft_lite.py`."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xlam_lib.codec import STYLES
from xlam_lib.models import checkpoint
from xlam_lib.seeds import DeviceSeed
from xlam_lib.train.loop import runner
from xlam_lib.train.mixture import inputs
from xlam_lib.train.mixture.grouped import Trajectories
from xlam_lib.train.mixture.mixture import Mixture
from xlam_lib.train.supervised.lite_trainer import SFTFoundationTrainerLite, prepare_accelerator
from xlam_lib.train.supervised.settings import LiteSettings, check

logger = logging.getLogger(__name__)


def train(settings: LiteSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    check(settings)
    out, settings = Path(settings.out), runner.resolved(settings)
    described = inputs.describe(settings, "data")
    if runner.finished(out, described, settings):
        logger.info("%s is there already, made with the same settings and data", out)
        return out
    accelerator = prepare_accelerator(settings)
    tokenizer = checkpoint.load_tokenizer(settings.base)
    mixture, counts = _mixture(settings, tokenizer)
    with runner.working(out, described, settings) as (work, last):
        trainer = SFTFoundationTrainerLite(settings, accelerator, mixture, tokenizer=tokenizer)
        started = time.perf_counter()
        trainer.train(work, last, runner.report(settings.report, work, last))
        weights = checkpoint.gathered(accelerator, trainer.model)
        if accelerator.is_main_process:
            info = {
                "steps": trainer.steps,
                "seconds": round(time.perf_counter() - started, 1),
                **counts,
                "mixture": mixture.table(),
            }
            files = runner.files(
                work, "xlam_lib.train.sft_lite", settings, mixture=mixture.table(), mask=asdict(trainer.mask)
            )
            model = accelerator.unwrap_model(trainer.model)
            checkpoint.save(out, model, tokenizer, STYLES[settings.style], files, info, weights)
    return out


def _mixture(settings: LiteSettings, tokenizer: Any) -> tuple[Mixture, dict[str, dict[str, dict[str, int]]]]:
    """All sources in one stream, and counts of them: {"left_out": {source: ...}, "augmented": {source: ...}}."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    sources = {name: Trajectories(rows, settings.together) for name, rows in inputs.read(settings, tokenizer, counts)}
    seed = DeviceSeed(settings.seed, rank=0, world=1)  # every process reads all samples, see packing/packers.py
    return Mixture(sources, settings.shares or None, seed=seed), counts
