"""Ways of reading the same samples compared, a row of figures each (`throughput.py`).

    rows = list(compared(trained, readings, groups, Trial(rounds=3), layout))
    print(as_line(rows[0]))

A row has the median step: seconds by part, telemetry's figures, and the memory beside what the plan (`memory.py`)
expects. Memory that runs out makes a row with the reason; any other error ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median_low
from typing import Any, TypeVar

import torch

from xlam_lib.perf.throughput_step import Reading, Step, Trained, release
from xlam_lib.train.packing.flex import STRIDE
from xlam_lib.train.packing.grouping import Row
from xlam_lib.train.packing.padding_free import FLEX
from xlam_lib.train.planning.memory import Layout, flops, memory, sizes

GIB = 2**30
STAYS = ("weights", "gradients", "optimizer")
Found = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Trial:
    """How often: `Trial(rounds=3, warmup=1)` makes four steps of each way, and three of them count."""

    rounds: int = 3
    warmup: int = 1
    profile: bool = False


def attempt(make: Callable[[], T]) -> tuple[T | None, str]:
    """What is made, or why the device's memory doesn't suffice for it; any other error goes on."""
    try:
        return make(), ""
    except torch.OutOfMemoryError as error:
        return None, f"out of memory: {(str(error).splitlines() or ['no details'])[0]}"


def compared(
    trained: Trained, ways: Sequence[Reading], groups: list[list[Row]], trial: Trial, layout: Layout
) -> Iterator[Found]:
    """A row for each way of reading: first a step of each that changes nothing, then steps in turns."""
    steps: dict[str, list[Step]] = {way.name: [] for way in ways}
    failed: dict[str, str] = {}
    release()
    for number in range(1 + trial.warmup + trial.rounds):
        for way in ways:
            if way.name in failed:
                continue
            step, reason = attempt(partial(trained.step, way, groups, update=number > 0))
            if step is None:
                failed[way.name] = reason
                trained.release()
            else:
                steps[way.name].append(step)
    for way in ways:
        row: Found = {"reading": way.name, "attention": way.attention, "kernel": way.kernel}
        if way.name in failed:
            yield row | {"failed": failed[way.name]}
            continue
        first, *_ = steps[way.name]
        step = median_step(steps[way.name][1 + trial.warmup :])
        row |= figures(trained, first, step) | memory_of(trained, way, step, layout)
        checkpointed = layout.checkpointing and row["utilisation"] is not None
        row["hardware_utilisation"] = round(row["utilisation"] * repeated(trained, step), 4) if checkpointed else None
        if trial.profile:
            top, reason = attempt(partial(trained.profiled, way, groups))
            row["top"] = top if top is not None else reason
        yield row


def median_step(steps: Sequence[Step]) -> Step:
    """The step whose time is the median, the faster one of two."""
    middle = median_low(step.seconds for step in steps)
    return next(step for step in steps if step.seconds == middle)


def figures(trained: Trained, first: Step, step: Step) -> Found:
    """Times, counts and speeds of a step; `compile_s` is what the first one took beyond the same parts of this."""
    flops, counts = trained.meter.flops, step.counts
    work = flops.parts(counts)
    parts = step.parts | {"other": max(0.0, step.seconds - sum(step.parts.values()))}
    same = sum(taken for part, taken in step.parts.items() if part != "optimizer")
    largest = max(parts, key=parts.__getitem__)
    return {
        "tokens": counts["tokens"],
        "nodes": counts["read"],
        "labels": counts["trained"],
        "rows": step.rows,
        "seconds": round(step.seconds, 4),
        "parts": {part: round(taken, 4) for part, taken in parts.items()},
        "largest": largest,
        "largest_share": round(parts[largest] / step.seconds, 4),
        "compile_s": round(max(0.0, first.seconds - same), 2),
        "loss": first.loss,
        **step.figures,
        "operations": flops.work(counts),
        "work": {part: round(found / sum(work.values()), 4) for part, found in work.items()},
    }


def memory_of(trained: Trained, way: Reading, step: Step, layout: Layout) -> Found:
    """GiB by part as found and as the plan expects them; `read` is all that doesn't stay, of a GPU only."""
    row = step.row + (-step.row % STRIDE if way.attention == FLEX else 0)
    counted = sizes(trained.model, adapters=hasattr(trained.model, "peft_config"))
    parts, _ = memory(counted, trained.base.config, layout, row, step.labelled)
    planned = {part: parts.pop(part) for part in STAYS} | {"read": sum(parts.values())}
    found = {part: float(step.memory[part]) for part in STAYS}
    if "peak" in step.memory:
        found["read"] = step.memory["peak"] - sum(found.values())
    totals = {"memory_gib": found, "planned_gib": planned}
    return {
        name: {part: round(size / GIB, 6) for part, size in (values | {"together": sum(values.values())}).items()}
        for name, values in totals.items()
    }


def repeated(trained: Trained, step: Step) -> float:
    """How many times a step's work a GPU does if layers are computed twice, by the plan's count: 1.3, say."""
    counted = sizes(trained.model, adapters=hasattr(trained.model, "peft_config"))
    read, depth = step.counts["read"], step.counts["pairs"] / step.counts["read"]
    once, twice = (flops(counted, trained.base.config, read, step.counts["trained"], depth, a) for a in (False, True))
    return twice / once


def as_line(row: Found) -> str:
    """A row as a line: "xLAM-1b-fc-r lora 4096 trajectories, tries (flex_attention): 41,210 tokens/s, ..."."""
    where = [str(row[name]) for name in ("model", "way", "length", "data") if name in row]
    how = f", {row['reading']} ({row['attention']})" if "reading" in row else ""
    head = f"{' '.join(where)}{how}: "
    if "failed" in row:
        return head + row["failed"]
    used, found, planned = row["utilisation"], row["memory_gib"], row["planned_gib"]
    lines = [
        f"{row['tokens_per_second']:,.0f} tokens/s, {row['read_per_second']:,.0f} read/s",
        "utilisation unknown (give --peak)" if used is None else f"{used:.1%} utilisation",
        f"{_size(found, found)}{'' if 'read' in found else ' of what stays'} ({_size(planned, found)} planned)",
        f"{row['seconds']:.3f} s a step, most of it {row['largest']} ({row['largest_share']:.0%})",
    ]
    if "times_as_fast" in row:
        lines.append(f"{row['times_as_fast']:.2f} times as fast as apart")
    return head + ", ".join(lines)


def _size(parts: Found, named: Found) -> str:
    """The parts that are named, together: "21.30 GiB"."""
    gib = sum(size for part, size in parts.items() if part in named and part != "together")
    return f"{gib:.2f} GiB" if gib >= 1 else f"{1024 * gib:.1f} MiB"
