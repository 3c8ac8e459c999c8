"""BFCL's weights: equal to the leaderboard's own table for any scores, and known answers of the v2 board."""

import csv
import importlib
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.bench.tasks.bfcl_overall import EXECUTED, FORMATS, SIZES, V2, V4, WEIGHTS, Overall, overall
from xlam_lib.environments.bfcl_multi_turn import BfclError
from xlam_lib.environments.bfcl_multi_turn.package import MODEL_LIST, PACKAGE, stubbed

SHARES = st.fixed_dictionaries({name: st.floats(0, 1) for name in V4})
COUNTS = dict.fromkeys(V4, 200) | SIZES


@pytest.fixture(scope="module")
def leaderboard(tmp_path_factory):
    """The package's own function: scores by category -> the row of its table, percent with two decimals."""
    with stubbed():
        shown = SimpleNamespace(display_name="us", url="", org="", license="", input_price=None, output_price=None)
        sys.modules[MODEL_LIST].MODEL_CONFIG_MAPPING = {"us": shown}
        helper = importlib.import_module(f"{PACKAGE}.eval_checker.eval_runner_helper")
    folder = tmp_path_factory.mktemp("scores")

    def row(scores):
        table = {name: {"accuracy": score, "total_count": COUNTS[name]} for name, score in scores.items()}
        helper.generate_leaderboard_csv({"us": table}, folder)
        with open(folder / "data_overall.csv", encoding="utf-8") as file:
            (found,) = csv.DictReader(file)
        return found

    return row


def percent(share):
    return f"{100 * share:.2f}%"


def near(shown, share):
    return abs(float(shown.rstrip("%")) - 100 * share) < 0.00501


@pytest.mark.parametrize("number", range(4))
def test_v4_is_the_leaderboards_own(leaderboard, number):
    scores = {name: (number * 7919 + 104729 * place) % 1000 / 999 for place, name in enumerate(V4)}
    row, ours = leaderboard(scores), overall(scores)
    assert near(row["Overall Acc"], ours.value) and ours.missing == ()
    columns = {
        "Non-Live AST Acc": "non_live", "Live Acc": "live", "Multi Turn Acc": "multi_turn",
        "Web Search Acc": "web_search", "Memory Acc": "memory",
        "Relevance Detection": "relevance", "Irrelevance Detection": "irrelevance",
    }  # fmt: skip
    assert {name for name, part in columns.items() if not near(row[name], ours.parts[part])} == set()


def test_what_was_not_run_counts_as_nothing_as_on_the_leaderboard(leaderboard):
    scores = {"live_simple": 1.0, "live_multiple": 1.0, "live_parallel": 1.0, "live_parallel_multiple": 1.0}
    every = dict.fromkeys(V4, 0.0) | scores
    ours = overall(scores)
    assert ours.value == pytest.approx(0.1) and near(leaderboard(every)["Overall Acc"], ours.value)
    assert set(ours.missing) == set(V4) - scores.keys()


@settings(max_examples=30)
@given(SHARES)
def test_the_value_lies_between_its_parts_and_grows_with_each(scores):
    found = overall(scores)
    weighted = [found.parts[name] for name in WEIGHTS]
    assert min(weighted) - 1e-9 <= found.value <= max(weighted) + 1e-9
    for name in ("simple_java", "live_parallel", "memory_kv", "multi_turn_base", "irrelevance"):
        assert overall(scores | {name: 1.0}).value >= found.value - 1e-12


def test_all_right_is_one_and_weights_are_whole():
    assert overall(dict.fromkeys(V4, 1.0)).value == pytest.approx(1.0) and sum(WEIGHTS.values()) == 100
    assert overall(dict.fromkeys(V2, 1.0), "v2").value == pytest.approx(1.0)
    assert overall({}) == Overall(0.0, dict.fromkeys(overall({}).parts, 0.0), V4)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("simple_python", 1 / 60),  # one of three languages, one of two sources, one of ten columns
        ("live_simple", 1 / 20),
        ("parallel", 1 / 20),
        ("rest", 1 / 20),
        ("exec_multiple", 1 / 10),
        ("live_irrelevance", 1 / 20),
        ("live_relevance", 1 / 10),
    ],
)
def test_v2_is_the_plain_mean_of_ten_columns(name, weight):
    found = overall({name: 1.0}, "v2")
    assert len(found.parts) == 10 and found.value == pytest.approx(weight)


def test_a_sample_weighs_what_was_asked():
    scores = {"live_simple": 1.0, "live_multiple": 0.0}
    sizes = {"live_simple": 30, "live_multiple": 10, "live_parallel": 0, "live_parallel_multiple": 0}
    assert overall(scores, sizes=sizes).parts["live"] == 0.75
    assert overall(scores).parts["live"] == pytest.approx(258 / 1351)


def test_names_and_shares_are_checked():
    with pytest.raises(BfclError, match="BFCL v4 has no category 'rest'; it has simple_python"):
        overall({"rest": 1.0})
    with pytest.raises(BfclError, match="BFCL v2 has no category 'memory_kv'"):
        overall({"memory_kv": 1.0}, "v2")
    with pytest.raises(BfclError, match=r"the score of multiple is 87\.5; expected a share"):
        overall({"multiple": 87.5})
    with pytest.raises(BfclError, match="no version 'v3'"):
        overall({}, "v3")


def test_the_names_are_those_of_the_package():
    with stubbed():
        mapping = importlib.import_module(f"{PACKAGE}.constants.category_mapping")
    assert (*V4, FORMATS) == tuple(mapping.ALL_CATEGORIES) and not set(EXECUTED) & set(V4)
