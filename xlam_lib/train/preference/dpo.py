"""A whole run of DPO, from settings to a saved checkpoint; the command is `xlam_lib/train/dpo.py`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import disable_progress_bars
from transformers import PreTrainedTokenizerBase

from xlam_lib.chat_template import model_prompt
from xlam_lib.errors import TrainingError
from xlam_lib.files import to_json
from xlam_lib.models import adapters, card, checkpoint
from xlam_lib.models.tokens import IGNORED, encode
from xlam_lib.train.loop import mask_report, runner
from xlam_lib.train.loop.distributed import state
from xlam_lib.train.loop.sharding import check_launch
from xlam_lib.train.mixture import inputs
from xlam_lib.train.mixture.examples import order_together
from xlam_lib.train.preference.pairs import Pair, counts, held_out_elsewhere, read_pairs
from xlam_lib.train.preference.settings import DpoSettings, check
from xlam_lib.train.preference.trainer import DPOFoundationTrainer

logger = logging.getLogger(__name__)

HELD_OUT = "held_out.json"


def train(settings: DpoSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    check(settings)
    check_launch(settings)
    out, settings = Path(settings.out), runner.resolved(settings)
    described = inputs.describe(settings, "pairs")
    if runner.finished(out, described, settings):
        logger.info("%s is there already, made with the same settings and pairs", out)
        return out
    disable_progress_bars()
    tokenizer = checkpoint.load_tokenizer(settings.base)
    pairs, info = _pairs(settings, tokenizer)
    with runner.working(out, described, settings) as (work, last):
        trainer = DPOFoundationTrainer(settings, pairs["train"], pairs["held_out"], tokenizer=tokenizer, work=work)
        trainer.add_callback(runner.LogCallback(work, runner.report(settings.report, work, last)))
        mask = _mask(settings, trainer)
        seconds = runner.run(trainer, last)
        info |= {
            "pairs": len(pairs["train"]),
            "held_out": len(pairs["held_out"]),
            "seconds": round(seconds, 1),
            "steps": trainer.state.global_step,
        }
        preferences = measure(trainer, pairs["held_out"], settings.beta)
        if state().is_main_process:
            files = runner.files(work, "xlam_lib.train.dpo", settings, mixture=info["mixture"], mask=asdict(mask))
            model = trainer.accelerator.unwrap_model(trainer.model)
            files |= {HELD_OUT: to_json(preferences) + "\n", **adapters.base_file(model, settings)}
            files |= card.files(card.origin(settings.base), described, info, preferences)
            checkpoint.save(out, model, tokenizer, None, files, info)
            logger.info("held-out pairs: %s", preferences["all"])
    return out


def _mask(settings: DpoSettings, trainer: DPOFoundationTrainer) -> mask_report.MaskReport:
    """The mask report of both answers of a sample of the pairs, as trl has tokenised them; see `mask_report.check`."""
    rows = [
        {"input_ids": row["prompt_ids"] + row[side], "labels": [IGNORED] * len(row["prompt_ids"]) + row[side]}
        for row in mask_report.sampled(trainer.train_dataset, mask_report.ROWS // 2)
        for side in ("chosen_ids", "rejected_ids")
    ]
    report = mask_report.of_rows(rows, trainer.processing_class)
    return mask_report.check(report, settings.missing_eos_token, state().is_main_process)


def measure(trainer: DPOFoundationTrainer, pairs: Sequence[Pair], beta: float) -> dict[str, dict[str, float]]:
    """Preferences on held-out pairs after training: {"all": {"n": 120, "accuracy": 0.95, ...}, "own/no_call": ...}.

    `accuracy` and `margin` go by DPO's reward; `likelier_before` and `likelier` by the answers' log-probabilities.
    """
    chosen, rejected = [], []
    trainer.model.eval()
    for batch in trainer.get_eval_dataloader():
        found = trainer.accelerator.gather_for_metrics(trainer.log_probs(batch))
        chosen += found[0].tolist()
        rejected += found[1].tolist()
    columns = trainer.eval_dataset
    rows = [
        (f"{pair.origin}/{pair.failure}", before_c - before_r, c - r)
        for pair, c, r, before_c, before_r in zip(
            pairs, chosen, rejected, columns["ref_chosen_logps"], columns["ref_rejected_logps"], strict=True
        )
    ]
    groups = {"all": rows} | {name: [row for row in rows if row[0] == name] for name in counts(pairs)}
    return {name: _preference(group, beta) for name, group in groups.items()}


def _preference(rows: list[tuple[str, float, float]], beta: float) -> dict[str, float]:
    n, rewards = len(rows), [beta * (after - before) for _, before, after in rows]
    return {
        "n": n,
        "accuracy": sum(reward > 0 for reward in rewards) / n,
        "margin": sum(rewards) / n,
        "likelier_before": sum(before > 0 for _, before, _ in rows) / n,
        "likelier": sum(after > 0 for _, _, after in rows) / n,
    }


def _pairs(settings: DpoSettings, tokenizer: PreTrainedTokenizerBase) -> tuple[dict[str, list[Pair]], dict[str, Any]]:
    """The pairs of both splits that fit, training pairs in the order in which they are drawn."""
    pairs, names = _read(settings)
    wrapper = checkpoint.wrapper(tokenizer)
    texts = [model_prompt(pair.prompt, *wrapper) + max(pair.chosen, pair.rejected, key=len) for pair in pairs]
    lengths = [len(ids) + 2 for ids in encode(tokenizer, texts)]  # the end token, and one for a cut elsewhere
    fitting = [index for index, length in enumerate(lengths) if length <= settings.max_length]
    seen = held_out_elsewhere(pairs, names)
    training = [i for i in fitting if pairs[i].split == "train" and i not in seen]
    held_out = [i for i in fitting if pairs[i].split == "held_out"]
    files = inputs.named(settings.pairs)
    for name, path in files.items():
        if not any(names[i] == name for i in training):
            raise TrainingError(f"{path}: no train pairs of at most {settings.max_length} tokens")
    if not held_out:
        raise TrainingError(f"{', '.join(files.values())}: no held_out pairs of at most {settings.max_length} tokens")
    checkpoint.check_context(settings.base, max(lengths[i] for i in fitting), ", ".join(files.values()))
    prompts = [pairs[i].prompt for i in training]  # pairs of a prompt together, to be read as one trie
    draws = inputs.Draws([names[i] for i in training], prompts, settings.shares, settings.seed)
    samples = settings.samples or draws.rows(settings.epochs)
    sizes = [lengths[i] for i in training]
    drawn = order_together(prompts, sizes, settings.batch_size, samples, settings.seed, draws.passes())
    held_out.sort(key=lambda i: (lengths[i], pairs[i].prompt))
    chosen = {"train": [pairs[training[at]] for at in drawn], "held_out": [pairs[i] for i in held_out]}
    info = {"left_out": len(pairs) - len(fitting), "mixture": draws.table(samples)}
    info |= {"origins": dict(counts(chosen["train"]))} | ({"held_out_elsewhere": len(seen)} if seen else {})
    if state().is_main_process:
        logger.info(
            "%d pairs to train on, %d held out, %d left out as too long, %d as held out in another file; %s",
            len(chosen["train"]),
            len(chosen["held_out"]),
            info["left_out"],
            len(seen),
            info["origins"],
        )
    return chosen, info


def _read(settings: DpoSettings) -> tuple[list[Pair], list[str]]:
    """The pairs of all files, and the source of each."""
    found = [(pair, name) for name, path in inputs.named(settings.pairs).items() for pair in read_pairs(path)]
    return [pair for pair, _ in found], [name for _, name in found]
