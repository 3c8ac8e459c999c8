"""A whole run of SFT with trl, from settings to a saved checkpoint; the command is `xlam_lib/train/sft.py`."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from xlam_lib.codec import STYLES
from xlam_lib.models import adapters, card, checkpoint
from xlam_lib.models.precision import bfloat16
from xlam_lib.train.loop import mask_report, runner
from xlam_lib.train.loop.distributed import state
from xlam_lib.train.loop.sharding import check_launch
from xlam_lib.train.mixture import inputs
from xlam_lib.train.mixture.examples import Example, order, order_together
from xlam_lib.train.supervised.settings import SftSettings, check
from xlam_lib.train.supervised.trainer import SFTFoundationTrainer, prepared

logger = logging.getLogger(__name__)


def train(settings: SftSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    check(settings)
    check_launch(settings, gathers=True)
    out, settings = Path(settings.out), runner.resolved(settings)
    described = inputs.describe(settings, "data")
    if runner.finished(out, described, settings):
        logger.info("%s is there already, made with the same settings and data", out)
        return out
    tokenizer = checkpoint.load_tokenizer(settings.base)
    rows, info = _rows(settings, tokenizer)
    first_rows = ({"input_ids": row.input_ids, "labels": row.labels} for row in mask_report.sampled(rows))
    mask = mask_report.check(
        mask_report.of_rows(first_rows, tokenizer), settings.missing_eos_token, state().is_main_process
    )
    with runner.working(out, described, settings) as (work, last):
        model, draws = prepared(settings), _draws(settings, rows)
        samples = settings.samples or draws.rows(settings.epochs)
        if settings.seconds:
            samples = runner.planned(work, lambda: _affordable(settings, rows, model, samples))
        data = (_for_trl if torch.cuda.is_available() else _for_tries)(settings, rows, samples)
        trainer = SFTFoundationTrainer(settings, data, model=model, tokenizer=tokenizer, work=work)
        trainer.add_callback(runner.LogCallback(work, runner.report(settings.report, work, last)))
        seconds = runner.run(trainer, last)
        info |= {"samples": samples, "mixture": draws.table(samples)}
        info |= {"seconds": round(seconds, 1), "steps": trainer.state.global_step}
        weights = checkpoint.gathered(trainer.accelerator, trainer.model)
        if state().is_main_process:
            final = replace(settings, samples=samples, seconds=0.0) if settings.seconds else settings
            files = runner.files(work, "xlam_lib.train.sft", final, mixture=info["mixture"], mask=asdict(mask))
            origin = card.origin(settings.base, card.sources(settings.data))
            model = trainer.accelerator.unwrap_model(trainer.model)
            files |= adapters.base_file(model, settings) | card.files(origin, described, info)
            checkpoint.save(out, model, tokenizer, STYLES[settings.style], files, info, weights)
    return out


def _for_tries(settings: SftSettings, rows: list[Example], samples: int) -> Dataset:
    """The rows in the order in which they are drawn, those of a trajectory together, and of one list of tools."""
    groups, lengths = [row.trajectory_id for row in rows], [len(row.input_ids) for row in rows]
    passes, openings = _draws(settings, rows).passes(), [row.opening or row.trajectory_id for row in rows]
    sources = [row.source for row in rows]
    drawn = order_together(groups, lengths, settings.batch_size, samples, settings.seed, passes, openings, sources)
    columns = {
        "input_ids": [list(rows[i].input_ids) for i in drawn],
        "labels": [rows[i].labels for i in drawn],
        "group": [str(openings[i]) for i in drawn],
    }
    return Dataset.from_dict(columns)


def _for_trl(settings: SftSettings, rows: list[Example], samples: int) -> Dataset:
    """The same for a GPU: rows of similar length together, padded by trl."""
    lengths, passes = [len(row.input_ids) for row in rows], _draws(settings, rows).passes()
    drawn = order(lengths, settings.batch_size, samples, settings.seed, passes)
    columns = {"input_ids": [list(rows[i].input_ids) for i in drawn], "labels": [rows[i].labels for i in drawn]}
    return Dataset.from_dict(columns)


def _rows(settings: SftSettings, tokenizer: PreTrainedTokenizerBase) -> tuple[list[Example], dict[str, Any]]:
    """The rows of all sources, and what is reported of them."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    rows = [row for _, some in inputs.read(settings, tokenizer, counts) for row in some]
    tokens = sum(len(row.input_ids) for row in rows)
    trained = sum(len(row.input_ids) - row.prompt_length for row in rows)
    info = {
        "rows": len(rows),
        "tokens_a_row": round(tokens / len(rows), 1),
        **counts,
        "trained_share": round(trained / tokens, 4),
    }
    if state().is_main_process:
        logger.info(
            "%d rows of %.0f tokens, %.0f %% of them answers; left out: %s; augmented: %s",
            len(rows),
            tokens / len(rows),
            100 * trained / tokens,
            counts["left_out"] or "nothing",
            counts["augmented"] or "nothing",
        )
    return rows, info


def _draws(settings: SftSettings, rows: Sequence[Example]) -> inputs.Draws:
    names, groups = [row.source for row in rows], [row.trajectory_id for row in rows]
    return inputs.Draws(names, groups, settings.shares, settings.seed)


def _affordable(settings: SftSettings, rows: list[Example], model: PreTrainedModel, samples: int) -> int:
    """How many samples fit into the given seconds, by the time of a few middling batches; at most `samples`."""
    share = max(1, settings.batch_size // state().num_processes)
    middle = sorted(rows, key=lambda row: len(row.input_ids))[len(rows) // 2 :][:share]
    length = max(len(row.input_ids) for row in middle)
    ids = torch.tensor([list(row.input_ids) + [0] * (length - len(row.input_ids)) for row in middle])
    times = []
    for _ in range(4):
        started = time.perf_counter()
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=bfloat16(settings.precision)):
            loss = model(input_ids=ids, use_cache=False, logits_to_keep=64).logits.float().logsumexp(-1).mean()
        loss.backward()
        times.append(time.perf_counter() - started)
    model.zero_grad()
    slowest = max(gather_object([sorted(times)[1]]))  # of all processes; the first round warms up
    fits = int(settings.seconds / (1.1 * slowest)) * settings.batch_size
    return max(settings.batch_size, min(samples, fits))
