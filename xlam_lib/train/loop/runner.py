"""What SFT and DPO share around trl's trainers: log and progress, stop at a loss that isn't finite, save and resume.

A run works in `<out>.partial`: `run.json` (what is being done), `log.jsonl`, and trl's checkpoints, each with a marker
once it is whole. The same command goes on from the newest whole checkpoint; another command starts afresh. Only when
all is done does `<out>` appear, and the working folder goes.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import PrinterCallback, Trainer, TrainerCallback

from xlam_lib.errors import TrainingError
from xlam_lib.files import (
    LOCK,
    check_ours,
    check_work_folder,
    is_complete,
    only_writer,
    remove_tree,
    remove_work_folder,
    write_json,
)
from xlam_lib.models.checkpoint import check_finite, saving
from xlam_lib.train.loop import record
from xlam_lib.train.loop.distributed import enough_memory, state
from xlam_lib.train.loop.log import FILE, append, read_log, truncate_after
from xlam_lib.train.loop.record import RUN, describe, resolved
from xlam_lib.train.loop.reporting import Kind, NoReport, Report, open_report
from xlam_lib.train.loop.resume import latest_complete, loading, mark_checkpoint_complete, step_of
from xlam_lib.train.loop.telemetry import Meter, pace

logger = logging.getLogger(__name__)

__all__ = [
    "RUN", "describe", "resolved", "LogCallback", "GuardedTrainer", "files", "finished", "planned", "prepare", "report",
    "run", "working",
]  # fmt: skip

RENAMED = {"learning_rate": "lr", "mean_token_accuracy": "accuracy", "num_tokens": "tokens"}
PRINTED = ("loss", "accuracy", "rewards/accuracies", "reward")
SILENCE = 30.0  # seconds after which a step prints a line, even if no figures are due


class GuardedTrainer:
    """Mixin for a trainer: a loss that is NaN or infinite ends the run, and so does what can't be saved or loaded."""

    meter: Meter | None = None

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.meter and isinstance(inputs, dict):
            self.meter.count(inputs)
        loss = super().training_step(model, inputs, *args, **kwargs)  # type: ignore[misc]
        if not bool(torch.isfinite(loss)):
            step = self.state.global_step + 1  # type: ignore[attr-defined]
            raise TrainingError(
                f"step {step}: the loss is {loss.item()}; nothing of it is kept. Lower --lr (now "
                f"{self.args.learning_rate:g}) and run again"  # type: ignore[attr-defined]
            )
        return loss

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        folder = f"{self.args.output_dir}/checkpoint-{self.state.global_step}"  # type: ignore[attr-defined]
        check_finite(folder, dict(self.model.named_parameters()))  # type: ignore[attr-defined]
        with saving(folder):
            super()._save_checkpoint(*args, **kwargs)  # type: ignore[misc]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, *args: Any, **kwargs: Any) -> None:
        with loading(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, *args, **kwargs)  # type: ignore[misc]

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with loading(checkpoint or ""):
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]


class LogCallback(TrainerCallback):
    """Writes the log, prints progress in one line now and then, and marks checkpoints that are whole."""

    def __init__(self, folder: Path, report: Report | None = None) -> None:
        self.path, self.report = folder / FILE, report or NoReport()
        self.meter: Meter | None = None
        self.started = self.printed = 0.0
        self.first_step = 0
        self.before: dict[str, Any] = {}  # the last entry of the run that this one goes on from

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.meter:
            self.meter.skip()
        self.started, self.first_step = time.perf_counter(), state.global_step
        if state.is_world_process_zero and self.path.is_file():
            self.before = (read_log(self.path) or [{}])[-1]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.meter:
            self.meter.lap()
        if state.global_step == state.max_steps:
            control.should_log = True  # whatever the interval
        seconds = time.perf_counter() - self.started
        if state.is_world_process_zero and not control.should_log and seconds - self.printed >= SILENCE:
            self._print_progress(state, {}, seconds)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not logs or "train_runtime" in logs:
            return
        measured = self.meter.entry() if self.meter else {}  # of all processes
        if not state.is_world_process_zero:
            return
        seconds = time.perf_counter() - self.started
        entry = {RENAMED.get(key, key): value for key, value in logs.items() if key != "epoch"}
        bad = [key for key, value in entry.items() if isinstance(value, float) and not math.isfinite(value)]
        if bad:
            raise TrainingError(f"step {state.global_step}: {', '.join(bad)} is not finite; lower --lr and run again")
        entry["tokens"] = int(entry.get("tokens", 0)) + self.before.get("tokens", 0)
        entry["seconds"] = round(seconds + self.before.get("seconds", 0.0), 2)
        entry = {"step": state.global_step, **entry, **measured}
        append(self.path, entry)
        self.report.write(entry)
        self._print_progress(state, entry, seconds)

    def _print_progress(self, state: Any, entry: dict[str, Any], seconds: float) -> None:
        if seconds - self.printed < 2 and state.global_step < state.max_steps:
            return
        self.printed = seconds
        left = seconds / max(1, state.global_step - self.first_step) * (state.max_steps - state.global_step)
        figures = "  ".join(f"{name} {entry[name]:.3g}" for name in PRINTED if name in entry)
        print(f"step {state.global_step}/{state.max_steps}  {figures}{pace(entry)}  {left:.0f} s to go", flush=True)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        PartialState().wait_for_everyone()  # the others write files of their own into it
        if state.is_world_process_zero:
            mark_checkpoint_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        if self.meter:
            self.meter.skip()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.report.close()


def run(trainer: Trainer, last: Path | None) -> float:
    """Train, from a checkpoint if there is one; returns the seconds it took. LogCallback is the only printer."""
    trainer.remove_callback(PrinterCallback)
    meter = Meter(trainer.model, torch.bfloat16 if trainer.args.bf16 else torch.float32)
    for one in (trainer, *trainer.callback_handler.callbacks):
        if isinstance(one, GuardedTrainer | LogCallback):
            one.meter = meter
    started = time.perf_counter()
    with enough_memory("lower batch_size or max_length"):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    return time.perf_counter() - started


def working_folder(args: Any) -> Path:
    """Where a run works: `working_folder(args)` -> Path("runs/sft.partial")."""
    if not args.out:
        raise TrainingError("no folder for checkpoints: give `out` in the settings, or `work`")
    return Path(args.out + ".partial")


def share(args: Any) -> int:
    """Rows that a process reads at once, of those that it has of a step: 8 of `batch_size` 16 on two processes."""
    rows = max(1, args.batch_size // state().num_processes)
    if args.per_device_batch_size and rows % args.per_device_batch_size:
        raise TrainingError(
            f"per_device_batch_size is {args.per_device_batch_size}, but a process has {rows} rows a step; give a "
            "divisor of that"
        )
    return args.per_device_batch_size or rows


@contextmanager
def working(out: Path, run: dict[str, Any], settings: Any) -> Iterator[tuple[Path, Path | None]]:
    """The working folder and the checkpoint to go on from, if this very run was begun before.

    One run at a time works there: a BusyError for a second. The folder goes when the block has ended well.
    """
    work, main = out.with_name(out.name + ".partial"), state().is_main_process
    if main:
        check_work_folder(work, RUN)
    with only_writer(work) if main else nullcontext():
        yield work, prepare(work, run, settings)
        if main:
            remove_work_folder(work, RUN)
    state().wait_for_everyone()


def prepare(work: Path, run: dict[str, Any], settings: Any) -> Path | None:
    """Makes a working folder that of this run, emptied if it was another's; the checkpoint to go on from, or None."""
    if state().is_main_process:
        work.mkdir(parents=True, exist_ok=True)
        if not record.same_run(work, run, settings):
            for path in work.iterdir():
                if path.name != LOCK:
                    remove_tree(path)
        last = latest_complete(work)
        truncate_after(work / FILE, step_of(last) if last else 0)
        write_json(work / RUN, record.started_record(work, run))
        (work / FILE).touch()
        if last:
            logger.info("going on from step %d of an earlier run", step_of(last))
    state().wait_for_everyone()
    return max(work.glob("checkpoint-*"), key=step_of, default=None)


def finished(out: Path, run: dict[str, Any], settings: Any) -> bool:
    """Whether this very run (same settings, data and base) already lies at `out`, whole.

    A NotOursError if something else than a finished run lies there, before any work is done.
    """
    if not is_complete(out) or not record.same_run(out, run, settings):
        check_ours(out)
        return False
    if state().is_main_process:
        record.warn_other_code(out)
    return True


def files(work: Path, command: str, settings: Any, **facts: Any) -> dict[str, str | Path]:
    """What lies beside the weights: configuration, record and log; see `record.finished_files`."""
    return record.finished_files(work, command, settings, FILE, **facts)


def report(kind: Kind, work: Path, last: Path | None) -> Report:
    """Where the figures go beside the log; the main process alone reports them."""
    if not state().is_main_process:
        return NoReport()
    found = record.read(work) or {}
    name = record.run_id(found["settings"], found["code"])
    return open_report(kind, work, step_of(last) if last else 0, name, found["settings"])


def planned(work: Path, measure: Callable[[], int]) -> int:
    """How many samples to draw, as planned by `measure` when the run began; a resumed run keeps to its plan."""
    path = work / "plan.json"
    if path.is_file():
        return json.loads(path.read_text("utf-8"))["samples"]
    samples = measure()
    state().wait_for_everyone()
    if state().is_main_process:
        write_json(path, {"samples": samples})
        logger.info("planned %d samples to fit the time given", samples)
    return samples
