"""How much memory a command needs, all its processes together (notebook 01, through `xlam_lib.perf.conversion`).

    found = watch([sys.executable, "-m", "xlam_lib.data.unify", ...])   # Watched(status=0, together=..., one=..., ...)

Pages that processes share are counted once (the proportional share that Linux reports), so that workers which were
forked from one parent don't look larger than they are. What lives for less than `EVERY` seconds may be missed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xlam_lib.processes import Child

EVERY = 0.2  # seconds between two looks


@dataclass
class Watched:
    """What was seen of a command: its exit status, greatest bytes of memory of all processes and of one, seconds."""

    status: int
    together: int = 0
    one: int = 0
    processes: int = 0
    seconds: float = 0.0


def watch(command: Sequence[str]) -> Watched:
    """Runs a command to its end: `watch(["true"]).status` -> 0."""
    import psutil

    start = time.perf_counter()
    with Child(command) as child:
        found, process = Watched(0), psutil.Process(child.pid)
        while child.poll() is None:
            sizes = [_bytes(one) for one in _family(process)]
            found.together = max(found.together, sum(sizes))
            found.one = max(found.one, *sizes, 0)
            found.processes = max(found.processes, len(sizes))
            time.sleep(EVERY)
    found.status, found.seconds = child.returncode, round(time.perf_counter() - start, 1)
    return found


def _family(process: Any) -> list[Any]:
    import psutil

    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _bytes(process: Any) -> int:
    import psutil

    try:
        return process.memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0
