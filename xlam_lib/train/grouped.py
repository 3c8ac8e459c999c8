"""Trajectories as samples of a mixture: all rows of one come together, so that a trie can share what they have alike.

    rows, left_out = trajectories("data/webshop/trajectories.jsonl", tokenizer, STYLES["brief"], 4096)
    mixture = Mixture({"webshop": rows, ...}, shares, seed=init_device_seed(42, rank=0, world=1))

Used by SFT-lite (SFT-lite). The tokens of a row are held as an array of four bytes each.
"""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

from xlam_lib.chat_template import AFTER, BEFORE
from xlam_lib.codec import PromptStyle
from xlam_lib.train.examples import IGNORED, Example, examples
from xlam_lib.trajectory import read_jsonl


class Trajectories:
    """A sequence of trajectories, each a list of rows: `data[0]` -> [{"input_ids": [...], "labels": [...]}, ...]."""

    def __init__(self, rows: list[Example]) -> None:
        self.kept = [
            [(array("I", row.input_ids), row.prompt_length) for row in group]
            for _, group in groupby(rows, key=lambda row: row.trajectory_id)
        ]

    @property
    def longest(self) -> int:
        """Tokens of the longest row, 0 where there is none."""
        return max((len(ids) for group in self.kept for ids, _ in group), default=0)

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> list[dict[str, Any]]:
        return [
            {"input_ids": ids.tolist(), "labels": [IGNORED] * start + ids[start:].tolist()}
            for ids, start in self.kept[index]
        ]


def trajectories(
    path: str | Path, tokenizer: Any, style: PromptStyle, max_length: int, wrapper: tuple[str, str] = (BEFORE, AFTER)
) -> tuple[Trajectories, Counter[str]]:
    """The trajectories of a unified file that have rows to train, and what was left out, by reason.

    Those of the splits for tests and evaluation are left out, too.
    """
    from xlam_lib.train.data_objects import EVALUATION, HELD_OUT

    read = list(read_jsonl(path))
    kept = [one for one in read if one.split not in (*EVALUATION, *HELD_OUT)]
    rows, left_out = examples(kept, tokenizer, style, max_length, wrapper)
    left_out["of another split"] = len(read) - len(kept)
    return Trajectories(rows), +left_out
