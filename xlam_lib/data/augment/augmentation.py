"""Trajectories changed while they are read for training: other layouts, made-up names, missing and needless tools.

    harder = Augmentation(variants=0.3, masked=0.3, irrelevant=0.05, seed=7)
    counts = Counter()
    changed = harder(trajectory, pool=harder.pool(trajectories), counts=counts)
    undone(changed) == trajectory

Used by SFT, SFT-lite and `TrajectoryData` (notebook 02). Each kind is drawn for itself, by a hash of seed, kind and the
trajectory's id: whoever reads a trajectory, and in whatever order, sees the same bytes. A trajectory has one form for
the whole run, not one an epoch: rows are counted and measured before the first step, and a run that goes on after a
break must find the same ones.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from xlam_lib.data.augment import distractors, masking
from xlam_lib.data.augment.distractors import ToolPool, add_from_pool, without_distractors
from xlam_lib.data.augment.layouts import random_variant, variant_of, with_variant, without_variant
from xlam_lib.data.augment.masking import mask, unmask, with_tool, without_tool
from xlam_lib.errors import MixtureError
from xlam_lib.seeds import key_of
from xlam_lib.settings import SHARE, option
from xlam_lib.trajectory import Trajectory

KINDS = {  # in the order in which they are done
    "distractors": "share of trajectories that get needless tools of their source, and all tools shuffled",
    "shuffled": "share of trajectories with their tools in another order",
    "irrelevant": "share of trajectories that lose the tool they need and refuse instead",
    "masked": "share of trajectories with made-up names of functions and arguments (Hammer, arXiv 2410.04587)",
    "variants": "share of trajectories whose prompts and answers are written in a random layout",
}
NO_TOOLS = ToolPool(())
DOUBLED = "two of its tools have one name"


def share_of(kind: str) -> Any:
    """The setting for one kind, 0 unless given: `masked: float = share_of("masked")`."""
    return option(0.0, KINDS[kind], within=SHARE)


@dataclass(frozen=True)
class Augmentation:
    """Shares of trajectories from 0 to 1: `Augmentation(masked=0.3)(trajectory).trajectory_id` -> "demo-1+masked"."""

    distractors: float = 0.0
    shuffled: float = 0.0
    irrelevant: float = 0.0
    masked: float = 0.0
    variants: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for kind in KINDS:
            if not 0 <= getattr(self, kind) <= 1:
                raise MixtureError(f"{kind} is {getattr(self, kind)!r}: expected a share of trajectories, from 0 to 1")

    @classmethod
    def of(cls, settings: Any) -> Augmentation:
        """What the settings of a run ask for, which have fields of the same names."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})

    @property
    def enabled(self) -> list[str]:
        """The kinds that are asked for, in the order in which they are done."""
        return [kind for kind in KINDS if getattr(self, kind)]

    def pool(self, trajectories: Iterable[Trajectory]) -> ToolPool:
        """The tools that can be distractors, those of the source; nothing is read where none are asked for."""
        return ToolPool(tool for one in trajectories for tool in one.tools) if self.distractors else NO_TOOLS

    def __call__(
        self, trajectory: Trajectory, pool: ToolPool = NO_TOOLS, counts: Counter[str] | None = None
    ) -> Trajectory:
        """The trajectory's form for training; one that can't be changed as drawn stays as it is in this respect.

        `counts` is added to: {"trajectories": 9, "masked": 3, "irrelevant": 1, "not irrelevant: nothing is called": 1}.
        """
        rngs = {kind: random.Random(key_of(self.seed, kind, trajectory.trajectory_id)) for kind in self.enabled}
        drawn = [kind for kind, rng in rngs.items() if rng.random() < getattr(self, kind)]
        changes = {
            "distractors": partial(_distracted, pool=pool, similar=0.0 if "irrelevant" in drawn else 0.5),
            "shuffled": _shuffled,
            "irrelevant": _irrelevant,
            "masked": _masked,
            "variants": _varied,
        }
        counts = Counter() if counts is None else counts
        if rngs:
            counts["trajectories"] += 1
        for kind in drawn:
            found = changes[kind](trajectory, rngs[kind])
            if isinstance(found, str):
                counts[f"not {kind}: {found}"] += 1
            else:
                trajectory = found
                counts[kind] += 1
        return trajectory


def undone(trajectory: Trajectory) -> Trajectory:
    """The trajectory as it was before: `undone(Augmentation(masked=1.0)(t)) == t`, whatever was drawn."""
    return without_distractors(with_tool(unmask(without_variant(trajectory))))


# Each change gives the changed trajectory, or says why it can't be made.


def _distracted(trajectory: Trajectory, rng: random.Random, pool: ToolPool, similar: float) -> Trajectory | str:
    """Half of them are like the tools called, but none if these are to go, for it might do in their place."""
    if not any(step.tool_calls for step in trajectory.steps):
        return "nothing is called, so that one of them might be what it lacks"
    if distractors.BEFORE in trajectory.extra:
        return "it has distractors already"
    if _doubled(trajectory):
        return DOUBLED
    made = add_from_pool(trajectory, pool, rng, similar=similar)
    return made if len(made.tools) > len(trajectory.tools) else "its source has no other tools"


def _shuffled(trajectory: Trajectory, rng: random.Random) -> Trajectory | str:
    if distractors.BEFORE in trajectory.extra:  # they came with a new order
        return trajectory
    if _doubled(trajectory):
        return DOUBLED
    return add_from_pool(trajectory, NO_TOOLS, rng, count=0) if len(trajectory.tools) > 1 else "it has no two tools"


def _irrelevant(trajectory: Trajectory, rng: random.Random) -> Trajectory | str:
    return without_tool(trajectory, rng) or "nothing is called"


def _masked(trajectory: Trajectory, rng: random.Random) -> Trajectory | str:
    if masking.MASKED in trajectory.extra:
        return "it is masked already"
    if _doubled(trajectory):
        return DOUBLED
    return mask(trajectory, rng) if trajectory.tools else "it has no tools"


def _varied(trajectory: Trajectory, rng: random.Random) -> Trajectory | str:
    """In a layout that can write all names, those of unknown tools that were called, too."""
    if variant_of(trajectory):
        return "it names a layout already"
    called = [call.name for step in trajectory.steps for call in step.tool_calls]
    return with_variant(trajectory, random_variant(rng, [*(tool.name for tool in trajectory.tools), *called]))


def _doubled(trajectory: Trajectory) -> bool:
    """Whether two tools have one name: what is done to them by name could not be undone."""
    return len({tool.name for tool in trajectory.tools}) < len(trajectory.tools)
