"""Other ways of training on the same samples, to be measured against tries (`make speed`).

    seconds = trl_packed(model, rows, tokenizer, length=4096)   # trl's SFTTrainer with its best-fit packing
    seconds = sorted_batches(model, rows, tokens=4096)    # the best without sharing: batches of similar length, causal
    seconds = padded(model, rows, length=4096)            # every row padded to the sequence length, as old loaders do
    seconds = tries(model, groups, row_tokens=8192)       # ours
    seconds, losses = preferences(model, pairs, tokenizer, tries=True)    # trl's DPOTrainer, as it is or reading tries

Each makes one epoch of forward, backward and AdamW over all samples, and returns its wall seconds, set-up left out.
All train the same labels; all but `padded` project labelled positions only. DPO's seconds are those of the
reference's log-probabilities and of the epoch.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers import PreTrainedModel, TrainerCallback
from trl import DPOTrainer, SFTConfig, SFTTrainer

from xlam_lib.models.tokens import IGNORED
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.grouping import Row
from xlam_lib.train.packing.packers import TriePacker
from xlam_lib.train.packing.trie_model import read_tries
from xlam_lib.train.preference.settings import DpoSettings
from xlam_lib.train.preference.trainer import DPOFoundationTrainer, arguments, as_rows

Step = Callable[[dict[str, torch.Tensor]], torch.Tensor]  # a batch -> the sum of the loss over its labels


def tries(model: PreTrainedModel, groups: Sequence[Sequence[Row]], row_tokens: int = 8192, batch: int = 8) -> float:
    """Ours, `batch` groups a step: merging the samples into tries is part of the time."""
    use_causal_blocks(model)
    read_tries(model)
    packer = TriePacker(row_tokens, 6 * model.config.hidden_size)

    def loss(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        weights = batch.pop("weights")
        return -(model(**batch).log_probs * weights[:, 1:]).sum()

    def steps() -> Iterator[tuple[float, list[dict[str, torch.Tensor]]]]:
        for at in range(0, len(groups), batch):
            packed = packer.pack(groups[at : at + batch])
            yield packed.weight, packed.batches

    return _epoch(model, steps(), loss)


def sorted_batches(model: PreTrainedModel, rows: Sequence[Row], tokens: int = 4096) -> float:
    """Rows apart, in padded batches of about `tokens` tokens and similar length; causal attention without a mask."""
    model.set_attn_implementation("sdpa")
    order = sorted(rows, key=lambda row: len(row["input_ids"]))
    batches: list[list[Row]] = [[]]
    for row in order:
        if batches[-1] and (len(batches[-1]) + 1) * len(row["input_ids"]) > tokens:
            batches.append([])
        batches[-1].append(row)
    return _epoch(model, (_padded(batch) for batch in batches), _plain(model))


def padded(model: PreTrainedModel, rows: Sequence[Row], length: int, batch: int = 1) -> float:
    """Every row padded to `length`, with its mask, and all positions projected, as a loader of fixed length does."""
    model.set_attn_implementation("sdpa")

    def loss(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        seen = torch.arange(batch["input_ids"].shape[1])[None] < batch.pop("lengths")[:, None]
        mean = model(**batch, attention_mask=seen.long(), use_cache=False).loss
        return mean * (batch["labels"][:, 1:] != IGNORED).sum()

    parts = (rows[at : at + batch] for at in range(0, len(rows), batch))
    return _epoch(model, (_padded(part, length) for part in parts), loss)


def trl_packed(
    model: PreTrainedModel, rows: Sequence[Row], tokenizer: Any, length: int = 4096, strategy: str = "bfd"
) -> float:
    """trl's SFTTrainer, rows packed into sequences of `length` tokens, one sequence a step."""
    model.set_attn_implementation("sdpa")
    clock = _Clock()
    columns = {
        "input_ids": [list(row["input_ids"]) for row in rows],
        "completion_mask": [[int(label != IGNORED) for label in row["labels"]] for row in rows],
    }
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder, per_device_train_batch_size=1, num_train_epochs=1, packing=True,
            packing_strategy=strategy, max_length=length, completion_only_loss=True, optim="adamw_torch_fused",
            use_cpu=not torch.cuda.is_available(), bf16=False, report_to="none", disable_tqdm=True, save_strategy="no",
            logging_strategy="no", gradient_checkpointing=False, dataloader_pin_memory=torch.cuda.is_available(),
        )  # fmt: skip
        data = Dataset.from_dict(columns)
        trainer = SFTTrainer(model, arguments, train_dataset=data, processing_class=tokenizer, callbacks=[clock])
        trainer.train()
    return clock.seconds


def preferences(
    model: PreTrainedModel, pairs: Sequence[dict[str, str]], tokenizer: Any, tries: bool, length: int = 4096
) -> tuple[float, list[float]]:
    """DPO over all pairs, 4 a step, with the reference computed once; (seconds, the loss of each step)."""
    args = DpoSettings(
        "", ("",), "", lr=1e-4, batch_size=4, max_length=length, sft_weight=0.0, log_every=1, save_every=10**6
    )
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        if tries:
            trainer: Any = DPOFoundationTrainer(args, pairs, model=model, tokenizer=tokenizer, work=Path(folder))
        else:
            model.set_attn_implementation("sdpa")
            config, data = (
                arguments(args, Path(folder), len(pairs)),
                Dataset.from_list(as_rows(pairs, tokenizer)),
            )
            trainer = DPOTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
        trainer.train()
        seconds = time.perf_counter() - started
    return seconds, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


class _Clock(TrainerCallback):
    seconds = started = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.started = time.perf_counter()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.seconds = time.perf_counter() - self.started


def _epoch(model: PreTrainedModel, steps: Iterable[tuple[float, list[dict[str, torch.Tensor]]]], loss: Step) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    model.train()
    started = time.perf_counter()
    for weight, batches in steps:
        for batch in batches:
            (loss(batch) / weight).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - started


def _plain(model: PreTrainedModel) -> Step:
    def loss(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        labels = batch["labels"][:, 1:]
        labelled = labels != IGNORED
        hidden = model.base_model(input_ids=batch["input_ids"], use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[:, :-1][labelled]).float()
        return F.cross_entropy(logits, labels[labelled], reduction="sum")

    return loss


def _padded(rows: Sequence[Row], length: int = 0) -> tuple[float, list[dict[str, torch.Tensor]]]:
    """(labels, [batch]) of rows padded on the right: what is there sees nothing of what comes after it."""
    length = max(length, *(len(row["input_ids"]) for row in rows))
    ids, labels = torch.zeros(len(rows), length, dtype=torch.long), torch.full((len(rows), length), IGNORED)
    for number, row in enumerate(rows):
        ids[number, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        labels[number, : len(row["labels"])] = torch.tensor(row["labels"])
    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    return float((labels[:, 1:] != IGNORED).sum()), [{"input_ids": ids, "labels": labels, "lengths": lengths}]
