"""How much memory `unify` and its workers need over a file of gigabytes (notebook 01, `xlam_lib.perf.conversion`).

    memory("glaive", "raw/glaive", gigabytes=2, folder="/tmp/big")["peak_bytes"]
    found = watch([sys.executable, "-m", "xlam_lib.data.unify", ...])   # Watched(status=0, together=..., one=..., ...)

Pages that processes share are counted once (the proportional share that Linux reports), so that workers which were
forked from one parent don't look larger than they are. What lives for less than `EVERY` seconds may be missed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlam_lib.perf.conversion.changed import MeasurementError, fill, usable
from xlam_lib.processes import Child

EVERY = 0.2  # seconds between two looks
CHILD = "import sys; from xlam_lib.data.unify import main; sys.exit(main(sys.argv[1:]))"


def memory(
    source: str, input: str | Path, gigabytes: float, folder: str | Path, workers: int = 1, more: Sequence[str] = ()
) -> dict[str, Any]:
    """The greatest memory of a `unify` with all its workers over a file of that size; `more` are options for it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "big.jsonl"
    count = fill(path, usable(source, input), int(gigabytes * 1e9))
    command = ["--source", source, "--input", str(path), "--output", str(folder / "out"), "--workers", str(workers)]
    found = watch([sys.executable, "-c", CHILD, *command, *more])
    if found.status:
        raise MeasurementError(f"unify ended with status {found.status}; its error stands above")
    size, about = path.stat().st_size, {"source": source, "workers": workers, "options": list(more), "records": count}
    peaks = {"peak_bytes": found.together, "peak_of_one_process": found.one}
    return {**about, "bytes": size, **peaks, "seconds": found.seconds}


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
