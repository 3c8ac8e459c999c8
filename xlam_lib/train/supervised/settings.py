"""The options of SFT, by trl and by the loop of our own (`python -m xlam_lib.train.sft` and `sft_lite`).

    SftSettings("experiments/01_tiny_base/model", ("train.jsonl",), "runs/sft", lr=1e-3)

Nothing here loads torch, so the commands answer `--help` and refuse wrong options at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xlam_lib.data.augment.augmentation import share_of
from xlam_lib.errors import TrainingError
from xlam_lib.models import bases, lora_settings
from xlam_lib.models.lora_settings import LoraSettings
from xlam_lib.settings import COUNT, NOT_NEGATIVE, POSITIVE, SEED, SHARE, option
from xlam_lib.train.loop.reporting import Kind


@dataclass(frozen=True)
class SftSettings(LoraSettings):
    """All options of a run; the command line is made of them."""

    base: str = option(..., "what to start from: folder, name of a base, or ORG/NAME of the hub")
    data: tuple[str, ...] = option(..., "trajectories as JSON Lines, one file a source")
    out: str = option(..., "folder to make; appears when all is done")
    shares: tuple[float, ...] = option(
        (), "how often trajectories of each source are drawn; nothing: by their number", within=NOT_NEGATIVE
    )
    style: Literal["brief", "seed"] = option("brief", "how prompts are written")
    variants: float = share_of("variants")
    masked: float = share_of("masked")
    irrelevant: float = share_of("irrelevant")
    distractors: float = share_of("distractors")
    shuffled: float = share_of("shuffled")
    epochs: float = option(1.0, "passes over the data", within=POSITIVE)
    samples: int = option(0, "rows to draw in all, instead of --epochs", within=NOT_NEGATIVE)
    seconds: float = option(0.0, "plan no more samples than fit into this time (0: no limit)", within=NOT_NEGATIVE)
    lr: float = option(5e-4, "peak learning rate", within=POSITIVE)
    decay: float = option(
        0.5, "share of the steps, the last ones, over which the learning rate falls to 0", within=SHARE
    )
    batch_size: int = option(8, "rows a step, over all processes", within=COUNT)
    per_device_batch_size: int = option(
        0,
        "rows a process reads at once, a divisor of its part of a step (0: all of them)",
        formerly="micro_batch",
        within=NOT_NEGATIVE,
    )
    gradient_checkpointing: bool = option(
        False, "keep fewer activations, and compute them again for the backward pass", formerly="recompute"
    )
    max_length: int = option(1024, "rows of more tokens are left out, and counted", within=COUNT)
    seed: int = option(0, "seed of the order, of augmentation and of random weights", within=SEED)
    from_scratch: bool = option(False, "random weights instead of the base's")
    adapter: str = option("", "folder of an adapter of this base that is trained further, instead of a fresh one")
    precision: Literal["auto", "float32", "bfloat16"] = option("auto", "bfloat16 autocast where there are instructions")
    processes: int = option(
        0, "processes on this machine (0: two where there are two cores, one beside a GPU)", within=NOT_NEGATIVE
    )
    log_every: int = option(10, "steps between two lines of the log", within=COUNT)
    save_every: int = option(200, "steps between two checkpoints to resume from", within=COUNT)
    report: Kind = option("none", "where the log's figures go beside log.jsonl; wandb takes its key from WANDB_API_KEY")
    missing_eos_token: Literal["error", "warn"] = option(
        "error", "where no answer trains the end token: stop, or go on with a warning", formerly="end_token"
    )


@dataclass(frozen=True)
class LiteSettings:
    """All options of a run; a YAML file or the command line gives them."""

    base: str = option(..., "what to start from: folder, name of a base, or ORG/NAME of the hub")
    data: tuple[str, ...] = option(..., "trajectories as JSON Lines, one file a source")
    out: str = option(..., "folder to make; appears when all is done")
    shares: tuple[float, ...] = option((), "how often each source is drawn; nothing: by its size", within=NOT_NEGATIVE)
    style: Literal["brief", "seed"] = option("brief", "how prompts are written")
    variants: float = share_of("variants")
    masked: float = share_of("masked")
    irrelevant: float = share_of("irrelevant")
    distractors: float = share_of("distractors")
    shuffled: float = share_of("shuffled")
    epochs: float = option(1.0, "passes over the trajectories", within=POSITIVE)
    samples: int = option(0, "trajectories to draw in all, instead of --epochs", within=NOT_NEGATIVE)
    together: int = option(
        1, "trajectories with the same tools that are drawn as one, and read as a trie", within=COUNT
    )
    batch_size: int = option(8, "trajectories (or so many together) a step, over all processes", within=COUNT)
    row_tokens: int = option(8192, "nodes that are read at once; bounds the memory, changes nothing else", within=COUNT)
    gradient_checkpointing: bool = option(
        False, "keep fewer activations, and compute them again for the backward pass", formerly="recompute"
    )
    lr: float = option(5e-4, "peak learning rate", within=POSITIVE)
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = option("linear", "of the learning rate")
    warmup: float = option(0.05, "share of the steps in which the learning rate rises", within=SHARE)
    weight_decay: float = option(0.01, "AdamW's", within=NOT_NEGATIVE)
    max_grad_norm: float = option(1.0, "gradients are shortened to it", within=POSITIVE)
    max_length: int = option(4096, "samples of more tokens are left out, and counted", within=COUNT)
    seed: int = option(0, "seed of the order and of augmentation", within=SEED)
    precision: Literal["auto", "float32", "bfloat16"] = option("auto", "bfloat16 autocast where there are instructions")
    processes: int = option(
        0, "processes on this machine (0: two where there are two cores, one beside a GPU)", within=NOT_NEGATIVE
    )
    log_every: int = option(10, "steps between two lines of the log", within=COUNT)
    save_every: int = option(200, "steps between two checkpoints to resume from", within=COUNT)
    report: Kind = option("none", "where the log's figures go beside log.jsonl; wandb takes its key from WANDB_API_KEY")
    missing_eos_token: Literal["error", "warn"] = option(
        "error", "where no answer trains the end token: stop, or go on with a warning", formerly="end_token"
    )


def check(settings: SftSettings | LiteSettings) -> None:
    """Refuse what can't be meant, and a base or data that aren't there, before anything is loaded: an XlamError."""
    if isinstance(settings, SftSettings):
        lora_settings.check(settings)
        if settings.adapter:
            bases.base_info(settings.adapter)  # it is one
            if not settings.lora_rank:
                raise TrainingError(f"adapter {settings.adapter} without lora_rank: give the rank that it has")
    bases.check_inputs(settings.base, settings.data)
