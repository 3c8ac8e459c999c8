"""The loop of SFT-lite, on Accelerate: full fine-tuning with tries, on one device or many.

    accelerator = prepare_accelerator(args)
    SFTFoundationTrainerLite(args, accelerator, train_dataset, model=model, tokenizer=tokenizer).train()

`sft_lite.py` makes a command of it. A step: a packer makes batches of its samples (`packing/packers.py`), each goes
forward and backward, the loss is divided by the weight of all labels of the step on all devices, and gradients are sent
once.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch.distributed.tensor import DTensor
from transformers import get_scheduler

from xlam_lib.errors import TrainingError
from xlam_lib.files import write_json
from xlam_lib.models import checkpoint, load, router
from xlam_lib.models.bases import base
from xlam_lib.models.tokens import IGNORED
from xlam_lib.seeds import DeviceSeed
from xlam_lib.train.loop.distributed import enough_memory
from xlam_lib.train.loop.log import FILE, append
from xlam_lib.train.loop.mask_report import ROWS, MaskReport, check, ends_of, of_rows, sampled
from xlam_lib.train.loop.reporting import Report
from xlam_lib.train.loop.resume import loading, mark_checkpoint_complete, step_of
from xlam_lib.train.loop.sharding import groups_of, prepare_accelerator
from xlam_lib.train.loop.telemetry import Meter, pace
from xlam_lib.train.mixture.loader import Loader
from xlam_lib.train.mixture.mixture import Mixture
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.packers import Batch, Packed, Packer, PaddedPacker, Row, TriePacker, empty
from xlam_lib.train.packing.trie_model import KEYS, read_tries

__all__ = ["SFTFoundationTrainerLite", "prepare_accelerator"]
PLACE = "place.json"
MEMORY = enough_memory("lower row_tokens, or batch_size")
Collate = Callable[[list[Row]], Batch]


class SFTFoundationTrainerLite:
    """The loop: `SFTFoundationTrainerLite(args, accelerator, mixture).train()`.

    `train_dataset` is a Mixture for one device (each process reads all samples of a step and takes its share, so all
    have equal work), the part of a Mixture that is this device's, or anything with a length that can be indexed. A
    sample is a row {"input_ids", "labels"} or a list of rows that begin alike. `collator` is a Packer (default:
    TriePacker) or a function from rows to a padded batch. `args` has the fields of LiteSettings. With evaluation
    samples the log has their loss, too, whenever a checkpoint is saved, and at the end.
    """

    def __init__(
        self, args: Any, accelerator: Accelerator, train_dataset: Any, eval_dataset: Any = None,
        collator: Packer | Collate | None = None, *, model: Any = None, tokenizer: Any = None,
    ) -> None:  # fmt: skip
        self.args, self.accelerator = args, accelerator
        self.tokenizer = tokenizer or checkpoint.load_tokenizer(base(args.base))
        model = model or load.load_model(base(args.base))
        if accelerator.device.type == "cpu":
            use_causal_blocks(model)
        elif collator is None:  # on a GPU the mask of a long row isn't written out
            model.set_attn_implementation("flex_attention")
        self.config = model.config
        self.aux_loss_coef = router.aux_loss_coef(self.config)  # how much it counts that experts are equally busy
        read_tries(model)  # before it is prepared, or its autocast would end inside
        if args.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        self.loader = self._loader(train_dataset, named=True)
        self.source_names = [source.name for source in self.loader.mixture.sources]
        self.evaluation = self._loader(eval_dataset) if eval_dataset is not None else None
        self.steps, self.last_step = self._planned()
        tries = TriePacker(args.row_tokens, 6 * model.config.get_text_config().hidden_size)
        self.packer = PaddedPacker(collator) if callable(collator) else collator or tries
        groups = groups_of(model, args.weight_decay)
        optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.99), fused=True)
        warmup = round(args.warmup * self.steps)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.scheduler = get_scheduler(args.schedule, self.optimizer, warmup, self.steps)
        accelerator.register_for_checkpointing(self.scheduler)
        dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32
        self.meter = Meter(accelerator.unwrap_model(self.model), dtype, accelerator.device)
        shape = (2, len(self.source_names))  # losses and weights that are not yet logged
        self.by_source = torch.zeros(shape, device=accelerator.device)

    def train(self, work: Path | None = None, last: Path | None = None, report: Report | None = None) -> None:
        """All steps, from a checkpoint on if there is one; logs and checkpoints go to the folder `work`, if given."""
        first = self._resume(last) if last else 0
        self.mask = self._mask_report()
        started = last_printed = time.perf_counter()
        self.model.train()
        self.meter.skip()
        for step, samples in enumerate(self._batches(first), first + 1):
            entry = {"step": step} | self._step(step, samples)
            self.meter.lap()
            now = time.perf_counter()
            saved = step % self.args.save_every == 0 or step == self.steps
            if self.evaluation is not None and saved:
                entry["eval_loss"] = self.evaluate()
            if step % self.args.log_every == 0 or saved:
                entry |= self._measured() | {"seconds": round(now - started, 2), "tokens": self.meter.total}
                self._log(work, report, entry)
            if self.accelerator.is_main_process and (now - last_printed > 2 or step == self.steps):
                left, last_printed = (now - started) / (step - first) * (self.steps - step), now
                figures = f"loss {entry['loss']:.3g}{pace(entry)}"
                print(f"step {step}/{self.steps}  {figures}  {left:.0f} s to go", flush=True)
            if work and saved and step < self.steps:
                self._save(work / f"checkpoint-{step}")
            if saved:
                self.meter.skip()
        if report:
            report.close()

    def _planned(self) -> tuple[int, int]:
        """How many steps are made, and how many of its samples the last one takes (0: all of them)."""
        args, mixture = self.args, self.loader.mixture
        if not args.samples:
            return max(1, round(args.epochs * len(self.loader))), 0
        epochs, rest = divmod(args.samples, sum(mixture.totals) or args.samples + 1)  # an endless one has no epochs
        steps = -(-rest // args.batch_size)
        last = rest - (steps - 1) * args.batch_size if rest and mixture.world == 1 else 0
        return steps + (epochs * len(self.loader) if epochs else 0), last

    def _mask_report(self) -> MaskReport:
        """What the first samples train; a TrainingError if that is nothing, or never the end token."""
        first = [sample for _, _, sample in islice(self.loader.mixture.placed(), ROWS // 8)]
        rows = [self._labelled(row) for group in _groups(first) for row in group]
        report = of_rows(
            sampled(rows), self.tokenizer, ends_of(self.tokenizer, self.accelerator.unwrap_model(self.model))
        )
        return check(report, self.args.missing_eos_token, self.accelerator.is_main_process)

    def _labelled(self, row: Row) -> Row:
        """The row with its labels, which may come from the collator."""
        if "labels" in row or not isinstance(self.packer, PaddedPacker):
            return row
        batch = self.packer.collate([row])
        return {name: batch[name][0].tolist() for name in ("input_ids", "labels")}

    def _batches(self, step: int) -> Iterator[list[Any]]:
        """The samples of each step from the loader's place on, over as many epochs as it takes."""
        mixture = self.loader.mixture
        while step < self.steps:
            for samples in self.loader:
                if step + 1 == self.steps and self.last_step:
                    samples = samples[: self.last_step]
                groups = _groups([sample for _, sample in samples])
                numbers = [self.source_names.index(name) for name, _ in samples]
                yield [_of_source(group, number) for group, number in zip(groups, numbers, strict=True)]
                step += 1
                if step == self.steps:
                    return
            mixture.set_epoch(mixture.epoch + 1)

    @MEMORY
    def _step(self, step: int, groups: list[Any]) -> dict[str, Any]:
        """Forward, backward and update over the samples of a step; returns what is logged."""
        packed = self._packed(self.loader, groups)
        if not packed.weight:
            raise TrainingError(f"step {step}: none of its samples has a label, nothing would be trained")
        total = torch.zeros((), device=self.accelerator.device)
        load_of_step, balance = self._expert_load(packed.batches), torch.zeros_like(total)
        for number, batch in enumerate(packed.batches, 1):
            last = self.accelerator.sync_gradients = number == len(packed.batches)
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                loss, load_of_row = self._loss(batch)
                loss = loss / packed.weight
                if load_of_row:
                    imbalance = load_of_row.loss(load_of_step)
                    loss, balance = loss + self.aux_loss_coef * imbalance, balance + imbalance.detach()
                # gradients are averaged over the processes, the weight is that of all of them
                self.accelerator.backward(loss * self.accelerator.num_processes)
            total += loss.detach()
            self.meter.count(batch, tokens=0, read=0, padding=0)
        self.meter.count({}, tokens=packed.tokens, read=packed.read, padding=packed.padding)
        total = self.accelerator.reduce(total)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.args.max_grad_norm)
        norm = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)  # of all shards
        if not math.isfinite(total.item()) or not math.isfinite(norm):
            raise TrainingError(
                f"step {step}: the loss is {total.item():g} and the length of its gradient {norm:g}; nothing of this "
                f"step is kept. Lower the lr (now {self.args.lr:g}) and run again"
            )
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        aux_loss = {"aux_loss": self.accelerator.reduce(balance).item()} if self.aux_loss_coef else {}
        return {"loss": total.item(), **aux_loss, "lr": self.scheduler.get_last_lr()[0], "grad_norm": norm}

    def _expert_load(self, batches: list[Batch]) -> router.ExpertLoad | None:
        """How busy the experts are with all rows of a step on all devices, for the loss of each row counts them all.

        None if no such loss is asked for, or if there is one row alone, which counts itself. Several rows are read
        once more for it, without gradients: the forward pass a second time.
        """
        if not self.aux_loss_coef or len(batches) * self.accelerator.num_processes == 1:
            return None
        with torch.no_grad():
            return router.summed([self._loss(_unlabelled(one))[1] for one in batches], self.accelerator.reduce)

    def _measured(self) -> dict[str, Any]:
        """What the meter found since the last line of the log; with several sources, the mean loss of each, too."""
        loss, weight = self.accelerator.reduce(self.by_source).tolist()
        self.by_source.zero_()
        found = zip(self.source_names, loss, weight, strict=True) if len(self.source_names) > 1 else ()
        return self.meter.entry() | {f"loss/{name}": lost / total for name, lost, total in found if total}

    @MEMORY
    def evaluate(self) -> float:
        """The mean loss of a label over the evaluation samples."""
        if self.evaluation is None:
            raise TrainingError("no evaluation samples were given: pass eval_dataset")
        total, weight = torch.zeros((), device=self.accelerator.device), 0.0
        self.model.eval()
        with torch.no_grad():
            for samples in self.evaluation:
                packed = self._packed(self.evaluation, _groups(samples))
                weight += packed.weight
                for batch in packed.batches:
                    total += self._loss(batch)[0]
        self.model.train()
        if not weight:
            raise TrainingError("none of the evaluation samples has a label")
        return (self.accelerator.reduce(total) / weight).item()

    def _loader(self, data: Any, named: bool = False) -> Loader:
        """The samples of each step: all of them, or those of this device."""
        mixture = data if isinstance(data, Mixture) else Mixture({"data": data}, seed=DeviceSeed(0, rank=0, world=1))
        devices = self.accelerator.num_processes
        if mixture.world not in (1, devices):
            raise TrainingError(f"the mixture is made for {mixture.world} devices, but there are {devices}")
        return Loader(mixture, max(1, self.args.batch_size // mixture.world), even=mixture.world > 1, named=named)

    def _packed(self, loader: Loader, groups: list[Any]) -> Packed:
        """This device's batches of a step's samples, and the weight of all devices' labels."""
        if loader.mixture.world == 1:
            return self.packer.pack(groups, self.accelerator.process_index, self.accelerator.num_processes)
        packed = self.packer.pack(groups)
        counted = torch.tensor([[packed.weight, len(packed.batches)]], device=self.accelerator.device)
        weights, counts = self.accelerator.gather(counted).unbind(1)
        missing = [empty() for _ in range(int(counts.max()) - len(packed.batches))]
        return replace(packed, batches=packed.batches + missing, weight=weights.sum().item())

    def _loss(self, batch: Batch) -> tuple[torch.Tensor, router.ExpertLoad | None]:
        """The sum over the labels of a batch, weighted where it holds weights; how busy experts are, if that counts."""
        batch = {key: value.to(self.accelerator.device) for key, value in batch.items()}
        weights, source = batch.pop("weights", None), batch.pop("source", None)
        if KEYS[0] in batch:
            output = self.model(**batch)
            found = output.log_probs
            weighted = found if weights is None else found * weights[:, 1:]
            counted = weights[:, 1:] if weights is not None else (batch["labels"][:, 1:] != IGNORED).float()
            self._add_to_source(source, -weighted.detach(), counted)
            return -weighted.sum(), router.ExpertLoad(
                output.chosen, output.probability, output.rows
            ) if self.aux_loss_coef else None
        labels = batch.pop("labels")[:, 1:]
        output = self.model(**batch, use_cache=False)
        logits = output.logits[:, :-1].flatten(0, 1).float()
        reduction = "sum" if source is None else "none"
        loss = torch.nn.functional.cross_entropy(logits, labels.flatten(), ignore_index=IGNORED, reduction=reduction)
        self._add_to_source(source, loss.view_as(labels) if source is not None else loss, (labels != IGNORED).float())
        if not self.aux_loss_coef:
            return loss.sum(), None
        count = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))
        return loss.sum(), router.expert_load(self.config, output, count)

    def _add_to_source(self, source: torch.Tensor | None, loss: torch.Tensor, weight: torch.Tensor) -> None:
        """Add losses and weights of tokens, both (rows, length), to their rows' sources."""
        if source is not None:
            self.by_source.index_add_(1, source, torch.stack([loss.detach().sum(1), weight.sum(1)]))

    def _log(self, work: Path | None, report: Report | None, entry: dict[str, Any]) -> None:
        if work and self.accelerator.is_main_process:
            append(work / FILE, entry)
        if report:
            report.write(entry)

    def _save(self, folder: Path) -> None:
        """A checkpoint to go on from, whole once it is marked."""
        with checkpoint.saving(folder):
            self.accelerator.save_state(str(folder))
        self.accelerator.wait_for_everyone()  # each process writes a file of its own
        if self.accelerator.is_main_process:
            write_json(folder / PLACE, {"tokens": self.meter.total, "loader": self.loader.state_dict()})
            mark_checkpoint_complete(folder)
        self.accelerator.wait_for_everyone()

    def _resume(self, folder: Path) -> int:
        """Take up a checkpoint; returns the steps that were made."""
        with loading(folder):
            self.accelerator.load_state(str(folder))
        place = json.loads((folder / PLACE).read_text("utf-8"))
        self.loader.load_state_dict(place["loader"])
        self.meter.total = place["tokens"]
        return step_of(folder)


def _groups(samples: list[Any]) -> list[Any]:
    return [one if isinstance(one, list) else [one] for one in samples]


def _unlabelled(batch: Batch) -> Batch:
    """The same tokens, of which none is scored or counted for a source."""
    kept = {key: values for key, values in batch.items() if key != "source"}
    return kept | {"labels": torch.full_like(batch["labels"], IGNORED)}


def _of_source(group: list[Row], number: int) -> list[Row]:
    return [{**row, "source": [number]} for row in group]
