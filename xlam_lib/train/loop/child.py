"""Heavy work in a child process: a notebook starts the same command as the shell, sees progress, and gets clear errors.

Used by notebooks 02 and 03. The kernel holds no model, and everything the child took is free when it ends:

    run("xlam_lib.train.sft", {"base": base, "data": train, "out": out / "sft"}, log=out / "sft.txt")

All that the child says goes to the log; now and then a line of it is shown. A child that fails raises ChildError with
its own error line and the end of its log; an interrupt ends the child and all that it started.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xlam_lib.errors import XlamError
from xlam_lib.settings import to_arguments
from xlam_lib.train.loop.launcher import TIED, command

logger = logging.getLogger(__name__)

TAIL = 30  # lines of the log that an error shows
GRACE = 5.0  # seconds between asking a child to end and ending it


class ChildError(XlamError, RuntimeError):
    """A child process that failed; the message holds its error and the end of its log."""


def run(
    module: str,
    options: Mapping[str, Any],
    log: str | Path,
    show: Callable[[str], None] | None = None,
    every: float = 10.0,
) -> float:
    """Run `python -m module --options` to its end; returns the seconds it took.

    With an option "processes" above 1 these are started at once, so that the module isn't loaded once more for that.
    `show` gets a line of progress at most every `every` seconds, and the last one; without it nothing is shown.
    """
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    line = command(options.get("processes") or 1, module, to_arguments(options))
    started, tail = time.perf_counter(), deque[str](maxlen=TAIL)
    with open(log, "w", encoding="utf-8") as file:
        child = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8", errors="replace", env=surroundings(), start_new_session=True,
        )  # fmt: skip
        try:
            _follow(child, file, tail, show or (lambda line: None), every)
            code = child.wait()
        finally:
            _end(child)
    if code:
        raise ChildError(_explained(module, code, list(tail), log))
    return time.perf_counter() - started


def surroundings() -> dict[str, str]:
    """The child's environment: ours, plus this package's place, plain output, and no progress bars."""
    place = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, (place, os.environ.get("PYTHONPATH", ""))))
    quiet = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**quiet, **os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", TIED: "1"}


def _follow(
    child: subprocess.Popen[str], file: Any, tail: deque[str], show: Callable[[str], None], every: float
) -> None:
    """Copy the child's lines into the log, show some of those that begin with "step"."""
    shown, waiting = 0.0, ""
    for line in child.stdout or ():
        file.write(line)
        file.flush()
        tail.append(line.rstrip())
        if not line.startswith("step "):
            continue
        waiting = line.rstrip()
        if time.monotonic() - shown >= every:
            shown, waiting = time.monotonic(), (show(waiting) or "")
    if waiting:
        show(waiting)


def _explained(module: str, code: int, tail: list[str], log: Path) -> str:
    """What to tell: the child's own error if it said one, else how it ended; then the end of its log."""
    said = [line for line in tail if line.startswith("error: ")]
    how = f"ended with code {code}"
    if code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
        how += " (out of memory?)" if code == -signal.SIGKILL else ""
    cause = said[-1].removeprefix("error: ") if said else f"the child process {how}"
    return f"{module}: {cause}\nThe end of {log}:\n" + "\n".join(f"  {line}" for line in tail)


def _end(child: subprocess.Popen[str]) -> None:
    """End the child and what it started, gently first; nothing happens to one that has ended."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        if child.poll() is not None:
            break
        os.killpg(child.pid, number)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            logger.warning("child %d did not end within %.0f s", child.pid, GRACE)
    if child.stdout:
        child.stdout.close()
