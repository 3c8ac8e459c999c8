"""Group relative policy optimisation with verifiable rewards, through trl's GRPOTrainer (notebook 03; also a command):

    python -m xlam_lib.train.grpo --base runs/sft --data prompts.jsonl --out runs/grpo
    python -m xlam_lib.train.grpo experiments/03_grpo/recipe/grpo.yaml --out runs/other
    python -m xlam_lib.train.grpo --base runs/sft --data a.jsonl b.jsonl --shares 0.8 0.2 --out runs/lora --lora-rank 16

The model answers each prompt several times; answers that earn more than the mean of their group become likelier, the
others less so (DeepSeekMath, arXiv 2402.03300). Prompts are the turns of trajectories, whose answers are what is
expected (`prompts.py`); `rewards.py` and `execution.py` say what an answer earns. The log has each reward's mean and
spread, the length of answers, the share of them that was cut, and the share of groups of equal rewards, from which
nothing is learnt. With `--lora-rank` adapters are trained (`lora.py`); the reference is then the same model with its
adapters switched off.

Stopped, the same command goes on from the last checkpoint and ends with the same weights: the state of the random
numbers is restored, too, and checkpoints lie between rounds of answers. With vLLM, which draws on its own, it doesn't.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from xlam_lib.settings import from_command_line
from xlam_lib.train.loop.command import command
from xlam_lib.train.rl.settings import GrpoSettings, check


def train(settings: GrpoSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    from xlam_lib.train.rl import grpo  # loads torch, for which no wrong option has to wait

    return grpo.train(settings)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--base", "runs/sft", "--data", "prompts.jsonl", "--out", "runs/grpo"])` -> 0."""
    argv = sys.argv[1:] if argv is None else list(argv)
    settings = from_command_line(GrpoSettings, argv, "xlam_lib.train.grpo", "GRPO with verifiable rewards.")
    return command(train, settings, "xlam_lib.train.grpo", argv, check)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    sys.exit(main())
