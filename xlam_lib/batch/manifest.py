"""What was run, with what, and what came out: `manifest.json` of a run's folder, whole after every step.

Used by `xlam_lib.run` to write the record and to decide which notebooks need not run again, and by the report.
"""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import json
import logging
import os
import platform
import sys
from pathlib import Path
from typing import Any

from xlam_lib import files
from xlam_lib.batch.plan import PlanError, Step
from xlam_lib.files import LOCK
from xlam_lib.paths import lines_of

logger = logging.getLogger(__name__)
FILE = "manifest.json"
FORMAT = 1
EARLIER = "earlier_steps"  # key of an entry: when each notebook before it had run
FORMER = {"upstream": EARLIER}  # keys of entries that an older version wrote


class Manifest:
    """The record of one run folder: `Manifest(Path("runs/quickstart")).step("02_sft")["metrics"]`."""

    def __init__(self, out: Path) -> None:
        self.path = out / FILE
        self.data: dict[str, Any] = {"format": FORMAT, "steps": []}
        if self.path.is_file():
            self.data = self._read()
        elif out.is_dir() and any(p.name != LOCK for p in out.iterdir()):
            raise PlanError(f"{out} holds files but no {FILE}: not a run's folder; choose another --out or empty it")

    def step(self, name: str) -> dict[str, Any] | None:
        """What is known of a notebook, or None when it never began."""
        return next((s for s in self.data["steps"] if s["notebook"] == name), None)

    def put(self, entry: dict[str, Any], order: list[str]) -> None:
        """Add or replace a notebook's entry and save; entries stand in the order of the experiment."""
        others = [s for s in self.data["steps"] if s["notebook"] != entry["notebook"]]
        rank = {name: i for i, name in enumerate(order)}
        self.data["steps"] = sorted([*others, entry], key=lambda s: rank.get(s["notebook"], len(rank)))
        self.save()

    def forget_others(self, names: list[str]) -> list[str]:
        """Keep the entries of these notebooks alone, save, and return the names of those taken out."""
        others = [s["notebook"] for s in self.data["steps"] if s["notebook"] not in names]
        self.data["steps"] = [s for s in self.data["steps"] if s["notebook"] in names]
        self.save()
        return others

    def save(self) -> None:
        """Write the file in one stroke."""
        self.data["seconds"] = round(sum(s.get("seconds", 0.0) for s in self.data["steps"]), 1)
        files.write_json(self.path, self.data)

    def _read(self) -> dict[str, Any]:
        try:
            data = json.loads(self.path.read_text("utf-8"))
        except ValueError as error:
            raise PlanError(f"{self.path}: not JSON ({error}); remove it to run everything again") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise PlanError(f"{self.path}: expected a manifest of format {FORMAT}; choose another --out or remove it")
        for entry in data["steps"]:
            for former in FORMER.keys() & entry.keys():
                logger.warning("%s: %s is now called %s; read as such", self.path, former, FORMER[former])
                entry[FORMER[former]] = entry.pop(former)
        return data


def why_run(step: Step, entry: dict[str, Any] | None, earlier: dict[str, str], out: Path) -> str:
    """Why a notebook must run ("" when its former result still holds), e.g. "its parameters changed: lr"."""
    if entry is None:
        return "first run"
    if entry["status"] != "done":
        return {"failed": "it failed last time"}.get(entry["status"], "it was interrupted")
    if entry["source_sha256"] != step.source_sha256:
        return "its code changed"
    before, now = _comparable(entry["parameters"]), _comparable(step.parameters)
    changed = sorted(k for k in before.keys() | now.keys() if before.get(k, ...) != now.get(k, ...))
    if changed:
        return f"its parameters changed: {', '.join(changed)}"
    former = entry[EARLIER]
    moved = sorted(k for k in former.keys() | earlier.keys() if former.get(k) != earlier.get(k))
    if moved:
        return f"{', '.join(moved)} ran anew"
    files = {name: out / name for name in entry["files"]}
    lost = [n for n, p in files.items() if not p.is_file() or entry["files"][n] not in (None, p.stat().st_size)]
    return f"{lost[0]} is missing or not as it was left" if lost else ""


def _comparable(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters without the folder (a run may be moved) and as JSON gives them back."""
    return json.loads(json.dumps({k: v for k, v in parameters.items() if k != "out_dir"}))


def now() -> str:
    """The time in UTC, e.g. "2026-11-21T10:00:00.123Z"."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@functools.cache
def environment() -> dict[str, Any]:
    """Interpreter, machine and package versions, e.g. `environment()["packages"]["torch"]` -> "2.13.0"."""
    packages = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "install_seconds": install_seconds(Path(sys.prefix)),
        "gpus": lines_of(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }


def install_seconds(venv: Path) -> float | None:
    """How long `requirements/install.py` took to make this environment; None where it was made otherwise."""
    stamp = venv / "xlam-installed"
    fields = stamp.read_text("utf-8").split() if stamp.is_file() else []
    return float(fields[1]) if len(fields) == 2 else None


def snapshot(out: Path) -> dict[str, tuple[int, int]]:
    """Every file of a run's folder with size and time of change, without the runner's own."""
    found = {}
    for path in out.rglob("*"):
        name = path.relative_to(out).as_posix()
        if name not in (FILE, LOCK) and ".partial." not in path.name and path.is_file():
            state = path.stat()
            found[name] = (state.st_size, state.st_mtime_ns)
    return dict(sorted(found.items()))


def settle(entries: list[dict[str, Any]], entry: dict[str, Any], before: dict, after: dict) -> None:
    """Note in `entry` the files its notebook left, in the other `entries` which of theirs it changed or removed.

    A file's size is kept for the last notebook that wrote it; for earlier ones only that it is there (null).
    """
    entry["files"] = {name: state[0] for name, state in after.items() if before.get(name) != state}
    for other in entries:
        if other["notebook"] != entry["notebook"]:
            kept = {name: size for name, size in other.get("files", {}).items() if name in after or name not in before}
            other["files"] = {name: None if name in entry["files"] else size for name, size in kept.items()}
