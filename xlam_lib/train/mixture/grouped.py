"""The rows of a unified file, and trajectories as samples of a mixture: all rows of one together, to be read as a trie.

    rows, left_out = trajectories("data/webshop/trajectories.jsonl", tokenizer, STYLES["brief"], 4096)
    mixture = Mixture({"webshop": rows, ...}, shares, seed=init_device_seed(42, rank=0, world=1))

Used by SFT (`rows_of`) and SFT-lite. The tokens of a row of a sample are held as an array of four bytes each.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from xlam_lib.chat_template import AFTER, BEFORE
from xlam_lib.codec import PromptStyle
from xlam_lib.data.augment.augmentation import Augmentation
from xlam_lib.models.tokens import IGNORED
from xlam_lib.train.mixture.data_objects import EVALUATION, HELD_OUT
from xlam_lib.train.mixture.examples import Example, beside, examples
from xlam_lib.trajectory import Trajectory, read_jsonl

NOTHING = Augmentation()


class Trajectories:
    """A sequence of trajectories, each a list of rows: `data[0]` -> [{"input_ids": [...], "labels": [...]}, ...].

    With `together`, up to so many trajectories with the same instructions and tools are one sample.
    """

    def __init__(self, rows: list[Example], together: int = 1) -> None:
        trajectories = [list(same) for _, same in groupby(rows, key=lambda row: row.trajectory_id)]
        openings = [some[0].opening or some[0].trajectory_id for some in trajectories]
        samples = beside(([number] for number in range(len(trajectories))), openings, together)
        self.groups = [
            [(array("I", row.input_ids), row.prompt_length) for number in sample for row in trajectories[number]]
            for sample in (samples if together > 1 else [[number] for number in range(len(trajectories))])
        ]

    @property
    def longest(self) -> int:
        """Tokens of the longest row, 0 where there is none."""
        return max((len(ids) for group in self.groups for ids, _ in group), default=0)

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> list[dict[str, Any]]:
        return [
            {"input_ids": ids.tolist(), "labels": [IGNORED] * prompt_length + ids[prompt_length:].tolist()}
            for ids, prompt_length in self.groups[index]
        ]


def trajectories(
    path: str | Path, tokenizer: Any, style: PromptStyle, max_length: int, wrapper: tuple[str, str] = (BEFORE, AFTER)
) -> tuple[Trajectories, Counter[str]]:
    """The trajectories of a unified file that have rows to train, and what was left out, by reason."""
    rows, left_out, _ = rows_of(path, tokenizer, style, max_length, wrapper)
    return Trajectories(rows), left_out


def rows_of(
    path: str | Path,
    tokenizer: Any,
    style: PromptStyle,
    max_length: int,
    wrapper: tuple[str, str] = (BEFORE, AFTER),
    augmentation: Augmentation = NOTHING,
    source: str = "",
) -> tuple[list[Example], Counter[str], Counter[str]]:
    """(rows to train on, what was left out by reason, what the augmentation did), of a unified file.

    Trajectories of the splits for tests and evaluation are left out, too; none of their tools becomes a distractor.
    """
    left_out: Counter[str] = Counter()
    augmented: Counter[str] = Counter()
    pool = augmentation.pool(_training(path, Counter()))
    changed = (augmentation(one, pool, augmented) for one in _training(path, left_out))
    rows, too_long = examples(changed, tokenizer, style, max_length, wrapper, source)
    return rows, +(too_long + left_out), +augmented


def _training(path: str | Path, left_out: Counter[str]) -> Iterator[Trajectory]:
    for one in read_jsonl(path):
        if one.split in (*EVALUATION, *HELD_OUT):
            left_out["of another split"] += 1
        else:
            yield one
