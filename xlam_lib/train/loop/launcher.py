"""Starts a training command in several processes on this machine, without loading what it needs itself.

    python -m xlam_lib.train.loop.launcher 2 xlam_lib.train.sft --base ... --data ... --out ...

Notebooks 02 and 03 start their trainings so; a training command that finds itself alone becomes this one, too. It is
torchrun (a process that dies takes the others along), set to communicate over the loopback and to share the cores.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence

from xlam_lib.files import running
from xlam_lib.processes import how_ended, tie_to_parent

FAILED, LOST = 2, 3  # exit statuses of a process: it has printed its own error, it has lost another process
LAUNCHER = "XLAM_LAUNCHER"  # in the environment of torchrun's processes: the id of the one they are to end with


def command(processes: int, module: str, argv: Sequence[str]) -> list[str]:
    """The command line of a module in so many processes: `command(1, "m", ["--lr", "1"])` -> [..., "-m", "m", ...]."""
    if processes <= 1:
        return [sys.executable, "-m", module, *argv]
    return [sys.executable, "-m", "xlam_lib.train.loop.launcher", str(processes), module, *argv]


def spread(processes: int, module: str, argv: Sequence[str]) -> None:
    """Become `processes` processes that share this machine's cores, unless we are one of them."""
    if processes <= 1 or "LOCAL_RANK" in os.environ:
        return
    sys.stdout.flush()
    os.execv(sys.executable, command(processes, module, argv))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_processes() -> int:
    """How many processes a training has by default: one beside a GPU, else two where there are two cores."""
    import torch

    return 1 if torch.cuda.is_available() else min(2, cores())


def tie_to_launcher() -> None:
    """In a process that torchrun started, in a session of its own: end with it, however it ends."""
    if launcher := os.environ.get(LAUNCHER):
        tie_to_parent()
        if not running(int(launcher)):  # it ended while this process was still loading
            sys.exit(LOST)


def environment(processes: int) -> dict[str, str]:
    """What torchrun's processes find in their environment: settings not set already, and who starts them."""
    settings = {"OMP_NUM_THREADS": str(max(1, cores() // processes)), "TOKENIZERS_PARALLELISM": "false"}
    if sys.platform == "linux":
        kept = str(4 << 30)  # bytes of freed memory that stay with the process; asking for it anew costs a tenth
        settings |= {"GLOO_SOCKET_IFNAME": "lo", "MALLOC_MMAP_THRESHOLD_": kept, "MALLOC_TRIM_THRESHOLD_": kept}
    return {**settings, **os.environ, LAUNCHER: str(os.getpid())}


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: `main(["2", "xlam_lib.train.sft", "--base", ...])`; ends as the processes do."""
    processes, module, *rest = sys.argv[1:] if argv is None else argv
    os.environ.update(environment(int(processes)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    given = [f"--nproc_per_node={processes}", "--master_addr=127.0.0.1", f"--master_port={port}", "-m", module, *rest]
    try:
        run.main(given)
    except ChildFailedError as error:
        sys.exit(_reported({rank: failure.exitcode for rank, failure in error.failures.items()}))


def _reported(codes: dict[int, int]) -> int:
    """The run's status; prints how processes with these exit statuses ended, unless one has printed its error."""
    if FAILED in codes.values():
        return FAILED
    effects = (LOST, -signal.SIGTERM)  # of another's end
    rank = min(codes, key=lambda rank: (codes[rank] in effects, rank))
    print(
        f"error: process {rank} {how_ended(codes[rank])}{', see above' if codes[rank] >= 0 else ''}, and the others "
        "with it; the last whole checkpoint is kept, the same command goes on from it",
        file=sys.stderr,
        flush=True,
    )
    return 1


if __name__ == "__main__":
    main()
