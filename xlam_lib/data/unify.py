"""Raw records of one source -> a folder of unified trajectories, with the books (notebook 01).

    python -m xlam_lib.data.unify --source toolbench --input raw/toolbench --output data/toolbench
    python -m xlam_lib.data.unify --source glaive --input glaive.json --output data/glaive --workers 4 --dedup near
    python -m xlam_lib.data.unify --source toolace --input hub --output data/toolace
    python -m xlam_lib.data.unify --list

The folder holds `trajectories.jsonl`, `losses.jsonl` (every dropped or quarantined record with file, line and reason),
`accounting.json` and the marker COMPLETE. It appears whole or not at all; a rerun with the same input skips it, and one
that was killed is taken up where it was. The output is the same, byte for byte, however many workers made it. The
command ends with the accounting table and, as the last line, the counts as JSON.

The input is a file, a folder, or a data set of the hub (owner/name:config@revision#split, or the word "hub" for the
source's own), whose rows are streamed and stored beside the output before they are converted.

No record ends a run: what it provokes is its loss, and one that takes more processor time than --record-seconds is
lost, too. Verification and the rating by rules run along; what leaves trajectories out (--strict, --dedup,
--decontaminate) and --split and --parquet are asked for. `xlam_lib.data.pipeline` has the steps.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlam_lib import files
from xlam_lib.data.accounting import Accounting
from xlam_lib.data.boundary import SECONDS
from xlam_lib.data.inputs import Input, find_input
from xlam_lib.data.pipeline.executors import EXECUTORS, run_local, run_on_ray, submit
from xlam_lib.data.pipeline.merge import BOOKS, LOSSES, TRAJECTORIES, Merge
from xlam_lib.data.pipeline.phases import Options, Phase, phases
from xlam_lib.data.pipeline.shards import FilePart, fetch, plan
from xlam_lib.data.pipeline.splitting import BY
from xlam_lib.data.pipeline.work import PLAN, begin, read_plan, remove_work, work_folder, working, write_plan
from xlam_lib.data.reading import ReadError
from xlam_lib.data.sources import SOURCES, SourceInfo, find_source
from xlam_lib.errors import as_command
from xlam_lib.trajectory import SCHEMA_VERSION

__all__ = ["BOOKS", "LOSSES", "TRAJECTORIES", "Options", "main", "unify"]
log = logging.getLogger(__name__)


def unify(
    source: str,
    input: str | Path,
    output: str | Path,
    force: bool = False,
    workers: int = 1,
    executor: str = "local",
    options: Options | None = None,
    executor_options: dict[str, Any] | None = None,
) -> Accounting | None:
    """Converts a file, folder or data set of the hub: `unify("tau_bench", "airline.json", "data/tau").trajectories`.

    What is complete is not done again, unless the input changed or `force` is set; then it is replaced. With the
    executor "slurm" the jobs are submitted and the result is None: ask again when they have ended.
    """
    if executor not in EXECUTORS or workers < 1:
        raise ValueError(
            f"executor {executor!r} with {workers} worker(s): expected {', '.join(EXECUTORS)} and 1 or more"
        )
    options = options or Options()
    module = find_source(source)
    found, output = find_input(module, input), Path(output)
    job = _job(module.SOURCE, found, options)
    if done := _finished(output, job, force):
        log.info("%s is complete, nothing to do", output)
        return done
    ignored = [str(file) for file in found.ignored]
    merge = Merge("", str(output), str(input), source, 0, found.count, ignored, job, options)
    merge.started = time.time()
    if executor == "slurm":
        _submit(merge, found, workers, executor_options or {})
        return None
    with working(output, job) as work:
        _run(merge, work, _shards(work, job, found, source), workers, executor, executor_options or {})
    return _books(output)


def _run(
    merge: Merge, work: Path, shards: list[list[FilePart]], workers: int, executor: str, ray: dict[str, Any]
) -> None:
    """All phases, here or on Ray, and then the merge, here."""
    merge = dataclasses.replace(merge, work=str(work), shards=len(shards))
    for phase in phases(work, merge.source, shards, merge.options):
        if executor == "ray":
            run_on_ray(phase, work, workers, ray)
        else:
            run_local(phase, work, workers)
    merge()


def _submit(merge: Merge, found: Input, workers: int, options: dict[str, Any]) -> None:
    """All phases and the merge as jobs of Slurm. What they leave in the work folder goes at the next call."""
    work = work_folder(Path(merge.output))
    files.check_work_folder(work, PLAN)
    work.mkdir(parents=True, exist_ok=True)
    begin(work, merge.job)
    shards = _shards(work, merge.job, found, merge.source)
    merge = dataclasses.replace(merge, work=str(work.resolve()), output=str(Path(merge.output).resolve()))
    merge.shards = len(shards)
    all_ = [*phases(work.resolve(), merge.source, shards, merge.options), Phase("merge", [merge], 1)]
    submit(all_, work.resolve(), workers, options)


def _shards(work: Path, job: dict[str, Any], found: Input, source: str) -> list[list[FilePart]]:
    """The shards of the run that is taken up, or new ones, written down; rows of the hub are stored first."""
    if known := read_plan(work).get("shards"):
        return [[FilePart(*part) for part in shard] for shard in known]
    if found.hub:
        shards = [[FilePart(str(file.resolve()), fetched=True)] for file in fetch(found.hub, work / "rows")]
    else:
        shards = plan(found.files, find_source(source).SOURCE.own_files)
    rows = [[list(vars(part).values()) for part in shard] for shard in shards]
    write_plan(work, job, shards=rows)
    return shards


def _job(info: SourceInfo, found: Input, options: Options) -> dict[str, Any]:
    """What the output depends on."""
    return {
        "source": info.name,
        "converter": info.version,
        "schema_version": SCHEMA_VERSION,
        **found.to_dict(),
        "options": options.to_dict(),
    }


def _finished(output: Path, job: dict[str, Any], force: bool) -> Accounting | None:
    """The books of an earlier run over the same input; an error when the folder belongs to something else.

    `force` replaces what this command made, but never anything else.
    """
    if not output.exists():
        return None
    books = output / BOOKS
    if not (output.is_dir() and files.is_complete(output) and books.is_file()):
        if output.is_dir() and not any(output.iterdir()):
            return None
        raise ReadError(f"{output}: exists, but was not made by this command; give another --output or remove it")
    if force:
        return None
    before = json.loads((output / files.MARKER).read_text(encoding="utf-8"))
    if (before.get("source"), before.get("input")) != (job["source"], job["input"]):
        raise ReadError(
            f"{output}: holds {before.get('source')} from {before.get('input')}; give another --output, "
            "or --force to replace it"
        )
    if before != job:
        log.info("%s: the input or the converter changed, converting again", output)
        return None
    remove_work(output)  # of a run that was killed at its very end
    return _books(output)


def _books(output: Path) -> Accounting:
    return Accounting.from_dict(json.loads((output / BOOKS).read_text(encoding="utf-8")))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.unify", description="Raw records -> trajectories.")
    parser.add_argument("--list", action="store_true", help="print the sources and stop")
    parser.add_argument("--source", help=f"one of {', '.join(SOURCES)}")
    parser.add_argument("--input", help="a file or folder, a data set of the hub, or the word hub: the source's own")
    parser.add_argument("--output", help="the folder to make")
    parser.add_argument("--force", action="store_true", help="convert again, replacing the output")
    _add_options(parser)
    options = parser.parse_args(arguments)
    if options.list:
        print(listing())
        return 0
    missing = [f"--{name}" for name in ("source", "input", "output") if not getattr(options, name)]
    if missing:
        parser.error(f"{', '.join(missing)} missing (or --list)")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return as_command(lambda: _unify(options), status=1, also=(ValueError,))


def _unify(given: argparse.Namespace) -> None:
    how = (given.force, given.workers, given.executor, _options(given), json.loads(given.executor_options))
    accounting = unify(given.source, given.input, given.output, *how)
    if accounting is None:
        print("submitted; the same command shows the books once the jobs have ended")
        return
    print(accounting.table())
    print(f"written to {given.output}")
    print(files.to_json(accounting.summary(), None))


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--workers", type=int, default=1, metavar="N", help="processes, or tasks at a time on a cluster (default: 1)")
    add("--executor", choices=EXECUTORS, default="local", help="where the steps run (default: local)")
    add("--executor-options", default="{}", metavar="JSON", help="""for datatrove's executor: '{"partition": "cpu"}'""")
    add("--no-verify", dest="verify", action="store_false", help="don't look for undefined functions and the like")
    add("--no-rate", dest="rate", action="store_false", help="don't add the rating by rules")
    add("--strict", action="store_true", help="drop what verification finds to be an error")
    add("--dedup", choices=("none", "exact", "near"), default="none", help="leave duplicates out, also by MinHash")
    add("--decontaminate", nargs="+", default=[], metavar="WHAT", help="leave out questions of: bfcl, or files of them")
    add("--split", nargs=3, type=float, default=[], metavar=("TRAIN", "VAL", "TEST"), help="shares, as 0.9 0.05 0.05")
    add("--split-by", nargs="+", choices=BY, default=list(BY), help="what may be on one side only (default: both)")
    add("--seed", type=int, default=0, help="of the split")
    add("--parquet", action="store_true", help="write trajectories.parquet, too")
    add("--record-seconds", type=float, default=SECONDS, metavar="S", help="processor time for a record (default: 10)")


def _options(given: argparse.Namespace) -> Options:
    values = {f.name: getattr(given, f.name) for f in dataclasses.fields(Options)}
    return Options(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def listing() -> str:
    """One line a source: name, licence, data set of the hub ("-" where there is none), home page."""
    infos = [module.SOURCE for module in SOURCES.values()]
    rows = [(info.name, info.license, info.hub_id or "-", info.url) for info in infos]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


if __name__ == "__main__":
    sys.exit(main())
