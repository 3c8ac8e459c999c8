"""One process among those of a run (torch.distributed): how it begins and ends, and what it says of lost ones.

Used by all trainings. On two cores a run is two processes of one thread each, which beats one of two threads; beside a
GPU it is one (`launcher.py`). `torchrun` and `accelerate launch` work too: then nothing is started here.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate import PartialState
from transformers.utils.logging import disable_progress_bar

from xlam_lib.errors import TrainingError, as_command
from xlam_lib.train.loop import launcher

PEER = "gloo/transport"  # where gloo says that another process is gone
NO_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory")  # how torch says it of a CPU


def run(train: Callable[[], object]) -> int:
    """The exit status of a training in this process, of which known errors become one line 'error: ...'."""
    atexit.register(leave_group)
    disable_progress_bar()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, launcher.cores() // state().num_processes))
    try:
        return as_command(lambda: train() and None, launcher.FAILED)
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
