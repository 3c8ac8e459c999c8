"""Figures of results: scores side by side and what goes wrong (notebooks 02, 03 and 05, the report)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from xlam_lib.plots.style import COLOURS, HATCHES, INK, Chart, figure, finish, require_entries


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
    require_entries(series, "series")
    groups = list(dict.fromkeys(group for values in series.values() for group in values))
    chart, (axes,) = figure(1, width=max(4.6, 1.2 + 0.48 * len(groups) * (len(series) + 0.8)))
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
    finish(axes, title, legend=len(series) > 1)
    return chart


def failure_bars(counts: Mapping[str, Mapping[str, int]], *, title: str = "What goes wrong") -> Chart:
    """Counts of each kind of failure for each model, e.g. `failure_bars({"sft": {"wrong_tool": 12}, "dpo": {}})`."""
    kinds = {kind: sum(c.get(kind, 0) for c in counts.values()) for values in counts.values() for kind in values}
    order = sorted(kinds, key=lambda kind: (-kinds[kind], kind)) or ["no failure"]
    chart, (axes,) = figure(1, height=1.2 + 0.24 * len(order) * (len(counts) + 0.6))
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
    finish(axes, title, legend=len(counts) > 1, grid="x")
    return chart


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
