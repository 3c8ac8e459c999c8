import json
from collections import Counter
from dataclasses import asdict

import pytest

from xlam_lib.codec import render_answer
from xlam_lib.grading import FAILURES, grade
from xlam_lib.train.preference.pairs import (
    SPLITS,
    Pair,
    PairError,
    balanced,
    build,
    counts,
    read_pairs,
    target,
    write_pairs,
)

PAIR = Pair("p", "a", "b", "own", "wrong_value", "demo-1", 1)


@pytest.fixture(scope="module")
def graded(cases):
    """Every third answer calls nothing, one is cut off, the others are right."""
    answers = [
        render_answer(type(case.expected)()) if number % 3 == 0 else case.completion
        for number, case in enumerate(cases)
    ]
    answers[1] = answers[1][:-8]
    return grade(cases, answers)


def test_wrong_answers_of_the_model_become_pairs_of_their_own(graded):
    pairs = build(graded, made_per_case=0)
    assert {pair.origin for pair in pairs} == {"own"}
    assert len(pairs) == sum(bool(one.failure) for one in graded)
    by_place = {(one.case.trajectory_id, one.case.step): one for one in graded}
    for pair in pairs:
        one = by_place[pair.trajectory_id, pair.step]
        assert (pair.rejected, pair.failure) == (one.text, one.failure)
        assert (pair.chosen, pair.prompt, pair.kind) == (one.case.completion, one.case.prompt, one.case.kind)


def test_answers_that_were_cut_are_not_the_models_own(graded):
    assert counts(build(graded, made_per_case=0))["own/invalid_json"] == 1
    assert counts(build(graded, made_per_case=0, cut=[1]))["own/invalid_json"] == 0


def test_every_pair_prefers_the_expected_answer_to_another(graded):
    pairs = build(graded, made_per_case=3)
    expected = {(one.case.trajectory_id, one.case.step): one.case.completion for one in graded}
    for pair in pairs:
        assert pair.chosen == expected[pair.trajectory_id, pair.step] != pair.rejected
        assert pair.failure in FAILURES and pair.origin in ("own", "made")
    assert max(Counter((p.trajectory_id, p.step, p.rejected) for p in pairs).values()) == 1


def test_corruptions_are_like_the_models_mistakes_and_their_opposites(graded):
    """A model that calls too little: its own refusals are held against made calls, and few refusals are made."""
    pairs = build(graded, made_per_case=3)
    assert target(graded) == "no_call"
    found = counts(pairs)
    assert found["own/no_call"] > 10 and len([name for name in found if name.startswith("made/")]) >= 6
    for split in SPLITS:
        total = Counter(pair.failure for pair in pairs if pair.split == split)
        assert total["called_though_irrelevant"] <= total["no_call"]


def test_no_mistake_outweighs_its_opposite_by_made_pairs():
    """Pairs against calling too little alone would teach to call always, and the other way round."""

    def some(number, origin, failure, split="train"):
        return [Pair("p", "a", f"{origin} {failure} {n}", origin, failure, f"{n}", 1, "", split) for n in range(number)]

    pairs = [
        *some(9, "made", "extra_call"), *some(2, "made", "missing_call"), *some(3, "own", "missing_call"),
        *some(4, "made", "missing_argument"), *some(7, "own", "missing_argument"), *some(1, "made", "extra_argument"),
        *some(6, "made", "wrong_value"), *some(5, "made", "no_call", "held_out"),
    ]  # fmt: skip
    left = balanced(pairs, seed=1)
    assert counts(left) == Counter({
        "made/extra_call": 5, "made/missing_call": 2, "own/missing_call": 3, "own/missing_argument": 7,
        "made/extra_argument": 1, "made/wrong_value": 6,
    })  # fmt: skip
    aimed = counts(balanced(pairs, seed=1, target="extra_call"))
    assert (aimed["made/extra_call"], aimed["made/missing_argument"]) == (9, 0)
    assert left == balanced(pairs, seed=1) and set(left) <= set(pairs)
    assert {one.rejected for one in left} != {one.rejected for one in balanced(pairs, seed=2)}


def test_a_made_refusal_is_worded_as_the_expected_ones(graded):
    words = {one.case.completion for one in graded if one.case.kind == "irrelevant"}
    made = [p for p in build(graded, made_per_case=3) if (p.origin, p.failure) == ("made", "no_call")]
    assert made and {pair.rejected for pair in made} <= words


def test_no_trajectory_is_on_both_sides(graded):
    pairs = build(graded, made_per_case=2, held_out=0.3)
    sides = [{pair.trajectory_id for pair in pairs if pair.split == split} for split in ("train", "held_out")]
    assert not sides[0] & sides[1]
    assert 0.1 < len(sides[1]) / len(sides[0] | sides[1]) < 0.5


def test_same_seed_same_pairs(graded):
    assert build(graded, seed=4) == build(graded, seed=4) != build(graded, seed=5)


def test_pairs_come_back_from_the_file(graded, tmp_path):
    pairs = build(graded)
    assert write_pairs(tmp_path / "pairs.jsonl", pairs) == len(pairs)
    assert read_pairs(tmp_path / "pairs.jsonl") == pairs


def test_a_pair_without_a_difference_is_refused():
    with pytest.raises(PairError, match="'demo-1', step 1: chosen and rejected are the same"):
        Pair("p", "a", "a", "own", "wrong_value", "demo-1", 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not a line of JSON"),
        ("[]", "expected an object with prompt"),
        (json.dumps({**asdict(PAIR), "more": 1}), "expected an object with prompt"),
        (json.dumps({"prompt": "p", "chosen": "a"}), "expected an object with prompt"),
        (json.dumps({"prompt": "p", "chosen": "a", "rejected": "b"}), "missing"),
        (json.dumps({**asdict(PAIR), "step": "1"}), "step is '1', expected int"),
        (json.dumps({**asdict(PAIR), "rejected": "a"}), "the same"),
        (json.dumps({**asdict(PAIR), "split": "test"}), "split is 'test'"),
    ],
)
def test_an_ill_line_is_named(tmp_path, line, message):
    (tmp_path / "pairs.jsonl").write_text(f"{json.dumps(asdict(PAIR))}\n{line}\n")
    with pytest.raises(PairError, match=r"pairs\.jsonl:2: ") as caught:
        read_pairs(tmp_path / "pairs.jsonl")
    assert message in str(caught.value)


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(PairError, match="write_pairs"):
        read_pairs(tmp_path / "none.jsonl")
