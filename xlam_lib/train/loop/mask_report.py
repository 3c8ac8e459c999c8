"""The mask report: what of the rows is trained, whether it ends with the end token, whether there is anything at all.

Every training computes it over a sample of its rows before the first step, logs it and keeps it in `run.json`; rows
that would train nothing, or never the end token, stop the run. In a notebook, for rows or for any chat template that
marks what the assistant says with `{% generation %}`:

    print(of_rows(rows, tokenizer))
    print(of_template(tokenizer, [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]]))
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from xlam_lib.errors import TrainingError
from xlam_lib.models.templates import Conversation, Rendering, TemplateFailed, rendered, template_of
from xlam_lib.models.tokens import IGNORED

logger = logging.getLogger(__name__)

ROWS = 512  # how many rows a training looks at
SHOWN = 300  # characters of the example
GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")  # what transformers looks for, too


@dataclass(frozen=True)
class MaskReport:
    """Counts over rows; `str(report)` gives them in three lines.

    `answers` are unbroken stretches of trained tokens, `ended` those whose last one is the end token (white space
    behind it doesn't matter), `marks` the template's own tokens that are trained, `shifted` the labels that aren't the
    token in their own place. `example` is the first row with an answer, cut short, what is trained in ⟦ ⟧.
    """

    rows: int
    tokens: int
    trained: int
    empty: int  # rows that train nothing
    answers: int
    ended: int
    end: str
    marks: dict[str, int]
    shifted: int
    example: str

    @property
    def share(self) -> float:
        """Which part of the tokens is trained: 0.18."""
        return self.trained / max(1, self.tokens)

    def problems(self) -> list[str]:
        """What is odd, but need not be wrong, one sentence each."""
        marks = ", ".join(f"{mark!r} {count} times" for mark, count in self.marks.items())
        found = {
            f"{self.empty} of {self.rows} rows train nothing": self.empty,
            f"{self.answers - self.ended} of {self.answers} answers don't end with {self.end!r}: a model that learns "
            "them doesn't stop": self.answers - self.ended,
            f"the template's own tokens are trained: {marks}": self.marks,
            f"{self.shifted} labels are not the token in their own place; labels are not to be shifted": self.shifted,
        }
        return [message for message, wrong in found.items() if wrong]

    def __str__(self) -> str:
        own = "some" if self.marks else "none"
        return (
            f"mask report of {self.rows} rows: {100 * self.share:.1f} % of {self.tokens} tokens are trained, "
            f"{self.empty} rows train nothing\n"
            f"{self.ended} of {self.answers} answers end with {self.end!r}; {own} of the template's own tokens is "
            "trained\n"
            f"for example {self.example!r}"
        )


def of_rows(rows: Iterable[Mapping[str, Any]], tokenizer: Any, ends: Collection[int] = ()) -> MaskReport:
    """The report of rows {"input_ids", "labels"}, with "weights" where labels don't count alike.

    `ends` are the tokens at which an answer stops, by default the tokenizer's end token.
    """
    ends = set(ends) or {tokenizer.eos_token_id}
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special} - ends
    counts: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    example = ""
    for row in rows:
        ids, labels = list(row["input_ids"]), list(row["labels"])
        trained = _trained(row)
        spans = [[labels[at] for at in same] for on, same in groupby(range(len(ids)), trained.__getitem__) if on]
        counts["rows"] += 1
        counts["tokens"] += len(ids)
        counts["trained"] += sum(trained)
        counts["empty"] += not spans
        counts["answers"] += len(spans)
        counts["ended"] += sum(_ends(span, tokenizer, ends) for span in spans)
        counts["shifted"] += sum(on and label != token for on, label, token in zip(trained, labels, ids, strict=True))
        marks.update(tokenizer.decode([label]) for span in spans for label in span if label in special)
        if spans and not example:
            example = _example(ids, trained, tokenizer)
    names = ("rows", "tokens", "trained", "empty", "answers", "ended", "shifted")
    end = " or ".join(tokenizer.decode([number]) for number in sorted(ends))
    return MaskReport(**{name: counts[name] for name in names}, end=end, marks=dict(marks), example=example)


def of_template(
    tokenizer: Any, conversations: Iterable[Conversation], chat_template: str = "", **variables: Any
) -> MaskReport:
    """The report of conversations as the tokenizer's chat template, or another, writes and marks them.

    `variables` are given to the template, e.g. `tools=[...]`.
    """
    template = chat_template or template_of(tokenizer)
    if not template:
        raise TrainingError(
            "the tokenizer has no chat template: set tokenizer.chat_template (xlam_lib.chat_template makes one), or "
            "pass chat_template=..."
        )
    if not GENERATION.search(template):
        raise TrainingError(
            "the chat template doesn't mark what the assistant says, so nothing would be trained: put {% generation %} "
            "before and {% endgeneration %} behind each answer and its end token, or train rows with labels of their "
            "own (xlam_lib.train.mixture.examples)"
        )
    try:
        made = rendered(template, list(conversations), tokenizer, **variables)
    except TemplateFailed as error:
        raise TrainingError(f"the chat template can't write conversation {error.number}: {error}") from error
    return of_rows((_marked_row(one, tokenizer) for one in made), tokenizer)


def _marked_row(one: Rendering, tokenizer: Any) -> dict[str, list[int]]:
    """The tokens of a text, those between marks as labels."""
    found = tokenizer(one.text, add_special_tokens=False)
    ids = found["input_ids"]
    labels = [IGNORED] * len(ids)
    for start, end in one.marked:
        first, last = (found.char_to_token(at) for at in (start, end - 1))
        if first is not None and start < end:
            stop = len(ids) if last is None else last + 1
            labels[first:stop] = ids[first:stop]
    return {"input_ids": ids, "labels": labels}


def ends_of(tokenizer: Any, model: Any) -> set[int]:
    """The tokens at which a model stops: the tokenizer's end token and those of its generation settings."""
    more = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return {tokenizer.eos_token_id, *(more if isinstance(more, list) else [more])} - {None}


def sampled(rows: Sequence[Any], most: int = ROWS) -> list[Any]:
    """At most so many rows, evenly spread: `sampled(range(10), 4)` -> [0, 2, 5, 7]."""
    count = min(most, len(rows))
    return [rows[number * len(rows) // count] for number in range(count)]


def check(report: MaskReport, missing_eos_token: Literal["error", "warn"] = "error", log: bool = True) -> MaskReport:
    """Log the report (if `log`) and what is odd; a TrainingError if nothing, or no end token, would be trained."""
    if log:
        logger.info("%s", report)
        for problem in report.problems():
            logger.warning("%s", problem)
    if not report.trained:
        raise TrainingError(
            f"none of {report.rows} rows has a label, nothing would be trained; look at how their labels are made "
            "(mask_report.of_rows shows them)"
        )
    if not report.ended and missing_eos_token == "error":
        raise TrainingError(
            f"none of {report.answers} answers ends with the end token {report.end!r}, a model that learns them would "
            f"never stop; for example {report.example!r}. Put it at the end of each answer, or set "
            "missing_eos_token to warn"
        )
    return report


def _trained(row: Mapping[str, Any]) -> list[bool]:
    """Which tokens are trained; the first one is predicted from nothing."""
    weights = row.get("weights") or [1.0] * len(row["labels"])
    found = [label != IGNORED and weight > 0 for label, weight in zip(row["labels"], weights, strict=True)]
    return [False, *found[1:]]


def _ends(span: list[int], tokenizer: Any, ends: Collection[int]) -> bool:
    """Whether the end token is the last one of a stretch but for white space."""
    for token in reversed(span):
        if token in ends:
            return True
        if tokenizer.decode([token]).strip():
            return False
    return False


def _example(ids: list[int], trained: list[bool], tokenizer: Any) -> str:
    """The row's end as text, what is trained in brackets."""
    text = ""
    for on, same in groupby(range(len(ids)), trained.__getitem__):
        part = tokenizer.decode([ids[at] for at in same])
        text += f"⟦{part}⟧" if on else part
    first = max(0, text.index("⟦") - SHOWN // 3)
    shown = text[first : first + SHOWN]
    return ("…" if first else "") + shown + ("…" if first + SHOWN < len(text) else "")
