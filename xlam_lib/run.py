"""Run an experiment: its notebooks in order, with its parameters, into one folder that can be taken up again.

    python -m xlam_lib.run experiments/00_quickstart                 all of it, into runs/quickstart
    python -m xlam_lib.run experiments/00_quickstart --list          what would run and why, with all parameters
    python -m xlam_lib.run experiments/00_quickstart --only 02_sft   one notebook (and what it builds for itself)

Everything is checked before anything runs. A notebook is kept when its code, its parameters and its files are as they
were and nothing before it ran anew; else it runs. `manifest.json` records the rest. Exit status: 0 done, 1 a notebook
failed, 2 nothing was run because something asked for is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from xlam_lib import files, paths
from xlam_lib.batch import guard, metrics
from xlam_lib.batch import manifest as records
from xlam_lib.batch.plan import Experiment, Run, Step, load, select
from xlam_lib.batch.progress import Plain, progress
from xlam_lib.errors import as_command


def main(argv: list[str] | None = None) -> int:
    """The command line, e.g. `main(["experiments/00_quickstart", "--list"])` -> 0."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.run", description=__doc__.partition("\n")[0])
    parser.add_argument("experiment", help="folder with one YAML a notebook, e.g. experiments/00_quickstart")
    parser.add_argument("--out", help="folder to write to (default: runs/<experiment without its number>)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NOTEBOOK", help="just this one; may be repeated"
    )
    parser.add_argument("--force", action="store_true", help="run also what is unchanged")
    parser.add_argument("--list", action="store_true", help="show what would run and why, then stop")
    options = parser.parse_args(argv)
    try:
        return as_command(lambda: _run(options))
    except KeyboardInterrupt:
        return _fault("interrupted; what is finished is kept, the same command goes on from here", 130)


def _run(options: argparse.Namespace) -> int:
    experiment = load(options.experiment, options.out)
    chosen = select(experiment, options.only)
    if options.list:
        return show(experiment, chosen, options.force)
    try:
        return run_experiment(experiment, chosen, options.force, progress())
    except OSError as error:
        if error.errno in files.FULL:
            where = f" ({error.filename})" if error.filename else ""
            return _fault(f"{error.strerror}{where}; finished notebooks are kept: make room, then the same command", 1)
        return _fault(f"{type(error).__name__}: {error}", 1)


def run_experiment(experiment: Experiment, chosen: set[str], force: bool, display: Plain) -> int:
    """All runs of an experiment, one after the other; stops at the first notebook that fails."""
    display.say(f"{experiment.title} -> {paths.short(experiment.out)}")
    began = time.monotonic()
    with files.only_writer(experiment.out):
        for number, run in enumerate(experiment.runs, 1):
            if run.values:
                values = ", ".join(f"{k} = {v}" for k, v in run.values.items())
                display.say(f"\nrun {number}/{len(experiment.runs)}: {values} -> {paths.short(run.out)}")
            failure = _run_one(experiment, run, chosen, force, display)
            if failure:
                return _fault(f"{failure}\n  what is finished is kept: fix it, then the same command goes on", 1)
    display.say(f"\nall done in {time.monotonic() - began:.0f} s: {paths.short(experiment.out)}")
    return 0


def _run_one(experiment: Experiment, run: Run, chosen: set[str], force: bool, display: Plain) -> str:
    """The notebooks of one run; returns what failed, or ""."""
    run.out.mkdir(parents=True, exist_ok=True)
    for left in guard.stop_leftovers(run.out):
        display.say(f"stopped a process left over from an earlier run: {left}")
    manifest = records.Manifest(run.out)
    library = paths.library_sha256(Path(__file__).parent)
    git = paths.git_state(paths.root())
    manifest.data |= {
        "experiment": paths.short(experiment.folder),
        "title": experiment.title,
        "grid": run.values,
        "git": git,
        "environment": records.environment(),
    }
    for name in manifest.forget_others([step.name for step in run.steps]):
        display.say(f"{name} is no longer part of the experiment; its record was taken out of {records.FILE}")
    for number, step in enumerate(run.steps, 1):
        if step.name not in chosen:
            continue
        entry = manifest.step(step.name)
        earlier = _earlier(manifest, run, step)
        reason = "forced" if force else records.why_run(step, entry, earlier, run.out)
        place = f"{number}/{len(run.steps)}"
        if not reason:
            changed = "; the library changed since, --force runs it anew" if entry["library_sha256"] != library else ""
            display.say(f"{step.name} ({place}) kept from {entry['finished']}, {entry['seconds']:.1f} s{changed}")
            continue
        fresh = {"git": git, "library_sha256": library, records.EARLIER: earlier, "reason": reason}
        failure = _run_step(step, run, manifest, fresh, place, display)
        if failure:
            return failure
    return _finish(experiment, run, manifest, display)


def _run_step(
    step: Step, run: Run, manifest: records.Manifest, fresh: dict[str, Any], place: str, display: Plain
) -> str:
    """One notebook, recorded before and after; returns what failed, or ""."""
    from xlam_lib.batch.execute import NotebookFailed, execute
    from xlam_lib.batch.notebooks import count_code_cells

    order = [s.name for s in run.steps]
    entry = {
        "notebook": step.name,
        "status": "running",
        "started": records.now(),
        "parameters": step.parameters,
        "seed": step.parameters["seed"],
        "source_sha256": step.source_sha256,
        **fresh,
    }
    manifest.put(entry, order)
    metrics.metrics_path(run.out, step.name).unlink(missing_ok=True)
    before, began = records.snapshot(run.out), time.monotonic()
    failure = ""
    display.notebook(f"{step.name}: {fresh['reason']}", place, count_code_cells(step.notebook) + 1)
    try:
        output = run.out / f"{step.name}.ipynb"
        mark = {guard.VARIABLE: str(run.out)}
        execute(step.notebook, output, step.parameters, display, step.stalled_after, environment=mark)
        entry |= _figures(run.out, step.name)
    except NotebookFailed as error:
        entry |= {"status": "failed", "error": error.details}
        failure = str(error)
    finally:
        for left in guard.stop_leftovers(run.out):
            display.say(f"  stopped a process that outlived {step.name}: {left}")
    entry |= {"finished": records.now(), "seconds": round(time.monotonic() - began, 1)}
    records.settle(manifest.data["steps"], entry, before, records.snapshot(run.out))
    manifest.put(entry, order)
    display.notebook_done(entry["status"])
    return failure or entry.get("error", {}).get("error", "")


def _figures(out: Path, name: str) -> dict[str, Any]:
    """Status and metrics of a notebook whose cells all ran; without figures it is not done."""
    try:
        return {"status": "done", "metrics": metrics.read_metrics(out, name)}
    except (FileNotFoundError, ValueError) as error:
        message = f"{name} ended without figures; its last cell must call record(metrics, out, {name!r}): {error}"
        return {"status": "failed", "error": {"error": message}}


def _earlier(manifest: records.Manifest, run: Run, step: Step) -> dict[str, str]:
    """When each notebook before this one last ran; a later time there means that this one runs anew."""
    names = [s.name for s in run.steps]
    entries = (manifest.step(name) for name in names[: names.index(step.name)])
    return {e["notebook"]: e["started"] for e in entries if e is not None}


def _finish(experiment: Experiment, run: Run, manifest: records.Manifest, display: Plain) -> str:
    """The report of a finished run, where the experiment asks for it; returns what failed, or ""."""
    if experiment.report and all((manifest.step(s.name) or {}).get("status") == "done" for s in run.steps):
        from xlam_lib.bench.report import builder
        from xlam_lib.bench.report.scorecard import ScorecardError

        failure = ""
        try:
            builder.write(run.out)
        except ScorecardError as error:
            failure = str(error)
        display.say(f"\n{builder.text(run.out)}\n\nreport: {paths.short(run.out / builder.FILE)}")
        return failure
    return ""


def show(experiment: Experiment, chosen: set[str], force: bool) -> int:
    """Print each notebook with its parameters, and whether and why it would run."""
    for run in experiment.runs:
        print(f"{paths.short(run.out)}")
        manifest = records.Manifest(run.out)
        again: dict[str, str] = {}
        for step in (s for s in run.steps if s.name in chosen):
            earlier = _earlier(manifest, run, step) | again
            reason = "forced" if force else records.why_run(step, manifest.step(step.name), earlier, run.out)
            if reason:
                again[step.name] = "would run"
            print(f"  {step.name}  {f'runs: {reason}' if reason else 'kept'}")
            for name, value in step.parameters.items():
                print(f"    {name} = {value!r}")
    return 0


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fault(text: str, status: int) -> int:
    print(f"error: {text}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
