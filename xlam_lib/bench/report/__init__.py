"""Scorecard, published tables and the HTML report of a run: `python -m xlam_lib.bench.report runs/quickstart`."""
