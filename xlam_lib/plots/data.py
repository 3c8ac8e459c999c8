"""Figures of data: what a mixture holds, what is left of it, how long it is (notebook 01)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xlam_lib.plots.style import COLOURS, INK, Chart, figure, finish, require_entries


def mixture(counts: Mapping[str, float], *, title: str = "What the mixture holds", unit: str = "trajectories") -> Chart:
    """Horizontal bars with shares, largest first, e.g. `mixture({"xlam_fc_60k": 40, "toolbench": 10})`."""
    require_entries(counts, "counts")
    names = sorted(counts, key=lambda name: (-counts[name], name))
    total = sum(counts.values())
    chart, (axes,) = figure(1, height=0.9 + 0.36 * len(names))
    axes.barh(names, [counts[name] for name in names], color=COLOURS[0], height=0.62)
    for row, name in enumerate(names):
        share = f"{counts[name] / total:.1%}" if total else "–"
        text, end = f"{counts[name]:,} · {share}", (counts[name], row)
        axes.annotate(text, end, (4, 0), textcoords="offset points", va="center")
    axes.invert_yaxis()
    axes.set_xlim(0, max(1, *counts.values()) * 1.28)
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel=unit)
    finish(axes, title, grid="x")
    return chart


def funnel(stages: Mapping[str, int], *, title: str = "What is left", unit: str = "records") -> Chart:
    """Bars that get shorter, each with what the stage cost, e.g. `funnel({"raw": 120, "read": 116, "unique": 101})`."""
    require_entries(stages, "stages")
    names, counts = list(stages), list(stages.values())
    chart, (axes,) = figure(1, height=0.9 + 0.36 * len(names))
    most = max(1, *counts)
    for row, (count, before) in enumerate(zip(counts, [counts[0], *counts], strict=False)):
        axes.barh(row, before, color=COLOURS[5], alpha=0.35, height=0.62)
        axes.barh(row, count, color=COLOURS[0], height=0.62)
        lost = f" · {before - count:,} lost" if before > count else ""
        axes.annotate(f"{count:,}{lost}", (before, row), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, most * 1.28)
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel=unit)
    finish(axes, title, grid="x")
    return chart


def spreads(panels: Mapping[str, Mapping[str, Sequence[float]]], *, title: str) -> Chart:
    """A dot for each value and a bar for the median, a row a name: `spreads({"steps": {"glaive": [3, 8]}}, title="")`.

    Each panel bears its unit; rows are sorted by the medians of the first one. The axis is logarithmic from 1 on.
    """
    require_entries(panels, "panels")
    first = next(iter(panels.values()))
    names = sorted(first, key=lambda name: float(np.median(first[name])))
    chart, every = figure(len(panels), width=4.4 + 2.2 * len(panels), height=1.0 + 0.16 * len(names))
    for axes, (unit, values) in zip(every, panels.items(), strict=True):
        for row, name in enumerate(names):
            series = np.asarray(values[name], dtype=float)
            axes.scatter(series, np.full(len(series), row), s=12, color=COLOURS[0], alpha=0.45, linewidths=0)
            axes.scatter([np.median(series)], [row], s=40, color=COLOURS[5], marker="|", linewidths=2)
        axes.set_xscale("symlog", linthresh=1)
        marks = [mark for mark in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if mark <= axes.get_xlim()[1]]
        axes.set_xticks(marks, [f"{mark}" for mark in marks])
        axes.set_yticks(range(len(names)), names if axes is every[0] else [], fontsize=7)
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel=unit)
        finish(axes, title if axes is every[0] else "", grid="x")
        axes.minorticks_off()
    return chart


def lengths(
    values: Mapping[str, Sequence[float]],
    *,
    title: str = "How long they are",
    unit: str = "tokens",
    limit: float | None = None,
) -> Chart:
    """Histograms on common bins, e.g. `lengths({"prompt": [210, 340], "answer": [25, 31]}, limit=1024)`."""
    require_entries(values, "values")
    everything = np.concatenate([np.asarray(series, dtype=float) for series in values.values()])
    bins = np.histogram_bin_edges(everything, bins=min(40, max(5, int(np.sqrt(everything.size)))))
    chart, (axes,) = figure(1)
    for number, (name, series) in enumerate(values.items()):
        colour = COLOURS[number % len(COLOURS)]
        label = f"{name} (median {np.median(series):,.0f})" if len(series) else f"{name} (none)"
        axes.hist(series, bins=bins, histtype="stepfilled", color=colour, alpha=0.25)
        axes.hist(series, bins=bins, histtype="step", color=colour, linewidth=1.6, label=label)
    if limit is not None:
        axes.axvline(limit, color=INK, linestyle="--", linewidth=1, label=f"limit {limit:,.0f}")
    axes.set(xlabel=unit, ylabel="count")
    finish(axes, title, legend=True)
    return chart
