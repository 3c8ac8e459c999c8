"""The harsh figure: conversion against the plain loop over lines of which no two are alike (notebook 01).

`compare("glaive", "raw/glaive")["convert_share"]` -> 0.23: no memory of tools or schemas helps here.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from xlam_lib.data.pipeline.phases import Options
from xlam_lib.data.unify import unify
from xlam_lib.perf.conversion.changed import MeasurementError, fill, usable
from xlam_lib.perf.conversion.plain import Form, plain_loop, seconds_of

ROUNDS = 3
MOST = 0.8  # of the changed records must convert as the real ones do
START = 1_000_000  # numbers of records in the rounds, not those of the run that warms up


def compare(source: str, input: str | Path, seconds: float = 2.0, rounds: int = ROUNDS) -> dict[str, Any]:
    """The three times, and the shares of the plain loop's speed: `compare("glaive", "raw/glaive")["convert_share"]`."""
    samples = usable(source, input)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, out = folder / "rows.jsonl", folder / "out"
        lines = Form(str(path), lines=True)
        fill(path, samples, 1 << 20)
        books = unify(source, path, folder / "warm")  # imports and caches
        if books is None or books.records_converted < books.records_in * MOST:
            found = f"{books.records_converted} of {books.records_in}" if books else "none"
            raise MeasurementError(f"{input}: its records don't convert when changed and put in lines, only {found}")
        probe = seconds_of(lambda: plain_loop([lines], folder / "plain"))
        length = int((1 << 20) * max(1.0, seconds / max(probe, 1e-3)))
        runs = {
            "plain": lambda: plain_loop([lines], folder / "plain"),
            "convert": lambda: unify(source, path, out, force=True, options=Options(verify=False, rate=False)),
            "unify": lambda: unify(source, path, out, force=True),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        count = 0
        for _ in range(rounds):  # in turns, so that whatever slows the machine slows all of them
            count = fill(path, samples, length, start=START + count)
            for name, run in runs.items():
                times[name].append(seconds_of(run))
        size = path.stat().st_size
    middle = {name: statistics.median(taken) for name, taken in times.items()}
    return {
        "source": source,
        "records": count,
        "megabytes": round(size / 1e6, 1),
        **{f"{name}_seconds": round(taken, 3) for name, taken in middle.items()},
        "convert_share": round(middle["plain"] / middle["convert"], 3),
        "unify_share": round(middle["plain"] / middle["unify"], 3),
    }
