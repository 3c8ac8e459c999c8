"""How fast, how lean and how exact training on tries is, against other ways on the same real samples (`make speed`):

    python -m xlam_lib.perf.speed --real ../shared/real --out runs/speed
    python -m xlam_lib.perf.speed --real ../shared/real --only alfworld --models "2 layers" --rounds 3

For each case and each model (`workloads.py`) one epoch is timed in turns, ours and the peers of `baselines.py`, each in
a process of its own, forked from one that has the packages loaded and has calculated nothing: the greatest memory is
its own, and it inherits no threads that died with the fork (a fork of a process that has used OpenMP may hang). Behind
that come exactness (`exactness.py`), and runs in two processes or killed on their way (`continuity.py`).

`speed.json` is a list of {"case", "ours_s", "peer", "peer_s", "ratio", "floor"}: how many times as fast ours is and
must be. Where something else is compared, "unit" says what: bytes of memory beyond what the process began with (`ours`,
`peer_found`), or a difference from what is exact (`difference`), whose ratio is the greatest that is allowed over the
one found. Rows padded to a fixed length all take the same time, so a few are timed and the rest is reckoned. Notebook
06 shows it.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from xlam_lib import paths
from xlam_lib.files import write_json
from xlam_lib.perf import baselines
from xlam_lib.perf.continuity import changed, curves, killed, trained
from xlam_lib.perf.exactness import differences
from xlam_lib.perf.workloads import CASES, MODELS, Case, model_of, pairs, samples, unified
from xlam_lib.train.packing.grouping import Row

TIMED = 6  # padded rows that are timed
LOSS, GRADIENT, SAME = 1e-5, 1e-4, 1e-4  # the greatest relative differences
EQUAL = 1e-12  # none at all: no weight but zero is so small
DPO = 1.7  # times as fast as trl's trainer
RECORDED = "05_speed"  # of the experiments
Found = dict[str, Any]
T = TypeVar("T")


def in_turns(ways: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each way returns in each round, the ways in turns, so that what slows the machine slows all of them."""
    found: dict[str, list[T]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    return found


def read_speed(folder: str | Path = "") -> list[Found]:
    """A measurement: `speed.json` of a folder, or of runs/speed if it is there, or the one the project recorded."""
    for place in [Path(folder)] if folder else [paths.runs_dir() / "speed", paths.experiments_dir() / RECORDED]:
        if (place / "speed.json").is_file():
            return json.loads((place / "speed.json").read_text("utf-8"))
    raise FileNotFoundError(f"{place / 'speed.json'} is not there; `make speed` measures anew")


def measure(way: Callable[..., Any], *given: Any) -> tuple[Any, int]:
    """What a way returns, and the bytes by which it made a process grow: `measure(max, 1, 2)[0]` -> 2."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["xlam_lib.perf.baselines"])
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(writer, way, *given))
    child.start()
    writer.close()
    try:
        found = reader.recv()
    except EOFError as error:
        child.join()
        raise RuntimeError(f"a way of training ended with status {child.exitcode}; its error stands above") from error
    child.join()
    return found


def _child(writer: Any, way: Callable[..., Any], *given: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = way(*given)
    writer.send((made, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)))


def epoch(way: str, model: str, groups: list[list[Row]], tokenizer: Any, length: int) -> float:
    """Seconds of a way, after a step or two on the first trajectory, so that threads, kernels and memory are there."""
    rows = [row for group in groups for row in group]
    if way == "tries":
        baselines.tries(model_of(MODELS[model]), [groups[0][:1]])
        return baselines.tries(model_of(MODELS[model]), groups)
    few = rows[:: max(1, len(rows) // TIMED)][:TIMED]
    ways: dict[str, Callable[[Any, list[Row]], float]] = {
        "bfd": lambda model, rows: baselines.trl_packed(model, rows, tokenizer, length),
        "sorted": lambda model, rows: baselines.sorted_batches(model, rows, length),
        "padded": lambda model, _: baselines.padded(model, few, length) * len(rows) / len(few),
    }
    ways[way](model_of(MODELS[model]), groups[0][:1])
    return ways[way](model_of(MODELS[model]), rows)


def compared(case: Case, groups: list[list[Row]], tokenizer: Any, model: str, rounds: int) -> Iterator[Found]:
    """Times and memory of a case, the medians of some rounds in turns."""
    rows = [row for group in groups for row in group]
    given = (model, groups, tokenizer, case.length)
    found = in_turns({way: partial(measure, epoch, way, *given) for way in ("tries", *case.floors)}, rounds)
    seconds = {way: statistics.median(taken for taken, _ in made) for way, made in found.items()}
    memory = {way: statistics.median(grown for _, grown in made) for way, made in found.items()}
    ours, name = seconds["tries"], f"{case.name}, {model}"
    about = {"trajectories": len(groups), "samples": len(rows), "tokens": sum(len(row["input_ids"]) for row in rows)}
    for peer, floor in case.floors.items():
        yield {**_row(name, ours, peer, seconds[peer], seconds[peer] / ours, floor), **about}
    if "bfd" in case.floors:
        mine, theirs = int(memory["tries"]), int(memory["bfd"])
        row = _row(f"memory, {name}", ours, "bfd", seconds["bfd"], theirs / mine, 1.0)
        yield row | {"unit": "bytes", "ours": mine, "peer_found": theirs}


def preferences(tries: bool, made: list[dict[str, str]], tokenizer: Any, model: str, length: int) -> Any:
    """Seconds and losses of DPO over some pairs."""
    return baselines.preferences(model_of(MODELS[model]), made, tokenizer, tries, length)


def compared_dpo(case: Case, real: Path, work: Path, tokenizer: Any, model: str, rounds: int) -> Iterator[Found]:
    """DPO on pairs with a case's prompts, by trl's trainer as it is and on tries."""
    made, name = pairs(case, real, work), f"DPO, {case.name}, {model}"

    given = (made, tokenizer, model, case.length)
    found = in_turns({way: partial(measure, preferences, way == "tries", *given) for way in ("tries", "trl")}, rounds)
    ours, theirs = (statistics.median(seconds for (seconds, _), _ in one) for one in found.values())
    yield _row(name, ours, "trl", theirs, theirs / ours, DPO) | {"pairs": len(made)}
    curves = (one[0][0][1] for one in found.values())
    worst = max(abs(a - b) / abs(b) for a, b in zip(*curves, strict=True))
    yield _difference(f"losses, {name}", ours, "trl", theirs, worst, SAME)


def exact(real: Path, work: Path) -> Iterator[Found]:
    """The worst of all sources, and each source's differences beside it."""
    started = time.perf_counter()
    found, _ = measure(differences, real, work)
    seconds, sources = time.perf_counter() - started, [vars(one) for one in found]
    name = f"{len(found)} sources, {sum(one.samples for one in found)} samples"
    for what, allowed in (("loss", LOSS), ("gradient", GRADIENT)):
        worst = max(getattr(one, what) for one in found)
        yield {**_difference(f"{what}, {name}", seconds, "apart", seconds, worst, allowed), "sources": sources}


def undisturbed(real: Path, work: Path) -> Iterator[Found]:
    """Two processes against one, and a run that is killed and goes on against one that isn't."""
    data = unified(CASES[0], real, work)
    one, alone = _timed(trained, data, work / "one")
    two, both = _timed(trained, data, work / "two", processes=2)
    again, twice = _timed(killed, data, work / "killed")
    name = CASES[0].name
    yield _difference(f"losses of 2 processes, {name}", both, "1 process", alone, curves(one, two), SAME)
    yield _difference(f"weights, killed and resumed, {name}", twice, "undisturbed", alone, changed(one, again), EQUAL)


def _timed(run: Callable[..., T], *given: Any, **more: Any) -> tuple[T, float]:
    started = time.perf_counter()
    return run(*given, **more), time.perf_counter() - started


def _row(case: str, ours: float, peer: str, theirs: float, ratio: float, floor: float) -> Found:
    about = {"case": case, "ours_s": round(ours, 2), "peer": peer, "peer_s": round(theirs, 2)}
    return about | {"ratio": round(ratio, 2), "floor": floor}


def _difference(case: str, ours: float, peer: str, theirs: float, found: float, allowed: float) -> Found:
    ratio = allowed / max(found, 1e-12)
    return _row(case, ours, peer, theirs, ratio, 1.0) | {"unit": "difference", "difference": found}


def as_line(found: Found) -> str:
    """One line: "alfworld, 2 layers: ours 2.9 s, bfd 71.0 s, 24.48 times as fast (at least 20)"."""
    floor = f"(at least {found['floor']:g})"
    if found.get("unit") == "difference":
        far = f"differs from {found['peer']} by {found['difference']:.1e}"
        return f"{found['case']}: {far}, ratio {found['ratio']:g} {floor}"
    if found.get("unit") == "bytes":
        mine, theirs = found["ours"] / 1e6, found["peer_found"] / 1e6
        return f"{found['case']}: ours {mine:.0f} MB, {found['peer']} {theirs:.0f} MB, ratio {found['ratio']} {floor}"
    return (
        f"{found['case']}: ours {found['ours_s']:.1f} s, {found['peer']} {found['peer_s']:.1f} s, {found['ratio']:.2f} "
        f"times as fast {floor}"
    )


def run(real: Path, only: Sequence[str], models: Sequence[str], rounds: int) -> Iterator[Found]:
    """All that is compared, one after another."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for case in CASES:
            if case.name not in only:
                continue
            tokenizer, groups = samples(case, real, work)
            for model in models:
                yield from compared(case, groups, tokenizer, model, rounds)
            if case.pairs:
                yield from compared_dpo(case, real, work, tokenizer, models[0], rounds)
        if "exact" in only:
            yield from exact(real, work / "exact")
        if "undisturbed" in only:
            yield from undisturbed(real, work / "undisturbed")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; prints a line a comparison, and writes `speed.json`; 1 where a ratio is below its floor."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.perf.speed", description="Tries against other ways.")
    parser.add_argument("--real", type=Path, default=os.environ.get("XLAM_REAL_DATA"), help="folder of real records")
    parser.add_argument("--out", default="runs/speed", help="where speed.json is written")
    known = [*(case.name for case in CASES), "exact", "undisturbed"]
    parser.add_argument("--only", nargs="+", choices=known, default=known, help="cases (default: all)")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=1, help="how often each way is timed; the median counts")
    options = parser.parse_args(argv)
    if not options.real or not options.real.is_dir():
        parser.error("--real names no folder; give it, or set XLAM_REAL_DATA")
    logging.getLogger("datasets").setLevel(logging.ERROR)
    found, out = [], paths.out_dir(options.out)
    for one in run(options.real, options.only, options.models, options.rounds):
        found.append(one)
        print(as_line(one), flush=True)
        write_json(out / "speed.json", found)
    return int(any(one["ratio"] < one["floor"] for one in found))


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
