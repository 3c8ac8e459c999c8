"""The figures a notebook ends with: written by its last cell, gathered by whoever compares runs.

Used by the last code cell of every notebook, by `xlam_lib.run` for the manifest and by the report:

    record({"seen_exact": 0.87, "unseen_exact": 0.51}, out, "02_sft")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xlam_lib.atomic import write_json

FILE = "metrics.json"


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
        raise ValueError(f"{path}: not JSON ({error}); run the notebook {name} again") from error


def gather(out_dir: str | Path) -> dict[str, dict[str, Any]]:
    """All figures of a run by notebook, e.g. `{"01_data_unification": {…}, "02_sft": {…}}`, sorted by name."""
    found = sorted(Path(out_dir).glob(f"*/{FILE}"))
    return {path.parent.name: read_metrics(out_dir, path.parent.name) for path in found}
