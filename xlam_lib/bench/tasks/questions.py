"""A benchmark of one's own: a JSON Lines file of questions with the calls that are expected (notebook 05).

    {"question": "Weather in Oslo?", "tools": [{"name": "weather", "description": "...", "parameters": {...}}],
     "calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}

    python -m xlam_lib.bench.run --tasks questions --data questions=mine.jsonl --agents zs --native --serve runs/sft ...

    offline(Questions("mine.jsonl", style=BRIEF_STYLE), Greedy("runs/quickstart/sft").answers)     # without a server

A question that no tool can serve has `"calls": []`. Right is an answer with exactly the expected calls, in any order;
an `id` and a `kind` may stand in each line. In words an agent makes one call at a time, so questions with several want
`--native`. For an environment of one's own, name a class like `Task` of `bench/base.py` as module:Class.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from xlam_lib.agents import Action, JsonCalls, Manual, Observation, StepResult, tool_result
from xlam_lib.bench.base import Figure, Question, Row, Task, TaskError
from xlam_lib.codec import SEED_STYLE, PromptStyle, parse_answer, prompts_of, tools_from_any
from xlam_lib.errors import TrajectoryError
from xlam_lib.grading import failure_of
from xlam_lib.schema import Source, Step, Tool, ToolCall
from xlam_lib.schema import Task as Goal
from xlam_lib.trajectory import Trajectory
from xlam_lib.views import read_calls, to_openai, tools_to_openai

FIELDS = ("question", "tools", "calls", "id", "kind")
KINDS = {  # failures of calls in the terms that all benchmarks share
    "called_though_irrelevant": "wrong_function",
    "no_call": "gave_up",
    "extra_call": "wrong_function",
    "missing_call": "wrong_function",
    "wrong_tool": "wrong_function",
    "invalid_json": "bad_format",
}
MANUAL = Manual(
    "Answer the user with a call of one of the functions. Where none of them can serve, say so in words.", JsonCalls()
)


@dataclass(frozen=True)
class Item:
    """One question: `Item("q1", Goal("Weather in Oslo?", "q1"), (weather,), (ToolCall("weather", {...}),))`."""

    id: str
    task: Goal
    tools: tuple[Tool, ...]
    calls: tuple[ToolCall, ...]
    kind: str = ""


class OneQuestion:
    """The environment of a question: whatever an agent answers ends it."""

    manual = MANUAL

    def __init__(self, item: Item) -> None:
        self.item, self.tools = item, item.tools

    def reset(self, task: Goal, seed: int = 0) -> Observation:
        """The question, as the user's words."""
        return Observation((Step("user", task.instruction),))

    def step(self, action: Action) -> StepResult:
        """Right or wrong; results of the calls are empty, since nothing is called."""
        right = not failure_of(self.item.calls, action.tool_calls, self.tools)
        results = tuple(tool_result(call, "{}") for call in action.tool_calls)
        return StepResult(Observation(results), float(right), True, "success" if right else "failure")


class Solver:
    """Answers as expected: `Solver(item)`."""

    name = "oracle"

    def __init__(self, item: Item) -> None:
        self.item = item

    def act(self, observation: Observation, history: Sequence[Step]) -> Action:
        """The expected calls, or words where there are none."""
        return Action("" if self.item.calls else "None of the functions can do that.", self.item.calls)


class Questions(Task):
    """The questions of a file: `Questions("mine.jsonl")`."""

    name, title = "questions", "Questions of one's own"
    metric = "Reward and success: the answer has exactly the expected calls, in any order."
    scores: ClassVar[tuple[str, ...]] = ("reward", "success")
    figures = (Figure("questions.success", "05_benchmarking"),)
    max_steps = 1

    def __init__(self, path: str | Path = "", split: str = "test", style: PromptStyle = SEED_STYLE) -> None:
        if not path:
            raise TaskError("the benchmark questions needs a file: --data questions=mine.jsonl, one question a line")
        self._items, self._style = read(path), style

    def items(self) -> list[Item]:
        return self._items

    def question(self, item: Item) -> Question:
        steps = (Step("user", item.task.instruction), Step("assistant", tool_calls=item.calls))
        whole = Trajectory(item.id, Source("questions", "unknown"), tools=item.tools, steps=steps)
        ((_, prompt, _),) = prompts_of(whole, self._style)
        return Question(prompt, tuple(to_openai(steps[:1])), tuple(tools_to_openai(item.tools)))

    def environment(self, item: Item) -> OneQuestion:
        return OneQuestion(item)

    def expert(self, item: Item) -> Solver:
        """Who answers as expected."""
        return Solver(item)

    def score(self, item: Item, answer: Trajectory | str, cut_off: bool = False) -> Row:
        """The row of an episode, or of the text that answers the question."""
        if isinstance(answer, str):
            parsed = parse_answer(answer)
            failure = "invalid_json" if parsed.problems else failure_of(item.calls, parsed.answer.calls, item.tools)
        else:
            step = next((step for step in answer.steps if step.role == "assistant"), Step("assistant"))
            failure = failure_of(item.calls, step.tool_calls, item.tools)
        row = {"reward": float(not failure), "success": not failure, "kind": item.kind}
        return row | {"failure": failure and KINDS.get(failure, "wrong_argument")}


TASK = Questions


def read(path: str | Path) -> list[Item]:
    """The questions of a file; an error names the line: `read("mine.jsonl")[0].calls`."""
    items = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                items.append(_item(line, f"{path}:{number}", str(number)))
    if not items:
        raise TaskError(f"{path}: no question in it; expected one JSON object a line")
    return items


def _item(line: str, where: str, number: str) -> Item:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TaskError(f"{where}: not a line of JSON ({error})") from error
    if not isinstance(record, dict) or not isinstance(record.get("question"), str):
        raise TaskError(f'{where}: expected {{"question": "...", "tools": [...], "calls": [...]}}')
    if unknown := record.keys() - set(FIELDS):
        raise TaskError(f"{where}: unknown field {', '.join(sorted(unknown))}; known are {', '.join(FIELDS)}")
    try:
        tools = tuple(tools_from_any(record.get("tools", [])))
        calls = tuple(replace(call, id="") for call in read_calls(record.get("calls", []), where))
    except (TrajectoryError, ValueError) as error:
        raise TaskError(f"{where}: {error}") from error
    if strange := {call.name for call in calls} - {tool.name for tool in tools}:
        raise TaskError(f"{where}: expects a call of {', '.join(sorted(strange))}, which is not among the tools")
    name = str(record.get("id", number))
    return Item(name, Goal(record["question"], f"questions/{name}"), tools, calls, str(record.get("kind", "")))
