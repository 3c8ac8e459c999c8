"""Figures of the notebooks and the report: one style, colours that colour-blind readers can tell apart.

Used by notebooks 01 (mixture, funnel, spreads, lengths), 02 (loss, trie, bars), 03 (DPO curves, bars), 05 (bars) and by
`bench/page.py`. Every function returns a `Chart`, a matplotlib Figure that shows itself in Jupyter and needs neither
pyplot nor a display:

    chart = grouped_bars({"base": {"seen": 0.0}, "sft": {"seen": 0.83}}, title="Exact match")
    chart.savefig("bars.png")
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

# Okabe and Ito's palette, distinct for all common kinds of colour blindness; hatches and markers serve print in grey
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#CC79A7", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "----", "++++", "oooo")
INK, GRID = "#222222", "#DDDDDD"
STYLE: dict[str, Any] = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "xlam",
}


class Chart(Figure):
    """A matplotlib Figure that Jupyter shows by itself, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        return self.png()

    def png(self, dpi: int = 110) -> bytes:
        """The figure as PNG bytes; the same figure gives the same bytes."""
        buffer = io.BytesIO()
        with rc_context(STYLE):
            self.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        return buffer.getvalue()

    def data_uri(self, dpi: int = 204) -> str:
        """The figure as `data:image/png;base64,...`, to put into one self-contained HTML file."""
        return "data:image/png;base64," + base64.b64encode(self.png(dpi)).decode("ascii")


def mixture(counts: Mapping[str, float], *, title: str = "What the mixture holds", unit: str = "trajectories") -> Chart:
    """Horizontal bars with shares, largest first, e.g. `mixture({"xlam_fc_60k": 40, "toolbench": 10})`."""
    _some(counts, "counts")
    names = sorted(counts, key=lambda name: (-counts[name], name))
    total = sum(counts.values())
    chart, (axes,) = _figure(1, height=0.9 + 0.36 * len(names))
    axes.barh(names, [counts[name] for name in names], color=COLOURS[0], height=0.62)
    for row, name in enumerate(names):
        share = f"{counts[name] / total:.1%}" if total else "–"
        text, end = f"{counts[name]:,} · {share}", (counts[name], row)
        axes.annotate(text, end, (4, 0), textcoords="offset points", va="center")
    axes.invert_yaxis()
    axes.set_xlim(0, max(1, *counts.values()) * 1.28)
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel=unit)
    _finish(axes, title, grid="x")
    return chart


def funnel(stages: Mapping[str, int], *, title: str = "What is left", unit: str = "records") -> Chart:
    """Bars that get shorter, each with what the stage cost, e.g. `funnel({"raw": 120, "read": 116, "unique": 101})`."""
    _some(stages, "stages")
    names, counts = list(stages), list(stages.values())
    chart, (axes,) = _figure(1, height=0.9 + 0.36 * len(names))
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
    _finish(axes, title, grid="x")
    return chart


def spreads(panels: Mapping[str, Mapping[str, Sequence[float]]], *, title: str) -> Chart:
    """A dot for each value and a bar for the median, a row a name: `spreads({"steps": {"glaive": [3, 8]}}, title="")`.

    Each panel bears its unit; rows are sorted by the medians of the first one. The axis is logarithmic from 1 on.
    """
    _some(panels, "panels")
    first = next(iter(panels.values()))
    names = sorted(first, key=lambda name: float(np.median(first[name])))
    chart, every = _figure(len(panels), width=4.4 + 2.2 * len(panels), height=1.0 + 0.16 * len(names))
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
        _finish(axes, title if axes is every[0] else "", grid="x")
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
    _some(values, "values")
    everything = np.concatenate([np.asarray(series, dtype=float) for series in values.values()])
    bins = np.histogram_bin_edges(everything, bins=min(40, max(5, int(np.sqrt(everything.size)))))
    chart, (axes,) = _figure(1)
    for number, (name, series) in enumerate(values.items()):
        colour = COLOURS[number % len(COLOURS)]
        label = f"{name} (median {np.median(series):,.0f})" if len(series) else f"{name} (none)"
        axes.hist(series, bins=bins, histtype="stepfilled", color=colour, alpha=0.25)
        axes.hist(series, bins=bins, histtype="step", color=colour, linewidth=1.6, label=label)
    if limit is not None:
        axes.axvline(limit, color=INK, linestyle="--", linewidth=1, label=f"limit {limit:,.0f}")
    axes.set(xlabel=unit, ylabel="count")
    _finish(axes, title, legend=True)
    return chart


def loss_curves(
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    title: str = "Training loss",
    x: str = "step",
    y: str = "loss",
    smooth: int = 0,
) -> Chart:
    """One line a run from its log rows, e.g. `loss_curves({"sft": [{"step": 1, "loss": 4.2}]})`.

    Rows without `x` or `y` (evaluation rows of the same log) are passed over; `smooth` averages over so many rows.
    """
    _some(runs, "runs")
    chart, (axes,) = _figure(1)
    for number, (name, rows) in enumerate(runs.items()):
        _line(axes, rows, x, y, name, number, smooth)
    axes.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "))
    _finish(axes, title, legend=True)
    return chart


def dpo_curves(rows: Sequence[Mapping[str, Any]], *, title: str = "DPO", x: str = "step", smooth: int = 0) -> Chart:
    """Two panels from a trl DPO log: the margin of rewards, and how often the chosen answer is preferred.

    Rows are as trl logs them, e.g. `{"step": 10, "rewards/margins": 0.4, "rewards/accuracies": 0.8}`; `eval_` keys
    are drawn as a second line.
    """
    chart, (left, right) = _figure(2, width=8.2)
    for axes, key, label in ((left, "rewards/margins", "margin of rewards"), (right, "rewards/accuracies", "accuracy")):
        drawn = [
            _line(axes, rows, x, prefix + key, name, number, smooth)
            for number, (prefix, name) in enumerate((("", "train"), ("eval_", "held out")))
            if any(prefix + key in row for row in rows)
        ]
        if not drawn:
            raise ValueError(f"no row has {key!r}: expected a DPO log as trl writes it, with margins and accuracies")
        axes.set(xlabel=x)
        _finish(axes, f"{title}: {label}", legend=axes is right)
    left.axhline(0, color=INK, linewidth=0.8)
    right.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    right.set_ylim(0, 1.02)
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return chart


def trie_mask(words: Sequence[str], mask: np.ndarray, *, title: str) -> Chart:
    """Which token (row) attends to which (column): `trie_mask(["ask", "call"], trie([[0, 1]]).mask(), title="")`."""
    chart, (axes,) = _figure(1, width=1.6 + 0.42 * len(words), height=1.2 + 0.3 * len(words))
    axes.imshow(mask, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")
    axes.set_xticks(range(len(words)), words, rotation=90, fontsize=8)
    axes.set_yticks(range(len(words)), words, fontsize=8)
    axes.set(xlabel="is seen", ylabel="sees")
    axes.tick_params(length=0)
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", pad=10)
    return chart


def grouped_bars(
    series: Mapping[str, Mapping[str, float | None]],
    *,
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
    title: str = "",
    ylabel: str = "exact call match",
    percent: bool = True,
    marks: Mapping[str, float] | None = None,
) -> Chart:
    """Bars side by side: `series[model][group]`, e.g. `{"base": {"seen": 0.0}, "sft": {"seen": 0.83}}`.

    `intervals[model][group] = (low, high)` draws whiskers; `marks[group]` a floor to reach; None is shown as "n/a".
    """
    _some(series, "series")
    groups = list(dict.fromkeys(group for values in series.values() for group in values))
    chart, (axes,) = _figure(1, width=max(4.6, 1.2 + 0.48 * len(groups) * (len(series) + 0.8)))
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        offset = (number - (len(series) - 1) / 2) * width
        found = dict((intervals or {}).get(name, {}))
        colour, hatch = COLOURS[number % len(COLOURS)], HATCHES[number % len(HATCHES)]
        for place, group in enumerate(groups):
            _bar(axes, place + offset, width, values.get(group), found.get(group), colour, hatch, percent)
        axes.bar([0], [0], 0, color=colour, hatch=hatch, edgecolor="white", label=name)
    for group, level in (marks or {}).items():
        place = groups.index(group)
        axes.hlines(level, place - 0.46, place + 0.46, color=INK, linestyle="--", linewidth=1)
    axes.set_xticks(range(len(groups)), groups)
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel=ylabel, xlim=(-0.6, len(groups) - 0.4))
    if percent:
        axes.set_ylim(0, 1.1)
        axes.set_yticks(np.linspace(0, 1, 6))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _finish(axes, title, legend=len(series) > 1)
    return chart


def failure_bars(counts: Mapping[str, Mapping[str, int]], *, title: str = "What goes wrong") -> Chart:
    """Counts of each kind of failure for each model, e.g. `failure_bars({"sft": {"wrong_tool": 12}, "dpo": {}})`."""
    kinds = {kind: sum(c.get(kind, 0) for c in counts.values()) for values in counts.values() for kind in values}
    order = sorted(kinds, key=lambda kind: (-kinds[kind], kind)) or ["no failure"]
    chart, (axes,) = _figure(1, height=1.2 + 0.24 * len(order) * (len(counts) + 0.6))
    height = 0.8 / max(1, len(counts))
    for number, (name, values) in enumerate(counts.items()):
        places = [row + (number - (len(counts) - 1) / 2) * height for row in range(len(order))]
        found = [values.get(kind, 0) for kind in order]
        colour, hatch = COLOURS[number % len(COLOURS)], HATCHES[number % len(HATCHES)]
        axes.barh(places, found, height, color=colour, hatch=hatch, edgecolor="white", label=name)
        for place, value in zip(places, found, strict=True):
            axes.annotate(f"{value:,}", (value, place), (3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(order)), [kind.replace("_", " ") for kind in order])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="questions")
    _finish(axes, title, legend=len(counts) > 1, grid="x")
    return chart


def _figure(columns: int, *, width: float = 6.4, height: float = 3.1) -> tuple[Chart, list[Axes]]:
    with rc_context(STYLE):
        chart = Chart(figsize=(width, height), layout="constrained")
        return chart, [chart.add_subplot(1, columns, number + 1) for number in range(columns)]


def _line(axes: Axes, rows: Sequence[Mapping[str, Any]], x: str, y: str, name: str, number: int, smooth: int) -> bool:
    points = [(row[x], row[y]) for row in rows if row.get(x) is not None and row.get(y) is not None]
    if not points:
        raise ValueError(f"{name}: none of {len(rows)} log rows has both {x!r} and {y!r}; keys as in trl's log")
    across, values = (np.asarray(side, dtype=float) for side in zip(*points, strict=True))
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    if smooth > 1 and len(values) >= smooth:
        axes.plot(across, values, color=colour, linewidth=0.7, alpha=0.35)
        values = np.convolve(values, np.ones(smooth) / smooth, mode="valid")
        across = across[smooth - 1 :]
    every = max(1, len(values) // 8)
    axes.plot(across, values, color=colour, linewidth=1.7, marker=marker, markevery=every, markersize=4, label=name)
    return True


def _bar(
    axes: Axes,
    place: float,
    width: float,
    value: float | None,
    span: tuple[float, float] | None,
    colour: str,
    hatch: str,
    percent: bool,
) -> None:
    if value is None:
        axes.annotate("n/a", (place, 0), (0, 2), textcoords="offset points", ha="center", fontsize=8, color="#777777")
        return
    axes.bar(place, value, width * 0.94, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5)
    top = value
    if span is not None:
        low, high = span
        reach = [[max(0.0, value - low)], [max(0.0, high - value)]]
        axes.errorbar(place, value, reach, color=INK, capsize=2.5, linewidth=1)
        top = max(value, high)
    text = _percent(value) if percent else f"{value:,.3g}"
    axes.annotate(text, (place, top), (0, 2), textcoords="offset points", ha="center", fontsize=8)


def _percent(value: float) -> str:
    """`0.834` -> `83`; 0 and 100 only when exactly so, else one decimal, `0.996` -> `99.6`."""
    text = f"{100 * value:.0f}"
    return f"{100 * value:.1f}" if text in ("0", "100") and value not in (0, 1) else text


def _finish(axes: Axes, title: str, *, legend: bool = False, grid: Literal["x", "y"] = "y") -> None:
    axes.grid(axis=grid, color=GRID)
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", pad=10)
    if legend:
        with rc_context(STYLE):
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


def _some(values: Mapping[str, Any], name: str) -> None:
    if not values or all(hasattr(value, "__len__") and len(value) == 0 for value in values.values()):
        raise ValueError(f"{name} is empty: nothing to draw; expected at least one entry, e.g. a name with its values")
