"""The natural figure: conversion against the plain loop over the real files as they lie (notebook 01).

    for line in as_they_are("tau_bench", "raw/tau_bench", folder): ...

Each file is laid out many times, byte for byte, whatever its form (a list, lines, zipped), under as many folders; both
sides read all of them. Every round is a new process, so that all caches begin empty, and measures both, in turns.

What it says: how fast a data set is converted whose tools come again. What it flatters: a tool list comes again at the
latest in the next copy, where a real set may bring a new one with each record (the harsh figure is that case: nothing
comes twice). Nothing but tools, their schemas and notations of types is cached, so it is no matter that questions
and calls come again. Copies are found to be duplicates when the shards are merged: up to there each is done in full,
then a line in the books is written instead of its own. Files of plain text hold no JSON to load and are left out.

The last line is for all sources together: each counts as much as its files are long, since it is the sum of the
seconds that one copy of them takes.
"""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import os
import shutil
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from xlam_lib.data.pipeline.phases import Options
from xlam_lib.data.reading import data_files
from xlam_lib.data.sources import SOURCES, find_source
from xlam_lib.data.unify import unify
from xlam_lib.perf.conversion.plain import Form, form_of, plain_loop, seconds_of

ROUNDS = 5


def as_they_are(
    source: str | None, input: str | Path, folder: str | Path, seconds: float = 0.5, rounds: int = ROUNDS
) -> Iterator[dict[str, Any]]:
    """A line for the source, or for each that has a folder of its name in `input`, and then one for all together."""
    given = {source: Path(input)} if source else {name: Path(input, name) for name in SOURCES}
    found = []
    for name, path in given.items():
        if source or path.is_dir():
            line = measured(name, path, Path(folder, name), seconds, rounds)
            found += [line] if "convert_share" in line else []
            yield line
    if not source and found:
        plain, convert = (sum(line[f"{side}_ms_a_copy"] for line in found) for side in ("plain", "convert"))
        shares = {"convert_share": round(plain / convert, 3)}
        yield {
            "source": "all",
            "sources": len(found),
            "plain_ms": round(plain, 3),
            "convert_ms": round(convert, 3),
            **shares,
        }


def measured(source: str, input: Path, folder: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """The medians of one source, and how many copies they were taken over."""
    texts = find_source(source).SOURCE.own_files
    files = [file for file in data_files(input, texts)[0] if form_of(file)]
    about: dict[str, Any] = {"source": source, "files": len(files)}
    if not files:
        return {**about, "left_out": "its files are plain text: no JSON to load"}
    root = input if input.is_dir() else input.parent
    once = _laid_out(files, root.resolve(), folder / "raw", 1)
    books = unify(source, folder / "raw", folder / "once", options=Options(verify=False, rate=False))
    if books is None or not books.trajectories:
        return {**about, "left_out": "no trajectory comes of it"}
    probe = min(seconds_of(lambda: plain_loop(once, folder / "plain")) for _ in range(3))
    copies = max(1, math.ceil(seconds / probe))
    shutil.rmtree(folder / "raw")
    forms = _laid_out(files, root.resolve(), folder / "raw", copies)
    pairs = [_in_a_new_process(source, folder, forms, bool(number % 2)) for number in range(rounds)]
    shutil.rmtree(folder)
    plain, convert = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {
        **about,
        "records": books.records_in,
        "trajectories": books.trajectories,
        "copies": copies,
        "plain_ms_a_copy": round(1e3 * plain / copies, 3),
        "convert_ms_a_copy": round(1e3 * convert / copies, 3),
        "convert_share": round(plain / convert, 3),
    }


def _laid_out(files: list[Path], root: Path, folder: Path, copies: int) -> list[Form]:
    """The files in a first folder, and links to them in as many others: how each is to be loaded."""
    forms = []
    for file in files:
        first = folder / f"{0:05d}" / file.relative_to(root)
        first.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, first)
        form = form_of(first)
        forms += [form] if form else []
    for number in range(1, copies):
        for form in forms[: len(files)]:
            path = folder / f"{number:05d}" / Path(form.path).relative_to(folder / f"{0:05d}")
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(form.path, path)
            forms.append(dataclasses.replace(form, path=str(path)))
    return forms


def _in_a_new_process(source: str, folder: Path, forms: list[Form], plain_first: bool) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_round, source, folder, forms, plain_first).result()


def _round(source: str, folder: Path, forms: list[Form], plain_first: bool) -> tuple[float, float]:
    """(plain, convert) in processor seconds."""
    import jsonschema  # noqa: F401  (its import takes long, and comes with the first schema that isn't simple)

    def plain() -> None:
        plain_loop(forms, folder / "plain")

    def convert() -> None:
        unify(source, folder / "raw", folder / "out", force=True, options=Options(verify=False, rate=False))

    if plain_first:
        return seconds_of(plain), seconds_of(convert)
    taken = seconds_of(convert)
    return seconds_of(plain), taken
