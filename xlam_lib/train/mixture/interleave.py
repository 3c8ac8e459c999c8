"""The streaming loader in the call shape of the xLAM page: data objects in, a train and an eval mixture out.

    seed = init_device_seed(seed=42)
    train_dataset, eval_dataset = interleave_data(
        data_objects=[webshop, toolbench], sample_probs=[0.7, 0.3],
        return_type="prompt_answer", seq_length=4096, seed=seed)

A data object (such as `TrajectoryData`) has `create_datasets(return_type="basic", seed=...)`, which returns a train and
an eval data set, and may have `name`, `tokenizer` and `prepare_sample_text(sample)`. A plain data set (list, path,
stream, `datasets.Dataset`) will do, too: it has no eval part. Used by notebooks 01 and 02.

Token rows are {"input_ids", "attention_mask", "labels"}. Prompt and answer are tokenised apart and only the answer is
trained, as in `examples.py`. What is longer than the limit is left out and counted, never cut: a sequence is measured
once when it is opened, so that the number of its rows is known; a stream as it is read. Rows are made when they are
drawn, so a large source takes no memory.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from xlam_lib.errors import MixtureError
from xlam_lib.models.tokens import IGNORED, encode
from xlam_lib.seeds import device_seed
from xlam_lib.train.mixture.examples import Example
from xlam_lib.train.mixture.mixture import Mixture, Shares
from xlam_lib.train.mixture.readers import IterableSource, MapSource, Source, open_source

logger = logging.getLogger(__name__)

ANSWERS = ("chosen", "completion", "answer")  # what the answer is called, beside "prompt"
Row = dict[str, list[int]]


def interleave_data(
    data_objects: Sequence[Any] | Mapping[str, Any],
    sample_probs: Shares | None = None,
    seed: int | None = None,
    return_type: Literal["basic", "prompt_answer"] = "prompt_answer",
    *,
    seq_length: int | None = None,
    tokenizer: Any = None,
    temperature: float | None = None,
    stop: str | int = "all",
) -> tuple[Mixture, Mixture | None]:
    """(train, eval) of several sources for this device; eval is None where no source has one. See the module's text.

    "basic" gives the samples as they are, "prompt_answer" token rows of at most `seq_length`. `temperature` and `stop`
    are Mixture's. Eval is never weighted: each of its samples comes exactly once.
    """
    if return_type not in ("basic", "prompt_answer"):
        raise MixtureError(f"return_type is {return_type!r}: expected 'basic' or 'prompt_answer'")
    own_seed = device_seed(seed)
    train: dict[str, Source] = {}
    evaluation: dict[str, Source] = {}
    left_out: dict[str, int] = {}
    augmented: dict[str, dict[str, int]] = {}
    for name, data in named_objects(data_objects).items():
        pair = (data, None)
        if hasattr(data, "create_datasets"):
            # not this device's seed: what a data object shuffles must come out the same on all devices
            pair = data.create_datasets(return_type="basic", seed=own_seed.base)
            augmented |= {name: dict(counts)} if (counts := getattr(data, "augmented", None)) else {}
        for sources, one in ((train, pair[0]), (evaluation, pair[1])):
            if one is None:
                continue
            source, too_long = open_source(name, one), 0
            if source.size == 0 and sources is evaluation:
                continue
            if return_type == "prompt_answer":
                prepare = getattr(data, "prepare_sample_text", None)
                make = RowMaker(name, getattr(data, "tokenizer", None) or tokenizer, prepare)
                source, too_long = as_rows(source, make, seq_length)
            sources[name] = source
            left_out |= {name: too_long} if sources is train and too_long else {}
    mixture = Mixture(train, sample_probs, seed=own_seed, temperature=temperature, stop=stop)
    mixture.left_out, mixture.augmented = left_out, augmented
    if left_out and own_seed.rank == 0:
        logger.info("left out, longer than %s tokens: %s", seq_length, left_out)
    if augmented and own_seed.rank == 0:
        logger.info("augmented: %s", augmented)
    return mixture, Mixture(evaluation, seed=own_seed) if evaluation else None


def named_objects(data_objects: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    """Each data object under a name of its own: `named_objects([[1], [2]])` -> {"source_0": [1], "source_1": [2]}."""
    if isinstance(data_objects, Mapping):
        return dict(data_objects)
    if isinstance(data_objects, str):
        raise MixtureError(f"data_objects is the text {data_objects!r}: expected a list of data objects")
    named: dict[str, Any] = {}
    for number, data in enumerate(data_objects):
        name = getattr(data, "name", None)
        name = name if isinstance(name, str) and name else f"source_{number}"
        if name in named:
            raise MixtureError(f"two data objects are called {name!r}: give them as {{name: data object}}")
        named[name] = data
    return named


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
