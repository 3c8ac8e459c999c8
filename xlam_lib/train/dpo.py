"""Direct preference optimisation with trl's DPOTrainer (notebook 03; also a shell command):

    python -m xlam_lib.train.dpo --base runs/sft --pairs pairs.jsonl --out runs/dpo
    python -m xlam_lib.train.dpo --base runs/sft --pairs pairs.jsonl --out runs/dpo --lora-rank 16 --losses ipo

The reference is the checkpoint it starts from, its log-probabilities computed once; `preference/trainer.py` says
more of losses and adapters. Pairs marked "held_out" are never trained on; after training, `held_out.json` beside the
weights says, for all of them and for each origin and mistake, how often the chosen answer is preferred: by its
likelihood before and after, and by the reward that DPO defines (beta times how much more likely it became than the
rejected one did).

Several files are drawn by `--shares`, all pairs of a prompt together (`mixture/inputs.py`). Pairs aren't augmented:
they hold texts, and what they hold is what is trained. Vary the trajectories that they are made of.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from xlam_lib.settings import from_command_line
from xlam_lib.train.loop.command import command
from xlam_lib.train.preference.settings import DpoSettings, check


def train(settings: DpoSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    from xlam_lib.train.preference import dpo  # loads torch, for which no wrong option has to wait

    return dpo.train(settings)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--base", "runs/sft", "--pairs", "pairs.jsonl", "--out", "runs/dpo"])` -> 0."""
    argv = sys.argv[1:] if argv is None else list(argv)
    settings = from_command_line(DpoSettings, argv, "xlam_lib.train.dpo", "Direct preference optimisation.")
    return command(train, settings, "xlam_lib.train.dpo", argv, check)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    sys.exit(main())
