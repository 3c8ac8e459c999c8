"""The scorecard of a run: the figures that count, each beside the floor it must and the aim it should reach.

Used at the end of `python -m xlam_lib.run`. Every notebook records its figures in `metrics.json`; `assemble` picks
those that benchmarks and stages declare (`figures.py`), the later notebook counting where two name the same, and says
by name what is missing. In `scorecard.json`:

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
from xlam_lib.bench.base import Figure, Task, Unit, percent
from xlam_lib.bench.report.figures import figures
from xlam_lib.bench.tasks import tasks
from xlam_lib.errors import XlamError

FILE, MANIFEST = "scorecard.json", "manifest.json"
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
    unit: Unit = "share"

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
    read = sorted((figure for figure in figures() if figure.derived is None), key=lambda figure: not figure.required)
    for notebook, found in gathered(out).items():
        recorded = dict(flat(found))
        notes += [
            f"{name.rpartition('.')[0]}: not from this run, but measured earlier with the same settings"
            for name, value in recorded.items()
            if name.endswith(".measured_earlier") and value
        ]
        for figure in read:
            if recorded.get(figure.key) is None:
                continue
            value = _number(recorded[figure.key], figure, f"{metrics.metrics_path(out, notebook)}: {figure.key}")
            if (before := values.get(figure.key)) is not None and not math.isclose(before, value, abs_tol=5e-4):
                check = check_of(figure, {figure.key: value})
                notes.append(
                    f"{figure.key}: {check.shown(before)} before, {check.shown(value)} in {notebook}, which counts"
                )
            values[figure.key] = value
    in_order = {figure.key: values[figure.key] for figure in read if figure.key in values}
    card = _nested(in_order) | {"seconds": _seconds(read_manifest(out))}
    present = dict(flat(card))
    missing = [f"{f.key} (written by {f.recorded_by})" for f in read if f.required and f.key not in present]
    checks = [asdict(check) | {"verdict": check.verdict} for check in checks_of(card)]
    return card | {"checks": checks, "missing": missing, "notes": notes}


def checks_of(card: Mapping[str, Any]) -> list[Check]:
    """The lines of the table for a scorecard, the first being `Check("SFT exact match, ...", 0.87, 0.6, 0.85)`."""
    found = dict(flat(card))
    lines = [(figure, check_of(figure, found)) for figure in figures() if figure.title]
    return [check for figure, check in lines if figure.required or check.value is not None]


def check_of(figure: Figure, found: Mapping[str, Any]) -> Check:
    """A figure held against its levels, `found` being all figures of a run: `check_of(figure, dict(flat(card)))`."""
    return Check(figure.title, figure.value(found), figure.floor, figure.aim, figure.at_most, figure.unit)


def text(card: Mapping[str, Any]) -> str:
    """The scorecard for a terminal: what the models reach, then each figure with floor, aim and verdict."""
    lines = [line for task in tasks().values() if task.columns for line in _models(task, card)]
    head = f"{'figure':<44}{'value':>14}{'floor':>14}{'aim':>14}  reaches"
    lines += [head, "-" * len(head)]
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
        raise ScorecardError(f"{path}: no scorecard there; run the experiment to its end, or the report's command")
    return json.loads(path.read_text("utf-8"))


def flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Figures by their keys: {"sft": {"seen_exact": 0.8}} -> ("sft.seen_exact", 0.8); names with dots mean the same."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from flat(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner


def _models(task: type[Task], card: Mapping[str, Any]) -> list[str]:
    """The table of a task with a line a model, e.g. "SFT   87.1 %   52.3 %   99.6 %", and an empty line after it."""
    widths = [max(10, len(column) + 2) for column in task.columns.values()]
    cells = [("", list(task.columns.values()))]
    cells += [
        (label, [_cell(card[model].get(name)) for name in task.columns])
        for model, label in task.models.items()
        if model in card
    ]
    lines = [
        f"{label:<44}" + "".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for label, row in cells
    ]
    return [*lines, ""]


def _nested(values: Mapping[str, float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = key.split(".")
        place = found
        for name in path:
            place = place.setdefault(name, {})
        place[last] = value
    return found


def _number(value: Any, figure: Figure, where: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or (figure.unit == "share" and not 0 <= value <= 1):
        expected = "a share between 0 and 1" if figure.unit == "share" else "a number"
        raise ScorecardError(f"{where} is {value!r}: expected {expected}; run that notebook again")
    return float(value)


def gathered(out: str | Path) -> dict[str, dict[str, Any]]:
    """What each notebook recorded, e.g. `gathered("runs/quickstart")["02_sft"]["sft"]["seen_exact"]` -> 0.87."""
    try:
        return metrics.gather(out)
    except ValueError as error:
        raise ScorecardError(str(error)) from error


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


def _cell(value: float | None) -> str:
    return "missing" if value is None else f"{percent(value)} %"
