"""The streaming loader in the call shape of the xLAM page: data objects in, a train and an eval mixture out.

    seed = init_device_seed(seed=42)
    train_dataset, eval_dataset = interleave_data(
        data_objects=[webshop, toolbench], sample_probs=[0.7, 0.3],
        return_type="prompt_answer", seq_length=4096, seed=seed)

A data object (such as `TrajectoryData`) has `create_datasets(return_type="basic", seed=...)`, which returns a train and
an eval data set, and may have `name`, `tokenizer` and `prepare_sample_text(sample)`. A plain data set (list, path,
stream, `datasets.Dataset`) will do, too: it has no eval part. Used by notebooks 01 and 02.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from xlam_lib.errors import MixtureError
from xlam_lib.seeds import device_seed
from xlam_lib.train.mixture.mixture import Mixture, Shares
from xlam_lib.train.mixture.readers import Source, open_source
from xlam_lib.train.mixture.rows import RowMaker, as_rows

logger = logging.getLogger(__name__)


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
