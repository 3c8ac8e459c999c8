"""Raw records of one source -> a folder of unified trajectories, with the books (notebook 01).

    python -m xlam_lib.data.unify --source toolbench --input raw/toolbench --output data/toolbench
    python -m xlam_lib.data.unify --list

The folder holds `trajectories.jsonl`, `losses.jsonl` (every dropped or quarantined record with file, line and reason),
`accounting.json` and the marker COMPLETE. It appears whole or not at all; a rerun with the same input skips it. The
command ends with the accounting table and, as the last line, the counts as JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlam_lib import atomic
from xlam_lib.data.accounting import Accounting, Loss
from xlam_lib.data.converting import convert_files
from xlam_lib.data.reading import ReadError, data_files
from xlam_lib.data.sources import SOURCES, find_source
from xlam_lib.trajectory import SCHEMA_VERSION, write_jsonl

log = logging.getLogger(__name__)
TRAJECTORIES, LOSSES, BOOKS = "trajectories.jsonl", "losses.jsonl", "accounting.json"


def unify(source: str, input: str | Path, output: str | Path, force: bool = False) -> Accounting:
    """Converts a file or folder into `output`: `unify("tau_bench", "gpt-4o-airline.json", "data/tau").trajectories`.

    What is complete is not done again, unless the input changed or `force` is set; then it is replaced.
    """
    module = find_source(source)
    files, ignored = data_files(input, module.SOURCE.text_files)
    output = Path(output)
    job = _job(module.SOURCE.name, module.SOURCE.version, input, files)
    if done := _finished(output, job, force):
        log.info("%s is complete, nothing to do", output)
        return done
    accounting = Accounting(source, ignored_files=[str(file) for file in ignored])
    start = time.perf_counter()
    with atomic.complete_dir(output, info=job) as folder, open(folder / LOSSES, "w", encoding="utf-8") as losses:
        accounting.sink = lambda loss: _write_loss(losses, loss)
        trajectories = convert_files(module, files, accounting)
        write_jsonl(folder / TRAJECTORIES, trajectories)
        _check(accounting, input)
        accounting.seconds = time.perf_counter() - start
        losses.flush()
        atomic.write_json(folder / BOOKS, accounting.to_dict())
    accounting.sink = None
    return accounting


def _job(source: str, version: str, input: str | Path, files: Sequence[Path]) -> dict[str, Any]:
    """What the output depends on. Files are told by path, size and time of change."""
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return {
        "source": source,
        "converter": version,
        "schema_version": SCHEMA_VERSION,
        "files": len(files),
        "input": str(Path(input).resolve()),
        "fingerprint": hashlib.sha256(repr(stats).encode()).hexdigest(),
    }


def _finished(output: Path, job: dict[str, Any], force: bool) -> Accounting | None:
    """The books of an earlier run over the same input; an error when the folder belongs to something else.

    `force` replaces what this command made, but never anything else.
    """
    if not output.exists():
        return None
    books = output / BOOKS
    if not (output.is_dir() and atomic.is_complete(output) and books.is_file()):
        if output.is_dir() and not any(output.iterdir()):
            return None
        raise ReadError(f"{output}: exists, but was not made by this command; give another --output or remove it")
    if force:
        return None
    before = json.loads((output / atomic.MARKER).read_text(encoding="utf-8"))
    if (before.get("source"), before.get("input")) != (job["source"], job["input"]):
        raise ReadError(
            f"{output}: holds {before.get('source')} from {before.get('input')}; give another --output, "
            "or --force to replace it"
        )
    if before != job:
        log.info("%s: the input or the converter changed, converting again", output)
        return None
    return Accounting.from_dict(json.loads(books.read_text(encoding="utf-8")))


def _check(accounting: Accounting, input: str | Path) -> None:
    accounting.check()
    if not accounting.records_in:
        raise ReadError(f"{input}: {accounting.files} file(s), but no record in them; is this the right place?")
    if accounting.quarantined == accounting.records_in:
        raise ReadError(f"{input}: no record could be read; first: {_first(accounting)}")


def _first(accounting: Accounting) -> str:
    loss = accounting.losses[0]
    return f"{loss.where}: {loss.reason}"


def _write_loss(file: Any, loss: Loss) -> None:
    file.write(json.dumps(dataclasses.asdict(loss)) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.unify", description="Raw records -> trajectories.")
    parser.add_argument("--list", action="store_true", help="print the sources and stop")
    parser.add_argument("--source", help=f"one of {', '.join(SOURCES)}")
    parser.add_argument("--input", help="a file or a folder of raw records")
    parser.add_argument("--output", help="the folder to make")
    parser.add_argument("--force", action="store_true", help="convert again, replacing the output")
    options = parser.parse_args(arguments)
    if options.list:
        print(listing())
        return 0
    missing = [f"--{name}" for name in ("source", "input", "output") if not getattr(options, name)]
    if missing:
        parser.error(f"{', '.join(missing)} missing (or --list)")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        accounting = unify(options.source, options.input, options.output, options.force)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(accounting.table())
    print(f"written to {options.output}")
    print(json.dumps(accounting.summary(), ensure_ascii=False))
    return 0


def listing() -> str:
    """One line a source: name, licence, home page."""
    infos = [module.SOURCE for module in SOURCES.values()]
    width = max(len(info.name) for info in infos)
    return "\n".join(f"{info.name:<{width}}  {info.license:<12}  {info.url}" for info in infos)


if __name__ == "__main__":
    sys.exit(main())
