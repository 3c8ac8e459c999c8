"""Goals of Tool-Query: a question, what has to be found on the way, and the answer (notebook 05).

    goals = read_goals("data/tool-query/test.jsonl")          # AgentBoard's, for whom has the services behind them
    goals[0].question, goals[0].subgoals, goals[0].setup      # "Is the average ...", ("No",), {"current_date": ...}

Embedded goals (`embedded.py`) know the calls that solve them, too. A record of AgentBoard:

    {"task": "tool-query", "id": 4, "difficulty": "hard", "goal": "Is the average temperature today higher ...",
     "subgoals": ["No"], "additional_info": {"answer": "No", "goal_type": 0, "tool": "weather",
     "init_config": {"current_date": "2023-05-15", "current_location": "Pittsburgh"}}}
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from xlam_lib.environments.tool_query.progress import subgoal_of
from xlam_lib.environments.tool_query.toolkit import FINISH, Toolkit
from xlam_lib.errors import XlamError
from xlam_lib.schema import Task
from xlam_lib.serialize import DECODE_ERRORS, fast

DOMAINS = ("weather", "movie", "academia")
SETUP = ("current_date", "current_location")  # what the weather tools know of the user


class GoalError(XlamError, ValueError):
    """A file of goals that can't be used; the message names the line."""


class Move(NamedTuple):
    """One call of a solution, and the thought before it."""

    thought: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """One goal; `moves` and `plan` are there where a solution is known."""

    id: str  # "weather/4"
    domain: str
    question: str
    answer: Any
    subgoals: tuple[Any, ...]  # results that lead to the answer, and the answer
    setup: Mapping[str, Any] = field(default_factory=dict)
    difficulty: str = ""
    split: str = "test"
    moves: tuple[Move, ...] = ()
    plan: str = ""

    @property
    def task(self) -> Task:
        """What an environment is reset to."""
        return Task(self.question, self.id)


class Solver:
    """Calls tools and records calls and results, by which a goal is made: `ask("I need the date.", "get_...")`."""

    def __init__(self, toolkit: Toolkit) -> None:
        self.toolkit = toolkit
        self.moves: list[Move] = []
        self.subgoals: list[Any] = []

    def __call__(self, thought: str, name: str, /, **arguments: Any) -> Any:
        """The result of a call."""
        result = self.toolkit.call(name, arguments)
        self.moves.append(Move(thought, name, arguments))
        self.subgoals.append(subgoal_of(self.toolkit.domain, result))
        return result

    def goal(self, goal_id: str, question: Question, setup: Mapping[str, Any], split: str) -> Goal:
        """The goal of a question that was answered by the calls so far."""
        answer = self("I know the answer now.", FINISH, answer=question.answer)
        subgoals, moves = tuple(self.subgoals), tuple(self.moves)
        domain = self.toolkit.domain
        return Goal(goal_id, domain, question.text, answer, subgoals, setup, "", split, moves, question.plan)


class Question(NamedTuple):
    """What is asked, its answer, and how to find it in a sentence."""

    text: str
    answer: Any
    plan: str


def read_goals(path: str | Path) -> list[Goal]:
    """The goals of a file of AgentBoard's, `data/tool-query/test.jsonl` or one domain of it.

    A GoalError names the line that is no goal of Tool-Query, or that repeats an id.
    """
    goals: dict[str, Goal] = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            goal = _goal(line, where)
            if goal.id in goals:
                raise GoalError(f"{where}: the id {goal.id!r} is there already; ids must be unique in a domain")
            goals[goal.id] = goal
    if not goals:
        raise GoalError(f"{path}: holds no goal; expected lines as of AgentBoard's data/tool-query/test.jsonl")
    return list(goals.values())


def _goal(line: str, where: str) -> Goal:
    try:
        record = fast(line)
    except DECODE_ERRORS as error:
        raise GoalError(f"{where}: no JSON ({error})") from error
    if not isinstance(record, dict) or not isinstance(record.get("additional_info"), dict):
        raise GoalError(f"{where}: expected an object with goal, subgoals and additional_info")
    info = record["additional_info"]
    if info.get("tool") not in DOMAINS:
        raise GoalError(f"{where}: the tool is {info.get('tool')!r}; Tool-Query has {', '.join(DOMAINS)}")
    question, subgoals = record.get("goal"), record.get("subgoals")
    if not isinstance(question, str) or not question.strip():
        raise GoalError(f"{where}: goal is {question!r}; expected a text")
    if not isinstance(subgoals, list) or not subgoals or info.get("answer") is None:
        raise GoalError(f"{where}: expected a list of subgoals and an answer")
    if not isinstance(record.get("id"), int | str):
        raise GoalError(f"{where}: id is {record.get('id')!r}; expected a number or a text")
    return Goal(
        f"{info['tool']}/{record['id']}",
        info["tool"],
        question,
        info["answer"],
        tuple(subgoals),
        _setup(info, where),
        str(record.get("difficulty") or ""),
    )


def _setup(info: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    setup = info.get("init_config")
    if info["tool"] != "weather":
        return setup if isinstance(setup, dict) else {}
    if not isinstance(setup, dict) or not all(isinstance(setup.get(key), str) for key in SETUP):
        raise GoalError(f"{where}: expected init_config with {' and '.join(SETUP)}, found {setup!r}")
    try:
        datetime.date.fromisoformat(setup["current_date"])
    except ValueError as error:
        raise GoalError(f"{where}: current_date is {setup['current_date']!r}; expected YYYY-MM-DD") from error
    return setup
