"""The files of a training: their names, their rows, and how often each is drawn (all trainings).

    rows = [row for name, some in read(settings, tokenizer, info := {}) for row in some]
    draws = Draws([row.source for row in rows], [row.trajectory_id for row in rows], settings.shares, settings.seed)
    order_together(groups, lengths, batch_size, samples, seed, draws.passes())

A file is a source. What is drawn is a whole trajectory (DPO: all pairs of a prompt), so that its rows can be read as
one trie; `shares` say how often trajectories of each source are drawn, and `table` how many rows that made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

from xlam_lib.codec import STYLES
from xlam_lib.data.augment.augmentation import Augmentation
from xlam_lib.errors import TrainingError
from xlam_lib.models import checkpoint
from xlam_lib.seeds import DeviceSeed
from xlam_lib.train.loop import runner
from xlam_lib.train.mixture.examples import Example, Passes
from xlam_lib.train.mixture.grouped import rows_of
from xlam_lib.train.mixture.mixture import Mixture

GENERIC_NAMES = ("trajectories", "pairs")  # names that every folder has: then the folder's says more


def named(paths: str | Sequence[str]) -> dict[str, str]:
    """Each file under its source's name: `named(["a/trajectories.jsonl", "b.jsonl"])` -> {"a": ..., "b": ...}."""
    found: dict[str, str] = {}
    for path in [paths] if isinstance(paths, str) else paths:
        name = Path(path).stem
        name = Path(path).parent.name or name if name in GENERIC_NAMES else name
        if name in found:
            raise TrainingError(f"{path}: a second source called {name!r}; rename its file or folder")
        found[name] = path
    return found


def describe(settings: Any, field: str) -> dict[str, Any]:
    """What makes a run the same run, the field being the one with the files: what they hold, not where they lie."""
    files = named(getattr(settings, field))
    inputs = {f"{field}_{number}": path for number, path in enumerate(files.values())}
    if adapter := getattr(settings, "adapter", ""):
        inputs |= {"adapter": adapter}
    described = runner.describe(settings, base=settings.base, **inputs)
    del described[field]
    return described | ({"sources": list(files)} if len(files) > 1 else {})


def read(
    settings: Any, tokenizer: Any, info: dict[str, dict[str, dict[str, int]]]
) -> Iterator[tuple[str, list[Example]]]:
    """(name, rows) of each file of `settings.data`; a file without rows is a TrainingError.

    `settings` has data, style, max_length and the fields of Augmentation. `info` gets by name what was left out and how
    many trajectories were varied: {"left_out": {"a": {"longer than max_length": 3}}, "augmented": {"a": {...}}}.
    """
    augmentation, wrapper = Augmentation.of(settings), checkpoint.wrapper(tokenizer)
    for name, path in named(settings.data).items():
        style, longest = STYLES[settings.style], settings.max_length
        rows, left_out, augmented = rows_of(path, tokenizer, style, longest, wrapper, augmentation, name)
        if not rows:
            raise TrainingError(f"{path}: nothing to train on; left out: {dict(left_out)}")
        checkpoint.check_context(settings.base, max(len(row.input_ids) for row in rows), path)
        for what, counts in (("left_out", left_out), ("augmented", augmented)):
            info.setdefault(what, {}).update({name: dict(counts)} if counts else {})
        yield name, rows


class Draws:
    """What a run draws: `Draws(["a", "a", "b"], ["t-1", "t-1", "u-1"], [0.5, 0.5], seed=0)`, a source and group a row.

    Several sources are drawn as a Mixture says, all of it by every process. Of a single one each group is drawn once a
    pass, and the order of it is left to `order` and `order_together`.
    """

    def __init__(self, sources: Sequence[str], groups: Sequence[Hashable], shares: Sequence[float], seed: int) -> None:
        together: dict[str, dict[Hashable, list[int]]] = {}
        for row, (source, group) in enumerate(zip(sources, groups, strict=True)):
            together.setdefault(source, {}).setdefault(group, []).append(row)
        by_source = {source: list(rows.values()) for source, rows in together.items()}
        self.sources = sources
        self.mixture = Mixture(by_source, shares or None, seed=DeviceSeed(seed, rank=0, world=1))

    def passes(self) -> Passes | None:
        """The rows of each group in the order in which they are drawn, pass by pass; None for a single source."""
        return self._epochs() if len(self.mixture.sources) > 1 else None

    def rows(self, epochs: float) -> int:
        """How many rows so many passes have: without shares, that many times all rows."""
        passes = self.passes()
        return round(epochs * (sum(map(len, next(passes))) if passes else len(self.sources)))

    def table(self, samples: int) -> list[dict[str, Any]]:
        """The mixture's table of a pass, and how many rows of each source are among the first so many drawn.

        [{"source": "a", "samples": 60, "draws": 60, "passes": 1.0, "share": 0.5, "realised": 0.5, "rows": 71}, ...]
        """
        passes = self.passes()
        rows = Counter({self.sources[0]: samples})
        if passes:
            drawn = (row for groups in passes for group in groups for row in group)
            rows = Counter(self.sources[row] for row in islice(drawn, samples))
        return [{**entry, "rows": rows[entry["source"]]} for entry in self.mixture.table()]

    def _epochs(self) -> Passes:
        for epoch in count():
            self.mixture.set_epoch(epoch)
            yield list(self.mixture)
