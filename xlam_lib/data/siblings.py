"""Answers that lost against those of a trajectory: what a search tried beside its path, or what people rejected.

`train/preference/contrasts.py` makes preference pairs of them (notebook 03). A source whose raw records hold such
answers offers `rejected_siblings`; one whose trajectories keep them in `extra[REJECTED]` needs no raw records:

    recorded_siblings(trajectory)[0].rejected.content    -> "It is 4 degrees."
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xlam_lib.trajectory import Step, Trajectory

REJECTED = "rejected"  # key of `Trajectory.extra`: {"step": where the answers part, "steps": [the rejected ones]}


@dataclass(frozen=True)
class Sibling:
    """At step `step_index` of the converted record `rejected` was there, too, and it went on with `chosen`."""

    step_index: int
    chosen: Step
    rejected: Step
    observation: str = ""  # what the rejected call gave back


def recorded(step_index: int, rejected: Sequence[Step]) -> dict[str, Any]:
    """What `extra[REJECTED]` holds: the steps that were rejected, beginning with the one at which they part."""
    return {"step": step_index, "steps": [step.to_dict() for step in rejected]}


def recorded_siblings(trajectory: Trajectory) -> list[Sibling]:
    """The rejected answer that a trajectory keeps; [] where it keeps none."""
    kept = trajectory.extra.get(REJECTED)
    if not kept:
        return []
    at, (first, *rest) = kept["step"], [Step.from_dict(step) for step in kept["steps"]]
    observation = rest[0].content if rest and rest[0].role == "tool" else ""
    return [Sibling(at, trajectory.steps[at], first, observation)]
