"""SFTFoundationTrainer, the v1 trainer: trl's SFTTrainer with adapters (LoRA, QLoRA) and tries (notebook 02).

    trainer = SFTFoundationTrainer(args=args, train_dataset=train, eval_dataset=evaluation, collator=collator)
    trainer.train()

The call shape of the xLAM page; `sft.py` makes a command of it. The other trainer, SFTFoundationTrainerLite
(`lite_trainer.py`), is a loop of our own for all weights. On a CPU, rows are read as tries (`trie_model.py`) unless a
collator is given. The learning rate warms up, stays, and falls linearly over the share of the steps that `decay` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, TrainerCallback
from trl import SFTConfig, SFTTrainer

from xlam_lib.errors import TrainingError
from xlam_lib.models import checkpoint, load, lora, lora_settings, router
from xlam_lib.models.bases import base
from xlam_lib.models.precision import bfloat16
from xlam_lib.seeds import DeviceSeed
from xlam_lib.train.loop import runner
from xlam_lib.train.loop.distributed import state
from xlam_lib.train.loop.sharding import check_launch
from xlam_lib.train.mixture.mixture import Mixture
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.trie_model import collate_rows, read_tries


class SFTFoundationTrainer(runner.GuardedTrainer, SFTTrainer):
    """trl's trainer on token rows: `SFTFoundationTrainer(args, mixture).train()`.

    `args` has the fields of SftSettings. `train_dataset` is a Mixture (of one device or of all, as `interleave_data`
    makes them), of which `args.epochs` passes are drawn; or a `datasets.Dataset` of rows {"input_ids", "labels"} in the
    order in which they are to be trained, once. A sample may be a list of rows that begin alike. `collator` makes
    padded batches; without one, rows of the same "group" that are neighbours are read as a trie. Evaluation samples are
    measured whenever a checkpoint is saved, and at the end. Checkpoints go to `work`, by default `<args.out>.partial`.
    """

    def __init__(
        self, args: Any, train_dataset: Any, eval_dataset: Any = None, collator: Callable[..., Any] | None = None,
        *, model: Any = None, tokenizer: Any = None, work: Path | None = None,
    ) -> None:  # fmt: skip
        check_launch(args, gathers=True)
        lora_settings.check(args)
        rows = as_dataset(train_dataset, args, args.epochs)
        evaluation = None if eval_dataset is None else as_dataset(eval_dataset, args, 1.0)
        if collator is None and not torch.cuda.is_available():
            collator = collate_rows
        model = prepared(args) if model is None else model
        aux_loss_coef = router.aux_loss_coef(model.config)
        super().__init__(
            model=model,
            args=arguments(args, work or runner.working_folder(args), len(rows), evaluation is not None, aux_loss_coef),
            train_dataset=rows,
            eval_dataset=evaluation,
            processing_class=tokenizer or checkpoint.load_tokenizer(base(args.base)),
            callbacks=[_EvaluateAtEnd()] if evaluation is not None else [],
            **({"data_collator": collator} if collator else {}),
        )
        lora.keep_float32(self.model)

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
        if self.model.training:
            self._total_train_tokens += tokens
        metrics["num_tokens"] = [self._total_train_tokens]
        balance = 0.0
        if self.aux_loss_enabled:  # as trl: the mean of what each micro-batch of each process finds
            metrics["aux_loss"].append(self.accelerator.reduce(found.aux_loss.detach(), "mean").item())
            micro_batches = 1 if num_items_in_batch is None else self.current_gradient_accumulation_steps
            balance = self.router_aux_loss_coef * found.aux_loss / micro_batches
        if num_items_in_batch is None:
            return total / trained + balance
        # the count is over all processes, whose gradients are averaged afterwards
        return total / num_items_in_batch * self.accelerator.num_processes + balance


class _EvaluateAtEnd(TrainerCallback):
    """Evaluation after the last step, whatever the interval."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_evaluate |= state.global_step == state.max_steps


def prepared(args: Any) -> PreTrainedModel:
    """The model as it is trained: the base or random weights, reading tries where there is no GPU, with adapters."""
    lora_settings.check(args)
    model = load.fresh_model(base(args.base), args.seed) if args.from_scratch else lora.load_base(args)
    if not torch.cuda.is_available():
        use_causal_blocks(model)
        read_tries(model)
    return lora.attach(model, args)


def as_dataset(data: Any, args: Any, epochs: float) -> Dataset:
    """Rows in the order in which they are trained; a Dataset passes as it is. "group" numbers the samples."""
    if isinstance(data, Dataset):
        return data
    mixture = data if isinstance(data, Mixture) else Mixture({"data": data}, seed=DeviceSeed(args.seed, 0, 1))
    devices = state().num_processes
    if mixture.world not in (1, devices):
        raise TrainingError(f"the mixture is made for {mixture.world} devices, but there are {devices}")
    total, rows = max(1, round(epochs * sum(mixture.lengths))), []
    for group, sample in enumerate(islice(_drawn(mixture, runner.share(args)), total)):
        rows += [row | {"group": group} for row in (sample if isinstance(sample, list) else [sample])]
    columns = [name for name in ("input_ids", "labels", "group") if name in rows[0]]
    return Dataset.from_dict({name: [row[name] for row in rows] for name in columns})


def _drawn(mixture: Mixture, share: int) -> Iterator[Any]:
    """All devices' samples, pass after pass, in turn as many as a device reads at once: so each gets its own part."""
    while True:
        streams = [iter(mixture.of(rank)) for rank in range(mixture.world)]
        while some := [sample for stream in streams for sample in islice(stream, share)]:
            yield from some
        mixture.set_epoch(mixture.epoch + 1)


def arguments(args: Any, work: Path, samples: int, evaluated: bool = False, aux_loss_coef: float = 0.0) -> SFTConfig:
    """trl's arguments: AdamW, warm-up, plateau and linear decay; nothing reported anywhere but our own log.

    The loss that keeps the experts of a mixture equally busy counts `aux_loss_coef` times, as the model's configuration
    says (`router.py`); trl would turn it on by itself.
    """
    steps = math.ceil(samples / args.batch_size)
    world, share, cuda = state().num_processes, runner.share(args), torch.cuda.is_available()
    warmup = min(50, steps // 10)
    if not 0 <= args.decay <= 1:
        raise TrainingError(f"decay is {args.decay:g}: give the share of the steps over which lr falls, from 0 to 1")
    return SFTConfig(
        output_dir=str(work), per_device_train_batch_size=share, per_device_eval_batch_size=share,
        gradient_accumulation_steps=max(1, args.batch_size // world) // share, num_train_epochs=1,
        learning_rate=args.lr, lr_scheduler_type="warmup_stable_decay", warmup_steps=warmup,
        lr_scheduler_kwargs={"num_decay_steps": min(int(args.decay * steps), steps - warmup), "decay_type": "linear"},
        optim="adamw_torch_fused", weight_decay=0.01, adam_beta2=0.99, max_grad_norm=1.0,
        train_sampling_strategy="sequential", max_length=args.max_length,
        dataset_kwargs={"skip_prepare_dataset": True}, remove_unused_columns=False, bf16=bfloat16(args.precision),
        gradient_checkpointing=args.gradient_checkpointing, use_cpu=not cuda, seed=args.seed,
        router_aux_loss_coef=aux_loss_coef, data_seed=args.seed, logging_steps=min(args.log_every, steps),
        logging_nan_inf_filter=False,
        save_steps=args.save_every, save_total_limit=2, report_to="none", disable_tqdm=True,
        eval_strategy="steps" if evaluated else "no", eval_steps=args.save_every if evaluated else None,
        dataloader_pin_memory=cuda, ddp_find_unused_parameters=False,
    )  # fmt: skip
