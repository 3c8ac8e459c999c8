"""Builds the embedded default data: train.jsonl, test_seen.jsonl, test_unseen.jsonl and accounting.json.

Used by every notebook, through `embedded(out_dir)`. Run it with `python -m xlam_lib.data.apigen --out DIR --seed 0`. Same seed, same bytes.
Training knows neither the tools of the unseen test nor the values of either test; nearly half of it asks for made-up tools (`twins.py`).
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from xlam_lib.atomic import complete_dir, is_complete, write_json
from xlam_lib.data.apigen.checks import check, check_meaning
from xlam_lib.data.apigen.executor import ExecutionError, Executor
from xlam_lib.data.apigen.generate import Rejected, Run, World, candidate
from xlam_lib.data.apigen.library import TOOLS, UNSEEN, links_of, tools_of
from xlam_lib.data.apigen.spec import ToolSpec
from xlam_lib.data.apigen.twins import twin_links, twins
from xlam_lib.data.augment import augment
from xlam_lib.trajectory import Outcome, Source, Trajectory, write_jsonl

logger = logging.getLogger(__name__)

FILES = ("train", "test_seen", "test_unseen")
MIX = {"single": 0.45, "parallel": 0.20, "irrelevant": 0.15, "multi_step": 0.10, "multi_turn": 0.10}
TRAIN_MIX = {"single": 0.50, "parallel": 0.23, "irrelevant": 0.13, "multi_step": 0.06, "multi_turn": 0.08}
TWIN_SHARE = 0.45
AUGMENT_SHARE = 0.4
SOURCE = Source(name="xlam_embedded", license="Apache-2.0", converter="xlam_lib.data.apigen")
MAX_TRIES = 400


@dataclass
class Count:
    """What became of the candidates of one file: accepted by kind, rejected by reason."""

    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict:
        """Totals that add up: candidates = accepted + rejected."""
        accepted, rejected = sum(self.accepted.values()), sum(self.rejected.values())
        return {
            "candidates": accepted + rejected,
            "accepted": accepted,
            "rejected": rejected,
            "accepted_by_kind": dict(sorted(self.accepted.items())),
            "rejected_by_reason": dict(sorted(self.rejected.items())),
        }


def worlds(split: str, run: Run, seed: int, twin_count: int) -> list[tuple[float, World]]:
    """The worlds a split is drawn from with their shares: training has the real tools and the twins."""
    specs = tools_of(split)
    if split != "train":
        others = list(TOOLS.values()) if split == "test_unseen" else specs
        return [(1.0, World("test", specs, others, links_of(split), run))]
    made = twins(twin_count, seed)
    real = World("train", specs, specs * (1 + twin_count // (3 * len(specs))) + made, links_of(split), run)
    return [(1 - TWIN_SHARE, real), (TWIN_SHARE, World("train", made, made + specs, twin_links(made, seed), run))]


def deal(rng: random.Random, count: int, mix: dict[str, float]) -> list[str]:
    """So many kinds in the proportions of the mix, shuffled: `deal(rng, 4, {"single": 0.5, "parallel": 0.5})`."""
    kinds: list[str] = []
    for name, share in mix.items():
        kinds += [name] * round(count * share)
    kinds = (kinds + ["single"] * count)[:count]
    rng.shuffle(kinds)
    return kinds


def _trajectory(
    split: str, number: int, kind: str, talk_steps: tuple, specs: list[ToolSpec], domains: list[str]
) -> Trajectory:
    name = f"embedded-{split}-{number:05d}"
    return Trajectory(
        trajectory_id=name,
        source=replace(SOURCE, raw_id=name, split=split),
        tools=tuple(spec.schema for spec in specs),
        steps=talk_steps,
        outcome=Outcome(
            success=True, termination="success", checks={"format": True, "execution": True, "semantic": True}
        ),
        split=split,
        tags=(kind, *dict.fromkeys(domains)),
    )


def _sample(rng: random.Random, world: World, split: str, number: int, kind: str, count: Count) -> Trajectory:
    """The first candidate that passes all checks; the others are counted by reason."""
    for _ in range(MAX_TRIES):
        try:
            talk, specs = candidate(rng, world, kind)
            domains = [spec.domain for spec in talk.gold.values()]
            made = _trajectory(split, number, kind, tuple(talk.steps), specs, domains)
            check(made, kind, world.run, world.half, {spec.name: spec.returns for spec in specs})
        except ExecutionError as error:
            count.rejected[f"execution: {str(error).split(':')[0]}"] += 1
        except Rejected as error:
            count.rejected[str(error)] += 1
        else:
            count.accepted[kind] += 1
            return made
    raise RuntimeError(f"no {kind} sample for {split} passed the checks in {MAX_TRIES} tries: {dict(count.rejected)}")


def _augmented(rng: random.Random, trajectory: Trajectory, kind: str) -> Trajectory:
    """The trajectory with names, order or descriptions varied, unless it then no longer means the same."""
    varied = augment(trajectory, rng)
    try:
        check_meaning(varied, kind)
    except Rejected:
        return trajectory
    return varied


def samples(split: str, size: int, run: Run, count: Count, seed: int = 0) -> Iterator[Trajectory]:
    """Checked trajectories of a split, e.g. `samples("test_seen", 300, run, Count())`; each has a random generator of its own."""
    choices = worlds(split, run, seed, max(40, size // 6))
    kinds = deal(random.Random(f"{seed}:{split}"), size, TRAIN_MIX if split == "train" else MIX)
    seen: set[str] = set()
    for number, kind in enumerate(kinds):
        rng = random.Random(f"{seed}:{split}:{number}")
        world = rng.choices([one for _, one in choices], [share for share, _ in choices])[0]
        made = _sample(rng, world, split, number, kind, count)
        while made.steps[0].content in seen:
            count.accepted[kind] -= 1
            count.rejected["duplicate request"] += 1
            made = _sample(rng, world, split, number, kind, count)
        seen.add(made.steps[0].content)
        if split == "train" and rng.random() < AUGMENT_SHARE:
            made = _augmented(rng, made, kind)
        made.validate()
        yield made


def build_embedded(
    out_dir: str | Path, seed: int = 0, n_train: int = 8000, n_test_seen: int = 300, n_test_unseen: int = 150
) -> dict[str, Path]:
    """Builds the data into a folder that appears whole or not at all; returns the paths by name: `{"train": .../train.jsonl, ...}`."""
    sizes = dict(zip(FILES, (n_train, n_test_seen, n_test_unseen), strict=True))
    out_dir = Path(out_dir)
    started = time.perf_counter()
    counts = {split: Count() for split in FILES}
    info = {"seed": seed, **{f"n_{split}": size for split, size in sizes.items()}}
    with complete_dir(out_dir, info) as folder, Executor() as run:
        for split, size in sizes.items():
            write_jsonl(folder / f"{split}.jsonl", samples(split, size, run, counts[split], seed))
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


def embedded(out_dir: str | Path, **wanted: int) -> dict[str, Path]:
    """The paths of the embedded data in a folder, e.g. `embedded("runs/data")["train"]`; built first when it isn't there whole.

    `wanted` may hold seed, n_train, n_test_seen, n_test_unseen; a build made with other values of these is replaced.
    """
    out_dir = Path(out_dir)
    if is_complete(out_dir):
        built = json.loads(paths_of(out_dir)["accounting"].read_text(encoding="utf-8"))
        if all(built.get(key) == value for key, value in wanted.items()):
            return paths_of(out_dir)
        logger.info("embedded data in %s was made otherwise; building it again with %s", out_dir, wanted)
    return build_embedded(out_dir, **wanted)
