"""Figures of notebooks: recorded whole, read back, gathered."""

import json

import pytest

from xlam_lib.batch import metrics
from xlam_lib.batch.metrics import borrowed


def test_record_returns_what_it_wrote_and_gather_finds_it(tmp_path):
    figures = {"exact": 0.5, "by_kind": {"single": 1.0}, "note": None}
    assert metrics.record(figures, tmp_path, "02_sft") == figures
    metrics.record({"n": 3}, tmp_path, "01_data")
    assert metrics.read_metrics(tmp_path, "02_sft") == figures
    assert list(metrics.gather(tmp_path)) == ["01_data", "02_sft"]


def test_nan_is_refused_and_the_old_figures_stay(tmp_path):
    metrics.record({"exact": 0.5}, tmp_path, "02_sft")
    with pytest.raises(ValueError, match="exact is nan"):
        metrics.record({"exact": float("nan")}, tmp_path, "02_sft")
    assert metrics.read_metrics(tmp_path, "02_sft") == {"exact": 0.5}


def test_missing_and_broken_figures_say_which_notebook(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the notebook 02_sft with this out_dir first"):
        metrics.read_metrics(tmp_path, "02_sft")
    metrics.record({}, tmp_path, "02_sft").copy()
    metrics.metrics_path(tmp_path, "02_sft").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        metrics.read_metrics(tmp_path, "02_sft")


def test_figures_are_borrowed_only_from_the_same_settings(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps({"twin": {"seen_exact": 0.1}, "settings": {"samples": 5, "lr": 0.1}}), "utf-8")
    assert borrowed(path, "twin", {"samples": 5, "lr": 0.1}) == {"seen_exact": 0.1, "measured_earlier": True}
    with pytest.raises(ValueError, match=r"other settings \(samples 5 there, 6 here\)"):
        borrowed(path, "twin", {"samples": 6, "lr": 0.1})
    with pytest.raises(FileNotFoundError, match="no recorded figures there"):
        borrowed(tmp_path / "gone.json", "twin", {})
