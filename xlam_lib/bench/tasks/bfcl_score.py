"""BFCL scores: of its own ground truth through our codec, and of a model on a sample of the questions.

Used by notebook 05. The first must be 100 % and shows that nothing is lost between codec and checker; four questions
can't be answered as their data contradict themselves (`CONTRADICTIONS`). The second is honest about small models: most
prompts of BFCL are longer than what they read, so those are not asked and counted apart.

    scores, refused = ground_truth_scores()
    print(table(scores))
    scores, result = model_scores(model.answers, BRIEF_STYLE, per_category=20, length_of=count_tokens, limit=900)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xlam_lib.bench import evaluate, page
from xlam_lib.bench.base import Figure, Question, Result, Row, Section, Task
from xlam_lib.bench.tasks import bfcl, bfcl_check
from xlam_lib.bench.tasks.bfcl import CATEGORIES
from xlam_lib.codec import SEED_STYLE, PromptStyle, parse_answer, render_answer
from xlam_lib.endpoint import Progress
from xlam_lib.views import to_openai, tools_to_openai

CONTRADICTIONS = {  # no answer to these is accepted
    "live_simple_106-63-0": "required arrays for which no value is accepted",
    "live_simple_112-68-0": "required arrays for which no value is accepted",
    "live_multiple_862-181-3": "an argument is expected that the function doesn't have",
    "live_multiple_964-207-0": "a required argument is missing from the accepted answer",
}
_QUOTES = "the checker keeps the quotes of a proper array of strings"
MISREAD = {  # Java that is right and that BFCL's checker takes for wrong, or whose accepted value has another form
    **{f"simple_java_{number}": _QUOTES for number in (35, 78, 83, 85, 86, 89, 90, 91)},
    **{f"simple_java_{number}": "the checker reads every element of a mixed list as text" for number in (36, 65)},
    "simple_java_64": "the accepted values of a map are texts instead of lists",
}
COLUMNS = ("questions", "too_long", "asked", "scored", "parsed", "right")
LEVELS = {"live_simple": 256 / 258, "live_multiple": 1051 / 1053}  # of the ground truth, without the contradictions


@dataclass(frozen=True)
class CategoryScore:
    """Counts of one category; `right / scored` is the score, `questions = too_long + not_drawn + asked`."""

    category: str
    questions: int
    too_long: int = 0  # prompts that the model can't read whole
    not_drawn: int = 0  # left out by the sample
    no_answer: int = 0  # asked, but nothing came back (server, network)
    checker_failed: int = 0  # answered, but BFCL's checker broke down
    parsed: int = 0  # answers without any problem of form
    right: int = 0

    @property
    def asked(self) -> int:
        """Questions put to the model."""
        return self.questions - self.too_long - self.not_drawn

    @property
    def scored(self) -> int:
        """Questions with a verdict."""
        return self.asked - self.no_answer - self.checker_failed

    @property
    def accuracy(self) -> float | None:
        """Share of right answers among the scored ones; None when there is none."""
        return self.right / self.scored if self.scored else None

    def to_dict(self) -> dict[str, Any]:
        """All counts and the score, for JSON."""
        return asdict(self) | {"asked": self.asked, "scored": self.scored, "accuracy": self.accuracy}


def ground_truth_scores(
    categories: Iterable[str] = CATEGORIES, folder: str | Path | None = None
) -> tuple[dict[str, CategoryScore], list[dict[str, Any]]]:
    """Each accepted answer rendered, parsed and checked: scores, and the rows that BFCL's checker refuses.

    Example: `scores["simple_python"].right` -> 400; the refused rows are the four `CONTRADICTIONS`.
    """
    scores, refused = {}, []
    for category in categories:
        questions = bfcl.load(category, folder)
        texts = [render_answer(bfcl.ground_truth(question)) for question in questions]
        rows = score_answers(questions, texts, trusted=True)
        scores[category] = _count(category, len(questions), 0, 0, rows)
        refused += [row for row in rows if not row["valid"]]
    return scores, refused


def score_answers(questions: Sequence[bfcl.Question], answers: Sequence[str], *, trusted: bool = False) -> list[Row]:
    """One row a question: id, kind, answer, parsed, valid, error_type, error; valid is None without a verdict.

    As in BFCL, a category of irrelevant tools counts any answer without a call as right, readable or not; `parsed`
    distinguishes the two. Answers of a model are checked in a child process unless they are `trusted`.
    """
    parsed = [parse_answer(text) for text in answers]
    check = bfcl_check.check if trusted else bfcl_check.check_in_child
    verdicts = check(questions, [found.answer.calls for found in parsed])
    return [
        {"kind": question.category, "answer": text, "parsed": not found.problems, **asdict(verdict)}
        for question, text, found, verdict in zip(questions, answers, parsed, verdicts, strict=True)
    ]


def sample(
    questions: Sequence[bfcl.Question],
    prompts: Sequence[str],
    *,
    size: int,
    seed: int = 0,
    length_of: Callable[[str], int] | None = None,
    limit: int | None = None,
) -> tuple[list[int], int]:
    """(indices of the drawn questions in order, how many were too long); drawn among those whose prompt fits."""
    fitting = list(range(len(questions)))
    if length_of is not None and limit is not None:
        fitting = [index for index in fitting if length_of(prompts[index]) <= limit]
    drawn = random.Random(f"{seed}/{questions[0].category}").sample(fitting, min(size, len(fitting))) if fitting else []
    return sorted(drawn), len(questions) - len(fitting)


@dataclass
class Bfcl(Task):
    """Questions drawn from each category: `evaluate.offline(Bfcl(BRIEF_STYLE, per_category=5), model.answers)`.

    `length_of` counts a prompt's tokens and `limit` is how many the model reads with room left for its answer.
    """

    name, title = "bfcl", "BFCL"
    metric = (
        "The single-turn questions of the Berkeley Function-Calling Leaderboard. First their own answers, rendered and "
        "parsed by our codec and scored by bfcl-eval's checker: whatever is not 100 % here is lost by us, or "
        "contradictory in the data."
    )
    scores = ("valid", "parsed")
    figures = tuple(
        Figure(
            f"bfcl.ground_truth.{name}", "05_benchmarking", f"BFCL ground truth, {name}", level, level, required=True
        )
        for name, level in ({category: 1.0 for category in CATEGORIES} | LEVELS).items()
    )

    style: PromptStyle = SEED_STYLE
    categories: Iterable[str] = CATEGORIES
    per_category: int = 20
    seed: int = 0
    length_of: Callable[[str], int] | None = None
    limit: int | None = None
    folder: str | Path | None = None

    @cached_property
    def drawn(self) -> dict[str, tuple[list[bfcl.Question], int, int]]:
        """For each category the drawn questions, how many it has, and how many of those are too long."""
        found = {}
        for category in self.categories:
            questions = bfcl.load(category, self.folder)
            prompts = [bfcl.prompt(question, self.style) for question in questions]
            fit = {"length_of": self.length_of, "limit": self.limit}
            chosen, too_long = sample(questions, prompts, size=self.per_category, seed=self.seed, **fit)
            found[category] = ([questions[index] for index in chosen], len(questions), too_long)
        return found

    def items(self) -> list[bfcl.Question]:
        return [question for questions, _, _ in self.drawn.values() for question in questions]

    def question(self, item: bfcl.Question) -> Question:
        messages, tools = to_openai(item.asked.steps), tools_to_openai(item.asked.tools)
        return Question(bfcl.prompt(item, self.style), tuple(messages), tuple(tools))

    def score(self, item: bfcl.Question, answer: str, cut_off: bool = False) -> Row:
        return score_answers([item], [answer])[0]

    def score_all(self, answered: Sequence[tuple[bfcl.Question, str, bool]]) -> list[Row]:
        """One child process for all answers."""
        return score_answers([item for item, _, _ in answered], [answer for _, answer, _ in answered])

    def category_scores(self, result: Result) -> dict[str, CategoryScore]:
        """Counts of each category: `category_scores(result)["multiple"].accuracy`."""
        scores = {}
        for category, (questions, total, too_long) in self.drawn.items():
            rows = [row for row in result.rows if row["kind"] == category]
            lost = sum(question.id in result.unanswered for question in questions)
            scores[category] = _count(category, total, too_long, lost, rows)
        return scores

    def summary(self, result: Result, seed: int = 0) -> dict[str, Any]:
        """`{"multiple": {"questions": 200, "asked": 5, "right": 2, "accuracy": 0.4, ...}, ...}`."""
        return {name: score.to_dict() for name, score in self.category_scores(result).items()}

    @classmethod
    def sections(cls, card: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[Section]:
        """Ground truth through codec and checker, then the model's sample, plainly."""
        return [Section(cls.name, cls.title, _section(recorded.get(cls.name, {})))]


TASK = Bfcl


def model_scores(
    answers_of: evaluate.AnswersOf,
    style: PromptStyle = SEED_STYLE,
    progress: Progress | None = None,
    **options: Any,
) -> tuple[dict[str, CategoryScore], Result]:
    """Scores and rows of a model, e.g. `model_scores(greedy.answers, BRIEF_STYLE, length_of=count, limit=900)`.

    `progress` gets (answered, all) now and then; `options` are those of `Bfcl`.
    """
    task = Bfcl(style, **options)
    result = evaluate.offline(task, answers_of, progress=progress)
    return task.category_scores(result), result


def table(scores: Mapping[str, CategoryScore]) -> str:
    """Scores for a terminal, one line a category, with what was not asked and what can't be held against the model."""
    head = f"{'category':<24}" + "".join(f"{name.replace('_', ' '):>10}" for name in COLUMNS) + f"{'score':>9}"
    lines = [head, "-" * len(head)]
    for name, score in scores.items():
        share = "none" if score.accuracy is None else f"{100 * score.accuracy:.1f} %"
        lines.append(f"{name:<24}" + "".join(f"{getattr(score, column):>10,}" for column in COLUMNS) + f"{share:>9}")
    return "\n".join([*lines, *notes(scores)])


def notes(scores: Mapping[str, CategoryScore]) -> list[str]:
    """What a reader must know beside the numbers, in plain sentences."""
    found, total = [], sum(score.questions for score in scores.values())
    if too_long := sum(score.too_long for score in scores.values()):
        found.append(
            f"{too_long:,} of {total:,} prompts are longer than the model reads and were not asked: "
            "these scores are no scores of the leaderboard."
        )
    if lost := sum(score.no_answer for score in scores.values()):
        found.append(f"{lost:,} questions got no answer from the server; they are not counted as wrong.")
    if broken := sum(score.checker_failed for score in scores.values()):
        found.append(f"{broken:,} answers made BFCL's checker fail; they are not counted as wrong.")
    silent = [score for name, score in scores.items() if name in bfcl.NO_CALL and score.right > score.parsed]
    if silent:
        found.append("Where no tool fits, BFCL counts any answer without a call as right, even an unreadable one.")
    return found


def figures(
    truth: Mapping[str, CategoryScore],
    refused: Sequence[Mapping[str, Any]],
    model: Mapping[str, CategoryScore] | None = None,
) -> dict[str, Any]:
    """BFCL's entry in `metrics.json`: `record({"bfcl": figures(*ground_truth_scores())}, out, "05_benchmarking")`."""
    return {
        "ground_truth": {name: score.accuracy for name, score in truth.items()},
        "counts": {name: score.to_dict() for name, score in truth.items()},
        "refused": {row["id"]: CONTRADICTIONS.get(row["id"], row["error"]) for row in refused},
        "model": {name: score.to_dict() for name, score in (model or {}).items()},
        "notes": notes(model or {}),
    }


def _count(category: str, total: int, too_long: int, no_answer: int, rows: Sequence[Row]) -> CategoryScore:
    return CategoryScore(
        category,
        total,
        too_long=too_long,
        not_drawn=total - too_long - no_answer - len(rows),
        no_answer=no_answer,
        checker_failed=sum(row["valid"] is None for row in rows),
        parsed=sum(row["parsed"] for row in rows),
        right=sum(row["valid"] is True for row in rows),
    )


def _section(recorded: Mapping[str, Any]) -> list[str]:
    counts = recorded.get("counts")
    if not counts:
        return [page.nothing("bfcl.counts in metrics.json of 05_benchmarking")]
    truth = [
        [name, f"{row['right']:,}", f"{row['scored']:,}", page.share(row["accuracy"])] for name, row in counts.items()
    ]
    refused = [[name, why] for name, why in recorded.get("refused", {}).items()]
    shown = [
        page.paragraph(Bfcl.metric),
        page.table(["ground truth", "right", "questions", "score"], truth, numbers=(1, 2, 3)),
        page.folded(f"{len(refused)} questions that no answer satisfies", page.table(["question", "why"], refused))
        if refused
        else "",
    ]
    model = recorded.get("model")
    if not model:
        return shown
    rows = [
        [name, *(f"{row[column]:,}" for column in COLUMNS), page.share(row["accuracy"])] for name, row in model.items()
    ]
    columns = ["our model, a sample", *(name.replace("_", " ") for name in COLUMNS), "score"]
    return [
        *shown,
        page.table(columns, rows, numbers=range(1, 8)),
        *(page.paragraph(note) for note in recorded.get("notes", ())),
    ]
