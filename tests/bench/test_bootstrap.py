"""Bootstrap intervals: known answers, coverage, pairing, clusters, seeds and refused input."""

import numpy as np
import pytest

from xlam_lib.bench.bootstrap import Interval, IntervalError, interval, paired


def test_mean_and_determinism():
    values = [True] * 30 + [False] * 10
    first, again, other = interval(values, seed=3), interval(values, seed=3), interval(values, seed=4)
    assert first == again and first != other
    assert first.mean == 0.75 and first.n == 40
    assert first.low < 0.75 < first.high
    assert first.to_dict() == {"mean": 0.75, "low": first.low, "high": first.high, "n": 40}
    assert str(Interval(0.75, 0.25, 1.0, 4)) == "0.750 [0.250, 1.000] n=4"


def test_close_to_the_normal_approximation():
    values = [1] * 120 + [0] * 180
    found = interval(values, seed=0)
    half = 1.96 * np.sqrt(0.4 * 0.6 / 300)
    assert abs(found.low - (0.4 - half)) < 0.01 and abs(found.high - (0.4 + half)) < 0.01


def test_constant_values_have_no_spread():
    assert interval([1.0] * 7) == Interval(1.0, 1.0, 1.0, 7)


def test_coverage_is_near_the_confidence():
    generator = np.random.default_rng(0)
    inside = 0
    for trial in range(300):
        found = interval(generator.random(120) < 0.3, seed=trial, resamples=400, confidence=0.9)
        inside += found.low <= 0.3 <= found.high
    assert 0.82 <= inside / 300 <= 0.96


def test_paired_is_narrower_than_the_two_apart():
    generator = np.random.default_rng(1)
    before = generator.random(200) < 0.5
    after = before.copy()
    after[np.flatnonzero(~before)[:10]] = True
    difference = paired(before, after)
    assert difference.mean == pytest.approx(0.05)
    assert difference.low > 0
    apart = interval(after).high - interval(after).low
    assert difference.high - difference.low < apart / 2
    assert paired(after, before).mean == pytest.approx(-0.05)


def test_groups_are_drawn_whole():
    values, groups = [1] * 50 + [0] * 50, ["a"] * 50 + ["b"] * 50
    whole = interval(values, groups=groups)
    assert (whole.low, whole.high) == (0.0, 1.0)
    assert interval(values).low > 0.3
    alone = interval(values, groups=list(range(100)))
    assert alone == interval(values)


def test_large_inputs_are_drawn_in_chunks():
    assert interval(np.arange(5000) % 2, resamples=1000).mean == 0.5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: interval([]), "at least one"),
        (lambda: interval([[1, 2]]), "flat list"),
        (lambda: interval([1.0, float("nan")]), r"values\[1\] is nan"),
        (lambda: interval([1, 0], confidence=95), "between 0 and 1"),
        (lambda: interval([1, 0], resamples=0), "at least 1"),
        (lambda: interval([1, 0], groups=["a"]), "one group per value"),
        (lambda: paired([1, 0], [1]), "same questions"),
    ],
)
def test_refused_input(call, words):
    with pytest.raises(IntervalError, match=words):
        call()
