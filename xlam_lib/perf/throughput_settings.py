"""The options of `throughput.py`, and what can't be meant by them; loads nothing heavy.

check(Settings(models=("tiny",), lengths=(512,), scale=0.1))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xlam_lib.errors import TrainingError
from xlam_lib.models.family import family
from xlam_lib.perf import synthetic
from xlam_lib.perf.cases import CASES
from xlam_lib.settings import COUNT, NOT_NEGATIVE, POSITIVE, SEED, option

TINY, VOCABULARY = "tiny", 4096  # a twin of the last model, for a rehearsal
MODELS = ("xLAM-1b-fc-r", "xLAM-2-3b-fc-r", "Llama-xLAM-2-8b-fc-r")
WAYS, DATA = ("lora", "full"), ("trajectories", "single")
CPU_MOST = 0.1  # billions of parameters that a CPU is asked to train
SMALL = f"--models {TINY} --lengths 512 --scale 0.1"


@dataclass(frozen=True)
class Settings:
    """The options of the command."""

    models: tuple[str, ...] = option(MODELS, f"names of family.yaml, or {TINY}")
    ways: tuple[str, ...] = option(WAYS, "lora: adapters on a frozen base; full: all weights")
    lengths: tuple[int, ...] = option((4096, 8192, 16384), "tokens that are read at once", within=COUNT)
    data: tuple[str, ...] = option(DATA, "trajectories share beginnings, single samples share nothing and fill a row")
    batch: int = option(8, "trajectories, or single samples, a step", within=COUNT)
    rounds: int = option(3, "steps that are timed, both ways of reading in turns; the median counts", within=COUNT)
    warmup: int = option(1, "steps before these", within=NOT_NEGATIVE)
    precision: Literal["bfloat16", "float32"] = option("bfloat16", "of the weights and of what is computed")
    gradient_checkpointing: bool = option(
        False, "keep fewer activations, and compute them again for the backward pass", formerly="recompute"
    )
    lora_rank: int = option(16, "of the adapters", within=COUNT)
    attention: Literal["auto", "flash_attention_2", "varlen", "flex_attention"] = option(
        "auto", "of samples apart on a GPU; auto: that of the package flash-attn if it is there, else torch's"
    )
    scale: float = option(1.0, "declared trajectories with so many times the tokens", within=POSITIVE)
    real: str = option("", "folder of real records, instead of declared trajectories")
    case: str = option("alfworld", "which of them, as `make speed` names it")
    peak: float = option(
        0.0, "what the GPU can do, in TFLOP/s, where telemetry.py doesn't know it", within=NOT_NEGATIVE
    )
    profile: bool = option(False, "name the operators that take most time")
    seed: int = option(0, "of weights and declared samples", within=SEED)
    out: str = option("runs/throughput", "where throughput.json is written")


def check(args: Settings) -> None:
    """TrainingError for what can't be meant."""
    known = {"models": [*family(), TINY], "ways": WAYS, "data": DATA, "case": [case.name for case in CASES]}
    for name, values in known.items():
        given = getattr(args, name)
        for one in [given] if isinstance(given, str) else given:
            if one not in values:
                raise TrainingError(f"--{name}: {one!r} is unknown; known are {', '.join(values)}")
    longest = synthetic.ALFWORLD.scaled(args.scale).longest
    if "trajectories" in args.data and not args.real and longest > min(args.lengths):
        raise TrainingError(
            f"--lengths {min(args.lengths)}: a declared trajectory has samples of up to {longest} tokens; give longer "
            "rows, or a smaller --scale"
        )
