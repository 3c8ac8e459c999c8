"""Supervised fine-tuning of all weights by a short loop of our own on Accelerate (a shell command):

    python -m xlam_lib.train.sft_lite recipe.yaml --out runs/lite
    torchrun --nproc-per-node 8 -m xlam_lib.train.sft_lite recipe.yaml          # or accelerate launch

A step takes whole trajectories of a mixture, merges the samples of each into a trie and shares the tries out over the
devices (`lite.py`, `packing.py`). Any number of devices makes the same steps up to rounding, and a run that was broken
off goes on from its last whole checkpoint to the same weights.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from xlam_lib.codec import STYLES
from xlam_lib.train import checkpoint, loop
from xlam_lib.train.config import from_command_line, option
from xlam_lib.train.grouped import trajectories
from xlam_lib.train.lite import SFTFoundationTrainerLite, prepare_accelerator
from xlam_lib.train.mixture import Mixture
from xlam_lib.train.processes import TrainingError, command
from xlam_lib.train.reporting import Kind
from xlam_lib.train.seeds import DeviceSeed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiteSettings:
    """All options of a run; a YAML file or the command line gives them."""

    base: str = option(..., "folder of the checkpoint to start from")
    data: tuple[str, ...] = option(..., "trajectories as JSON Lines, one file a source")
    out: str = option(..., "folder to make; appears when all is done")
    shares: tuple[float, ...] = option((), "how often each source is drawn; nothing: by its size")
    style: Literal["brief", "seed"] = option("brief", "how prompts are written")
    epochs: float = option(1.0, "passes over the trajectories")
    batch_size: int = option(8, "trajectories a step, over all processes")
    row_tokens: int = option(8192, "nodes that are read at once; bounds the memory, changes nothing else")
    lr: float = option(5e-4, "peak learning rate")
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = option("linear", "of the learning rate")
    warmup: float = option(0.05, "share of the steps in which the learning rate rises")
    weight_decay: float = option(0.01, "AdamW's")
    max_grad_norm: float = option(1.0, "gradients are shortened to it")
    max_length: int = option(4096, "samples of more tokens are left out, and counted")
    seed: int = option(0, "seed of the order")
    precision: Literal["auto", "float32", "bfloat16"] = option("auto", "bfloat16 autocast where there are instructions")
    processes: int = option(0, "processes on this machine (0: two where there are two cores, one beside a GPU)")
    log_every: int = option(10, "steps between two lines of the log")
    save_every: int = option(200, "steps between two checkpoints to resume from")
    report: Kind = option("none", "where the log's figures go beside log.jsonl; wandb takes its key from WANDB_API_KEY")
    end_token: Literal["error", "warn"] = option("error", "where no answer trains it: stop, or go on with a warning")


def train(settings: LiteSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    out, settings = Path(settings.out), loop.resolved(settings)
    inputs = {f"data_{number}": path for number, path in enumerate(settings.data)}
    described = loop.describe(settings, base=settings.base, **inputs)
    del described["data"]  # what the files hold counts, not where they lie
    if loop.finished(out, described):
        logger.info("%s is there already, made with the same settings and data", out)
        return out
    accelerator = prepare_accelerator(settings)
    tokenizer = checkpoint.load_tokenizer(settings.base)
    mixture, left_out = _mixture(settings, tokenizer)
    work, last = loop.prepare(out, described)
    trainer = SFTFoundationTrainerLite(settings, accelerator, mixture, tokenizer=tokenizer)
    started = time.perf_counter()
    trainer.train(work, last, loop.report(settings.report, work, last))
    if accelerator.is_main_process:
        info = {
            "steps": trainer.steps,
            "seconds": round(time.perf_counter() - started, 1),
            "left_out": left_out,
            "mixture": mixture.table(),
        }
        files = loop.files(
            work, "xlam_lib.train.sft_lite", settings, mixture=mixture.table(), mask=asdict(trainer.mask)
        )
        model = accelerator.unwrap_model(trainer.model)
        checkpoint.save(out, model, tokenizer, STYLES[settings.style], files, info)
        shutil.rmtree(work)
    accelerator.wait_for_everyone()
    return out


def _mixture(settings: LiteSettings, tokenizer: Any) -> tuple[Mixture, dict[str, dict[str, int]]]:
    """All sources in one stream, and what was left out of each."""
    sources, left_out = {}, {}
    for path in settings.data:
        name = Path(path).parent.name if Path(path).stem == "trajectories" else Path(path).stem
        if name in sources:
            raise TrainingError(f"{path}: a second source called {name!r}; rename its file or folder")
        style, wrapper = STYLES[settings.style], checkpoint.wrapper(tokenizer)
        sources[name], lost = trajectories(path, tokenizer, style, settings.max_length, wrapper)
        left_out[name] = dict(lost)
        if not len(sources[name]):
            raise TrainingError(f"{path}: nothing to train on; left out: {left_out[name]}")
        checkpoint.check_context(settings.base, sources[name].longest, path)
    seed = DeviceSeed(settings.seed, rank=0, world=1)  # every process reads all samples, see packing.py
    return Mixture(sources, settings.shares or None, seed=seed), left_out


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["recipe.yaml", "--out", "runs/lite"])` -> 0."""
    argv = sys.argv[1:] if argv is None else list(argv)
    settings = from_command_line(LiteSettings, argv, "xlam_lib.train.sft_lite", "Fine-tuning of all weights.")
    return command(train, settings, "xlam_lib.train.sft_lite", argv)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
