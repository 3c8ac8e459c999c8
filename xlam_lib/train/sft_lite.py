"""Supervised fine-tuning of all weights by a short loop of our own on Accelerate (a shell command):

    python -m xlam_lib.train.sft_lite recipe.yaml --out runs/lite
    torchrun --nproc-per-node 8 -m xlam_lib.train.sft_lite recipe.yaml
    accelerate launch --config_file experiments/04_model_family/launch/fsdp2.yaml -m xlam_lib.train.sft_lite recipe.yaml

A step takes whole trajectories of a mixture, merges the samples of each into a trie and shares the tries out over the
devices (`supervised/lite_trainer.py`, `packing/packers.py`). Any number of devices makes the same steps up to rounding,
and a run that was broken off goes on from its last whole checkpoint to the same weights. Trajectories can be varied as
they are read (`data/augment/augmentation.py`).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from xlam_lib.codec import STYLES
from xlam_lib.data.augment.augmentation import share_of
from xlam_lib.models import checkpoint
from xlam_lib.seeds import DeviceSeed
from xlam_lib.settings import from_command_line, option
from xlam_lib.train.loop import runner
from xlam_lib.train.loop.distributed import command
from xlam_lib.train.loop.reporting import Kind
from xlam_lib.train.mixture import inputs
from xlam_lib.train.mixture.grouped import Trajectories
from xlam_lib.train.mixture.mixture import Mixture
from xlam_lib.train.supervised.lite_trainer import SFTFoundationTrainerLite, prepare_accelerator

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiteSettings:
    """All options of a run; a YAML file or the command line gives them."""

    base: str = option(..., "folder of the checkpoint to start from")
    data: tuple[str, ...] = option(..., "trajectories as JSON Lines, one file a source")
    out: str = option(..., "folder to make; appears when all is done")
    shares: tuple[float, ...] = option((), "how often each source is drawn; nothing: by its size")
    style: Literal["brief", "seed"] = option("brief", "how prompts are written")
    variants: float = share_of("variants")
    masked: float = share_of("masked")
    irrelevant: float = share_of("irrelevant")
    distractors: float = share_of("distractors")
    shuffled: float = share_of("shuffled")
    epochs: float = option(1.0, "passes over the trajectories")
    batch_size: int = option(8, "trajectories a step, over all processes")
    row_tokens: int = option(8192, "nodes that are read at once; bounds the memory, changes nothing else")
    gradient_checkpointing: bool = option(
        False, "keep fewer activations, and compute them again for the backward pass", formerly="recompute"
    )
    lr: float = option(5e-4, "peak learning rate")
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = option("linear", "of the learning rate")
    warmup: float = option(0.05, "share of the steps in which the learning rate rises")
    weight_decay: float = option(0.01, "AdamW's")
    max_grad_norm: float = option(1.0, "gradients are shortened to it")
    max_length: int = option(4096, "samples of more tokens are left out, and counted")
    seed: int = option(0, "seed of the order and of augmentation")
    precision: Literal["auto", "float32", "bfloat16"] = option("auto", "bfloat16 autocast where there are instructions")
    processes: int = option(0, "processes on this machine (0: two where there are two cores, one beside a GPU)")
    log_every: int = option(10, "steps between two lines of the log")
    save_every: int = option(200, "steps between two checkpoints to resume from")
    report: Kind = option("none", "where the log's figures go beside log.jsonl; wandb takes its key from WANDB_API_KEY")
    missing_eos_token: Literal["error", "warn"] = option(
        "error", "where no answer trains the end token: stop, or go on with a warning", formerly="end_token"
    )


def train(settings: LiteSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
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
    sources = {name: Trajectories(rows) for name, rows in inputs.read(settings, tokenizer, counts)}
    seed = DeviceSeed(settings.seed, rank=0, world=1)  # every process reads all samples, see packing/packers.py
    return Mixture(sources, settings.shares or None, seed=seed), counts


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["recipe.yaml", "--out", "runs/lite"])` -> 0."""
    argv = sys.argv[1:] if argv is None else list(argv)
    settings = from_command_line(LiteSettings, argv, "xlam_lib.train.sft_lite", "Fine-tuning of all weights.")
    return command(train, settings, "xlam_lib.train.sft_lite", argv)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
