"""Samples of a source as token rows, `{"input_ids", "attention_mask", "labels"}`, for `interleave_data`.

Prompt and answer are tokenised apart and only the answer is trained, as in `examples.py`. What is longer than the limit
is left out and counted, never cut: a sequence is measured once when it is opened, so that the number of its rows is
known; a stream as it is read. Rows are made when they are drawn, so a large source takes no memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from xlam_lib.errors import MixtureError
from xlam_lib.models.tokens import IGNORED, encode
from xlam_lib.train.mixture.examples import Example
from xlam_lib.train.mixture.readers import IterableSource, MapSource, Source

ANSWERS = ("chosen", "completion", "answer")  # what the answer is called, beside "prompt"
Row = dict[str, list[int]]


class RowMaker:
    """Makes the rows of one source: `RowMaker("webshop", tokenizer)({"prompt": "Hi", "chosen": "Hello"})`.

    `prepare` gives a sample's whole text, as the seeds' `prepare_sample_text` does; the answer must stand in it.
    """

    def __init__(self, name: str, tokenizer: Any, prepare: Callable[[Any], str] | None = None) -> None:
        self.name, self.tokenizer, self.prepare = name, tokenizer, prepare

    def __call__(self, sample: Any) -> Row:
        """The row of a sample; token rows and Examples pass as they are."""
        if isinstance(sample, Example):
            return _row(list(sample.input_ids), sample.labels)
        if isinstance(sample, Mapping) and "input_ids" in sample:
            return _row(list(sample["input_ids"]), list(sample.get("labels", sample["input_ids"])))
        prompt, answer = self._texts(sample)
        first, second = encode(self._tokenizer(), [prompt, answer])
        if not second:
            raise MixtureError(
                f"source {self.name!r}: a sample has an empty answer, nothing to train: {str(sample)[:200]}"
            )
        return _row([*first, *second], [IGNORED] * len(first) + list(second))

    def _texts(self, sample: Any) -> tuple[str, str]:
        if isinstance(sample, Mapping) and "prompt" in sample:
            for key in ANSWERS:
                if isinstance(sample.get(key), str) and isinstance(sample["prompt"], str):
                    return self._split(sample, sample[key])
        found = sorted(sample) if isinstance(sample, Mapping) else type(sample).__name__
        raise MixtureError(
            f"source {self.name!r}: a sample is {found}; expected texts 'prompt' and one of {', '.join(ANSWERS)}, "
            "or 'input_ids'"
        )

    def _split(self, sample: Any, answer: str) -> tuple[str, str]:
        if self.prepare is None:
            return sample["prompt"], answer + (self._tokenizer().eos_token or "")
        text = self.prepare(sample)
        start = text.rfind(answer) if answer else -1
        if start < 0:
            raise MixtureError(
                f"source {self.name!r}: the answer {answer[:60]!r} is not in the text that prepare_sample_text made; "
                "nothing would be trained"
            )
        return text[:start], text[start:]

    def _tokenizer(self) -> Any:
        if self.tokenizer is None:
            raise MixtureError(f"source {self.name!r} gives texts: pass tokenizer=..., or a data object that has one")
        return self.tokenizer


class Rows:
    """The rows of a sequence that aren't too long: `Rows(samples, maker, 4096).left_out` -> 3."""

    def __init__(self, data: Any, make: RowMaker, seq_length: int | None) -> None:
        self.data, self.make = data, make
        fits = (seq_length is None or len(make(data[i])["input_ids"]) <= seq_length for i in range(len(data)))
        self.indices = array("Q", (i for i, fit in enumerate(fits) if fit))
        self.left_out = len(data) - len(self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Row:
        return self.make(self.data[self.indices[index]])


def as_rows(source: Source, make: RowMaker, seq_length: int | None) -> tuple[Source, int]:
    """A source of samples as a source of rows, and how many were left out (0 for a stream, which isn't read yet)."""
    if isinstance(source, IterableSource):
        return IterableSource(source.name, partial(_stream, source.begin, make, seq_length)), 0
    rows = Rows(source.data, make, seq_length)
    if source.size and not len(rows):
        raise MixtureError(f"source {source.name!r}: all {source.size} samples are longer than {seq_length} tokens")
    return MapSource(source.name, rows), rows.left_out


def _stream(begin: Callable[[], Iterable[Any]], make: RowMaker, seq_length: int | None) -> Iterator[Row]:
    for sample in begin():
        row = make(sample)
        if seq_length is None or len(row["input_ids"]) <= seq_length:
            yield row


def _row(input_ids: list[int], labels: list[int]) -> Row:
    return {"input_ids": input_ids, "attention_mask": [1] * len(input_ids), "labels": labels}
