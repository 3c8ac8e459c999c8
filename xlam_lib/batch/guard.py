"""One writer at a time, and nothing left running: the lock of a run's folder and the sweep of its processes.

Used by `xlam_lib.run`. The lock belongs to the operating system and goes away with the process, even one that is
killed. Kernels and all their children carry the folder in their environment, so that a later run (or the end of a
step) can find and stop those that outlived their notebook: a training process, a model server.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from xlam_lib.errors import XlamError

LOCK = ".lock"
VARIABLE = "XLAM_RUN_DIR"
PATIENCE = 10.0  # seconds between asking a process to end and ending it


class Busy(XlamError, RuntimeError):
    """Another process writes the same folder."""


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock during the block: `with only_writer(Path("runs/quickstart")): …`; else raises `Busy`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    try:
        held = FileLock(path, blocking=False, on_acquired=_write_holder).acquire()
    except Timeout as error:
        holder = path.read_text("utf-8").strip() or "another process"
        message = f"{folder} is being written by {holder}; wait for it, stop it, or choose another --out"
        raise Busy(message) from error
    with held:
        yield


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


def _write_holder(lock: int) -> None:
    """Who holds the lock, into its file, for whoever finds it held."""
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}".encode())
