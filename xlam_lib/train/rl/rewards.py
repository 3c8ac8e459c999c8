"""Verifiable rewards of an answer: rules alone grade it, no model does (notebook 03, used by GRPO).

    expected = [ToolCall("get_weather", {"city": "Oslo"})]
    one = graded('{"thought": "", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Bergen"}}]}', expected)
    of_format(one), of_function(one), of_arguments(one), of_exact(one)    # 1.0, 1.0, 0.5, 0.0

`grading.py` defines how an answer is read and when it is exact; here is what it is worth on the way there. Each
reward lies between 0 and 1, whatever the text, and is None where it doesn't apply, which only the expected answer
decides: so all answers to a prompt are measured by the same rewards. After ToolRL (Qian et al. 2025, arXiv 2504.13958),
which rewards the format and splits correctness into names of tools, names of parameters and values; theirs are added up
into one figure from -3 to 3, ours stay apart. Whether a call runs, `execution.py` finds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from xlam_lib.codec import Answer, same_calls
from xlam_lib.errors import XlamError
from xlam_lib.grading import Case, Graded, grade
from xlam_lib.trajectory import Tool, ToolCall

Scores = Mapping[str, float | None]  # by name of the reward; None: doesn't apply
MIN_WORDS = 8  # a plain answer may always have so many words ...
LENGTH_FACTOR = 2  # ... or so many times those of the expected one, before it is worth less
INFINITY = float("inf")


class RewardError(XlamError, ValueError):
    """A reward that is not a number, or not between 0 and 1; the message names it, the value and the answer."""


def graded(text: str, expected: Sequence[ToolCall], tools: Sequence[Tool] = (), thought: str = "") -> Graded:
    """An answer beside the expected calls, as rewards look at it; `thought` is the text expected besides."""
    return grade([Case("", 0, "", "", Answer(thought, tuple(expected)), tuple(tools))], [text])[0]


def of_format(one: Graded) -> float:
    """1 when the answer is the JSON that was asked for and nothing else, 0 otherwise.

    Example: '{"thought": "", "tool_calls": []}' -> 1.0; 'Sure! {"thought": "", "tool_calls": []}' -> 0.0
    """
    return float(one.parsed)


def of_function(one: Graded) -> float:
    """How alike the names of the calls are, from 0 to 1: those in both, divided by those in either, repeats counted.

    Example: expected add and now, predicted add -> 0.5; expected add, predicted add twice -> 0.5; neither -> 1.0
    """
    expected, predicted = (Counter(call.name for call in answer.calls) for answer in (one.case.expected, one.predicted))
    union = (expected | predicted).total()
    return (expected & predicted).total() / union if union else 1.0


def of_arguments(one: Graded) -> float | None:
    """The share of parameters and values that are right, from 0 to 1; None where no call is expected.

    An expected call can earn one point for the names of its parameters (those in both calls, divided by those in
    either) and one for each value that equals the expected one; it is paired with a call of the same tool so that the
    sum is largest. Points divided by those to be had: `r_param + r_value` of ToolRL.
    Example: expected add(a=1, b=2), predicted add(a=1, b=3) -> (1 + 1) / (1 + 2)
    """
    expected = one.case.expected.calls
    if not expected:
        return None
    points = 0.0
    for name in {call.name for call in expected}:
        expected_calls = [call for call in expected if call.name == name]
        predicted_calls = [call for call in one.predicted.calls if call.name == name]
        points += best_assignment([[_points(call, other) for other in predicted_calls] for call in expected_calls])[0]
    return points / sum(1 + len(call.arguments) for call in expected)


def _points(expected: ToolCall, predicted: ToolCall) -> float:
    union = expected.arguments.keys() | predicted.arguments.keys()
    common = expected.arguments.keys() & predicted.arguments.keys()
    equal = sum(same_calls([_as_call(expected.arguments[key])], [_as_call(predicted.arguments[key])]) for key in common)
    return (len(common) / len(union) if union else 1.0) + equal


def _as_call(value: object) -> ToolCall:
    return ToolCall("", {"": value})


def best_assignment(worth: Sequence[Sequence[float]]) -> tuple[float, list[tuple[int, int]]]:
    """(sum, pairs of row and column) of the pairing worth the most; min(rows, columns) pairs, in the rows' order.

    Which expected call goes with which predicted one, for the order of parallel calls must not matter: the assignment
    problem, solved exactly in O(rows squared times columns) (Kuhn 1955, Munkres 1957).
    Example: `best_assignment([[3.0, 1.0], [2.0, 2.0]])` -> (5.0, [(0, 0), (1, 1)])
    """
    if not worth or not worth[0]:
        return 0.0, []
    if len(worth) > len(worth[0]):
        total, pairs = best_assignment([list(column) for column in zip(*worth, strict=True)])
        return total, sorted((row, column) for column, row in pairs)
    pairs = _min_cost_assignment([[-value for value in row] for row in worth])
    return sum(worth[row][column] for row, column in pairs), pairs


def _min_cost_assignment(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """A column for each row, at the lowest cost; at least as many columns as rows.

    Rows enter one by one. Potentials keep all reduced costs at zero or above, so the cheapest way to free a column for
    the new row is a shortest path.
    """
    columns = len(costs[0])
    of_row, of_column = [0.0] * (len(costs) + 1), [0.0] * (columns + 1)
    holder = [0] * (columns + 1)  # the row, from 1 on, that has a column; column 0 stands for the row that enters
    for row in range(1, len(costs) + 1):
        holder[0], at = row, 0
        least, before, done = [INFINITY] * (columns + 1), [0] * (columns + 1), [False] * (columns + 1)
        while holder[at]:
            done[at] = True
            here = holder[at]
            for column in range(1, columns + 1):
                if not done[column]:
                    reduced = costs[here - 1][column - 1] - of_row[here] - of_column[column]
                    if reduced < least[column]:
                        least[column], before[column] = reduced, at
            step, nearest = min((least[column], column) for column in range(1, columns + 1) if not done[column])
            for column in range(columns + 1):
                if done[column]:
                    of_row[holder[column]] += step
                    of_column[column] -= step
                else:
                    least[column] -= step
            at = nearest
        while at:
            holder[at] = holder[before[at]]
            at = before[at]
    return sorted((holder[column] - 1, column - 1) for column in range(1, columns + 1) if holder[column])


def of_plain(one: Graded) -> float | None:
    """Where words and no call are expected: 1 for words of a fitting length, 0 for a call or no words; else None.

    It falls from 1 to 0 between twice the words of the expected answer (8 at least) and twice that. What the words say
    isn't compared, as in `grading.py`: with this alone, any short sentence would do.
    Example: expected "No tool fits.", predicted "I can't." -> 1.0, 12 words -> 0.5, 16 words -> 0.0
    """
    expected = one.case.expected
    if expected.calls or not expected.thought.strip():
        return None
    words = len(one.predicted.thought.split())
    if one.predicted.calls or not words:
        return 0.0
    fitting = max(MIN_WORDS, LENGTH_FACTOR * len(expected.thought.split()))
    return min(1.0, max(0.0, 2 - words / fitting))


def of_exact(one: Graded) -> float:
    """1 when the answer is right as `grading.py` grades it, 0 otherwise: what is measured on held-out questions."""
    return float(one.exact)


class Scorer(Protocol):
    """Scores some answers at once, in order: `of_exact` for each, or `Execution`, which runs all calls together."""

    def __call__(self, ones: Sequence[Graded]) -> Sequence[float | None]: ...


@dataclass(frozen=True)
class Reward:
    """A reward with its weight: `Reward("exact", each(of_exact), 0.5)`; weight 0: it is only watched."""

    name: str
    scores: Scorer
    weight: float = 1.0


def per_answer(score: Callable[[Graded], float | None]) -> Scorer:
    """A reward of single answers as one of many."""
    return lambda ones: [score(one) for one in ones]


RULES: dict[str, Callable[[Graded], float | None]] = {
    "format": of_format,
    "function": of_function,
    "arguments": of_arguments,
    "plain": of_plain,
    "exact": of_exact,
}


class RewardSum:
    """Some rewards, each with its weight, and their weighted sum.

    total = RewardSum.of_rules(format=1.0, exact=2.0)
    total(total.scores([one])[0])    # from 0 to 3.0
    """

    def __init__(self, rewards: Iterable[Reward]) -> None:
        self.rewards = tuple(rewards)
        names = [reward.name for reward in self.rewards]
        if len(set(names)) < len(names):
            raise ValueError(f"two rewards of one name among {names}")
        for reward in self.rewards:
            if not (math.isfinite(reward.weight) and reward.weight >= 0):
                raise ValueError(f"reward {reward.name!r}: the weight is {reward.weight}, expected 0 or more")
        if not any(reward.weight for reward in self.rewards):
            raise ValueError(f"all of {names} have weight 0: nothing would be rewarded")

    @classmethod
    def of_rules(cls, **weights: float) -> RewardSum:
        """The rules by name with their weights, all of RULES with weight 1 when none is named."""
        weights = weights or dict.fromkeys(RULES, 1.0)
        return cls(Reward(name, per_answer(RULES[name]), weight) for name, weight in weights.items())

    def scores(self, ones: Sequence[Graded]) -> list[dict[str, float | None]]:
        """Every reward of every answer, by name; RewardError for one that isn't a number from 0 to 1."""
        columns = [checked(reward, ones) for reward in self.rewards]
        names = [reward.name for reward in self.rewards]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def __call__(self, scores: Scores) -> float:
        """The weighted sum of what applies: `RewardSum.of_rules()({"format": 1.0, "plain": None})` -> 1.0."""
        return sum(reward.weight * (scores.get(reward.name) or 0.0) for reward in self.rewards)

    def highest(self, scores: Scores) -> float:
        """What the sum could be at most, given which rewards apply."""
        return sum(reward.weight for reward in self.rewards if scores.get(reward.name) is not None)


def checked(reward: Reward, ones: Sequence[Graded]) -> list[float | None]:
    """The scores of a reward, each None or from 0 to 1; anything else is an error and is never trained on."""
    found = list(reward.scores(ones))
    if len(found) != len(ones):
        raise RewardError(f"reward {reward.name!r} gave {len(found)} scores for {len(ones)} answers")
    for value, one in zip(found, ones, strict=True):
        if value is not None and not 0.0 <= value <= 1.0:  # NaN, too
            raise RewardError(
                f"reward {reward.name!r} is {value}, expected None or a number from 0 to 1; trajectory "
                f"{one.case.trajectory_id!r}, step {one.case.step}, answer {one.text[:200]!r}"
            )
    return found
