"""Builds the embedded default data: train.jsonl, test_seen.jsonl, test_unseen.jsonl and accounting.json.

Used by every notebook, through `embedded(out_dir)`. Run it with `python -m xlam_lib.data.apigen --out DIR --seed 0`.
Same seed, same bytes. Training knows neither the tools of the unseen test nor the values of either test; nearly half
of it asks for made-up tools (`twins.py`).
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path

from xlam_lib.data.apigen.checks import check_meaning
from xlam_lib.data.apigen.generate import Rejected, World
from xlam_lib.data.apigen.library.registry import TOOLS, UNSEEN, links_of, tools_of
from xlam_lib.data.apigen.library.twins import twin_links, twins
from xlam_lib.data.apigen.pipeline import Count, Slot, produce
from xlam_lib.data.apigen.sandbox.executor import Executor
from xlam_lib.data.augment.names import augment
from xlam_lib.files import complete_dir, is_complete, write_json
from xlam_lib.trajectory import Trajectory, write_jsonl

logger = logging.getLogger(__name__)

FILES = ("train", "test_seen", "test_unseen")
MIX = {"single": 0.45, "parallel": 0.20, "irrelevant": 0.15, "multi_step": 0.10, "multi_turn": 0.10}
TRAIN_MIX = {"single": 0.41, "parallel": 0.24, "irrelevant": 0.14, "multi_step": 0.10, "multi_turn": 0.11}
TWIN_SHARE = 0.45
AUGMENT_SHARE = 0.4


def worlds(split: str, seed: int, twin_count: int) -> list[tuple[float, World]]:
    """The worlds a split is drawn from with their shares: training has the real tools and the twins."""
    specs = tools_of(split)
    if split != "train":
        others = list(TOOLS.values()) if split == "test_unseen" else specs
        return [(1.0, World("test", specs, others, links_of(split)))]
    made = twins(twin_count, seed)
    real = World("train", specs, specs * (1 + twin_count // (3 * len(specs))) + made, links_of(split))
    return [(1 - TWIN_SHARE, real), (TWIN_SHARE, World("train", made, made + specs, twin_links(made, seed)))]


def deal(rng: random.Random, count: int, mix: dict[str, float]) -> list[str]:
    """So many kinds in the proportions of the mix, shuffled: `deal(rng, 4, {"single": 0.5, "parallel": 0.5})`."""
    kinds: list[str] = []
    for name, share in mix.items():
        kinds += [name] * round(count * share)
    kinds = (kinds + ["single"] * count)[:count]
    rng.shuffle(kinds)
    return kinds


def _augmented(rng: random.Random, trajectory: Trajectory, kind: str) -> Trajectory:
    """The trajectory with names, order or descriptions varied, unless it then no longer means the same."""
    varied = augment(trajectory, rng)
    try:
        check_meaning(varied, kind)
    except Rejected:
        return trajectory
    return varied


def samples(split: str, size: int, executor: Executor, count: Count, seed: int = 0) -> Iterator[Trajectory]:
    """Checked trajectories of a split, in order: `samples("test_seen", 300, executor, Count())`."""
    choices = worlds(split, seed, max(40, size // 6))
    kinds = deal(random.Random(f"{seed}:{split}"), size, TRAIN_MIX if split == "train" else MIX)
    slots = []
    for number, kind in enumerate(kinds):
        rng = random.Random(f"{seed}:{split}:{number}")
        world = rng.choices([one for _, one in choices], [share for share, _ in choices])[0]
        slots.append(Slot(number, kind, world, rng, split))
    for slot, made in produce(slots, executor, count):
        if split == "train" and slot.rng.random() < AUGMENT_SHARE:
            varied = _augmented(slot.rng, made, slot.kind)
            count.augmented += varied != made
            made = varied
        made.validate()
        yield made


def build_embedded(
    out_dir: str | Path, seed: int = 0, n_train: int = 8000, n_test_seen: int = 300, n_test_unseen: int = 150
) -> dict[str, Path]:
    """Builds the data into a folder that appears whole or not at all; paths by name: `{"train": .../train.jsonl}`."""
    sizes = dict(zip(FILES, (n_train, n_test_seen, n_test_unseen), strict=True))
    out_dir = Path(out_dir)
    started = time.perf_counter()
    counts = {split: Count() for split in FILES}
    info = {"seed": seed, **{f"n_{split}": size for split, size in sizes.items()}}
    with complete_dir(out_dir, info) as folder, Executor() as executor:
        for split, size in sizes.items():
            write_jsonl(folder / f"{split}.jsonl", samples(split, size, executor, counts[split], seed))
        accounting = {split: count.to_dict() for split, count in counts.items()}
        write_json(
            folder / "accounting.json", {**info, "tools": len(TOOLS), "unseen_tools": list(UNSEEN), "files": accounting}
        )
    logger.info(
        "embedded data: %s trajectories in %.1f s -> %s", sum(sizes.values()), time.perf_counter() - started, out_dir
    )
    return paths_of(out_dir)


def paths_of(out_dir: str | Path) -> dict[str, Path]:
    """The files of a build by name: train, test_seen, test_unseen, accounting."""
    out_dir = Path(out_dir)
    return {**{split: out_dir / f"{split}.jsonl" for split in FILES}, "accounting": out_dir / "accounting.json"}


def embedded(out_dir: str | Path, **parameters: int) -> dict[str, Path]:
    """The paths of the embedded data, e.g. `embedded("runs/data")["train"]`; built first when it isn't there whole.

    `parameters` may hold seed, n_train, n_test_seen, n_test_unseen; a build made with other values is replaced.
    """
    out_dir = Path(out_dir)
    if is_complete(out_dir):
        built = json.loads(paths_of(out_dir)["accounting"].read_text(encoding="utf-8"))
        if all(built.get(key) == value for key, value in parameters.items()):
            return paths_of(out_dir)
        logger.info("embedded data in %s was made otherwise; building it again with %s", out_dir, parameters)
    return build_embedded(out_dir, **parameters)
