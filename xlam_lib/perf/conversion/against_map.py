"""`unify` with workers against `datasets.map` with as many processes, in wall seconds (notebook 01).

Both give each line to the same converter and the same checks, with neither verification nor rating.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from xlam_lib.data.convert import converted, converter
from xlam_lib.data.formats.base import Drop
from xlam_lib.data.pipeline.phases import Options
from xlam_lib.data.reading import Raw
from xlam_lib.data.sources import find_source
from xlam_lib.data.unify import unify
from xlam_lib.errors import TrajectoryError
from xlam_lib.perf.conversion.changed import MeasurementError, fill, usable
from xlam_lib.perf.conversion.compare import ROUNDS, START
from xlam_lib.perf.conversion.plain import seconds_of
from xlam_lib.validation import KnownTools, check_and_serialize


def against_map(
    source: str, input: str | Path, seconds: float, workers: int, folder: str | Path, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Wall seconds of `unify` and of `datasets.map`, over a file on which one process works about so long."""
    samples, folder = usable(source, input), Path(folder)
    path, bare = folder / "rows.jsonl", Options(verify=False, rate=False)
    fill(path, samples, 4 << 20)
    unify(source, path, folder / "warm", options=bare)
    fill(path, samples, 4 << 20, START)
    probe = seconds_of(lambda: unify(source, path, folder / "warm", force=True, options=bare))
    count = fill(path, samples, int((4 << 20) * max(1.0, seconds / probe)), 2 * START)
    ours, theirs = [], []
    for number in range(rounds):
        start = time.perf_counter()
        books = unify(source, path, folder / "out", force=True, workers=workers, options=bare)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        mapped = map_lines(source, path, workers, folder / f"cache{number}")
        theirs.append(time.perf_counter() - start)
        if books is None or books.trajectories != mapped:
            made = books and books.trajectories
            raise MeasurementError(f"{source}: unify made {made} trajectories, datasets.map {mapped}")
        shutil.rmtree(folder / f"cache{number}")
    return {
        "source": source,
        "records": count,
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "workers": workers,
        "unify_wall_seconds": round(statistics.median(ours), 1),
        "map_wall_seconds": round(statistics.median(theirs), 1),
        "unify_times_as_fast": round(statistics.median(theirs) / statistics.median(ours), 3),
    }


def map_lines(source: str, path: Path, workers: int, cache: Path) -> int:
    """The same conversion by `datasets`: lines of JSON -> lines of trajectories in Arrow files; returns how many."""
    import datasets

    rows = datasets.load_dataset("text", data_files=str(path), split="train", cache_dir=str(cache))
    made = rows.map(
        _mapped,
        batched=True,
        with_indices=True,
        num_proc=workers,
        remove_columns=["text"],
        fn_kwargs={"source": source, "file": str(path)},
        features=datasets.Features({"line": datasets.Value("large_string")}),
    )
    return made.num_rows


def _mapped(batch: dict[str, list[str]], numbers: list[int], source: str, file: str) -> dict[str, list[str]]:
    module = find_source(source)
    convert, lines, known = converter(module), [], KnownTools()
    for number, text in zip(numbers, batch["text"], strict=True):
        try:
            trajectories = converted(convert, Raw(json.loads(text), file, number + 1))
            lines += [check_and_serialize(t, module.SOURCE.argument_level, known)[1].decode() for t in trajectories]
        except (Drop, TrajectoryError):
            continue
    return {"line": lines}
