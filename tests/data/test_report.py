"""Profiles and the side-by-side view of notebook 01."""

import json

from xlam_lib.data.accounting import Accounting
from xlam_lib.data.convert import DUPLICATE, pairs
from xlam_lib.data.golden import UNIFIED, samples_dir
from xlam_lib.data.pipeline.merge import EXACT, NEAR
from xlam_lib.data.pipeline.steps import CONTAMINATED
from xlam_lib.data.reading import data_files
from xlam_lib.data.report import funnel, gallery, profile, profile_table, side_by_side
from xlam_lib.data.sources import SOURCES
from xlam_lib.trajectory import read_jsonl


def test_profile_counts() -> None:
    trajectories = [t for name in ("tau_bench", "xlam_fc_60k") for t in read_jsonl(samples_dir(name) / UNIFIED)]
    profiles = profile(trajectories)
    xlam = profiles["xlam_fc_60k"]
    assert (len(xlam.steps), xlam.turns, sorted(xlam.calls)) == (6, [1] * 6, [0, 1, 1, 2, 2, 4])
    assert xlam.parallel == 3
    assert sum(profiles["tau_bench"].success.values()) == 3
    assert xlam.licenses == {"CC-BY-4.0": 3, "CC-BY-4.0 AND Apache-2.0": 3}


def test_table_has_a_row_a_source() -> None:
    table = profile_table(profile(read_jsonl(samples_dir("toolbench") / UNIFIED))).splitlines()
    assert len(table) == 3
    assert table[2].startswith("| toolbench | 3 | 3 (3 to 4) |")


def test_side_by_side_escapes_and_cuts() -> None:
    (first, *_) = read_jsonl(samples_dir("tau_bench") / UNIFIED)
    raw = json.loads((samples_dir("tau_bench") / "raw" / "gpt-4o-airline.json").read_text(encoding="utf-8"))[0]
    page = side_by_side({**raw, "note": "<script>"}, first)
    assert "&lt;script&gt;" in page and "<script>" not in page
    assert "characters)" in page and "in all)" in page
    assert len(page) < 40_000


def test_gallery_opens_to_each_source() -> None:
    shown = {}
    for name in ("tau_bench", "xlam_fc_60k"):
        source, folder = SOURCES[name], samples_dir(name) / "raw"
        shown[name] = next(pairs(source, data_files(folder, source.SOURCE.text_files)[0]))
    page = gallery(shown)
    assert page.count("<details>") == 2 and "<code>tau_bench</code>" in page
    assert "CC-BY-4.0" in page and all(t.source.license in page for _, t in shown.values())


def test_funnel_names_what_each_stage_costs() -> None:
    dropped = {"empty query": 3, "undefined function": 2, NEAR: 4, EXACT: 1, DUPLICATE: 1, CONTAMINATED: 5}
    books = Accounting("demo", records_in=100, records_converted=74, dropped=dropped, quarantined=10)
    assert funnel(books) == {
        "raw records": 100,
        "read": 90,
        "converted": 87,
        "verified": 85,
        "no benchmark's question": 80,
        "unique": 74,
    }
