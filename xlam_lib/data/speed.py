"""How fast and how lean `unify` is, against a plain loop over the same files (notebook 01).

    python -m xlam_lib.data.speed --source glaive --input raw/glaive --seconds 2
    python -m xlam_lib.data.speed --source glaive --input raw/glaive --seconds 60 --against-map --workers 2
    python -m xlam_lib.data.speed --source glaive --input raw/glaive --gigabytes 2 --folder /tmp/big

The first repeats the real records until a plain loop takes about so many seconds and times three things over the same
file, in processor seconds of one core, in alternating rounds (medians):

    plain    a loop as one writes it: json.loads of each line; every dictionary and list built anew, where a text that
             begins with { or [ and is JSON is parsed as well; json.dumps; written
    convert  the pipeline with neither verification nor rating: read, convert, check against all rules of a trajectory
             and of JSON Schema, tell duplicates apart, write with the books
    unify    the same with verification and rating, as it is by default

`convert_share` is plain / convert. No cache is flattered: in each repetition the ids, every description and a word
that matters to the conversion differ, also from round to round, so that no tool and no record comes twice.

The second takes wall seconds: `unify` with workers (no verification, no rating) against `datasets.map` with as many
processes, which gives each line to the same converter and the same checks. The third unifies one file of that size in
a child process and reports the greatest memory of it and its workers; what stands behind `--` goes to `unify`, as in
`-- --dedup exact --split 0.9 0.05 0.05`.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from xlam_lib.checks import check_and_line
from xlam_lib.data.converting import converted, raw_records
from xlam_lib.data.memory import watch
from xlam_lib.data.pipeline.options import Options
from xlam_lib.data.reading import Raw, data_files
from xlam_lib.data.sources import find_source
from xlam_lib.data.sources.base import Drop
from xlam_lib.data.unify import unify
from xlam_lib.trajectory import Trajectory, TrajectoryError

DESCRIPTION = re.compile(r"""\\*["']description\\*["']: ?\\*["']""")  # up to its first letter, however deep in texts
IDS = ("id", "unique_trajectory_id", "trajectory_id", "conversation_id")
WORD = re.compile("(?<= )[a-z]{3,}(?= )")
TRIES, ROUNDS = 30, 3
MOST = 0.8  # of the changed records must convert as the real ones do
START = 1_000_000  # numbers of records in the rounds, not those of the run that warms up
CHILD = "import sys; from xlam_lib.data.unify import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True)
class Sample:
    """A real record that converts, as JSON, and a word of it that makes another trajectory when it is changed."""

    text: str
    word: str


def usable(source: str, input: str | Path) -> list[Sample]:
    """The real records that convert, each once."""
    module = find_source(source)
    found = []
    for file in data_files(input, module.SOURCE.text_files)[0]:
        for raw in raw_records(module, file):
            if isinstance(raw, Raw) and (word := _word(module, raw)):
                found.append(Sample(json.dumps(raw.value), word))
    if not found:
        raise ValueError(f"{input}: no record that {source} converts")
    return found


def _word(module: Any, raw: Raw) -> str:
    """A long word amid sentences that matters, or "" where the record doesn't convert or no word does."""
    if not (before := _converted(module, raw)):
        return ""
    text = json.dumps(raw.value)
    for word in sorted(set(WORD.findall(text)), key=lambda word: (-len(word), word))[:TRIES]:
        changed = json.loads(text.replace(f" {word} ", f" {word}7 "))
        after = _converted(module, Raw(changed, raw.file, raw.line))
        if after and after != before:
            return word
    return ""


def _converted(module: Any, raw: Raw) -> list[Trajectory]:
    try:
        made = converted(module.convert, raw)
        for trajectory in made:
            trajectory.validate(module.SOURCE.argument_level)
    except (Drop, TrajectoryError):
        return []
    return made


def repeated(samples: list[Sample], start: int = 0) -> Iterator[str]:
    """Lines of JSON without end, in which an id, a word and every description differ: no cache helps over records."""
    for number, sample in enumerate(chain.from_iterable(repeat(samples)), start):
        record = json.loads(sample.text.replace(f" {sample.word} ", f" {sample.word}{number} "))
        record |= {key: f"{record[key]}-{number}" for key in IDS if isinstance(record.get(key), str)}
        record |= {key: number for key in IDS if isinstance(record.get(key), int)}
        yield DESCRIPTION.sub(rf"\g<0>{number}: ", json.dumps(record)) + "\n"


def fill(path: Path, samples: list[Sample], size: int, start: int = 0) -> int:
    """Writes at least `size` bytes of repeated records, counted from `start`; returns how many records."""
    count = written = 0
    with open(path, "w", encoding="utf-8") as file:
        for line in repeated(samples, start):
            file.write(line)
            count, written = count + 1, written + len(line)
            if written >= size:
                return count
    return count


def plain_loop(path: Path, output: Path) -> None:
    """What is held against us, written as one writes it: load, rebuild with the JSON inside texts parsed, dump."""
    with open(path, encoding="utf-8") as lines, open(output, "w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(_rebuilt(json.loads(line))) + "\n")


def _rebuilt(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rebuilt(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rebuilt(item) for item in value]
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            return _rebuilt(json.loads(value))
        except ValueError:
            return value
    return value


def _time(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def compare(source: str, input: str | Path, seconds: float = 2.0, rounds: int = ROUNDS) -> dict[str, Any]:
    """The three times, and the shares of the plain loop's speed: `compare("glaive", "raw/glaive")["convert_share"]`."""
    samples = usable(source, input)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, out = folder / "rows.jsonl", folder / "out"
        fill(path, samples, 1 << 20)
        books = unify(source, path, folder / "warm")  # imports and caches
        if books is None or books.records_converted < books.records_in * MOST:
            found = f"{books.records_converted} of {books.records_in}" if books else "none"
            raise ValueError(f"{input}: its records don't convert when changed and written as lines, only {found}")
        probe = _time(lambda: plain_loop(path, folder / "plain"))
        wanted = int((1 << 20) * max(1.0, seconds / max(probe, 1e-3)))
        runs = {
            "plain": lambda: plain_loop(path, folder / "plain"),
            "convert": lambda: unify(source, path, out, force=True, options=Options(verify=False, rate=False)),
            "unify": lambda: unify(source, path, out, force=True),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        count = 0
        for _ in range(rounds):  # in turns, so that whatever slows the machine slows all of them
            count = fill(path, samples, wanted, start=START + count)
            for name, run in runs.items():
                times[name].append(_time(run))
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


def against_map(
    source: str, input: str | Path, seconds: float, workers: int, folder: str | Path, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Wall seconds of `unify` and of `datasets.map`, over a file on which one process works about so long."""
    samples, folder = usable(source, input), Path(folder)
    path, bare = folder / "rows.jsonl", Options(verify=False, rate=False)
    fill(path, samples, 4 << 20)
    unify(source, path, folder / "warm", options=bare)
    fill(path, samples, 4 << 20, START)
    probe = _time(lambda: unify(source, path, folder / "warm", force=True, options=bare))
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
            raise ValueError(f"{source}: unify made {books and books.trajectories} trajectories, datasets.map {mapped}")
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
    lines = []
    for number, text in zip(numbers, batch["text"], strict=True):
        try:
            trajectories = converted(module.convert, Raw(json.loads(text), file, number + 1))
            lines += [check_and_line(t, module.SOURCE.argument_level)[1].decode() for t in trajectories]
        except (Drop, TrajectoryError):
            continue
    return {"line": lines}


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
        raise ValueError(f"unify ended with status {found.status}; its error stands above")
    size, about = path.stat().st_size, {"source": source, "workers": workers, "options": list(more), "records": count}
    peaks = {"peak_bytes": found.together, "peak_of_one_process": found.one}
    return {**about, "bytes": size, **peaks, "seconds": found.seconds}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; prints one JSON line a measurement."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.speed", description="Speed and memory of unify.")
    parser.add_argument("--source", required=True)
    parser.add_argument("--input", required=True, help="real records of that source")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="how long the plain loop, or one process, should take"
    )
    parser.add_argument("--gigabytes", type=float, help="measure the memory over a file of this size instead")
    parser.add_argument("--folder", help="where that file may lie")
    parser.add_argument("--against-map", action="store_true", help="wall seconds against datasets.map instead")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("more", nargs="*", help="behind --: options for unify, with --gigabytes")
    options = parser.parse_args(arguments)
    try:
        if options.gigabytes:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                sizes = (options.gigabytes, folder, options.workers, options.more)
                found = memory(options.source, options.input, *sizes)
        elif options.against_map:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                found = against_map(options.source, options.input, options.seconds, options.workers, folder)
        else:
            found = compare(options.source, options.input, options.seconds)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
