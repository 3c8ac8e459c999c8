"""The figures a notebook ends with: written by its last cell, gathered by whoever compares runs.

Used by the last code cell of every notebook, by `xlam_lib.run` for the manifest, by the report, and by notebook 02 for
what an earlier run measured:

    record({"seen_exact": 0.87, "unseen_exact": 0.51}, out, "02_sft")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xlam_lib.errors import XlamError
from xlam_lib.files import write_json

FILE = "metrics.json"


class MetricsError(XlamError, ValueError):
    """Figures that can't be read, or don't compare; the message names the file and what to run."""


def record(metrics: dict[str, Any], out_dir: str | Path, name: str) -> dict[str, Any]:
    """Write `<out_dir>/<name>/metrics.json` in one stroke and return the metrics, to be shown as the cell's result.

    Values are numbers, strings, booleans, None, or lists and dicts of these; NaN is refused (write None instead).
    """
    write_json(metrics_path(out_dir, name), metrics)
    return metrics


def metrics_path(out_dir: str | Path, name: str) -> Path:
    """Where a notebook's figures lie, e.g. `runs/quickstart/02_sft/metrics.json`."""
    return Path(out_dir) / name / FILE


def read_metrics(out_dir: str | Path, name: str) -> dict[str, Any]:
    """The figures one notebook recorded, e.g. `read_metrics("runs/quickstart", "02_sft")["seen_exact"]`."""
    path = metrics_path(out_dir, name)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no figures there; run the notebook {name} with this out_dir first")
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise MetricsError(f"{path}: not JSON ({error}); run the notebook {name} again") from error


def borrowed(path: str | Path, key: str, settings: dict[str, Any]) -> dict[str, Any]:
    """One entry of the figures that an earlier run recorded with the same settings, for what is too slow to repeat.

    Example: `borrowed("experiments/02_from_scratch/metrics.json", "sft_scratch", {"samples": 5600, ...})`. The file
    must hold these very `settings`; anything else raises MetricsError, since its figures would not compare.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no recorded figures there; correct the path, or train instead of borrowing")
    found = json.loads(path.read_text("utf-8"))
    before = found.get("settings", {})
    differ = {name for name in before.keys() | settings.keys() if before.get(name) != settings.get(name)}
    if differ:
        found = ", ".join(f"{name} {before.get(name)!r} there, {settings.get(name)!r} here" for name in sorted(differ))
        raise MetricsError(f"{path}: measured with other settings ({found}); run that experiment again")
    return found[key] | {"measured_earlier": True}


def gather(out_dir: str | Path) -> dict[str, dict[str, Any]]:
    """All figures of a run by notebook, e.g. `{"01_data_unification": {…}, "02_sft": {…}}`, sorted by name."""
    found = sorted(Path(out_dir).glob(f"*/{FILE}"))
    return {path.parent.name: read_metrics(out_dir, path.parent.name) for path in found}
