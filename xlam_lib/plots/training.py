"""Figures of training: losses, preferences, tries, how fast it is (notebooks 02, 03 and 06)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from xlam_lib.plots.style import (
    COLOURS,
    HATCHES,
    INK,
    MARKERS,
    STYLE,
    Chart,
    ChartError,
    figure,
    finish,
    require_entries,
)


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
    require_entries(runs, "runs")
    chart, (axes,) = figure(1)
    for number, (name, rows) in enumerate(runs.items()):
        _line(axes, rows, x, y, name, number, smooth)
    axes.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "))
    finish(axes, title, legend=True)
    return chart


def dpo_curves(rows: Sequence[Mapping[str, Any]], *, title: str = "DPO", x: str = "step", smooth: int = 0) -> Chart:
    """Two panels from a trl DPO log: the margin of rewards, and how often the chosen answer is preferred.

    Rows are as trl logs them, e.g. `{"step": 10, "rewards/margins": 0.4, "rewards/accuracies": 0.8}`; `eval_` keys
    are drawn as a second line.
    """
    chart, (left, right) = figure(2, width=8.2)
    for axes, key, label in ((left, "rewards/margins", "margin of rewards"), (right, "rewards/accuracies", "accuracy")):
        drawn = [
            _line(axes, rows, x, prefix + key, name, number, smooth)
            for number, (prefix, name) in enumerate((("", "train"), ("eval_", "held out")))
            if any(prefix + key in row for row in rows)
        ]
        if not drawn:
            raise ChartError(f"no row has {key!r}: expected a DPO log as trl writes it, with margins and accuracies")
        axes.set(xlabel=x)
        finish(axes, f"{title}: {label}", legend=axes is right)
    left.axhline(0, color=INK, linewidth=0.8)
    right.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    right.set_ylim(0, 1.02)
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return chart


def trie_mask(words: Sequence[str], mask: np.ndarray, *, title: str) -> Chart:
    """Which token (row) attends to which (column): `trie_mask(["ask", "call"], trie([[0, 1]]).mask(), title="")`."""
    chart, (axes,) = figure(1, width=1.6 + 0.42 * len(words), height=1.2 + 0.3 * len(words))
    axes.imshow(mask, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")
    axes.set_xticks(range(len(words)), words, rotation=90, fontsize=8)
    axes.set_yticks(range(len(words)), words, fontsize=8)
    axes.set(xlabel="is seen", ylabel="sees")
    axes.tick_params(length=0)
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", pad=10)
    return chart


def ratios(rows: Sequence[Mapping[str, Any]], *, title: str, xlabel: str = "times as fast") -> Chart:
    """How many times as fast each case is, and a line where it has to be: rows {"case", "peer", "ratio", "floor"}.

    Example: `ratios([{"case": "alfworld", "peer": "bfd", "ratio": 24.0, "floor": 20}], title="Ours against others")`
    """
    require_entries({"rows": rows}, "rows")
    chart, (axes,) = figure(1, width=6.4, height=0.9 + 0.24 * len(rows))
    peers = list(dict.fromkeys(row["peer"] for row in rows))
    for place, row in enumerate(rows):
        number = peers.index(row["peer"])
        look = {"color": COLOURS[number % len(COLOURS)], "hatch": HATCHES[number % len(HATCHES)]}
        axes.barh(place, row["ratio"], 0.74, edgecolor="white", **look)
        axes.vlines(row["floor"], place - 0.45, place + 0.45, color=INK, linewidth=1.6)
        end = max(row["ratio"], row["floor"])
        axes.annotate(f"{row['ratio']:.3g}", (end, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    for number, peer in enumerate(peers):
        look = {"color": COLOURS[number % len(COLOURS)], "hatch": HATCHES[number % len(HATCHES)]}
        axes.barh([0], [0], 0, edgecolor="white", label=f"against {peer}", **look)
    axes.set_yticks(range(len(rows)), [row["case"] for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_xscale("log")
    axes.set(
        xlabel=xlabel, xlim=(min(0.5, *(row["ratio"] / 1.5 for row in rows)), 1.6 * max(row["ratio"] for row in rows))
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    finish(axes, title, grid="x")
    chart.legend(loc="outside lower center", ncols=len(peers), fontsize=STYLE["legend.fontsize"], frameon=False)
    return chart


def _line(axes: Axes, rows: Sequence[Mapping[str, Any]], x: str, y: str, name: str, number: int, smooth: int) -> bool:
    points = [(row[x], row[y]) for row in rows if row.get(x) is not None and row.get(y) is not None]
    if not points:
        raise ChartError(f"{name}: none of {len(rows)} log rows has both {x!r} and {y!r}; keys as in trl's log")
    across, values = (np.asarray(side, dtype=float) for side in zip(*points, strict=True))
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    if smooth > 1 and len(values) >= smooth:
        axes.plot(across, values, color=colour, linewidth=0.7, alpha=0.35)
        values = np.convolve(values, np.ones(smooth) / smooth, mode="valid")
        across = across[smooth - 1 :]
    every = max(1, len(values) // 8)
    axes.plot(across, values, color=colour, linewidth=1.7, marker=marker, markevery=every, markersize=4, label=name)
    return True
