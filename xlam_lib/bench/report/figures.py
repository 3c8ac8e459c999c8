"""All figures of a run: those that benchmarks declare, and those of training, serving and the run itself.

Used by `scorecard.py` and `sections.py`, which hold no list of figures of their own. A new benchmark declares its
figures in its file under `bench/tasks`; one that belongs to no benchmark is declared here, and its notebook records it:

    Figure("served.equal_offline", "04_serving", "served answers equal to offline ones", floor=0.99, aim=1.0)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from xlam_lib.bench.base import Figure, TaskError
from xlam_lib.bench.tasks import tasks

Figures = Mapping[str, Any]  # the figures of a run by their keys


def figures() -> list[Figure]:
    """Every declared figure in the order of the notebooks that record them; keys and titles are unique."""
    declared = [*(figure for task in tasks().values() for figure in task.figures), *STAGES]
    counts = Counter([*(f.key for f in declared), *(f.title for f in declared if f.title)])
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise TaskError(f"two figures are declared as {repeated[0]!r}; every figure has a key and a title of its own")
    return sorted(declared, key=lambda figure: figure.recorded_by)


def _change(name: str) -> Callable[[Figures], float | None]:
    """How much more DPO reaches than SFT."""

    def derived(found: Figures) -> float | None:
        before, after = found.get(f"sft.{name}"), found.get(f"dpo.{name}")
        return None if before is None or after is None else after - before

    return derived


def _fall(found: Figures) -> float | None:
    before, after = found.get("dpo.targeted_failure.before"), found.get("dpo.targeted_failure.after")
    if before is None or after is None:
        return None
    return (before - after) / before if before else 0.0


CHANGE = {"floor": -0.01, "aim": 0.0, "unit": "change", "required": True}
STAGES = (
    Figure("dpo.preference_accuracy", "03_dpo", "DPO preference accuracy, held-out pairs", 0.85, 0.95, required=True),
    Figure("dpo.seen_change", "03_dpo", "DPO against SFT, seen tools", **CHANGE, derived=_change("seen_exact")),
    Figure("dpo.unseen_change", "03_dpo", "DPO against SFT, unseen tools", **CHANGE, derived=_change("unseen_exact")),
    # the failure that DPO's pairs are about, as a share of the answers
    Figure("dpo.targeted_failure.before", "03_dpo"),
    Figure("dpo.targeted_failure.after", "03_dpo"),
    Figure(
        "dpo.targeted_failure.fall",
        "03_dpo",
        "DPO: fall of the failure it targets",
        floor=1e-6,
        aim=0.25,
        derived=_fall,
    ),
    Figure("served.equal_offline", "04_serving", "served answers equal to offline ones", 0.99, 1.0, required=True),
    Figure(
        "seconds.total",
        "python -m xlam_lib.run into manifest.json",
        "install and all notebooks together",
        floor=900,
        aim=600,
        unit="seconds",
        at_most=True,
        required=True,
    ),
)
