"""The rater by rules, and how far raters agree: known answers."""

import math

import numpy as np
import pandas as pd
import pytest

from xlam_lib.data.quality.agreement import (
    COLUMNS,
    agreement,
    agreement_table,
    scores_of,
    spearman,
    weighted_kappa,
)
from xlam_lib.data.quality.findings import RULES, Finding
from xlam_lib.data.quality.judge import Judgement
from xlam_lib.data.quality.rules import PENALTIES, rate
from xlam_lib.data.quality.verify import verify
from xlam_lib.trajectory import Outcome, Rating, Source, Step, ToolCall, Trajectory


def trajectory(calls: int = 2, **more) -> Trajectory:
    turn = Step("assistant", "Done.", tool_calls=tuple(ToolCall("f", {"n": n}, f"c{n}") for n in range(calls)))
    return Trajectory("t", Source("demo", "MIT"), steps=(Step("user", "Hi"), turn), **more)


def findings(rule: str, count: int = 1, level: str = "warning") -> list[Finding]:
    return [Finding("t", 1, rule, level, "x") for _ in range(count)]


def test_every_rule_has_a_price():
    assert PENALTIES.keys() == RULES.keys()


def test_scores():
    assert rate(trajectory()) == Rating("rules", "rule", 5.0, "nothing was found wrong")
    one = rate(trajectory(10), findings("ungrounded value"))
    many = rate(trajectory(10), findings("ungrounded value", 10))
    assert one.score == 4.5 and many.score == 3.0
    assert one.rationale == "ungrounded value (1): -0.65"
    assert rate(trajectory(10), findings("ungrounded value", 10, "error")).score == 1.0
    assert rate(trajectory(), findings("undefined function") + findings("call without result")).score < 3


def test_what_the_environment_says_is_a_ceiling():
    assert rate(trajectory(outcome=Outcome(False))).score == 2.0
    assert rate(trajectory(outcome=Outcome(True))).score == 5.0
    broken = rate(trajectory(outcome=Outcome(termination="infra_error")))
    assert (broken.score, broken.rationale) == (1.0, "broken off by an infrastructure error: at most 1")
    silent = Trajectory("t", Source("demo", "MIT"), steps=(Step("user", "Hi"),))
    assert rate(silent).score == 1.0


@pytest.mark.parametrize("rule", RULES)
def test_more_findings_never_raise_the_score_and_it_stays_in_range(rule):
    scores = [rate(trajectory(4), findings(rule, n, "error")).score for n in range(6)]
    assert scores == sorted(scores, reverse=True)
    assert all(1 <= score <= 5 and score * 2 == int(score * 2) for score in scores)


def test_rates_what_verify_found():
    t = trajectory()
    rating = rate(t, verify(t)[1])
    assert rating.rationale.startswith("undefined function (2)")


def test_kappa_and_spearman_by_known_values():
    a, b = np.array([1, 2, 3, 4, 5]), np.array([1, 2, 3, 4, 5])
    assert weighted_kappa(a, b) == 1.0 and spearman(a, b) == pytest.approx(1.0)
    assert weighted_kappa(a, b[::-1]) == pytest.approx(-1.0)
    assert spearman(a, b[::-1]) == pytest.approx(-1.0)
    a, b = np.array([1.0, 1.0, 3.0, 3.0]), np.array([1.0, 3.0, 3.0, 3.0])
    # margins a: 2, 2; b: 1, 3; expected off-diagonal (2*3 + 2*1) / 4 = 2, seen 1: kappa = 1 - 1/2
    assert weighted_kappa(a, b) == pytest.approx(0.5)
    assert spearman(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0, 4.0])) == pytest.approx(0.9486833)
    flat = np.array([4.0, 4.0])
    assert math.isnan(weighted_kappa(flat, flat)) and math.isnan(spearman(flat, flat))


def test_agreement_over_what_both_rated():
    scores = pd.DataFrame({"a": [1, 2, 3, None], "b": [1, 4, 4, 2], "c": [None, None, None, 5]}, index=list("wxyz"))
    table = agreement(scores)
    assert list(table.columns) == COLUMNS and len(table) == 3
    first = table.iloc[0]
    assert (first["n"], first["mean a"], first["mean b"]) == (3, 2.0, 3.0)
    assert (first["exact"], first["within one"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert table.iloc[1]["n"] == 0 and math.isnan(table.iloc[1]["kappa"])
    lines = agreement_table(table).splitlines()
    assert lines[2].startswith("| a | b | 3 | 2.00 | 3.00 | 0.33 | 0.67 | ")
    assert lines[3] == "| a | c | 0 | - | - | - | - | - | - |"


def test_scores_come_from_quality_and_from_judges():
    rated = [trajectory(quality=(Rating("rules", "rule", 4.5), Rating("ann", "human", 3.0)))]
    graded = [Judgement("t", "r", "M", "c", 4), Judgement("u", "r", "M", "c", None, error="x")]
    scores = scores_of(rated, {"M": graded})
    assert scores.loc["t"].to_dict() == {"rules": 4.5, "ann": 3.0, "M": 4.0}
    assert agreement(scores)["n"].tolist() == [1, 1, 1]
    assert agreement(scores_of([])).empty
