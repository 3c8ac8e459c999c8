import itertools
import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from train_demo import STYLE, TOOLS, trajectory

from xlam_lib.codec import Answer, render_answer
from xlam_lib.grading import cases_of, grade
from xlam_lib.train.rl.rewards import (
    RULES,
    Reward,
    RewardError,
    RewardSum,
    best_assignment,
    graded,
    of_arguments,
    of_exact,
    of_format,
    of_function,
    of_plain,
    per_answer,
)
from xlam_lib.trajectory import ToolCall

OSLO = ToolCall("get_weather", {"city": "Oslo"})
SUM = ToolCall("add", {"a": 1, "b": 2})
CASES = cases_of([trajectory(number) for number in range(20)], STYLE)
SUMS = RewardSum.of_rules()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
CALLS = st.builds(
    ToolCall, st.sampled_from(["a", "b", "get_weather"]), st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3)
)
MANY = st.lists(CALLS, max_size=4)
WORDS = st.text("ab {}[]\"':,\\\n", max_size=30) | st.text(max_size=30)


def reply(*calls: ToolCall, thought: str = "") -> str:
    return render_answer(Answer(thought, calls))


def call(name: str, **arguments) -> ToolCall:
    return ToolCall(name, arguments)


@pytest.mark.parametrize(("expected", "made", "value"), [
    ([SUM, OSLO], [SUM], 1 / 2),
    ([SUM], [SUM, SUM], 1 / 2),
    ([SUM], [call("add")], 1),  # names alone
    ([SUM], [OSLO], 0),
    ([SUM, SUM, OSLO], [OSLO, SUM, OSLO], 2 / 4),
    ([], [], 1),
    ([], [OSLO], 0),
    ([OSLO], [], 0),
])  # fmt: skip
def test_functions_by_jaccard_over_repeated_names(expected, made, value):
    assert of_function(graded(reply(*made), expected)) == value


@pytest.mark.parametrize(("expected", "made", "value"), [
    ([SUM], [SUM], 1),
    ([SUM], [call("add", a=1, b=3)], (1 + 1) / 3),
    ([SUM], [call("add", a=1)], (1 / 2 + 1) / 3),
    ([SUM], [call("add", a=1, b=2, c=0)], (2 / 3 + 2) / 3),
    ([SUM], [call("add", a=True, b=2.0)], (1 + 1) / 3),  # true is no number, 2.0 is 2
    ([SUM], [OSLO], 0),
    ([SUM], [], 0),
    ([SUM, OSLO], [OSLO], 2 / 5),
    ([call("now")], [call("now")], 1),
    ([call("now")], [call("now", zone="CET")], 0),
    ([], [], None),
    ([], [SUM], None),
    # the first expected call fits both, the second only the first of them: pairing in turns would lose a point
    ([call("f", x=1), call("f", x=1, y=2)], [call("f", x=1, y=2), call("f", x=1, y=3)], (1 / 2 + 1 + 1 + 2) / 5),
])  # fmt: skip
def test_arguments_by_names_and_values(expected, made, value):
    found = of_arguments(graded(reply(*made), expected))
    assert found == (value if value is None else pytest.approx(value))


@pytest.mark.parametrize(("words", "value"), [(1, 1), (8, 1), (12, 0.5), (16, 0), (40, 0), (0, 0)])
def test_plain_answers_by_their_length(words, value):
    text = reply(thought=" ".join(["word"] * words))
    assert of_plain(graded(text, [], thought="No tool fits.")) == value
    assert of_plain(graded(text, [OSLO], thought="No tool fits.")) is None
    assert of_plain(graded(text, [])) is None


def test_a_long_plain_answer_is_fine_where_one_is_expected():
    assert of_plain(graded(reply(thought="word " * 40), [], thought="word " * 20)) == 1
    assert of_plain(graded(reply(OSLO, thought="word"), [], thought="word " * 20)) == 0


def test_format_and_exact_are_those_of_the_score():
    one = graded(reply(OSLO) + " Enjoy!", [OSLO])
    assert (of_format(one), of_exact(one), of_function(one), of_arguments(one)) == (0, 0, 1, 1)
    one = graded("I would say " + reply(OSLO), [OSLO])  # words about a call, which are no call
    assert (of_format(one), of_exact(one), of_function(one), of_arguments(one)) == (0, 0, 0, 0)
    one = graded(reply(OSLO), [OSLO])
    assert (of_format(one), of_exact(one)) == (1, 1)
    assert of_exact(graded(reply(SUM), [OSLO])) == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.trajectory_id}-{case.step}")
def test_the_expected_answer_of_data_has_the_highest_sum(case):
    scores = SUMS.scores(grade([case], [case.completion]))[0]
    assert set(scores.values()) <= {1.0, None}
    assert SUMS(scores) == SUMS.highest(scores) >= 3


@settings(deadline=None)
@given(MANY, WORDS)
def test_any_expected_answer_has_the_highest_sum(expected, thought):
    one = graded(reply(*expected, thought=thought), expected, TOOLS, thought)
    scores = SUMS.scores([one])[0]
    assert SUMS(scores) == pytest.approx(SUMS.highest(scores))


@settings(deadline=None)
@given(MANY, MANY, WORDS)
def test_the_order_of_parallel_calls_is_of_no_account(expected, made, thought):
    first = SUMS.scores([graded(reply(*made, thought=thought), expected)])[0]
    for seed in range(3):
        rng = random.Random(seed)
        mixed, other = rng.sample(expected, len(expected)), rng.sample(made, len(made))
        again = SUMS.scores([graded(reply(*other, thought=thought), mixed)])[0]
        assert again == {name: pytest.approx(value) if value is not None else None for name, value in first.items()}


@settings(deadline=None)
@given(WORDS | st.builds(lambda value: json.dumps(value), VALUES) | st.builds(lambda made: reply(*made), MANY), MANY)
def test_any_text_has_rewards_in_range(text, expected):
    one = graded(text, expected, TOOLS, "No tool fits.")
    scores = SUMS.scores([one])[0]
    assert all(value is None or 0 <= value <= 1 for value in scores.values())
    applies = {name for name, value in scores.items() if value is not None}
    assert applies == {"format", "function", "exact", "arguments" if expected else "plain"}  # by what is expected alone
    assert SUMS.highest(scores) == 4 and 0 <= SUMS(scores) <= 4


@settings(deadline=None)
@given(MANY, MANY)
def test_only_the_expected_calls_have_the_highest_sum(expected, made):
    one = graded(reply(*made), expected)
    scores = SUMS.scores([one])[0]
    if SUMS(scores) == SUMS.highest(scores):
        assert one.exact


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_best_pairing_is_the_best_of_all(rows, columns, rng):
    worth = [[rng.choice([0.0, 0.5, 1.0, 2.25]) for _ in range(columns)] for _ in range(rows)]
    total, pairs = best_assignment(worth)
    few = min(rows, columns)
    options = (
        sum(worth[r][c] for r, c in zip(chosen, others, strict=True))
        for chosen in itertools.combinations(range(rows), few)
        for others in itertools.permutations(range(columns), few)
    )
    assert total == pytest.approx(max(options))
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs) == few
    assert total == pytest.approx(sum(worth[r][c] for r, c in pairs))


def test_nothing_is_paired_with_nothing():
    assert best_assignment([]) == best_assignment([[], []]) == (0.0, [])


def test_weights_add_up_and_a_reward_of_none_counts_for_nothing():
    total = RewardSum.of_rules(format=0.5, arguments=3.0, plain=2.0, exact=0.0)
    scores = total.scores([graded(reply(call("add", a=1, b=3)), [SUM])])[0]
    assert scores == {"format": 1, "arguments": pytest.approx(2 / 3), "plain": None, "exact": 0}
    assert total(scores) == pytest.approx(0.5 + 2) and total.highest(scores) == 3.5
    assert [reward.name for reward in SUMS.rewards] == list(RULES)


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.5])
def test_a_reward_that_is_no_number_from_0_to_1_is_an_error(value):
    broken = RewardSum([Reward("mine", per_answer(lambda one: value)), Reward("format", per_answer(of_format))])
    with pytest.raises(RewardError, match=f"'mine' is {value}.*'demo-0', step 1.*thought"):
        broken.scores(grade(CASES[:1], [CASES[0].completion]))


def test_a_reward_for_each_answer_is_an_error_when_one_is_missing():
    with pytest.raises(RewardError, match="gave 0 scores for 1 answers"):
        RewardSum([Reward("mine", lambda ones: [])]).scores([graded("", [])])


@pytest.mark.parametrize(("rewards", "message"), [
    ([("a", 1.0), ("a", 2.0)], "of one name"),
    ([("a", -1.0)], "expected 0 or more"),
    ([("a", math.nan)], "expected 0 or more"),
    ([("a", 0.0), ("b", 0.0)], "nothing would be rewarded"),
])  # fmt: skip
def test_weights_that_make_no_sense_are_refused(rewards, message):
    with pytest.raises(ValueError, match=message):
        RewardSum(Reward(name, per_answer(of_format), weight) for name, weight in rewards)
