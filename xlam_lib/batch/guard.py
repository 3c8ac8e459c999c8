"""Nothing is left running: the sweep of a run's processes.

Used by `xlam_lib.run`. Kernels and all their children carry the run's folder in their environment, so that a later run
(or the end of a step) can find and stop those that outlived their notebook: a training process, a model server.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil

VARIABLE = "XLAM_RUN_DIR"
PATIENCE = 10.0  # seconds between asking a process to end and ending it


def stop_leftovers(folder: Path) -> list[str]:
    """Stop processes that carry this folder's mark; returns which, e.g. `["1234 python -m xlam_lib.train.sft"]`."""
    own = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    found = [p for p in psutil.process_iter() if p.pid not in own and _carries(p, str(folder))]
    described = [f"{p.pid} {_command(p)}" for p in found]
    for process in found:
        _ignoring_gone(process.terminate)
    _, alive = psutil.wait_procs(found, timeout=PATIENCE)
    for process in alive:
        _ignoring_gone(process.kill)
    psutil.wait_procs(alive, timeout=PATIENCE)
    return described


def _carries(process: psutil.Process, folder: str) -> bool:
    try:
        return process.environ().get(VARIABLE) == folder and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):  # gone meanwhile, or another user's
        return False


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:80]
    except psutil.Error:
        return "(gone)"


def _ignoring_gone(action) -> None:
    try:
        action()
    except psutil.NoSuchProcess:
        return
