"""What all figures share: colours, hatches and markers, the figure itself, titles and legends (all notebooks)."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from xlam_lib.errors import XlamError

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
    "text.parse_math": False,  # a name with a dollar sign is a name
}


class ChartError(XlamError, ValueError):
    """Values of which nothing can be drawn."""


class Chart(Figure):
    """A matplotlib Figure that Jupyter shows by itself, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        return self.png()

    def png(self, dpi: int = 110) -> bytes:
        """The figure as PNG bytes; the same figure gives the same bytes."""
        buffer = io.BytesIO()
        for text in self.findobj(Text):
            text.set_parse_math(STYLE["text.parse_math"])  # those that were made outside of this style, too
        with rc_context(STYLE):
            self.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        return buffer.getvalue()

    def data_uri(self, dpi: int = 204) -> str:
        """The figure as `data:image/png;base64,...`, to put into one self-contained HTML file."""
        return "data:image/png;base64," + base64.b64encode(self.png(dpi)).decode("ascii")


def figure(columns: int, *, width: float = 6.4, height: float = 3.1) -> tuple[Chart, list[Axes]]:
    """An empty chart with so many axes side by side; sizes in inches."""
    with rc_context(STYLE):
        chart = Chart(figsize=(width, height), layout="constrained")
        return chart, [chart.add_subplot(1, columns, number + 1) for number in range(columns)]


def finish(axes: Axes, title: str, *, legend: bool = False, grid: Literal["x", "y"] = "y") -> None:
    """Grid, title and legend."""
    axes.grid(axis=grid, color=GRID)
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", pad=10)
    if legend:
        with rc_context(STYLE):
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


def require_entries(values: Mapping[str, Any], name: str) -> None:
    """ChartError when there is nothing to draw, e.g. `require_entries(counts, "counts")`."""
    if not values or all(hasattr(value, "__len__") and len(value) == 0 for value in values.values()):
        raise ChartError(f"{name} is empty: nothing to draw; expected at least one entry, e.g. a name with its values")
