"""Supervised fine-tuning on the answers of trajectories, with trl's SFTTrainer (notebook 02; also a shell command):

    python -m xlam_lib.train.sft --base experiments/01_tiny_base/model --data train.jsonl --out runs/sft

The number of samples is fixed, never the time, so the same seed gives the same weights. On a CPU the rows of a
trajectory stand together and are read as a trie (`trie_model.py`), on a GPU trl pads rows of similar length. The
learning rate warms up, stays, and falls linearly over the last half. With `--seconds` the run first
measures its speed and plans fewer samples if need be: that is logged, and the schedule spans what was planned.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from xlam_lib.codec import STYLES
from xlam_lib.train import checkpoint, loop, mask_report
from xlam_lib.train.attention import use_causal_blocks
from xlam_lib.train.config import from_command_line, option
from xlam_lib.train.examples import Example, examples, order, order_together
from xlam_lib.train.processes import TrainingError, bfloat16, command, state
from xlam_lib.train.reporting import Kind
from xlam_lib.train.trie_model import collate_rows, read_tries
from xlam_lib.trajectory import read_jsonl

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SftSettings:
    """All options of a run; the command line is made of them."""

    base: str = option(..., "folder of the checkpoint to start from")
    data: str = option(..., "trajectories as JSON Lines")
    out: str = option(..., "folder to make; appears when all is done")
    style: Literal["brief", "seed"] = option("brief", "how prompts are written")
    epochs: float = option(1.0, "passes over the data")
    samples: int = option(0, "rows to draw in all, instead of --epochs")
    seconds: float = option(0.0, "plan no more samples than fit into this time (0: no limit)")
    lr: float = option(5e-4, "peak learning rate")
    batch_size: int = option(8, "rows a step, over all processes")
    max_length: int = option(1024, "rows of more tokens are left out, and counted")
    seed: int = option(0, "seed of the order and of random weights")
    from_scratch: bool = option(False, "random weights instead of the base's")
    precision: Literal["auto", "float32", "bfloat16"] = option("auto", "bfloat16 autocast where there are instructions")
    processes: int = option(0, "processes on this machine (0: two where there are two cores, one beside a GPU)")
    log_every: int = option(10, "steps between two lines of the log")
    save_every: int = option(200, "steps between two checkpoints to resume from")
    report: Kind = option("none", "where the log's figures go beside log.jsonl; wandb takes its key from WANDB_API_KEY")
    end_token: Literal["error", "warn"] = option("error", "where no answer trains it: stop, or go on with a warning")


class AnswerTrainer(loop.FiniteLoss, SFTTrainer):
    """trl's trainer. On a CPU, rows of a trajectory are read as a trie, and positions that hold answers are scored."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if "trie_tokens" not in inputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        tokens = inputs.pop("row_tokens").sum()
        found = model(**inputs)
        total, trained = -found.log_probs.sum(), found.label_mask.sum()
        counted = torch.stack([found.is_top1.sum(), trained, tokens])
        hits, seen, tokens = self.accelerator.reduce(counted).tolist()
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics["mean_token_accuracy"].append(hits / max(1, seen))
        self._total_train_tokens += tokens
        metrics["num_tokens"] = [self._total_train_tokens]
        if num_items_in_batch is None:
            return total / trained
        # the count is over all processes, whose gradients are averaged afterwards
        return total / num_items_in_batch * self.accelerator.num_processes


def train(settings: SftSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    out, settings = Path(settings.out), loop.resolved(settings)
    described = loop.describe(settings, base=settings.base, data=settings.data)
    if loop.finished(out, described):
        logger.info("%s is there already, made with the same settings and data", out)
        return out
    tokenizer = checkpoint.load_tokenizer(settings.base)
    rows, info = _rows(settings, tokenizer)
    checkpoint.check_context(settings.base, max(len(row.input_ids) for row in rows), settings.data)
    shown = ({"input_ids": row.input_ids, "labels": row.labels} for row in mask_report.sampled(rows))
    mask = mask_report.check(mask_report.of_rows(shown, tokenizer), settings.end_token, state().is_main_process)
    work, last = loop.prepare(out, described)
    build = checkpoint.fresh_model if settings.from_scratch else checkpoint.load_model
    model = build(settings.base, settings.seed) if settings.from_scratch else build(settings.base)
    if not torch.cuda.is_available():
        use_causal_blocks(model)
        read_tries(model)
    samples = settings.samples or round(settings.epochs * len(rows))
    if settings.seconds:
        samples = loop.planned(work, lambda: _affordable(settings, rows, model, samples))
    data, more = (_for_trl if torch.cuda.is_available() else _for_tries)(settings, rows, samples)
    trainer = AnswerTrainer(
        model=model,
        args=arguments(settings, work, samples),
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=[loop.Diary(work, loop.report(settings.report, work, last))],
        **more,
    )
    seconds = loop.run(trainer, last)
    info |= {"samples": samples, "seconds": round(seconds, 1), "steps": trainer.state.global_step}
    if state().is_main_process:
        held = replace(settings, samples=samples, seconds=0.0) if settings.seconds else settings
        source = {"source": Path(settings.data).stem, "samples": len(rows), "draws": samples}
        files = loop.files(work, "xlam_lib.train.sft", held, mixture=[source], mask=asdict(mask))
        model = trainer.accelerator.unwrap_model(trainer.model)
        checkpoint.save(out, model, tokenizer, STYLES[settings.style], files, info)
        shutil.rmtree(work)
    state().wait_for_everyone()
    return out


def _for_tries(settings: SftSettings, rows: list[Example], samples: int) -> tuple[Dataset, dict[str, Any]]:
    """The rows in the order in which they are drawn, those of a trajectory together, and what the trainer needs."""
    lengths = [len(row.input_ids) for row in rows]
    drawn = order_together([row.trajectory_id for row in rows], lengths, settings.batch_size, samples, settings.seed)
    columns = {
        "input_ids": [list(rows[i].input_ids) for i in drawn],
        "labels": [rows[i].labels for i in drawn],
        "group": [rows[i].trajectory_id for i in drawn],
    }
    return Dataset.from_dict(columns), {"data_collator": collate_rows}


def _for_trl(settings: SftSettings, rows: list[Example], samples: int) -> tuple[Dataset, dict[str, Any]]:
    """The same for a GPU: rows of similar length together, padded by trl."""
    drawn = order([len(row.input_ids) for row in rows], settings.batch_size, samples, settings.seed)
    columns = {"input_ids": [list(rows[i].input_ids) for i in drawn], "labels": [rows[i].labels for i in drawn]}
    return Dataset.from_dict(columns), {}


def arguments(settings: SftSettings, work: Path, samples: int) -> SFTConfig:
    """trl's arguments: AdamW, warm-up, plateau and linear decay; nothing reported anywhere but our own log."""
    steps = math.ceil(samples / settings.batch_size)
    world = state().num_processes
    return SFTConfig(
        output_dir=str(work), per_device_train_batch_size=max(1, settings.batch_size // world), num_train_epochs=1,
        learning_rate=settings.lr, lr_scheduler_type="warmup_stable_decay", warmup_steps=min(50, steps // 10),
        lr_scheduler_kwargs={"num_decay_steps": steps // 2, "decay_type": "linear"},
        optim="adamw_torch_fused", weight_decay=0.01, adam_beta2=0.99, max_grad_norm=1.0,
        train_sampling_strategy="sequential", max_length=settings.max_length,
        dataset_kwargs={"skip_prepare_dataset": True}, remove_unused_columns=False, bf16=bfloat16(settings.precision),
        gradient_checkpointing=False, use_cpu=not torch.cuda.is_available(), seed=settings.seed,
        data_seed=settings.seed, logging_steps=min(settings.log_every, steps), logging_nan_inf_filter=False,
        save_steps=settings.save_every, save_total_limit=2, report_to="none", disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(), ddp_find_unused_parameters=False,
    )  # fmt: skip


def _rows(settings: SftSettings, tokenizer: PreTrainedTokenizerBase) -> tuple[list[Example], dict[str, Any]]:
    style, wrapper = STYLES[settings.style], checkpoint.wrapper(tokenizer)
    rows, left_out = examples(read_jsonl(settings.data), tokenizer, style, settings.max_length, wrapper)
    if not rows:
        raise TrainingError(f"{settings.data}: nothing to train on; left out: {dict(left_out)}")
    tokens = sum(len(row.input_ids) for row in rows)
    trained = sum(len(row.input_ids) - row.prompt_length for row in rows)
    info = {
        "rows": len(rows),
        "tokens_a_row": round(tokens / len(rows), 1),
        "left_out": dict(left_out),
        "trained_share": round(trained / tokens, 4),
    }
    if state().is_main_process:
        logger.info(
            "%d rows of %.0f tokens, %.0f %% of them answers; left out: %s",
            len(rows),
            tokens / len(rows),
            100 * trained / tokens,
            dict(left_out) or "nothing",
        )
    return rows, info


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


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--base", "base", "--data", "train.jsonl", "--out", "runs/sft"])` -> 0."""
    argv = sys.argv[1:] if argv is None else list(argv)
    settings = from_command_line(SftSettings, argv, "xlam_lib.train.sft", "Supervised fine-tuning on answers.")
    return command(train, settings, "xlam_lib.train.sft", argv)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
