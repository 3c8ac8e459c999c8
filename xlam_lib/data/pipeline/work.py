"""The folder in which a run keeps finished shards: hidden beside the output, taken up again after a kill.

Only one run at a time may use it. It goes away when the output stands, and when the run ends with an error that trying
again won't cure by itself (a full disk, nothing to read). A stream of the hub that breaks off is cured by trying again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xlam_lib import files
from xlam_lib.data.pipeline.shards import BrokenOff

PLAN = "plan.json"
LAYOUT = 2  # of what shards hold; what an older version has left is made anew


def work_folder(output: Path) -> Path:
    """`work_folder(Path("data/tau"))` -> data/.tau.work"""
    return output.parent / f".{output.name}.work"


@contextmanager
def working(output: Path, job: dict[str, Any]) -> Iterator[Path]:
    """The work folder of this job, with what an earlier run of the same job has finished."""
    folder = work_folder(output)
    files.check_work_folder(folder, PLAN)
    try:
        with files.only_writer(folder):
            begin(folder, job)
            yield folder
    except OSError as error:
        remove_work(output)
        if error.errno in files.FULL:
            message = f"the disk is full: {output} was not written; what stood there before still stands"
            raise OSError(error.errno, message) from error
        raise
    except BrokenOff:
        raise
    except ValueError:
        remove_work(output)
        raise
    remove_work(output)


def remove_work(output: Path) -> None:
    """Remove what a run kept for an output; a folder of that name that no run made stays."""
    folder = work_folder(output)
    if files.is_work_folder(folder, PLAN):
        files.remove_work_folder(folder, PLAN)


def begin(folder: Path, job: dict[str, Any]) -> None:
    """Empties a run's folder unless it belongs to this very job, and writes down that it does."""
    plan = read_plan(folder)
    if (plan.get("job"), plan.get("layout")) != (job, LAYOUT):
        for path in folder.iterdir():
            if path.name != files.LOCK:
                files.remove_tree(path)
        write_plan(folder, job)


def write_plan(folder: Path, job: dict[str, Any], **more: Any) -> None:
    """Writes down what the folder is for: `write_plan(work, job, shards=rows)`."""
    files.write_json(folder / PLAN, {"layout": LAYOUT, "job": job, **more}, indent=None)


def read_plan(folder: Path) -> dict[str, Any]:
    """What an earlier run wrote down; {} if there was none."""
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return plan if isinstance(plan, dict) else {}
