"""Figures of the notebooks and the report: one style, colours that colour-blind readers can tell apart.

Used by notebooks 01 (mixture, funnel, spreads, lengths), 02 (loss, trie, bars), 03 (DPO curves, bars), 05 (bars), 06
(ratios) and by `bench/page.py`. Every function returns a `Chart`, a matplotlib Figure that shows itself in
Jupyter and needs neither pyplot nor a display:

    chart = grouped_bars({"base": {"seen": 0.0}, "sft": {"seen": 0.83}}, title="Exact match")
    chart.savefig("bars.png")
"""

from xlam_lib.plots.data import funnel, lengths, mixture, spreads
from xlam_lib.plots.results import failure_bars, grouped_bars
from xlam_lib.plots.style import Chart, ChartError
from xlam_lib.plots.training import dpo_curves, loss_curves, ratios, trie_mask

__all__ = [
    "Chart",
    "ChartError",
    "dpo_curves",
    "failure_bars",
    "funnel",
    "grouped_bars",
    "lengths",
    "loss_curves",
    "mixture",
    "ratios",
    "spreads",
    "trie_mask",
]
