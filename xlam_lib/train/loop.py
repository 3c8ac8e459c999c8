"""What SFT and DPO share around trl's trainers: log and progress, stop at a loss that isn't finite, save and resume.

A run works in `<out>.partial`: `run.json` (what is being done), `log.jsonl`, and trl's checkpoints, each with a marker
once it is whole. The same command goes on from the newest whole checkpoint; another command starts afresh. Only when
all is done does `<out>` appear, and the working folder goes.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import math
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import PrinterCallback, Trainer, TrainerCallback
from transformers.utils.logging import disable_progress_bar

from xlam_lib.atomic import is_complete, mark_complete, write_json
from xlam_lib.train.checkpoint import CheckpointError
from xlam_lib.train.launch import TIED
from xlam_lib.train.log import FILE, append, cut_after
from xlam_lib.trajectory import TrajectoryError

logger = logging.getLogger(__name__)

RUN = "run.json"
RENAMED = {"learning_rate": "lr", "mean_token_accuracy": "accuracy", "num_tokens": "tokens"}


class TrainingError(RuntimeError):
    """A run that can't start or must not go on; the message says at which step and what to do."""


class FiniteLoss:
    """Mixin for a trainer: a loss that is NaN or infinite ends the run at that step."""

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)  # type: ignore[misc]
        if not bool(torch.isfinite(loss)):
            step = self.state.global_step + 1  # type: ignore[attr-defined]
            raise TrainingError(
                f"step {step}: the loss is {loss.item()}; nothing of it is kept. Lower --lr (now "
                f"{self.args.learning_rate:g}) and run again"  # type: ignore[attr-defined]
            )
        return loss


class Diary(TrainerCallback):
    """Writes the log, tells progress in one line now and then, and marks checkpoints that are whole."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.started = self.told = 0.0
        self.first_step = self.tokens = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.started, self.first_step = time.perf_counter(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        seconds = time.perf_counter() - self.started
        entry = {RENAMED.get(key, key): value for key, value in logs.items() if key != "epoch"}
        bad = [key for key, value in entry.items() if isinstance(value, float) and not math.isfinite(value)]
        if bad:
            raise TrainingError(f"step {state.global_step}: {', '.join(bad)} is not finite; lower --lr and run again")
        append(self.path, {"step": state.global_step, **entry, "seconds": round(seconds, 2)})
        done = state.global_step - self.first_step
        left = seconds / done * (state.max_steps - state.global_step) if done else 0.0
        if seconds - self.told >= 2 or state.global_step == state.max_steps:
            self.told = seconds
            figures = "  ".join(f"{key} {entry[key]:.3g}" for key in ("loss", "accuracy", "rewards/accuracies")
                                if key in entry)
            step = f"step {state.global_step}/{state.max_steps}"
            print(f"{step}  {figures}  {seconds:.0f} s, {left:.0f} s to go", flush=True)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def run(trainer: Trainer, last: Path | None) -> float:
    """Train, from a checkpoint if there is one; returns the seconds it took. Our diary is the only printer."""
    trainer.remove_callback(PrinterCallback)
    started = time.perf_counter()
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    return time.perf_counter() - started


def state() -> PartialState:
    """This process among those of the run; alone when there are no others."""
    return PartialState(cpu=not torch.cuda.is_available())


def describe(settings: Any, **inputs: str) -> dict[str, Any]:
    """What makes a run the same run: its settings and the content of its inputs, wherever these lie."""
    places = {"out", *inputs}
    return {**{key: value for key, value in asdict(settings).items() if key not in places},
            **{f"{name}_digest": digest(path) for name, path in inputs.items()}}


def prepare(out: Path, run: dict[str, Any]) -> tuple[Path, Path | None]:
    """The working folder and the checkpoint to go on from, if this very run was begun before."""
    work = out.with_name(out.name + ".partial")
    if state().is_main_process:
        if not _same_run(work, run):
            shutil.rmtree(work, ignore_errors=True)
        whole = [folder for folder in work.glob("checkpoint-*") if is_complete(folder)]
        last = max(whole, key=_step, default=None)
        for folder in work.glob("checkpoint-*"):
            if folder != last:
                shutil.rmtree(folder)  # cut off while it was written, or older
        cut_after(work / FILE, _step(last) if last else 0)
        write_json(work / RUN, run)
        if last:
            logger.info("going on from step %d of an earlier run", _step(last))
    state().wait_for_everyone()
    return work, max(work.glob("checkpoint-*"), key=_step, default=None)


def finished(out: Path, run: dict[str, Any]) -> bool:
    """Whether this very run (same settings, data and base) already lies at `out`, whole."""
    return is_complete(out) and _same_run(out, run)


def digest(path: str | Path) -> str:
    """A short hash of a file or of a checkpoint's files, to tell whether a run is the same: '9f2c81d4a0b3e657'."""
    path, hashed = Path(path), hashlib.sha256()
    if not path.exists():
        raise TrainingError(f"{path}: no such file or folder; make it first, or correct the path")
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix in (".json", ".safetensors"))
    for file in files:
        with open(file, "rb") as stream:
            hashed.update(hashlib.file_digest(stream, "sha256").digest())
    return hashed.hexdigest()[:16]


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


def command(train: Callable[[Any], Path], settings: Any, module: str, argv: Sequence[str]) -> int:
    """Run a trainer as a command: processes, logging, and known errors as one line 'error: ...' with exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("httpx", "datasets", "accelerate", "torch.distributed"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    tie_to_parent()
    processes = settings.processes or (1 if torch.cuda.is_available() else min(2, cores()))
    spread(processes, module, argv)
    disable_progress_bar()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, cores() // state().num_processes))
    try:
        train(settings)
    except (TrainingError, CheckpointError, TrajectoryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def spread(processes: int, module: str, argv: Sequence[str]) -> None:
    """Become `processes` processes that share this machine's cores, unless we are one of them already.

    The way torchrun does it (a process that dies takes the others along); on a CPU they talk over the loopback.
    """
    if processes <= 1 or "LOCAL_RANK" in os.environ:
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {TIED: "1", "OMP_NUM_THREADS": str(max(1, cores() // processes)), "TOKENIZERS_PARALLELISM": "false"}
    if sys.platform == "linux":
        settings["GLOO_SOCKET_IFNAME"] = "lo"
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}",
               "--master_addr=127.0.0.1", f"--master_port={port}", "-m", module, *argv]
    sys.stdout.flush()
    os.execve(sys.executable, command, {**settings, **os.environ})


def tie_to_parent() -> None:
    """End with the process that started this one (a notebook's kernel, torchrun), however that ends; Linux only."""
    if sys.platform == "linux" and os.environ.get(TIED):
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bfloat16(precision: str) -> bool:
    """Whether to compute in bfloat16 (weights stay float32): "auto" does where there are instructions for it."""
    if precision != "auto":
        return precision == "bfloat16"
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _same_run(folder: Path, run: dict[str, Any]) -> bool:
    try:
        return json.loads((folder / RUN).read_text("utf-8")) == run
    except (OSError, ValueError):
        return False


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("checkpoint-"))
