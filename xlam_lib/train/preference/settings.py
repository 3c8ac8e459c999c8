"""The options of DPO and the losses that it can add up (`python -m xlam_lib.train.dpo`).

    losses(DpoSettings("runs/sft", ("pairs.jsonl",), "runs/dpo", losses=("ipo",)))      # {"ipo": 1.0, "sft": 2.0}

Nothing here loads torch, so the command answers `--help` and refuses wrong options at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from xlam_lib.errors import TrainingError
from xlam_lib.models import bases, lora_settings
from xlam_lib.models.lora_settings import LoraSettings
from xlam_lib.settings import COUNT, NOT_NEGATIVE, POSITIVE, SEED, Range, option
from xlam_lib.train.loop.reporting import Kind

LOSSES = (
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
    "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
)  # fmt: skip
SMOOTHED = ("robust", "exo_pair", "aot", "aot_unpaired")  # those that read label_smoothing


@dataclass(frozen=True)
class DpoSettings(LoraSettings):
    """All options of a run; the command line is made of them."""

    base: str = option(..., "what to start from, also the reference: folder, name of a base, or ORG/NAME of the hub")
    pairs: tuple[str, ...] = option(..., "preference pairs as JSON Lines, one file a source")
    out: str = option(..., "folder to make; appears when all is done")
    shares: tuple[float, ...] = option(
        (), "how often prompts of each source are drawn; nothing: by their number", within=NOT_NEGATIVE
    )
    epochs: float = option(1.0, "passes over the training pairs", within=POSITIVE)
    samples: int = option(0, "pairs to draw in all, instead of --epochs", within=NOT_NEGATIVE)
    beta: float = option(0.1, "how closely to stay with the reference; higher is closer", within=POSITIVE)
    lr: float = option(1e-5, "peak learning rate", within=POSITIVE)
    losses: tuple[str, ...] = option(("sigmoid",), f"added up, some of {', '.join(LOSSES)}")
    loss_weights: tuple[float, ...] = option((), "what each of the losses counts (nothing: 1)", within=NOT_NEGATIVE)
    sft_weight: float = option(
        2.0, "weight of a term that trains the chosen answer as SFT does, unless losses name it", within=NOT_NEGATIVE
    )
    label_smoothing: float = option(
        0.0,
        f"share of pairs that may be the wrong way round, for {', '.join(SMOOTHED)}",
        within=Range(least=0, below=0.5),
    )
    batch_size: int = option(16, "pairs a step, over all processes", within=COUNT)
    per_device_batch_size: int = option(
        0,
        "pairs a process reads at once, a divisor of its part of a step (0: all of them)",
        formerly="micro_batch",
        within=NOT_NEGATIVE,
    )
    gradient_checkpointing: bool = option(
        False, "keep fewer activations, and compute them again for the backward pass", formerly="recompute"
    )
    max_length: int = option(1024, "pairs with a longer row are left out, and counted", within=COUNT)
    seed: int = option(0, "seed of the order", within=SEED)
    precision: Literal["auto", "float32", "bfloat16"] = option("float32", "bfloat16 blurs small margins")
    processes: int = option(
        0, "processes on this machine (0: two where there are two cores, one beside a GPU)", within=NOT_NEGATIVE
    )
    log_every: int = option(5, "steps between two lines of the log", within=COUNT)
    save_every: int = option(100, "steps between two checkpoints to resume from", within=COUNT)
    report: Kind = option("none", "where the log's figures go beside log.jsonl; wandb takes its key from WANDB_API_KEY")
    missing_eos_token: Literal["error", "warn"] = option(
        "error", "where no answer trains the end token: stop, or go on with a warning", formerly="end_token"
    )


def losses(args: Any) -> dict[str, float]:
    """The losses and what each counts: {"sigmoid": 1.0, "sft": 2.0}; names and weights that don't fit are an error."""
    weights = args.loss_weights or (1.0,) * len(args.losses)
    if unknown := [name for name in args.losses if name not in LOSSES]:
        raise TrainingError(f"losses: {unknown[0]!r} is unknown; expected some of {', '.join(LOSSES)}")
    if not args.losses or len(set(args.losses)) < len(args.losses):
        raise TrainingError(f"losses are {list(args.losses)}: expected at least one, each once")
    if len(weights) != len(args.losses):
        raise TrainingError(f"{len(weights)} loss_weights for {len(args.losses)} losses; expected one each, or none")
    if args.label_smoothing and not set(args.losses) & set(SMOOTHED):
        raise TrainingError(f"label_smoothing is {args.label_smoothing:g}, but only {', '.join(SMOOTHED)} read it")
    if not 0 <= args.label_smoothing < 0.5 or ("exo_pair" in args.losses and not args.label_smoothing):
        least = "above 0 (1e-3 in its paper)" if "exo_pair" in args.losses else "from 0"
        raise TrainingError(f"label_smoothing is {args.label_smoothing:g}: expected a share {least} to below 0.5")
    made = dict(zip(args.losses, weights, strict=True))
    return made if "sft" in made or not args.sft_weight else made | {"sft": args.sft_weight}


def check(settings: DpoSettings) -> None:
    """Refuse what can't be meant, and a base or pairs that aren't there, before anything is loaded: an XlamError."""
    lora_settings.check(settings)
    losses(settings)
    bases.check_inputs(settings.base, settings.pairs)
