"""Figures: they hold the numbers given, show themselves without pyplot, are repeatable and refuse empty input."""

import subprocess
import sys

import pytest

from xlam_lib import plots
from xlam_lib.plots import style
from xlam_lib.train.packing.trie import trie

ROWS = [{"step": n, "loss": 5 / n, "lr": 1e-3} for n in range(1, 21)] + [{"step": 20, "eval_loss": 0.3}]
DPO = [{"step": n, "rewards/margins": n / 10, "rewards/accuracies": 0.5 + n / 100} for n in range(0, 50, 5)]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_mixture_sorts_and_names_shares():
    axes = plots.mixture({"b": 25, "a": 75}).axes[0]
    assert [patch.get_width() for patch in axes.patches] == [75, 25]
    assert texts(axes) == ["75 · 75.0%", "25 · 25.0%"]


def test_funnel_keeps_its_order_and_says_what_was_lost():
    axes = plots.funnel({"raw": 120, "read": 116, "unique": 116}).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["raw", "read", "unique"]
    assert [text.get_text() for text in axes.texts] == ["120", "116 · 4 lost", "116"]


def test_spreads_sorts_by_the_first_panel_and_shows_every_value():
    panels = {"steps": {"long": [9, 14, 11], "short": [1, 2]}, "tools": {"long": [1, 1, 1], "short": [30, 31]}}
    left, right = plots.spreads(panels, title="Size").axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["short", "long"]
    assert (left.get_xlabel(), right.get_xlabel()) == ("steps", "tools")
    assert [sum(len(dots.get_offsets()) for dots in axes.collections) for axes in (left, right)] == [5 + 2, 5 + 2]


def test_trie_mask_shows_the_mask_under_its_words():
    made = trie([[0, 1, 2], [0, 1, 3]])
    axes = plots.trie_mask(["ask", "tools", "call", "answer"], made.mask(), title="Two turns").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ask", "tools", "call", "answer"]
    assert axes.images[0].get_array().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]


def test_lengths_counts_every_value_and_draws_the_limit():
    chart = plots.lengths({"prompt": [100, 200, 300], "answer": [20, 30]}, limit=512)
    labels = [text.get_text() for text in chart.axes[0].get_legend().get_texts()]
    assert labels == ["prompt (median 200)", "answer (median 25)", "limit 512"]


def test_loss_curves_pass_over_rows_without_loss():
    line = plots.loss_curves({"sft": ROWS}).axes[0].lines[0]
    assert len(line.get_xdata()) == 20 and line.get_ydata()[0] == 5
    thin, thick = plots.loss_curves({"sft": ROWS}, smooth=4).axes[0].lines
    assert len(thin.get_xdata()) == 20 and len(thick.get_xdata()) == 17
    with pytest.raises(ValueError, match="sft: none of 1 log rows has both 'step' and 'loss'"):
        plots.loss_curves({"sft": [{"step": 1}]})


def test_dpo_curves_draw_train_and_held_out():
    chart = plots.dpo_curves(DPO + [{"step": 40, "eval_rewards/margins": 3.0, "eval_rewards/accuracies": 0.9}])
    left, right = chart.axes
    assert [line.get_label() for line in left.lines][:2] == ["train", "held out"]
    assert list(right.lines[1].get_ydata()) == [0.9]
    with pytest.raises(ValueError, match="rewards/margins"):
        plots.dpo_curves([{"step": 1, "loss": 0.6}])


def test_grouped_bars_values_whiskers_floors_and_gaps():
    chart = plots.grouped_bars(
        {"base": {"seen": 0.0, "unseen": None}, "sft": {"seen": 0.834, "unseen": 0.996}},
        intervals={"sft": {"seen": (0.79, 0.87)}},
        marks={"seen": 0.6},
    )
    axes = chart.axes[0]
    assert texts(axes) == ["0", "n/a", "83", "99.6"]
    heights = [patch.get_height() for patch in axes.patches if patch.get_width() > 0]
    assert heights == [0.0, 0.834, 0.996]
    assert len(axes.containers) >= 4 and axes.get_legend() is not None


def test_an_interval_beside_its_value_does_not_break_the_whisker():
    plots.grouped_bars({"a": {"x": 0.5}}, intervals={"a": {"x": (0.6, 0.7)}}).png()


def test_failure_bars_largest_first():
    axes = plots.failure_bars({"sft": {"wrong_value": 3, "wrong_tool": 9}, "dpo": {"wrong_tool": 2}}).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["wrong tool", "wrong value"]
    plots.failure_bars({"sft": {}}).png()


def test_png_is_repeatable_and_shown_by_jupyter():
    charts = [plots.grouped_bars({"a": {"x": 0.5}, "b": {"x": 1.0}}) for _ in range(2)]
    assert charts[0].png() == charts[1].png() == charts[0]._repr_png_()
    assert charts[0].png().startswith(b"\x89PNG")
    assert charts[0].data_uri().startswith("data:image/png;base64,iVBOR")


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.mixture({}),
        lambda: plots.lengths({"a": []}),
        lambda: plots.loss_curves({}),
        lambda: plots.grouped_bars({}),
    ],
)
def test_nothing_to_draw_is_an_error(draw):
    with pytest.raises(ValueError, match="nothing to draw"):
        draw()


def test_colours_differ_in_lightness():
    """Read in grey, neighbouring series of a chart still differ (relative luminance of sRGB)."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert len(set(style.COLOURS)) == len(style.COLOURS) == len(style.MARKERS) == len(style.HATCHES)
    for first, second in zip(style.COLOURS[:4], style.COLOURS[1:4], strict=False):
        assert abs(luminance(first) - luminance(second)) > 0.04


def test_import_needs_no_pyplot():
    code = "import sys, xlam_lib.plots; assert 'matplotlib.pyplot' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ratios_show_each_case_and_its_floor():
    rows = [
        {"case": "alfworld", "peer": "bfd", "ratio": 24.0, "floor": 20},
        {"case": "alfworld", "peer": "sorted", "ratio": 0.9, "floor": 8},
    ]
    chart = plots.ratios(rows, title="Ours against others")
    axes = chart.axes[0]
    assert [patch.get_width() for patch in axes.patches[:2]] == [24.0, 0.9]
    assert [text.get_text() for text in axes.texts] == ["24", "0.9"]
    assert [line.get_segments()[0][0][0] for line in axes.collections] == [20, 8]
    assert [text.get_text() for text in chart.legends[0].get_texts()] == ["against bfd", "against sorted"]
