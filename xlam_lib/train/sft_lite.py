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

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from xlam_lib.settings import from_command_line
from xlam_lib.train.loop.command import command
from xlam_lib.train.supervised.settings import LiteSettings, check


def train(settings: LiteSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    from xlam_lib.train.supervised import sft_lite  # loads torch, for which no wrong option has to wait

    return sft_lite.train(settings)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["recipe.yaml", "--out", "runs/lite"])` -> 0."""
    argv = sys.argv[1:] if argv is None else list(argv)
    settings = from_command_line(LiteSettings, argv, "xlam_lib.train.sft_lite", "Fine-tuning of all weights.")
    return command(train, settings, "xlam_lib.train.sft_lite", argv, check)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
