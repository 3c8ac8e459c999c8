"""What a benchmark is: its items, how an answer is scored, and the figures by which a model is held against it.

Used by `tasks/` (one file a benchmark, found by itself), `evaluate.py` (which runs them) and `report/` (which shows
them): scorecard and report know no benchmark, they read what tasks declare. A whole benchmark:

    class Sums(Task):
        name, title = "sums", "Sums of two numbers"
        metric = "Share of the answers that are the sum, in digits and nothing else."
        scores = ("right",)  # fields of a row that are averaged
        figures = (Figure("sums.right", "05_benchmarking", "sums that are right", floor=0.5, aim=0.9),)

        def items(self) -> Sequence[Pair]:
            return [Pair("1+2", 1, 2), Pair("3+4", 3, 4)]  # anything with an `id`

        def question(self, item: Pair) -> Question:
            return Question(f"{item.a} + {item.b} = ")

        def score(self, item: Pair, answer: str, cut_off: bool = False) -> Row:
            return {"right": answer.strip() == str(item.a + item.b)}

    TASK = Sums  # in tasks/sums.py

    result = evaluate.offline(Sums(), Greedy("runs/quickstart/sft").answers)
    record({"sums": Sums().summary(result)}, out, "05_benchmarking")  # -> {"sums": {"right": 0.5, "intervals": ...}}
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from xlam_lib.bench.bootstrap import Interval, interval
from xlam_lib.errors import XlamError

Row = dict[str, Any]  # one answered item: its `id`, its scores, and whatever is worth looking at
Unit = Literal["share", "change", "seconds"]


class TaskError(XlamError, ValueError):
    """Items that can't be asked, results that can't be compared, or declarations that contradict each other."""


class Item(Protocol):
    """One item of a benchmark: whatever a task likes, with an id of its own."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True)
class Question:
    """What a model is asked: the prompt as text, and the same as a client of a server sends it."""

    prompt: str
    messages: tuple[dict[str, Any], ...] = ()  # () where only the prompt exists
    tools: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Figure:
    """A number that a run records: `Figure("sft.seen_exact", "02_sft", "SFT exact match", floor=0.6, aim=0.85)`.

    With a title it is a line of the scorecard, held against a floor that it must and an aim that it should reach;
    without one it is only kept there. One with `derived` is computed from other figures and recorded nowhere.
    """

    key: str  # its place in metrics.json: {"sft": {"seen_exact": 0.87}}
    recorded_by: str  # the notebook whose metrics.json holds it first; figures are shown in the order of notebooks
    title: str = ""
    floor: float = 0.0
    aim: float = 0.0
    unit: Unit = "share"
    at_most: bool = False  # less is better
    required: bool = False  # a run without it is not whole; else its line is left out with it
    derived: Callable[[Mapping[str, Any]], float | None] | None = None  # from all figures by their keys

    def value(self, figures: Mapping[str, Any]) -> float | None:
        """This figure among all figures of a run, e.g. `figure.value({"sft.seen_exact": 0.87})` -> 0.87."""
        return self.derived(figures) if self.derived else figures.get(self.key)


@dataclass(frozen=True)
class Section:
    """A section of the report; its blocks are made with `page.py`.

    Sections stand in the order of their places: 0 scorecard, 10 models, 20 training, 30 failures, 50 benchmarks, 90
    published tables, 100 the run.
    """

    key: str
    title: str
    blocks: Sequence[str]
    place: int = 50


@dataclass(frozen=True)
class Result:
    """What a run of a task found: a row for each answered item, and the error for each that was left unanswered."""

    rows: tuple[Row, ...]
    unanswered: Mapping[str, str] = field(default_factory=dict)  # id -> error, never counted as a wrong answer
    scores: tuple[str, ...] = ()  # fields of a row that are numbers or flags; None where there is no verdict
    group: str = "id"  # rows with the same value of this field rise and fall together

    def mean(self, score: str) -> float | None:
        """Mean of a score over the rows that have it, e.g. `result.mean("right")` -> 0.5; None without any."""
        return _mean(self.rows, score)

    def interval(self, score: str, seed: int = 0) -> Interval:
        """Bootstrap interval of a score, whole groups drawn: `result.interval("right")`."""
        rows = [row for row in self.rows if row[score] is not None]
        return interval([row[score] for row in rows], groups=[row[self.group] for row in rows], seed=seed)

    def figures(self, seed: int = 0) -> dict[str, Interval]:
        """Every score with its interval: `{"right": Interval(mean=0.5, low=0.0, high=1.0, n=2)}`."""
        return {score: self.interval(score, seed) for score in self.scores if self.mean(score) is not None}

    def failures(self) -> dict[str, int]:
        """How often each failure happened, most frequent first: {"wrong_value": 12, "wrong_tool": 3}."""
        return dict(Counter(row["failure"] for row in self.rows if row.get("failure")).most_common())

    def by_kind(self) -> dict[str, dict[str, Any]]:
        """Scores of each kind of item: {"parallel": {"n": 40, "exact": 0.7, "parsed": 1.0}}."""
        kinds = sorted({row["kind"] for row in self.rows})
        groups = {kind: [row for row in self.rows if row["kind"] == kind] for kind in kinds}
        return {
            kind: {"n": len(rows)} | {score: _mean(rows, score) for score in self.scores}
            for kind, rows in groups.items()
        }

    def summary(self, seed: int = 0) -> dict[str, Any]:
        """All figures for metrics.json: {"n": 2, "right": 0.5, "intervals": {...}, "failures": {}, "unanswered": 0}."""
        spans = self.figures(seed)
        return {
            "n": len(self.rows),
            **{score: span.mean for score, span in spans.items()},
            "intervals": {score: span.to_dict() for score, span in spans.items()},
            "failures": self.failures(),
            "unanswered": len(self.unanswered),
        }


class Task(ABC):
    """A benchmark. What it is and shows stands in the class; an object of it holds the items of one run."""

    name: ClassVar[str]
    title: ClassVar[str]
    metric: ClassVar[str]  # its definition in words
    scores: ClassVar[tuple[str, ...]] = ()  # fields of a row that are averaged
    group: ClassVar[str] = "id"  # field of a row; rows of one group are drawn together in an interval
    figures: ClassVar[tuple[Figure, ...]] = ()  # what it adds to the scorecard
    published: ClassVar[tuple[str, ...]] = ()  # keys of the published tables beside which it stands
    differs: ClassVar[str] = ""  # what of its setting is not as it was published, in words
    models: ClassVar[Mapping[str, str]] = {}  # with columns: a table of the figures "<model>.<column>" in the terminal
    columns: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def items(self) -> Sequence[Item]:
        """What is asked, in order, each with an id of its own."""

    def question(self, item: Any) -> Question:
        """The question of an item that one answer settles."""
        raise TaskError(f"task {self.name}: {item.id} is no single question; run it in its environment")

    def environment(self, item: Any) -> Any:
        """The environment of an item in which an agent acts over several steps."""
        raise TaskError(f"task {self.name}: {item.id} has no environment; ask its question")

    @abstractmethod
    def score(self, item: Any, answer: Any, cut_off: bool = False) -> Row:
        """The row of an answer (text to a question, or an agent's episode) that may be cut off by its limit."""

    def score_all(self, answered: Sequence[tuple[Any, Any, bool]]) -> list[Row]:
        """Rows of (item, answer, cut_off); for tasks whose scorer is better called once than for each."""
        return [self.score(*one) for one in answered]

    def result(self, rows: Sequence[Row], unanswered: Mapping[str, str]) -> Result:
        """The rows as a result, with what this task averages."""
        return Result(tuple(rows), unanswered, self.scores, self.group)

    def summary(self, result: Result, seed: int = 0) -> dict[str, Any]:
        """What of a result goes into metrics.json, e.g. {"right": 0.5, "intervals": {"right": {...}}, ...}."""
        return result.summary(seed)

    @classmethod
    def sections(cls, card: Mapping[str, Any], recorded: Mapping[str, Any]) -> Sequence[Section]:
        """Its sections of the report from scorecard and metrics; none means the usual one, made of its figures."""
        return ()


def percent(value: float) -> str:
    """A share as percent with one decimal, rounded down near 100: `percent(0.9996)` -> "99.9"."""
    return f"{math.floor(1000 * value + 1e-9) / 10 if value > 0.99 else 100 * value:.1f}"


def _mean(rows: Sequence[Row], score: str) -> float | None:
    values = [row[score] for row in rows if row[score] is not None]
    return sum(values) / len(values) if values else None
