"""One data object for every source: the trajectories of a unified file as prompts and answers (notebooks 01 and 02).

    webshop = TrajectoryData(tokenizer, "data/webshop/trajectories.jsonl", STYLES["brief"], name="webshop")
    train_dataset, eval_dataset = interleave_data([webshop], [1.0], seq_length=4096, seed=seed)

Trajectories of the split "val" are for evaluation, those of "test" are never handed out, all others are for training.
The file is indexed, not held; prompts are rendered when they are drawn.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from xlam_lib.chat_template import AFTER, BEFORE, model_text
from xlam_lib.codec import SEED_STYLE, PromptStyle
from xlam_lib.data.augment.augmentation import Augmentation
from xlam_lib.data.augment.layouts import turns_of
from xlam_lib.train.mixture.readers import JsonLines
from xlam_lib.trajectory import Trajectory

EVALUATION, HELD_OUT = ("val", "validation", "eval", "dev"), ("test",)
NOTHING = Augmentation()
Form = Callable[[Trajectory], Trajectory]


class TrajectoryData:
    """A data object for `interleave_data`: `TrajectoryData(tokenizer, "webshop/trajectories.jsonl", name="webshop")`.

    `wrapper` is what the model reads around a prompt, the chat template's. Trajectories for training are varied as
    `augmentation` says; `augmented` counts what was done once `create_datasets` was called.
    """

    def __init__(
        self,
        tokenizer: Any,
        path: str | Path,
        style: PromptStyle = SEED_STYLE,
        *,
        name: str = "",
        wrapper: tuple[str, str] = (BEFORE, AFTER),
        augmentation: Augmentation = NOTHING,
    ) -> None:
        self.augmentation, self.augmented = augmentation, Counter[str]()
        self.tokenizer, self.style, self.wrapper = tokenizer, style, wrapper
        self.lines = JsonLines(path, Trajectory.from_dict)
        self.name = name or Path(path).parent.name or Path(path).stem

    def create_datasets(self, return_type: str = "basic", seed: int | None = None) -> tuple[Turns, Turns | None]:
        """(train, eval) as sequences of {"prompt", "chosen", ...}, in the order of the file: shuffling comes later."""
        if return_type != "basic":
            raise ValueError(f"return_type is {return_type!r}: a data object gives 'basic' samples")
        pool = self.augmentation.pool(one for one in self.lines if one.split not in (*EVALUATION, *HELD_OUT))
        form = partial(self.augmentation, pool=pool)
        train, evaluation = Turns(self.lines, self.style, form), Turns(self.lines, self.style)
        self.augmented = Counter()
        for number, trajectory in enumerate(self.lines):
            if trajectory.split in EVALUATION:
                evaluation.add(number, trajectory)
            elif trajectory.split not in HELD_OUT:
                train.add(number, form(trajectory, counts=self.augmented))
        return train, evaluation if len(evaluation) else None

    def prepare_sample_text(self, sample: dict[str, Any]) -> str:
        """Prompt and answer as the model reads them, end token included."""
        return model_text(sample["prompt"], sample["chosen"], self.tokenizer.eos_token, *self.wrapper)


class Turns:
    """Trainable turns: `turns[0]` -> {"prompt": ..., "chosen": ..., "trajectory_id": "demo-1", "step": 1}.

    `form` gives the form of a trajectory in which it is trained, the same whenever it is asked.
    """

    def __init__(self, lines: JsonLines, style: PromptStyle, form: Form = NOTHING) -> None:
        self.lines, self.style, self.form = lines, style, form
        self.numbers, self.turns = array("Q"), array("Q")

    def add(self, number: int, trajectory: Trajectory) -> None:
        """Notes the trainable turns of the trajectory, in its form, that is record `number` of the file."""
        for turn in range(sum(step.role == "assistant" and step.trainable for step in trajectory.steps)):
            self.numbers.append(number)
            self.turns.append(turn)

    def __len__(self) -> int:
        return len(self.turns)

    def __getitem__(self, index: int) -> dict[str, Any]:
        trajectory = self.form(self.lines[self.numbers[index]])
        step, prompt, answer = turns_of(trajectory, self.style)[self.turns[index]]
        return {"prompt": prompt, "chosen": answer, "trajectory_id": trajectory.trajectory_id, "step": step}
