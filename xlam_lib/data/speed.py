"""How fast and how lean `unify` is, against a plain loop over the same files (notebook 01).

    python -m xlam_lib.data.speed --source glaive --input raw/glaive --seconds 5
    python -m xlam_lib.data.speed --source glaive --input raw/glaive --gigabytes 2 --folder /tmp/big

The first repeats the real records until a plain loop takes about so many seconds, then times three things over the same
file: the *plain loop* (json.loads, every dictionary and list rebuilt in Python, json.dumps, written), *convert* (the
pipeline with neither verification nor rating), and *unify* as it is by default. Seconds of the processor, on one core.
The second unifies one file of that size in a child process and reports the greatest memory of it and its workers; what
stands behind `--` goes to `unify`, as in `-- --dedup exact --split 0.9 0.05 0.05`.
The repeated records get ids of their own where they have one, so that they are no duplicates.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from xlam_lib.data.memory import watch
from xlam_lib.data.pipeline.options import Options
from xlam_lib.data.reading import Raw, data_files
from xlam_lib.data.sources import find_source
from xlam_lib.data.sources.base import Drop
from xlam_lib.data.unify import unify
from xlam_lib.trajectory import TrajectoryError

IDS = ("id", "unique_trajectory_id", "trajectory_id", "conversation_id")
CHILD = "import sys; from xlam_lib.data.unify import main; sys.exit(main(sys.argv[1:]))"


def usable(source: str, input: str | Path) -> list[dict[str, Any]]:
    """The real records that convert, each once."""
    from xlam_lib.data.converting import raw_records

    module = find_source(source)
    found = []
    for file in data_files(input, module.SOURCE.text_files)[0]:
        for raw in raw_records(module, file):
            try:
                if isinstance(raw, Raw) and module.convert(raw.value, raw.where):
                    found.append(raw.value)
            except (Drop, TrajectoryError):
                continue
    if not found:
        raise ValueError(f"{input}: no record that {source} converts")
    return found


def repeated(records: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of JSON without end, with ids that differ."""
    for number, record in enumerate(chain.from_iterable(repeat(records))):
        changed = {key: f"{record[key]}-{number}" for key in IDS if isinstance(record.get(key), str)}
        changed |= {key: number for key in IDS if isinstance(record.get(key), int)}
        yield json.dumps({**record, **changed}) + "\n"


def fill(path: Path, records: list[dict[str, Any]], size: int) -> int:
    """Writes at least `size` bytes of repeated records; returns how many records."""
    count = written = 0
    with open(path, "w", encoding="utf-8") as file:
        for line in repeated(records):
            file.write(line)
            count, written = count + 1, written + len(line)
            if written >= size:
                return count
    return count


def plain_loop(path: Path, output: Path) -> None:
    """What is held against us: load, rebuild, dump."""
    with open(path, encoding="utf-8") as lines, open(output, "w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(_rebuilt(json.loads(line))) + "\n")


def _rebuilt(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rebuilt(item) for key, item in value.items()}
    return [_rebuilt(item) for item in value] if isinstance(value, list) else value


def _time(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def compare(source: str, input: str | Path, seconds: float = 2.0) -> dict[str, Any]:
    """The three times, and the shares of the plain loop's speed: `compare("glaive", "raw/glaive")["convert_share"]`."""
    records = usable(source, input)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, out = folder / "rows.jsonl", folder / "out"
        count = fill(path, records, 1 << 20)
        unify(source, path, folder / "warm")  # imports and caches
        probe = _time(lambda: plain_loop(path, folder / "plain"))
        count = fill(path, records, int((1 << 20) * max(1.0, seconds / max(probe, 1e-3))))
        plain = _time(lambda: plain_loop(path, folder / "plain"))
        bare = Options(verify=False, rate=False)
        convert = _time(lambda: unify(source, path, out, force=True, options=bare))
        whole = _time(lambda: unify(source, path, out, force=True))
        size = path.stat().st_size
    return {
        "source": source,
        "records": count,
        "megabytes": round(size / 1e6, 1),
        "plain_seconds": round(plain, 3),
        "convert_seconds": round(convert, 3),
        "unify_seconds": round(whole, 3),
        "convert_share": round(plain / convert, 3),
        "unify_share": round(plain / whole, 3),
    }


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
    parser.add_argument("--seconds", type=float, default=2.0, help="how long the plain loop should take")
    parser.add_argument("--gigabytes", type=float, help="measure the memory over a file of this size instead")
    parser.add_argument("--folder", help="where that file may lie")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("more", nargs="*", help="behind --: options for unify, with --gigabytes")
    options = parser.parse_args(arguments)
    try:
        if options.gigabytes:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                sizes = (options.gigabytes, folder, options.workers, options.more)
                found = memory(options.source, options.input, *sizes)
        else:
            found = compare(options.source, options.input, options.seconds)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
