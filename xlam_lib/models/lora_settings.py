"""The options of LoRA adapters, and what can't be meant by them; loads nothing heavy (`lora.py` makes the adapters).

check(SftSettings("base", ("train.jsonl",), "runs/lora", lora_rank=16, quantize="nf4"))
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Literal

from xlam_lib.errors import TrainingError
from xlam_lib.settings import NOT_NEGATIVE, Range, option


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """The options of adapters, which the settings of SFT, DPO and GRPO have, too."""

    lora_rank: int = option(0, "rank of LoRA adapters (0: all weights are trained)", within=NOT_NEGATIVE)
    lora_alpha: float = option(0.0, "adapters count alpha / rank times (0: twice the rank)", within=NOT_NEGATIVE)
    lora_dropout: float = option(
        0.0, "share of an adapter's inputs that is dropped in training", within=Range(least=0, below=1)
    )
    lora_targets: tuple[str, ...] = option((), "layers that get adapters, by name (nothing: all linear but the head)")
    quantize: Literal["none", "nf4"] = option("none", "nf4 holds the frozen base in four bits (QLoRA)")


def check(settings: Any) -> None:
    """Refuse options that can't be meant, before anything is loaded: TrainingError."""
    rank, dropout = settings.lora_rank, settings.lora_dropout
    if rank < 0:
        raise TrainingError(f"lora_rank is {rank}: expected 0 (all weights are trained) or a rank such as 16")
    if settings.lora_alpha < 0:
        raise TrainingError(f"lora_alpha is {settings.lora_alpha:g}: expected 0 (twice the rank) or more")
    if not 0 <= dropout < 1:
        raise TrainingError(f"lora_dropout is {dropout:g}: expected a share from 0 to below 1")
    if not rank:
        given = [name for name in ("lora_alpha", "lora_dropout", "lora_targets") if getattr(settings, name)]
        if given:
            raise TrainingError(f"{given[0]} without lora_rank: no adapter is made; give --lora-rank, such as 16")
        if settings.quantize != "none":
            raise TrainingError(
                f"quantize is {settings.quantize!r} without lora_rank: weights of four bits can't be trained "
                "themselves; give --lora-rank, such as 16"
            )
    if rank and getattr(settings, "from_scratch", False):
        raise TrainingError("from_scratch with lora_rank: an adapter needs a base that is saved somewhere")
    if settings.quantize != "none" and importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError("quantize needs the package bitsandbytes: pip install bitsandbytes")
