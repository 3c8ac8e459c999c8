"""What a held-out run found: one row a question, the figures with their intervals, and two runs compared.

Used by notebooks 02, 03 and 05 through `heldout.py`. A row holds

    {"id": "single-7#1", "trajectory": "single-7", "kind": "single", "prompt": "...", "expected": [{"name": ...}],
     "answer": "...", "exact": false, "parsed": true, "failure": "wrong_value", "problems": []}
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlam_lib.bench.base import Result, TaskError
from xlam_lib.bench.bootstrap import Interval, paired
from xlam_lib.codec import query_of
from xlam_lib.files import to_json, write_json, writing


@dataclass(frozen=True)
class HeldOut(Result):
    """Rows (id, trajectory, kind, prompt, expected, answer, exact, parsed, failure) and what was left unanswered."""

    scores: tuple[str, ...] = ("exact", "parsed")
    group: str = "trajectory"

    @property
    def exact(self) -> float:
        """Share of answers with exactly the expected calls."""
        return self.mean("exact")

    @property
    def parse_rate(self) -> float:
        """Share of answers that the codec reads without any problem."""
        return self.mean("parsed")

    def interval(self, score: str = "exact", seed: int = 0) -> Interval:
        """Bootstrap interval of `exact` or `parsed`, whole trajectories drawn."""
        return super().interval(score, seed)

    def summary(self, seed: int = 0) -> dict[str, Any]:
        """Everything of one test set: exact, parse_rate, their intervals, kinds, failures, what was not answered."""
        return {
            "n": len(self.rows),
            "exact": self.exact,
            "parse_rate": self.parse_rate,
            "exact_interval": self.interval("exact", seed).to_dict(),
            "parse_interval": self.interval("parsed", seed).to_dict(),
            "kinds": self.by_kind(),
            "failures": self.failures(),
            "unanswered": dict(Counter(error.split(":")[0] for error in self.unanswered.values())),
        }


def failure_examples(result: HeldOut, per_kind: int = 1) -> str:
    """Wrong answers to look at, the first `per_kind` of each failure, most frequent failure first.

    Example: "wrong_value (12)\\n  asked    Weather in Oslo?\\n  expected [{...}]\\n  answered {...}"
    """
    lines = []
    for failure, count in result.failures().items():
        lines.append(f"{failure} ({count})")
        for row in [row for row in result.rows if row["failure"] == failure][:per_kind]:
            lines += [f"  asked    {query_of(row['prompt'])}", f"  expected {to_json(row['expected'], indent=None)}"]
            lines += [f"  answered {row['answer']}", ""]
    return "\n".join(lines).rstrip() or "no failure"


def model_figures(seen: HeldOut, unseen: HeldOut, seed: int = 0) -> dict[str, Any]:
    """A model's entry in `metrics.json`: the scorecard's three figures, their intervals, kinds and failures.

    Example: `record({"sft": model_figures(seen, unseen)}, out, "02_sft")`; parse_rate is over both sets.
    """
    both = HeldOut((*seen.rows, *unseen.rows), {**seen.unanswered, **unseen.unanswered})
    return {
        "seen_exact": seen.exact,
        "unseen_exact": unseen.exact,
        "parse_rate": both.parse_rate,
        "intervals": {
            "seen_exact": seen.interval(seed=seed).to_dict(),
            "unseen_exact": unseen.interval(seed=seed).to_dict(),
            "parse_rate": both.interval("parsed", seed).to_dict(),
        },
        "kinds": {"seen": seen.by_kind(), "unseen": unseen.by_kind()},
        "failures": {"seen": seen.failures(), "unseen": unseen.failures()},
        "unanswered": len(both.unanswered),
    }


def difference(before: Result, after: Result, score: str = "exact", seed: int = 0) -> Interval:
    """Paired interval of `after - before` on the questions that both answered, e.g. `difference(sft, dpo)`."""
    second = {row["id"]: row for row in after.rows}
    pairs = [(row, second[row["id"]]) for row in before.rows if row["id"] in second]
    pairs = [(old, new) for old, new in pairs if old[score] is not None and new[score] is not None]
    if not pairs:
        raise TaskError("the two results share no question; compare two models on the same test set")
    return paired(
        [old[score] for old, _ in pairs],
        [new[score] for _, new in pairs],
        groups=[old[before.group] for old, _ in pairs],
        seed=seed,
    )


def save(result: Result, folder: str | Path, name: str) -> Path:
    """Write `<folder>/<name>.rows.jsonl` and `<folder>/<name>.summary.json`, each whole; returns the latter."""
    with writing(Path(folder) / f"{name}.rows.jsonl") as file:
        for row in result.rows:
            file.write(to_json(row, indent=None) + "\n")
    return write_json(Path(folder) / f"{name}.summary.json", result.summary())
