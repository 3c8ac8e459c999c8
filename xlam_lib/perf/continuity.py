"""The same training in two processes, and killed on its way, against an undisturbed one (`make speed`; notebook 06).

    alone = trained(data, work / "one")
    two = trained(data, work / "two", processes=2)
    curves(alone, two)                                # the greatest relative difference of a step's loss: 2e-7
    changed(alone, killed(data, work / "killed"))     # the greatest difference of a weight: 0.0

All are commands of SFT-lite, float32, from the tiny base, on real trajectories.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from xlam_lib import paths
from xlam_lib.settings import to_arguments
from xlam_lib.train.loop import child
from xlam_lib.train.loop.launcher import command
from xlam_lib.train.loop.log import FILE, curve, read_log
from xlam_lib.train.supervised.settings import LiteSettings

MODULE = "xlam_lib.train.sft_lite"
PATIENCE = 600.0  # seconds until a run that is to be killed has made its steps


def settings(data: Path, out: Path, **more: Any) -> dict[str, Any]:
    """The options of a short run, with a checkpoint after every third step; `more` are others of LiteSettings."""
    whole: dict[str, Any] = {"base": str(paths.base_model_dir()), "data": (str(data),), "out": str(out)}
    short = {"batch_size": 4, "max_length": 2048, "precision": "float32", "processes": 1, "log_every": 1}
    return asdict(LiteSettings(**{**whole, **short, "save_every": 3, **more}))


def trained(data: Path, out: Path, **more: Any) -> Path:
    """A run of its own, or the rest of one that was broken off; returns its checkpoint."""
    child.run(MODULE, settings(data, out, **more), out.with_suffix(".txt"))
    return out


def killed(data: Path, out: Path, seed: int = 0, **more: Any) -> Path:
    """A run that gets SIGKILL after a number of steps drawn with the seed, and is then started again.

    A RuntimeError if it ended before it could be killed: then nothing would be shown.
    """
    steps, given = random.Random(seed).randint(2, 8), settings(data, out, **more)
    log = Path(f"{out}.partial", FILE)
    process = subprocess.Popen(
        command(given["processes"], MODULE, to_arguments(given)), env=child.environment(), stdout=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < until:
            if log.is_file() and len(read_log(log)) >= steps:
                break
            time.sleep(0.002)
    finally:
        process.kill()
    if process.wait() != -signal.SIGKILL or out.exists():
        raise RuntimeError(f"{out}: the run ended before step {steps}, where it was to be killed; give it more epochs")
    return trained(data, out, **more)


def curves(one: Path, other: Path) -> float:
    """The greatest relative difference of the losses of two runs, step by step."""
    (steps, losses), (others, found) = (curve(read_log(folder), "loss") for folder in (one, other))
    if steps != others or not steps:
        raise ValueError(f"{one} and {other}: runs of different steps ({len(steps)} and {len(others)} in their logs)")
    return max(abs(a - b) / abs(a) for a, b in zip(losses, found, strict=True))


def changed(one: Path, other: Path) -> float:
    """The greatest difference of a weight between two checkpoints."""
    mine, theirs = (load_file(folder / "model.safetensors") for folder in (one, other))
    if mine.keys() != theirs.keys():
        raise ValueError(f"{one} and {other}: checkpoints of different models")
    return max((mine[name] - theirs[name]).abs().max().item() for name in mine)
