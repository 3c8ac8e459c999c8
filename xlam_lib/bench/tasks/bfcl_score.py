"""BFCL scores: of its own ground truth through our codec, and of a model on a sample of the questions.

Used by notebook 05. The first must be 100 % and shows that nothing is lost between codec and checker; four questions
can't be answered as their data contradict themselves (`CONTRADICTIONS`). The second is honest about small models: most
prompts of BFCL are longer than what they read, so those are not asked and counted apart.

    scores, refused = ground_truth_scores()
    print(table(scores))
    scores, rows = model_scores(model.answers, BRIEF_STYLE, per_category=20, length_of=count_tokens, limit=900)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xlam_lib.bench.tasks import bfcl, bfcl_check
from xlam_lib.bench.tasks.bfcl import CATEGORIES, Question
from xlam_lib.codec import SEED_STYLE, PromptStyle, parse_answer, render_answer

CONTRADICTIONS = {  # no answer to these is accepted
    "live_simple_106-63-0": "required arrays for which no value is accepted",
    "live_simple_112-68-0": "required arrays for which no value is accepted",
    "live_multiple_862-181-3": "an argument is expected that the function doesn't have",
    "live_multiple_964-207-0": "a required argument is missing from the accepted answer",
}
AnswersOf = Callable[[list[str]], Sequence[str | None]]  # prompts -> answers in the same order, None where none came


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
        scores[category] = _count(category, len(questions), 0, rows)
        refused += [row for row in rows if not row["valid"]]
    return scores, refused


def score_answers(
    questions: Sequence[Question], answers: Sequence[str | None], *, trusted: bool = False
) -> list[dict[str, Any]]:
    """One row a question: id, category, answer, parsed, valid, error_type, error; valid is None without a verdict.

    As in BFCL, a category of irrelevant tools counts any answer without a call as right, readable or not; `parsed`
    tells the two apart. Answers of a model are checked in a child process unless they are `trusted`.
    """
    parsed = [parse_answer(text) if text is not None else None for text in answers]
    given = [(question, found.answer.calls) for question, found in zip(questions, parsed, strict=True) if found]
    check = bfcl_check.check if trusted else bfcl_check.check_in_child
    verdicts = iter(check([question for question, _ in given], [calls for _, calls in given]))
    rows = []
    for question, text, found in zip(questions, answers, parsed, strict=True):
        verdict = next(verdicts) if found else bfcl_check.Verdict(question.id, None, "no_answer", "no answer came back")
        clean = bool(found) and not found.problems
        rows.append({"category": question.category, "answer": text, "parsed": clean, **asdict(verdict)})
    return rows


def sample(
    questions: Sequence[Question],
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


def model_scores(
    answers_of: AnswersOf,
    style: PromptStyle = SEED_STYLE,
    *,
    categories: Iterable[str] = CATEGORIES,
    per_category: int = 20,
    seed: int = 0,
    length_of: Callable[[str], int] | None = None,
    limit: int | None = None,
    folder: str | Path | None = None,
) -> tuple[dict[str, CategoryScore], list[dict[str, Any]]]:
    """Scores and rows of a model, e.g. `model_scores(greedy.answers, BRIEF_STYLE, length_of=count, limit=900)`.

    `answers_of` is called once, with all drawn prompts; `length_of` counts a prompt's tokens and `limit` is how many
    the model reads with room left for its answer.
    """
    drawn: list[tuple[Question, str]] = []
    counts: dict[str, tuple[int, int]] = {}
    for category in categories:
        questions = bfcl.load(category, folder)
        prompts = [bfcl.prompt(question, style) for question in questions]
        chosen, too_long = sample(questions, prompts, size=per_category, seed=seed, length_of=length_of, limit=limit)
        drawn += [(questions[index], prompts[index]) for index in chosen]
        counts[category] = (len(questions), too_long)
    answers = answers_of([text for _, text in drawn]) if drawn else []
    rows = score_answers([question for question, _ in drawn], answers)
    by_category = {category: [row for row in rows if row["category"] == category] for category in counts}
    scores = {name: _count(name, total, too_long, by_category[name]) for name, (total, too_long) in counts.items()}
    return scores, rows


def table(scores: Mapping[str, CategoryScore]) -> str:
    """Scores for a terminal, one line a category, with what was not asked and what can't be held against the model."""
    columns = ("questions", "too_long", "asked", "scored", "parsed", "right")
    head = f"{'category':<24}" + "".join(f"{name.replace('_', ' '):>10}" for name in columns) + f"{'score':>9}"
    lines = [head, "-" * len(head)]
    for name, score in scores.items():
        share = "none" if score.accuracy is None else f"{100 * score.accuracy:.1f} %"
        lines.append(f"{name:<24}" + "".join(f"{getattr(score, column):>10,}" for column in columns) + f"{share:>9}")
    return "\n".join([*lines, *notes(scores)])


def notes(scores: Mapping[str, CategoryScore]) -> list[str]:
    """What must be said beside the numbers, in plain sentences."""
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
    """BFCL's part of `metrics.json`: `record({"bfcl": figures(*ground_truth_scores())}, out, "05_benchmarking")`."""
    return {
        "ground_truth": {name: score.accuracy for name, score in truth.items()},
        "counts": {name: score.to_dict() for name, score in truth.items()},
        "refused": {row["id"]: CONTRADICTIONS.get(row["id"], row["error"]) for row in refused},
        "model": {name: score.to_dict() for name, score in (model or {}).items()},
        "notes": notes(model or {}),
    }


def _count(category: str, total: int, too_long: int, rows: Sequence[Mapping[str, Any]]) -> CategoryScore:
    lost = sum(row["answer"] is None for row in rows)
    return CategoryScore(
        category,
        total,
        too_long=too_long,
        not_drawn=total - too_long - len(rows),
        no_answer=lost,
        checker_failed=sum(row["valid"] is None for row in rows) - lost,
        parsed=sum(row["parsed"] for row in rows),
        right=sum(row["valid"] is True for row in rows),
    )
