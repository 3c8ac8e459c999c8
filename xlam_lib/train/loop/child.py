"""Heavy work in a child process: a notebook starts the same command as the shell, sees progress, and gets clear errors.

Used by notebooks 02 and 03. The kernel holds no model, and everything the child took is free when it ends:

    run("xlam_lib.train.sft", {"base": base, "data": train, "out": out / "sft"}, log=out / "sft.txt")

All output of the child goes to the log; now and then a line of it is shown. A child that fails raises ChildError with
its own error line and the end of its log; an interrupt, or the end of our process, ends the child and all it started.
How long a child takes is no matter; one that writes no line for ten minutes is taken to be stuck, and ended.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from xlam_lib import processes
from xlam_lib.errors import XlamError
from xlam_lib.files import no_link
from xlam_lib.processes import STALLED, Stalled, end_group
from xlam_lib.settings import to_arguments
from xlam_lib.train.loop.launcher import command

TAIL = 30  # lines of the log that an error shows
QUIET = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}


class ChildError(XlamError, RuntimeError):
    """A child process that failed; the message holds its error and the end of its log."""


def run(
    module: str,
    options: Mapping[str, Any],
    log: str | Path,
    show: Callable[[str], None] | None = None,
    every: float = 10.0,
    stalled_after: float = STALLED,
) -> float:
    """Run `python -m module --options` to its end; returns the seconds it took.

    With an option "processes" above 1 these are started at once, so that the module isn't loaded once more for that.
    `show` gets a line of progress at most every `every` seconds, and the last one; without it nothing is shown. A child
    that writes no line for `stalled_after` seconds is ended (0: never).
    """
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    line = command(options.get("processes") or 1, module, to_arguments(options))
    text = {"text": True, "encoding": "utf-8", "errors": "replace"}
    began = time.perf_counter()
    with (
        open(log, "w", encoding="utf-8", opener=no_link) as file,
        processes.Child(line, environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **text) as child,
    ):
        with Stalled(stalled_after, lambda: end_group(child.pid)) as watch:
            _follow(child, file, show or (lambda line: None), every, watch)
        code = child.wait()
    if watch.happened:
        raise ChildError(_stuck(module, stalled_after, log))
    if code:
        raise ChildError(_explained(module, code, log))
    return time.perf_counter() - began


def environment() -> dict[str, str]:
    """The environment of a training command: ours, this package's place, plain output, and no progress bars."""
    return processes.environment({**QUIET, **os.environ})


def _follow(
    child: subprocess.Popen[str], log: TextIO, show: Callable[[str], None], every: float, watch: Stalled
) -> None:
    """Copy the child's lines into the log, show some of those that begin with "step"."""
    shown, waiting = 0.0, ""
    for line in child.stdout or ():
        watch.progress()
        log.write(line)
        log.flush()
        if not line.startswith("step "):
            continue
        waiting = line.rstrip()
        if time.monotonic() - shown >= every:
            shown, waiting = time.monotonic(), (show(waiting) or "")
    if waiting:
        show(waiting)


def _explained(module: str, code: int, log: Path) -> str:
    """The message of an error: the child's own if it gave one, else how it ended; then the end of its log."""
    lines = processes.tail(log, TAIL)
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    cause = errors[-1] if errors else f"the child process {processes.how_ended(code)}"
    return f"{module}: {cause}\n{_end_of(log)}"


def _stuck(module: str, seconds: float, log: Path) -> str:
    """The message about a child that had to be ended; trainings go on from their last checkpoint."""
    return (
        f"{module}: the child process wrote nothing for {seconds:g} s, so it was ended. If a step may take longer on "
        f"this machine, raise stalled_after; the same command goes on from its last checkpoint\n{_end_of(log)}"
    )


def _end_of(log: Path) -> str:
    return f"The end of {log}:\n" + "\n".join(f"  {line}" for line in processes.tail(log, TAIL))
