"""Who runs the steps: this process, several processes, Slurm or Ray; finished tasks are not run again.

All of them note a finished task where datatrove notes it, in `<work>/<phase>/completions/`, so that a run that was
killed with four workers may be taken up with one. One worker needs no datatrove; several are processes that run
datatrove's tasks, but where a process is lost the run ends with an error (datatrove's own pool would wait for ever).

What was run of the other two: the jobs for Slurm to their end, by a stand-in for `sbatch` that runs what was submitted
(`tests/data/pipeline/test_slurm.py`), on no real cluster; Ray on one machine (ray 2.60,
`tests/data/pipeline/test_ray.py`, skipped where it isn't installed, since it is not among the locked packages).
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from xlam_lib.data.pipeline.phases import Phase
from xlam_lib.errors import XlamError

log = logging.getLogger(__name__)
EXECUTORS = ("local", "slurm", "ray")
SLURM = {"time": "24:00:00", "partition": "cpu"}  # what datatrove asks for; name your own in the executor's options
OBJECTS = 100_000  # made and not let go, before Python looks for cycles; 700 as it comes
_executor: Any = None  # of a worker process


class LostWorker(XlamError, RuntimeError):
    """A process of the run ended before its work did."""


def run_local(phase: Phase, work: Path, workers: int = 1) -> None:
    """Runs what is left of a phase on this machine."""
    folder = work / phase.name
    left = [rank for rank in range(phase.tasks) if not _mark(folder, rank).exists()]
    log.info("%s: %d of %d task(s) to do", phase.name, len(left), phase.tasks)
    if workers > 1 and len(left) > 1:
        _run_processes(phase, folder, left, min(workers, len(left)))
        return
    if "datatrove" in sys.modules:
        _quiet()
    for rank in left:
        with _rarely_collected():
            data = None
            for step in deepcopy(phase.steps):
                data = step(data, rank, phase.tasks)
            deque(data or (), maxlen=0)
        _mark(folder, rank).parent.mkdir(parents=True, exist_ok=True)
        _mark(folder, rank).touch()


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Records are let go by reference counts; looking for cycles among them costs a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _mark(folder: Path, rank: int) -> Path:
    return folder / "completions" / f"{rank:05d}"


def _run_processes(phase: Phase, folder: Path, ranks: Sequence[int], workers: int) -> None:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    from datatrove.executor import LocalPipelineExecutor

    executor = LocalPipelineExecutor(phase.steps, tasks=phase.tasks, workers=workers, logging_dir=str(folder))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "datatrove.executor.local"])
    with ProcessPoolExecutor(workers, context, _begin, (executor,)) as pool:
        futures = [pool.submit(_task, rank) for rank in ranks]
        try:
            for future in as_completed(futures):
                future.result()
        except BrokenProcessPool as error:
            raise LostWorker(
                f"{phase.name}: a worker process was lost (killed, or out of memory?); run the same command again: "
                "finished shards are kept"
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _begin(executor: Any) -> None:
    """In a new worker: quiet, and not to outlive the process that started it."""
    import multiprocessing

    global _executor
    _executor = executor
    _quiet()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _quiet() -> None:
    """datatrove logs every task to the terminal; what goes wrong is raised and needn't be logged twice."""
    from datatrove.utils.logging import logger

    logger.disable("datatrove")


def _task(rank: int) -> None:
    with _rarely_collected():
        _executor._run_for_rank(rank, local_rank=1)


def submit(phases: Sequence[Phase], work: Path, workers: int, options: dict[str, Any]) -> None:
    """Hands all phases to Slurm, each to begin when the one before has succeeded; finished tasks are left out."""
    import shutil
    import subprocess

    if shutil.which("sbatch") is None:
        raise LostWorker("there is no sbatch here: submit from a machine that belongs to a Slurm cluster")
    try:
        slurm_jobs(phases, work, workers, options)[-1].run()
    except subprocess.CalledProcessError as error:
        raise LostWorker(
            f"sbatch refused the jobs (exit status {error.returncode}, its reason stands above); name what the cluster "
            """has with --executor-options, as '{"partition": "cpu", "time": "01:00:00"}'"""
        ) from error


def slurm_jobs(phases: Sequence[Phase], work: Path, workers: int, options: dict[str, Any]) -> list[Any]:
    """datatrove's executors for Slurm, each after the one before; running the last submits them all."""
    from datatrove.executor import SlurmPipelineExecutor

    jobs: list[Any] = []
    activate = Path(sys.prefix) / "bin" / "activate"
    usual = SLURM | ({"venv_path": str(activate)} if activate.is_file() else {})
    for phase in phases:
        made = SlurmPipelineExecutor(
            phase.steps,
            tasks=phase.tasks,
            workers=workers if workers > 1 else -1,
            job_name=f"xlam-{phase.name}",
            logging_dir=str(work / phase.name),
            depends=jobs[-1] if jobs else None,
            **{**usual, **options},
        )
        jobs.append(made)
    return jobs


def run_on_ray(phase: Phase, work: Path, workers: int, options: dict[str, Any]) -> None:
    """Runs what is left of a phase on Ray; a LostWorker if tasks of it failed, of which datatrove only warns."""
    ray_job(phase, work, workers, options).run()
    left = [rank for rank in range(phase.tasks) if not _mark(work / phase.name, rank).exists()]
    if left:
        raise LostWorker(
            f"{phase.name}: {len(left)} of {phase.tasks} task(s) failed on Ray (the first is {left[0]}; its log lies "
            f"in {work / phase.name / 'logs'} or with Ray); run the same command again: finished shards are kept"
        )


def ray_job(phase: Phase, work: Path, workers: int, options: dict[str, Any]) -> Any:
    """datatrove's executor for Ray; `.run()` waits for its end. The work folder must be seen by all nodes."""
    from datatrove.executor import RayPipelineExecutor

    return RayPipelineExecutor(
        phase.steps,
        tasks=phase.tasks,
        workers=workers if workers > 1 else -1,
        logging_dir=str(work / phase.name),
        **options,
    )
