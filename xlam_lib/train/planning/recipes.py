"""A recipe: one YAML file with the settings of a training, and under `plan:` what it is planned for.

    base: models/xlam-7b-r-base        # ... the settings that `python -m xlam_lib.train.sft_lite recipe.yaml` takes
    plan: {trainer: sft_lite, model: xLAM-7b-r, launch: ../launch/fsdp2.yaml, gpus: 8, memory_gib: 80, ...}

Read by `plan.py`, before torch is loaded; `experiments/04_model_family` has one for each model. How the model lies on
the GPUs isn't repeated: it is read from the file that `accelerate launch --config_file` takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xlam_lib.errors import TrainingError
from xlam_lib.settings import from_command_line, option, planned
from xlam_lib.settings.yaml_files import read_yaml
from xlam_lib.train.supervised.settings import LiteSettings, SftSettings


@dataclass(frozen=True)
class PlanSettings:
    """What stands under `plan:`."""

    trainer: Literal["sft", "sft_lite"] = option(..., "the command that runs the recipe")
    model: str = option(..., "a name of family.yaml")
    launch: str = option("", "accelerate's configuration, from the recipe's folder; nothing: torchrun")
    gpus: int = option(8, "how many, all machines together")
    memory_gib: float = option(80.0, "of each")
    reserve_gib: float = option(4.0, "an assumption: what CUDA, its communication and gaps between tensors take")
    peak_tflops: float = option(989.0, "of each in bfloat16; 989 is NVIDIA's figure of an H100 SXM, dense")
    utilisation: float = option(0.35, "an assumption: the share of the peak that is reached")
    trajectories: int = option(10_000, "where the data isn't there to be counted: how many")
    samples: float = option(1.0, "of a trajectory")
    tokens: int = option(1_500, "of a sample")
    shared: float = option(0.0, "the share of tokens that stand in an earlier sample of the trajectory, too")
    labelled: float = option(0.1, "the share of tokens that is trained")


@dataclass(frozen=True)
class Workload:
    """What is to be read in one epoch, of data that was counted or declared."""

    trajectories: int
    samples: int
    tokens: int  # of all samples
    nodes: int  # of these, the ones that are left when what a trajectory's samples share is read once
    labels: int
    counted: bool

    @property
    def depth(self) -> float:
        """How many tokens stand before a token, on average."""
        return self.tokens / max(1, self.samples) / 2


@dataclass(frozen=True)
class Trainer:
    """What differs between the commands."""

    settings: type
    row: Callable[[Any, int], int]  # tokens that a GPU reads at once
    steps: Callable[[Any, Workload], int]
    drawn: Callable[[Workload], int]  # of what `samples` counts, in one epoch
    tries: bool  # on a GPU: reads tries, with a mask of row x row
    refused: dict[str, str]  # launches by accelerate's name, and why they are of no use


def _lite_steps(settings: Any, load: Workload) -> int:
    if settings.samples:
        return math.ceil(settings.samples / settings.batch_size)
    return max(1, round(settings.epochs * math.ceil(load.trajectories / settings.batch_size)))


def _sft_steps(settings: Any, load: Workload) -> int:
    return math.ceil((settings.samples or round(settings.epochs * load.samples)) / settings.batch_size)


def _rows(settings: Any, gpus: int) -> int:
    """Rows that a GPU reads at once."""
    return settings.per_device_batch_size or max(1, settings.batch_size // gpus)


TRAINERS = {
    "sft_lite": Trainer(
        settings=LiteSettings,
        row=lambda settings, gpus: max(settings.row_tokens, settings.max_length),
        steps=_lite_steps,
        drawn=lambda load: load.trajectories,
        tries=True,
        refused={},
    ),
    "sft": Trainer(
        settings=SftSettings,
        row=lambda settings, gpus: _rows(settings, gpus) * settings.max_length,
        steps=_sft_steps,
        drawn=lambda load: load.samples,
        tries=False,
        refused={"DEEPSPEED": "sft under DeepSpeed has never been run, and saves no shards"},
    ),
}


@dataclass(frozen=True)
class Recipe:
    """A recipe that has been read: `read("experiments/04_model_family/recipes/xlam-7b-r.yaml").settings.lr`."""

    path: Path
    plan: PlanSettings
    settings: Any
    launch: dict[str, Any]

    @property
    def trainer(self) -> Trainer:
        """The command's part of it."""
        return TRAINERS[self.plan.trainer]

    def steps(self, load: Workload) -> int:
        """How many steps the trainer makes."""
        return self.trainer.steps(self.settings, load)

    def epochs(self, load: Workload) -> float:
        """Passes over the data."""
        samples = self.settings.samples
        return samples / self.trainer.drawn(load) if samples else self.settings.epochs


def read(path: str | Path) -> Recipe:
    """A recipe with all its files; what is wrong with one is a TrainingError or argparse's error."""
    path = Path(path)
    try:
        plan = planned(PlanSettings, path)
        launch = (read_yaml(path.parent / plan.launch) or {}) if plan.launch else {}
    except (OSError, ValueError) as error:
        raise TrainingError(str(error)) from error
    if not isinstance(launch, dict):
        raise TrainingError(f"{plan.launch}: expected accelerate's configuration, found {type(launch).__name__}")
    kind, module = TRAINERS[plan.trainer].settings, f"xlam_lib.train.{plan.trainer}"
    return Recipe(path, plan, from_command_line(kind, [str(path)], module, "a recipe"), launch)
