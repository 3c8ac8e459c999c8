"""Supervised fine-tuning on the answers of trajectories, with trl's SFTTrainer (notebook 02; also a shell command):

    python -m xlam_lib.train.sft --base experiments/01_tiny_base/model --data train.jsonl --out runs/sft
    python -m xlam_lib.train.sft --base llama --data train.jsonl --out runs/lora --lora-rank 16 --quantize nf4

The number of samples is fixed, never the time, so the same seed gives the same weights. On a CPU the rows of a
trajectory stand together and are read as a trie (`packing/trie_model.py`), on a GPU trl pads rows of similar length.
The trainer is SFTFoundationTrainer (v1). With `--lora-rank` it trains adapters (`models/lora.py`), all that is then
saved. With `--seconds` the run first measures its speed and plans fewer samples if need be: that is logged, and the
schedule spans what was planned. Several files are drawn by `--shares` (`mixture/inputs.py`), and trajectories can be
varied as they are read (`data/augment/augmentation.py`); how much of it came to pass lies in the finished run's
COMPLETE.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from xlam_lib.settings import from_command_line
from xlam_lib.train.loop.command import command
from xlam_lib.train.supervised.settings import SftSettings, check


def train(settings: SftSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    from xlam_lib.train.supervised import sft  # loads torch, for which no wrong option has to wait

    return sft.train(settings)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--base", "base", "--data", "train.jsonl", "--out", "runs/sft"])` -> 0."""
    argv = sys.argv[1:] if argv is None else list(argv)
    settings = from_command_line(SftSettings, argv, "xlam_lib.train.sft", "Supervised fine-tuning on answers.")
    return command(train, settings, "xlam_lib.train.sft", argv, check)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
