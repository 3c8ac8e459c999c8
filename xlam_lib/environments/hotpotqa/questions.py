"""HotpotQA's questions as the original's files have them, and the embedded ones (notebook 05).

Read are `hotpot_dev_distractor_v1.json` and the like, ReAct's simplified files, and BOLAA's three levels as JSON Lines:

    {"_id": "5a87...", "question": "The Oberoi family is part of a hotel company that has a head office in what city?",
     "answer": "Delhi", "type": "bridge", "level": "medium", "supporting_facts": [["Oberoi family", 0], ...],
     "context": [["Oberoi family", ["The Oberoi family is ...", ...]], ...]}

    questions = read_questions("hotpot_dev_distractor_v1.json")
    questions[0].task.instruction, questions[0].answer, questions[0].facts, questions[0].context
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.environments import task_name
from xlam_lib.data.sources.agents.hotpotqa import pairs
from xlam_lib.environments.hotpotqa.articles import (
    Article,
    Corpus,
    HotpotError,
    article_of,
    read_articles,
    whole_records,
)
from xlam_lib.schema import Task

LEVELS = ("easy", "medium", "hard")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Question:
    """One question: `Question("q1", "Who wrote the opera Nine Lanterns?", "Jorin Halloway")`."""

    id: str
    question: str
    answer: str
    level: str = ""  # easy, medium or hard
    type: str = ""  # bridge or comparison
    facts: tuple[tuple[str, int], ...] = ()  # (title, number of the sentence) of what leads to the answer
    context: tuple[Article, ...] = ()  # ten paragraphs, where the file has them
    split: str = ""  # of the embedded ones: train or test

    @cached_property
    def task(self) -> Task:
        """What an environment is given; the id is made from the text, the same for all files that have the question."""
        return Task(self.question, task_name("hotpotqa", self.question))


def read_questions(path: str | Path) -> list[Question]:
    """All questions of a file, in order; one without an answer (the hidden test set) is an error."""
    found = [
        _question(record.value, record.where, number) for number, record in enumerate(whole_records(path), start=1)
    ]
    if not found:
        raise HotpotError(f"{path}: no question in it; expected HotpotQA's JSON, or JSON Lines")
    return found


def _question(value: dict[str, Any], where: str, number: int) -> Question:
    texts = {key: value.get(key, "") for key in ("question", "answer", "level", "type", "split")}
    wrong = [key for key, text in texts.items() if not isinstance(text, str)]
    wrong += [key for key in ("question", "answer") if key not in wrong and not texts[key].strip()]
    if wrong:
        raise HotpotError(f"{where}: {wrong[0]!r} is {str(value.get(wrong[0]))[:60]!r}, expected a text")
    try:
        facts = pairs(value.get("supporting_facts"), "title", "sent_id")
        context = pairs(value.get("context"), "title", "sentences")
    except Drop as drop:
        raise HotpotError(f"{where}: {drop}") from drop
    if not all(type(sentence) is int for _, sentence in facts):
        raise HotpotError(f"{where}: supporting facts need numbers of sentences, found {str(facts)[:80]}")
    return Question(
        id=str(value.get("_id") or value.get("id") or number),
        question=texts.pop("question").strip(),
        context=tuple(article_of(title, sentences, where) for title, sentences in context),
        facts=tuple(facts),
        **texts,
    )


def corpus_of(questions: Sequence[Question]) -> Corpus:
    """The paragraphs of all questions as one encyclopedia: 240 articles for 24 questions, most of them distractors."""
    if without := [question for question in questions if not question.context]:
        raise HotpotError(
            f"{len(without)} of {len(questions)} questions bring no paragraphs (the first is {without[0].id!r}): name "
            'the articles to search, `Corpus(read_articles("..."))`, or use `Wikipedia`'
        )
    return Corpus(article for question in questions for article in question.context)


@cache
def embedded() -> tuple[tuple[Question, ...], Corpus]:
    """Our own questions and their articles, all made up: 24 to train with and 36 to test, a third of each level."""
    return tuple(read_questions(FOLDER / "questions.jsonl")), Corpus(read_articles(FOLDER / "articles.jsonl"))
