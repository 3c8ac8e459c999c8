"""The comparisons of `speed.py`: times and memory of each case in turns, DPO, exactness, runs that are disturbed.

for found in run(Path("../shared/real"), ["alfworld"], ["2 layers"], rounds=3): ...
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from xlam_lib.perf import baselines
from xlam_lib.perf.cases import CASES, MODELS, Case, in_turns
from xlam_lib.perf.continuity import changed, curves, killed, trained
from xlam_lib.perf.exactness import differences
from xlam_lib.perf.workloads import model_of, pairs, samples, unified
from xlam_lib.train.packing.grouping import Row

TIMED = 6  # padded rows that are timed
LOSS, GRADIENT, SAME = 1e-5, 1e-4, 1e-4  # the greatest relative differences
EQUAL = 1e-12  # none at all: no weight but zero is so small
DPO = 1.7  # times as fast as trl's trainer
Found = dict[str, Any]
T = TypeVar("T")


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
