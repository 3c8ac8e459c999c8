"""The scorecard: exactly the issue's figures, gathered strictly, held against floors and aims, gaps named."""

import json

import pytest
from fake_run import NOTEBOOKS, SIZES, build, metrics, put

from xlam_lib.bench.base import percent
from xlam_lib.bench.report import scorecard
from xlam_lib.bench.report.figures import figures
from xlam_lib.bench.report.scorecard import Check, ScorecardError, assemble


def test_it_holds_the_figures_and_nothing_is_missing(tmp_path):
    card = assemble(build(tmp_path))
    for model in ("base", "sft", "dpo"):
        assert {"seen_exact", "unseen_exact", "parse_rate"} <= set(card[model])
    assert card["sft"]["seen_exact"] == 0.871 and card["dpo"]["preference_accuracy"] == 0.962
    assert card["served"] == {"equal_offline": 1.0}
    assert set(card["bfcl"]["ground_truth"]) == set(SIZES)
    assert set(card["seconds"]) == {*NOTEBOOKS, "total"} and card["seconds"]["total"] == 402.5
    assert card["missing"] == [] and card["notes"] == []
    assert {check["verdict"] for check in card["checks"]} == {"aim"}
    assert json.loads(json.dumps(card)) == card
    scorecard.require_whole(card)


def test_what_is_missing_is_named_with_its_notebook(tmp_path):
    card = assemble(build(tmp_path, **{"04_serving": None, "03_dpo": {"dpo": {"seen_exact": 0.9, "parse_rate": None}}}))
    assert card["missing"] == [
        "dpo.unseen_exact (written by 03_dpo)",
        "dpo.parse_rate (written by 03_dpo)",
        "dpo.preference_accuracy (written by 03_dpo)",
        "served.equal_offline (written by 04_serving)",
    ]
    with pytest.raises(ScorecardError, match="lacks 4 figures: dpo.unseen_exact .*; served.equal_offline"):
        scorecard.require_whole(card)
    words = scorecard.text(card)
    assert "missing: served.equal_offline (written by 04_serving)" in words and words.count("MISSING") == 4


def test_the_install_counts_where_its_seconds_are_known(tmp_path):
    folder = build(tmp_path)
    path = folder / scorecard.MANIFEST
    manifest = json.loads(path.read_text("utf-8"))
    manifest["environment"]["install_seconds"] = 75.2
    path.write_text(json.dumps(manifest), "utf-8")
    seconds = assemble(folder)["seconds"]
    assert (seconds["install"], seconds["total"]) == (75.2, 477.7)


def test_an_empty_folder_lacks_everything(tmp_path):
    card = assemble(tmp_path)
    assert len(card["missing"]) == sum(figure.required and figure.derived is None for figure in figures()) == 22
    assert card["missing"][-1].startswith("seconds.total")
    assert "missing" in scorecard.text(card)


def test_of_two_notebooks_the_later_counts_and_is_noted(tmp_path):
    later = metrics()["05_benchmarking"] | {"sft": {"seen_exact": 0.8, "unseen_exact": 0.5231}}
    card = assemble(build(tmp_path, **{"05_benchmarking": later}))
    assert card["sft"]["seen_exact"] == 0.8
    assert card["notes"] == ["sft.seen_exact: 87.1 % before, 80.0 % in 05_benchmarking, which counts"]


def test_names_with_dots_are_the_same(tmp_path):
    card = assemble(build(tmp_path, **{"04_serving": {"served.equal_offline": 0.995}}))
    assert card["served"]["equal_offline"] == 0.995


@pytest.mark.parametrize("value", ["0.9", True, 1.2, -0.1, [1]])
def test_what_is_no_share_is_refused(tmp_path, value):
    build(tmp_path, **{"04_serving": {"served": {"equal_offline": value}}})
    with pytest.raises(ScorecardError, match=r"04_serving.metrics.json: served.equal_offline is .* between 0 and 1"):
        assemble(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"steps": [1]}'])
def test_a_broken_manifest_is_named(tmp_path, content):
    (build(tmp_path) / "manifest.json").write_text(content)
    with pytest.raises(ScorecardError, match="manifest.json"):
        assemble(tmp_path)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (Check("x", 0.85, 0.6, 0.85), "aim"),
        (Check("x", 0.6, 0.6, 0.85), "floor"),
        (Check("x", 0.599, 0.6, 0.85), "below"),
        (Check("x", None, 0.6, 0.85), "missing"),
        (Check("x", 256 / 258, 256 / 258, 256 / 258), "aim"),
        (Check("s", 600, 900, 600, at_most=True), "aim"),
        (Check("s", 700, 900, 600, at_most=True), "floor"),
        (Check("s", 901, 900, 600, at_most=True), "below"),
        (Check("d", -0.01, -0.01, 0.0, unit="change"), "floor"),
        (Check("d", -0.011, -0.01, 0.0, unit="change"), "below"),
    ],
)
def test_floors_and_aims(check, verdict):
    assert check.verdict == verdict


def test_levels_are_those_of_the_issue(tmp_path):
    levels = {check.figure: (check.floor, check.aim) for check in scorecard.checks_of(assemble(build(tmp_path)))}
    assert levels["SFT exact match, seen tools, unseen values"] == (0.60, 0.85)
    assert levels["SFT exact match, unseen tools"] == (0.20, 0.50)
    assert levels["SFT answers that parse"] == (0.97, 0.99)
    assert levels["DPO preference accuracy, held-out pairs"] == (0.85, 0.95)
    assert levels["served answers equal to offline ones"] == (0.99, 1.00)
    assert levels["BFCL ground truth, live_simple"] == (256 / 258, 256 / 258)
    assert levels["BFCL ground truth, multiple"] == (1.0, 1.0)
    assert levels["install and all notebooks together"] == (900, 600)


def test_dpo_that_loses_more_than_a_point_is_below_its_floor(tmp_path):
    worse = metrics()["03_dpo"]
    worse["dpo"] |= {"unseen_exact": 0.50, "targeted_failure": {"before": 0.04, "after": 0.04}}
    verdicts = {check["figure"]: check["verdict"] for check in assemble(build(tmp_path, **{"03_dpo": worse}))["checks"]}
    assert verdicts["DPO against SFT, seen tools"] == "aim"
    assert verdicts["DPO against SFT, unseen tools"] == "below"
    assert verdicts["DPO: fall of the failure it targets"] == "below"
    put(tmp_path / "03_dpo/metrics.json", {"dpo": metrics()["03_dpo"]["dpo"] | {"targeted_failure": None}})
    assert len(assemble(tmp_path)["checks"]) == len(verdicts) - 1


def test_percentages_are_not_rounded_up_to_perfect():
    assert [percent(value) for value in (1.0, 0.9999, 1051 / 1053, 0.0, 0.0042, 0.871)] == [
        "100.0",
        "99.9",
        "99.8",
        "0.0",
        "0.4",
        "87.1",
    ]
    assert Check("d", 0.005, -0.01, 0, unit="change").shown(0.005) == "+0.5 points"
    assert Check("d", 0.005, -0.01, 0, unit="change").shown(0.0) == "0.0 points"


def test_reading_back(tmp_path):
    with pytest.raises(ScorecardError, match="no scorecard there"):
        scorecard.read(tmp_path)
