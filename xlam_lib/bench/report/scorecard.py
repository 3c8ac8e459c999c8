"""The scorecard of a run: the figures that count, each beside the floor it must and the aim it should reach.

Used at the end of `python -m xlam_lib.run` and in notebook 05. Every notebook records its figures in `metrics.json`;
`assemble` picks those of the scorecard, the later notebook counting where two name the same, and says by name what is
missing. In `scorecard.json`:

    {"base": {"seen_exact": 0.0, "unseen_exact": 0.0, "parse_rate": 0.0}, "sft": {...},
     "dpo": {..., "preference_accuracy": 0.96}, "served": {"equal_offline": 1.0},
     "bfcl": {"ground_truth": {"simple_python": 1.0, ...}}, "seconds": {"install": 75.2, ..., "total": 410},
     "checks": [...], "missing": [], "notes": []}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from xlam_lib.batch import metrics
from xlam_lib.bench.tasks.bfcl import CATEGORIES
from xlam_lib.errors import XlamError

FILE, MANIFEST = "scorecard.json", "manifest.json"
MODELS = ("base", "sft", "dpo")
FIGURES = ("seen_exact", "unseen_exact", "parse_rate")
WRITTEN_BY = {"base": "02_sft", "sft": "02_sft", "dpo": "03_dpo", "served": "04_serving", "bfcl": "05_benchmarking"}
REQUIRED = (
    *(f"{model}.{figure}" for model in MODELS for figure in FIGURES),
    "dpo.preference_accuracy",
    "served.equal_offline",
    *(f"bfcl.ground_truth.{category}" for category in CATEGORIES),
)
OPTIONAL = (  # the same SFT from random weights; the failure that DPO's pairs are about, as a share of the answers
    *(f"sft_scratch.{figure}" for figure in FIGURES),
    "dpo.targeted_failure.before",
    "dpo.targeted_failure.after",
)
BFCL_FLOORS = {"live_simple": 256 / 258, "live_multiple": 1051 / 1053}  # two questions each contradict themselves
Verdict = Literal["aim", "floor", "below", "missing"]


class ScorecardError(XlamError, ValueError):
    """Figures that are missing, or are no figures."""


@dataclass(frozen=True)
class Check:
    """One line of the table: `Check("SFT exact, seen tools", 0.87, 0.6, 0.85)`; `at_most` where less is better."""

    figure: str
    value: float | None
    floor: float
    aim: float
    at_most: bool = False
    unit: Literal["share", "change", "seconds"] = "share"

    @property
    def verdict(self) -> Verdict:
        """What the value reaches: "aim", "floor", "below" its floor, or "missing"."""
        if self.value is None:
            return "missing"
        sign = -1 if self.at_most else 1
        reaches = [sign * self.value >= sign * level - 1e-9 for level in (self.floor, self.aim)]
        return "aim" if all(reaches) else "floor" if reaches[0] else "below"

    def shown(self, value: float | None) -> str:
        """A value as text: "87.0 %", "+0.5 points" or "412 s"."""
        if value is None:
            return "missing"
        if self.unit == "seconds":
            return f"{value:,.0f} s"
        if self.unit == "change":
            return f"{100 * value:+.1f} points" if value else "0.0 points"
        return f"{percent(value)} %"


def assemble(out: str | Path) -> dict[str, Any]:
    """The scorecard of a run's folder, e.g. `assemble("runs/quickstart")["sft"]["seen_exact"]`.

    Missing figures are listed under "missing", each with the notebook that should write it; a figure that isn't one
    raises ScorecardError.
    """
    values: dict[str, float] = {}
    notes = []
    for notebook, found in metrics.gather(out).items():
        flat = dict(_flat(found))
        if flat.get("sft_scratch.measured_earlier"):
            notes.append("sft_scratch: not from this run, but measured earlier with the same settings")
        for key in (*REQUIRED, *OPTIONAL):
            if flat.get(key) is None:
                continue
            value = _share(flat[key], f"{metrics.metrics_path(out, notebook)}: {key}")
            if key in values and not math.isclose(values[key], value, abs_tol=5e-4):
                notes.append(f"{key}: {percent(values[key])} % before, {percent(value)} % in {notebook}, which counts")
            values[key] = value
    seconds = _seconds(read_manifest(out))
    missing = {key: f"{key} (written by {WRITTEN_BY[key.split('.')[0]]})" for key in REQUIRED if key not in values}
    if "total" not in seconds:
        missing["seconds.total"] = f"seconds.total (written by python -m xlam_lib.run into {MANIFEST})"
    card = _nested(values) | {"seconds": seconds}
    checks = [asdict(check) | {"verdict": check.verdict} for check in checks_of(card)]
    return card | {"checks": checks, "missing": list(missing.values()), "notes": notes}


def checks_of(card: Mapping[str, Any]) -> list[Check]:
    """The lines of the table for a scorecard, the first being `Check("SFT exact match, ...", 0.87, 0.6, 0.85)`."""
    flat = dict(_flat(card))
    get = flat.get
    lines = [
        Check("SFT exact match, seen tools, unseen values", get("sft.seen_exact"), 0.60, 0.85),
        Check("SFT exact match, unseen tools", get("sft.unseen_exact"), 0.20, 0.50),
        Check("SFT answers that parse", get("sft.parse_rate"), 0.97, 0.99),
        Check("DPO answers that parse", get("dpo.parse_rate"), 0.97, 0.99),
        Check("DPO preference accuracy, held-out pairs", get("dpo.preference_accuracy"), 0.85, 0.95),
        Check("DPO against SFT, seen tools", _change(flat, "seen_exact"), -0.01, 0.0, unit="change"),
        Check("DPO against SFT, unseen tools", _change(flat, "unseen_exact"), -0.01, 0.0, unit="change"),
    ]
    before, after = get("dpo.targeted_failure.before"), get("dpo.targeted_failure.after")
    if before is not None and after is not None:
        fall = (before - after) / before if before else 0.0
        lines.append(Check("DPO: fall of the failure it targets", fall, 1e-6, 0.25))
    lines.append(Check("served answers equal to offline ones", get("served.equal_offline"), 0.99, 1.0))
    for category in CATEGORIES:
        level = BFCL_FLOORS.get(category, 1.0)
        lines.append(Check(f"BFCL ground truth, {category}", get(f"bfcl.ground_truth.{category}"), level, level))
    total = get("seconds.total")
    lines.append(Check("install and all notebooks together", total, 900, 600, at_most=True, unit="seconds"))
    return lines


def text(card: Mapping[str, Any]) -> str:
    """The scorecard for a terminal: the three models, then each figure with floor, aim and verdict."""
    lines = [f"{'':<44}{'seen tools':>12}{'unseen tools':>14}{'parses':>10}"]
    names = {"base": "base model", "sft_scratch": "SFT from random weights", "sft": "SFT", "dpo": "SFT, then DPO"}
    for model, name in names.items():
        if model in card:
            cells = [_cell(card[model].get(figure)) for figure in FIGURES]
            lines.append(f"{name:<44}{cells[0]:>12}{cells[1]:>14}{cells[2]:>10}")
    head = f"{'figure':<44}{'value':>14}{'floor':>14}{'aim':>14}  reaches"
    lines += ["", head, "-" * len(head)]
    words = {"aim": "aim", "floor": "floor", "below": "NOT THE FLOOR", "missing": "MISSING"}
    for check in checks_of(card):
        cells = [check.shown(value) for value in (check.value, check.floor, check.aim)]
        lines.append(f"{check.figure:<44}{cells[0]:>14}{cells[1]:>14}{cells[2]:>14}  {words[check.verdict]}")
    lines += [f"missing: {name}" for name in card.get("missing", ())]
    lines += [f"note: {note}" for note in card.get("notes", ())]
    return "\n".join(lines)


def require_whole(card: Mapping[str, Any]) -> None:
    """ScorecardError that names every missing figure and the notebook that writes it."""
    if card["missing"]:
        raise ScorecardError(f"the scorecard lacks {len(card['missing'])} figures: {'; '.join(card['missing'])}")


def read(out: str | Path) -> dict[str, Any]:
    """The scorecard that a run left, e.g. `read("runs/quickstart")["missing"]` -> []."""
    path = Path(out) / FILE
    if not path.is_file():
        raise ScorecardError(f"{path}: no scorecard there; run the experiment to its end, or `report.write` it")
    return json.loads(path.read_text("utf-8"))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """{"sft": {"seen_exact": 0.8}} -> ("sft.seen_exact", 0.8); names with dots mean the same."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner


def _nested(values: Mapping[str, float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in (key for key in (*REQUIRED, *OPTIONAL) if key in values):
        *path, last = key.split(".")
        place = found
        for name in path:
            place = place.setdefault(name, {})
        place[last] = values[key]
    return found


def _share(value: Any, where: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise ScorecardError(f"{where} is {value!r}: expected a share between 0 and 1; run that notebook again")
    return float(value)


def read_manifest(out: str | Path) -> dict[str, Any]:
    """The manifest of a run, e.g. `read_manifest("runs/quickstart")["seconds"]`; {} without one."""
    path = Path(out) / MANIFEST
    if not path.is_file():
        return {}
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ScorecardError(f"{path}: not JSON ({error}); run the experiment again") from error
    steps = manifest.get("steps") if isinstance(manifest, dict) else None
    if not isinstance(steps, list) or not all(isinstance(step, dict) and "notebook" in step for step in steps):
        raise ScorecardError(f"{path}: no manifest of a run; expected an object with a list of steps")
    return manifest


def _seconds(manifest: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of the install, where it is known, of each notebook, and of all together."""
    steps = {
        step["notebook"]: round(float(step["seconds"]), 1) for step in manifest.get("steps", ()) if "seconds" in step
    }
    install = manifest.get("environment", {}).get("install_seconds")
    found = ({"install": install} if install and steps else {}) | steps
    return found | ({"total": round(sum(found.values()), 1)} if found else {})


def _change(flat: Mapping[str, Any], figure: str) -> float | None:
    before, after = flat.get(f"sft.{figure}"), flat.get(f"dpo.{figure}")
    return None if before is None or after is None else after - before


def percent(value: float) -> str:
    """A share as percent with one decimal, rounded down near 100: `percent(0.9996)` -> "99.9"."""
    return f"{math.floor(1000 * value + 1e-9) / 10 if value > 0.99 else 100 * value:.1f}"


def _cell(value: float | None) -> str:
    return "missing" if value is None else f"{percent(value)} %"
