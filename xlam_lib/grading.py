"""Are these the right calls? Exact match, parse rate, a breakdown by kind, and what kind of mistake was made.

Used by notebooks 02, 03 and 05. A case is one turn of a trajectory; the calls made before it are given as they should
have been. An answer is exact when it is clean JSON whose calls equal the expected ones (`codec.same_calls`: any order,
1 == 1.0); what it says besides is not compared.

    cases = cases_of(read_jsonl("test_seen.jsonl"), STYLES["brief"])
    graded = grade(cases, Greedy("runs/quickstart/sft").answers([case.prompt for case in cases]))
    score(graded)  # {"n": 405, "exact": 0.82, "parse_rate": 0.99, "by_kind": {...}, "failures": {...}}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from xlam_lib.codec import Answer, PromptStyle, answer_of, parse_answer, prompts_of, render_answer, same_calls
from xlam_lib.trajectory import Tool, ToolCall, Trajectory

FAILURES = {
    "invalid_json": "the answer is not the JSON that was asked for",
    "called_though_irrelevant": "calls something though nothing had to be called",
    "no_call": "calls nothing though something had to be called",
    "extra_call": "more calls than expected",
    "missing_call": "fewer calls than expected",
    "wrong_tool": "as many calls as expected, another tool among them",
    "wrong_argument_name": "the right tool with an argument that it doesn't have",
    "extra_argument": "the right tool with an argument that was not asked for",
    "missing_argument": "the right tool without an argument that was asked for",
    "wrong_value": "the right tool and arguments with another value",
}
KINDS = ("single", "parallel", "irrelevant", "multi_step", "multi_turn")


@dataclass(frozen=True)
class Case:
    """One turn to be answered: prompt, expected answer, tools, and where it comes from."""

    trajectory_id: str
    step: int
    kind: str
    prompt: str
    expected: Answer
    tools: tuple[Tool, ...] = ()

    @property
    def completion(self) -> str:
        """The expected answer as text: '{"thought": "", "tool_calls": [...]}'."""
        return render_answer(self.expected)


@dataclass(frozen=True)
class Graded:
    """A case with what was answered: `graded.exact`, `graded.failure` ("" when exact), `graded.parsed`."""

    case: Case
    text: str
    predicted: Answer
    parsed: bool
    exact: bool
    failure: str


def cases_of(trajectories: Iterable[Trajectory], style: PromptStyle) -> list[Case]:
    """The turns of trajectories as cases, e.g. `cases_of(read_jsonl(path), STYLES["brief"])`."""
    return [
        Case(t.trajectory_id, step, kind_of(t), prompt, answer_of(t.steps[step]), t.tools)
        for t in trajectories
        for step, prompt, _ in prompts_of(t, style)
    ]


def kind_of(trajectory: Trajectory) -> str:
    """single, parallel, irrelevant, multi_step or multi_turn: as tagged, else by the shape of the trajectory."""
    for tag in trajectory.tags:
        if tag in KINDS:
            return tag
    turns = [step for step in trajectory.steps if step.role == "assistant"]
    if sum(step.role == "user" for step in trajectory.steps) > 1:
        return "multi_turn"
    if len(turns) != 1:
        return "multi_step"
    return ("irrelevant", "single", "parallel")[min(2, len(turns[0].tool_calls))]


def grade(cases: Sequence[Case], answers: Sequence[str]) -> list[Graded]:
    """Each case with its answer, graded; as many answers as cases."""
    if len(cases) != len(answers):
        raise ValueError(f"{len(answers)} answers for {len(cases)} cases; expected one each, in the same order")
    return [_grade(case, text) for case, text in zip(cases, answers, strict=True)]


def _grade(case: Case, text: str) -> Graded:
    parsed = parse_answer(text)
    clean = not parsed.problems
    failure = failure_of(case.expected.calls, parsed.answer.calls, case.tools) if clean else "invalid_json"
    return Graded(case, text, parsed.answer, clean, not failure, failure)


def failure_of(expected: Sequence[ToolCall], predicted: Sequence[ToolCall], tools: Sequence[Tool] = ()) -> str:
    """The first thing wrong with the calls, by the order of FAILURES; "" when they are the same.

    Example: `failure_of([ToolCall("now", {"zone": "UTC"})], [ToolCall("now", {"zone": "CET"})])` -> 'wrong_value'
    """
    if same_calls(expected, predicted):
        return ""
    if not expected or not predicted:
        return "no_call" if expected else "called_though_irrelevant"
    if len(predicted) != len(expected):
        return "extra_call" if len(predicted) > len(expected) else "missing_call"
    if Counter(call.name for call in predicted) != Counter(call.name for call in expected):
        return "wrong_tool"
    known = {tool.name: set(tool.parameters.get("properties") or {}) for tool in tools}
    found = {_argument_failure(*pair, known) for pair in _aligned(expected, predicted)}
    return next(name for name in FAILURES if name in found)


def _argument_failure(expected: ToolCall, predicted: ToolCall, known: dict[str, set[str]]) -> str:
    names, expected_names = predicted.arguments.keys(), expected.arguments.keys()
    more, fewer = names - expected_names, expected_names - names
    if more - known.get(predicted.name, set(expected.arguments)):
        return "wrong_argument_name"
    if more:
        return "extra_argument"
    if fewer:
        return "missing_argument"
    return "" if same_calls([expected], [predicted]) else "wrong_value"


def _aligned(expected: Sequence[ToolCall], predicted: Sequence[ToolCall]) -> list[tuple[ToolCall, ToolCall]]:
    """Calls of the same tool side by side, the most alike first."""
    left, pairs = list(predicted), []
    for call in sorted(expected, key=lambda call: -max((_similarity(call, other) for other in predicted), default=0)):
        other = max((other for other in left if other.name == call.name), key=lambda other: _similarity(call, other))
        left.remove(other)
        pairs.append((call, other))
    return pairs


def _similarity(a: ToolCall, b: ToolCall) -> float:
    if a.name != b.name:
        return -1.0
    equal = sum(
        same_calls([ToolCall("", {"": value})], [ToolCall("", {"": b.arguments[key]})])
        for key, value in a.arguments.items()
        if key in b.arguments
    )
    return equal + 0.01 * len(a.arguments.keys() & b.arguments.keys())


def score(graded: Sequence[Graded]) -> dict[str, Any]:
    """All figures: {"n", "exact", "parse_rate", "exact_calls", "by_kind": {kind: {"n", "exact"}}, "failures": {...}}.

    `exact_calls` leaves out turns where nothing had to be called. Shares of nothing are None. Failures are counted by
    type, from the most frequent on.
    """
    by_kind = {kind: [one.exact for one in graded if one.case.kind == kind] for kind in {j.case.kind for j in graded}}
    failures = Counter(one.failure for one in graded if one.failure)
    return {
        "n": len(graded),
        "exact": _share([one.exact for one in graded]),
        "parse_rate": _share([one.parsed for one in graded]),
        "exact_calls": _share([one.exact for one in graded if one.case.expected.calls]),
        "by_kind": {kind: {"n": len(flags), "exact": _share(flags)} for kind, flags in sorted(by_kind.items())},
        "failures": dict(sorted(failures.items(), key=lambda item: (-item[1], item[0]))),
    }


def mistakes(graded: Sequence[Graded], failure: str = "") -> list[Graded]:
    """The answers that went wrong, of one type or of all, to be looked at: `mistakes(graded, "wrong_value")`."""
    return [one for one in graded if one.failure and failure in ("", one.failure)]


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None
