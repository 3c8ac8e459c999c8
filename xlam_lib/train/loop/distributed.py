"""The processes of a run (torch.distributed): how many, how they end, and what this machine computes fast.

Used by the command lines of SFT and DPO. On two cores a run is two processes of one thread each, which beats one of two
threads; beside a GPU it is one. `torchrun` and `accelerate launch` work too: then nothing is started here.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers.utils.logging import disable_progress_bar

from xlam_lib.errors import TrainingError, as_command
from xlam_lib.train.loop import launcher

PEER = "gloo/transport"  # where gloo says that another process is gone
NO_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory")  # how torch says it of a CPU


def command(train: Callable[[Any], Path], settings: Any, module: str, argv: Sequence[str]) -> int:
    """Run a trainer as a command: processes, logging, and known errors as one line 'error: ...' with exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("httpx", "datasets", "accelerate", "torch.distributed"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    launcher.tie_to_launcher()
    spread(settings.processes or launcher.default_processes(), module, argv)
    atexit.register(leave_group)
    disable_progress_bar()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, launcher.cores() // state().num_processes))
    try:
        return as_command(lambda: train(settings) and None, launcher.FAILED)
    except RuntimeError as error:
        if not isinstance(error, torch.distributed.DistError) and PEER not in str(error):
            raise
        print(f"lost another process of this run ({str(error).splitlines()[0][:200]})", file=sys.stderr, flush=True)
        return launcher.LOST


@contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """Around a step: memory that runs out, on the device or the machine, becomes one error that says what to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError(_no_memory(error, advice)) from error
    except RuntimeError as error:
        if not any(message in str(error) for message in NO_MEMORY):
            raise
        raise TrainingError(_no_memory(error, advice)) from error


def _no_memory(error: BaseException, advice: str) -> str:
    cause = (str(error).splitlines() or [type(error).__name__])[0]
    return f"the memory is not enough: {advice}, and run again; the last whole checkpoint is kept ({cause[:200]})"


def spread(processes: int, module: str, argv: Sequence[str]) -> None:
    """Become `processes` processes that share this machine's cores, unless we are one of them (`launcher.py`)."""
    if processes <= 1 or "LOCAL_RANK" in os.environ:
        return
    sys.stdout.flush()
    os.execv(sys.executable, launcher.command(processes, module, argv))


def state() -> PartialState:
    """This process among those of the run; alone when there are no others."""
    return PartialState(cpu=not torch.cuda.is_available())


def leave_group() -> None:
    """End gloo's threads while Python still runs; for `atexit`.

    One that lets go of a result after Python has begun to end aborts its process (SIGABRT, "terminate called without an
    active exception"), whatever it has done well: 2 processes of 78 pairs that ended after `all_gather_object`, none of
    113 pairs with this. NCCL is left alone: it may wait there for a process that has failed.
    """
    groups = torch.distributed
    if groups.is_available() and groups.is_initialized() and groups.get_backend() == "gloo":
        groups.destroy_process_group()
