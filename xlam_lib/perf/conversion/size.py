"""The greatest memory of `unify` and its workers over a file of gigabytes (notebook 01); `memory.py` watches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlam_lib.perf.conversion.changed import MeasurementError, fill, usable
from xlam_lib.perf.conversion.memory import watch

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
