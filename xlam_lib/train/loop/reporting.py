"""Where the figures of a training go beside its own log: TensorBoard or Weights & Biases, if asked (notebook 02).

    python -m xlam_lib.train.sft ... --report tensorboard       # then: tensorboard --logdir runs

TensorBoard's files lie in `tensorboard/` of the run's folder. W&B takes its key from WANDB_API_KEY and the project from
WANDB_PROJECT, nothing else; with WANDB_MODE=offline it needs no key. A run that goes on continues its own curves.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from xlam_lib.errors import TrainingError

FOLDER = "tensorboard"
Kind = Literal["none", "tensorboard", "wandb"]


class Report(Protocol):
    """Takes the entries of the log, one after another."""

    def write(self, entry: Mapping[str, Any]) -> None:
        """One entry, {"step": 10, "loss": 3.1, ...}; what isn't a number is left out."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...


def open_report(kind: Kind, work: Path, step: int, run_id: str, settings: Mapping[str, Any]) -> Report:
    """What `kind` names, for a run in the folder `work` that goes on behind `step`; TrainingError if it is missing."""
    if kind == "tensorboard":
        return TensorBoard(work / FOLDER, step)
    return WandB(work, run_id, settings) if kind == "wandb" else NoReport()


class NoReport:
    """No report."""

    def write(self, entry: Mapping[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class TensorBoard:
    """Event files in a folder; what an earlier run wrote behind `step` isn't shown."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TrainingError(
                f"report is tensorboard, but the package isn't there ({error}): `pip install tensorboard`, or set "
                "report to none (log.jsonl is written anyway)"
            ) from error
        self.writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, entry: Mapping[str, Any]) -> None:
        """See `Report`."""
        for name, value in numbers(entry).items():
            self.writer.add_scalar(name, value, entry["step"])
        self.writer.flush()

    def close(self) -> None:
        """See `Report`."""
        self.writer.close()


class WandB:
    """A run of Weights & Biases with the run's own id."""

    def __init__(self, work: Path, run_id: str, settings: Mapping[str, Any]) -> None:
        if not os.environ.get("WANDB_API_KEY") and os.environ.get("WANDB_MODE") not in ("offline", "disabled"):
            raise TrainingError("report is wandb: put its key into WANDB_API_KEY, or set WANDB_MODE=offline")
        try:
            import wandb
        except ImportError as error:
            raise TrainingError(
                f"report is wandb, but the package isn't there ({error}): `pip install wandb`, or set report to "
                "tensorboard or none"
            ) from error
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "xlam"), id=run_id, name=work.name.removesuffix(".partial"),
            config=dict(settings), dir=str(work), resume="allow",
        )  # fmt: skip

    def write(self, entry: Mapping[str, Any]) -> None:
        """See `Report`."""
        self.run.log(numbers(entry), step=entry["step"])

    def close(self) -> None:
        """See `Report`."""
        self.run.finish()


def numbers(entry: Mapping[str, Any]) -> dict[str, float]:
    """The figures of an entry but its step: `numbers({"step": 1, "loss": 2.0, "note": "x"})` -> {"loss": 2.0}."""
    return {
        name: value
        for name, value in entry.items()
        if name != "step" and isinstance(value, int | float) and not isinstance(value, bool)
    }
