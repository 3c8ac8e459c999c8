"""Checkpoints to go on from: marked once they are whole, with the size of each file, and looked at before use.

Used by `runner.py` (SFT, DPO) and `supervised/lite_trainer.py`. The two newest are kept, so that a file that is cut off
later (a disk that fails, a copy that broke) costs the steps between them and not the run. A step's folder is called
`checkpoint-120`.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from xlam_lib.errors import TrainingError
from xlam_lib.files import MARKER, is_complete, mark_complete

logger = logging.getLogger(__name__)

KEEP_LAST = 2


def step_of(folder: Path) -> int:
    """The step after which it was saved: `step_of(Path("checkpoint-120"))` -> 120."""
    return int(folder.name.removeprefix("checkpoint-"))


def mark_checkpoint_complete(folder: Path) -> None:
    """Flush all files to the disk and mark the folder, with their sizes; then older ones than the last two go."""
    sizes = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MARKER):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            sizes[path.relative_to(folder).as_posix()] = os.fstat(file.fileno()).st_size
    mark_complete(folder, {"files": sizes})
    for old in sorted(folder.parent.glob("checkpoint-*"), key=step_of)[:-KEEP_LAST]:
        shutil.rmtree(old)


def damage(folder: Path) -> str:
    """What is wrong with a checkpoint: "" or "model.safetensors has 10 of 200 bytes"."""
    if not is_complete(folder):
        return "it was cut off while it was written"
    try:
        sizes = json.loads((folder / MARKER).read_text("utf-8")).get("files", {})
    except ValueError as error:
        return f"{MARKER} can't be read ({error})"
    for name, size in sizes.items():
        found = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if found != size:
            return f"{name} has {found} of {size} bytes"
    return ""


def latest_complete(work: Path) -> Path | None:
    """The checkpoint to go on from; those that aren't whole, or newer than it, are removed, with a word about each."""
    last = None
    for folder in sorted(work.glob("checkpoint-*"), key=step_of, reverse=True):
        if wrong := damage(folder):
            logger.warning("%s is not used: %s", folder, wrong)
            shutil.rmtree(folder)
        elif last is None:
            last = folder
    return last


@contextmanager
def loading(folder: str | Path) -> Iterator[None]:
    """Around going on from a checkpoint: one that can't be read is named, and what to do."""
    try:
        yield
    except (SafetensorError, pickle.UnpicklingError, EOFError, RuntimeError, KeyError, ValueError) as error:
        cause = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise TrainingError(
            f"{folder} can't be read ({cause}); remove this folder, and the same command goes on from the one before, "
            "or from the beginning"
        ) from error
