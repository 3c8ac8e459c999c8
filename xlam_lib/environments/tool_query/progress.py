"""AgentBoard's rule of progress: which share of a goal's subgoals the results of the calls have reached.

    progress([{"id": 7}, "Yes"], [{"id": 7}])        # 0.5
    subgoal_of("movie", {"id": 7, "overview": "A long text."})      # {"id": 7}
    same_answer(["Bo", "Al"], ["Al", "Bo"])          # True

A subgoal is the result of a call that leads to the answer; the answer is the last one, for `finish` gives it back. A
result counts once, wherever it comes, so progress never falls: the last is the highest. What of a result is compared
is as in AgentBoard's tools (MIT-licensed code, `utils/{weather,movie,academia}`): no temperatures, no long texts and
figures of movies. Values are compared as JSON: 8 == 8.0, "8" != 8, True != 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from xlam_lib.answers import same_calls
from xlam_lib.schema import ToolCall

TEMPERATURES = ("temperature_2m_max", "temperature_2m_min", "temperature_2m_mean")
MOVIE_TEXTS = ("overview", "biography", "vote_average", "genres", "revenue", "budget", "release_date")


def progress(subgoals: Sequence[Any], results: Iterable[Any]) -> float:
    """The share of subgoals among the results, each result used once: `progress(["a", "a"], ["a"])` -> 0.5."""
    left, reached = list(results), 0
    for subgoal in subgoals:
        at = next((n for n, result in enumerate(left) if _same(result, subgoal)), None)
        if at is not None:
            del left[at]
            reached += 1
    return reached / len(subgoals) if subgoals else 0.0


def subgoal_of(domain: str, result: Any) -> Any:
    """What of a result is compared: `subgoal_of("academia", [1])` -> [1]."""
    if domain == "movie" and isinstance(result, dict):
        return {key: value for key, value in result.items() if key not in MOVIE_TEXTS}
    if domain == "weather" and isinstance(result, dict) and isinstance(result.get("daily"), dict):
        daily = {key: value for key, value in result["daily"].items() if key not in TEMPERATURES}
        return {**result, "daily": daily}
    return result


def same_answer(predicted: Any, expected: Any) -> bool:
    """Whether an answer is right; lists in any order: `same_answer(8.0, 8)` -> True, `same_answer("8", 8)` -> False."""
    return _same(in_order(predicted), in_order(expected))


def in_order(answer: Any) -> Any:
    """An answer as `finish` returns it, lists sorted: `in_order(["b", "a"])` -> ["a", "b"]; a TypeError if mixed."""
    if not isinstance(answer, list):
        return answer
    if any(isinstance(one, dict) for one in answer) or len({isinstance(one, str) for one in answer}) > 1:
        raise TypeError("a list of an answer holds texts or numbers, not both")
    return sorted(answer)


def _same(a: Any, b: Any) -> bool:
    return same_calls([ToolCall("", {"": a})], [ToolCall("", {"": b})])
