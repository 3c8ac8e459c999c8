"""The training log: one JSON object a line, written while the run goes on, read for the curves of notebooks 02 and 03.

log = read_log("runs/quickstart/sft"); steps, losses = curve(log, "loss")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xlam_lib.errors import XlamError
from xlam_lib.files import no_link

FILE = "log.jsonl"


class LogError(XlamError, ValueError):
    """A log that isn't there or can't be read; the message names file and line."""


def read_log(run: str | Path) -> list[dict[str, Any]]:
    """All entries of a run's folder (or of a log file): [{"step": 10, "loss": 3.1, "lr": 1e-3, ...}, ...].

    A last line without its end, as a killed run may leave, is not counted; any other broken line is an error.
    """
    path = Path(run)
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise LogError(f"{path}: no log there; is this the folder of a training run?")
    lines = path.read_text("utf-8").split("\n")
    entries = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise LogError(f"{path}:{number}: not JSON ({error})") from error
        if not isinstance(entry, dict) or not isinstance(entry.get("step"), int):
            raise LogError(f"{path}:{number}: expected an object with a whole number 'step', found {line[:60]!r}")
        entries.append(entry)
    return entries


def curve(entries: list[dict[str, Any]], key: str, window: int = 1) -> tuple[list[int], list[float]]:
    """Steps and values of one figure, averaged over the last `window` entries: ([10, 20], [3.1, 2.4])."""
    found = [(entry["step"], float(entry[key])) for entry in entries if entry.get(key) is not None]
    values = [value for _, value in found]
    means = [sum(values[max(0, i + 1 - window) : i + 1]) / min(i + 1, window) for i in range(len(values))]
    return [step for step, _ in found], means


def append(path: str | Path, entry: dict[str, Any]) -> None:
    """Add one entry at the end; the line is written in one piece."""
    line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
    with open(path, "a", encoding="utf-8", opener=no_link) as file:
        file.write(line)


def truncate_after(path: str | Path, step: int) -> None:
    """Forget what was logged after `step` (a resumed run does those steps again), and a line left half written."""
    path = Path(path)
    if not path.is_file():
        return
    lines = [json.dumps(entry, ensure_ascii=False) for entry in read_log(path) if entry["step"] <= step]
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
