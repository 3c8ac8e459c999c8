"""Child processes: each leads a group of its own, ends with all that it started, and never outlives its owner.

Whatever the library runs beside itself is started here: model servers (`serve/engines`), trainings (`train/loop`), the
sandbox of tools (`data/apigen/sandbox`), BFCL's checker (`bench/tasks`), what is measured (`perf`); notebooks 01 to 05.

    with Child([sys.executable, "-m", "json.tool"], stdin=PIPE, stdout=PIPE, text=True) as child:
        output, _ = child.communicate('{"a": 1}', timeout=60)

Signals go to the child's group, by its id, and to nothing else. Beside each child runs a watcher, this module as a
command. It reads a pipe that the owner holds open: an owner that is killed can't end its children any more, but its
end of the pipe closes, and then the watcher ends the group.

    python -m xlam_lib.processes GROUP        # waits for the end of its standard input
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import xlam_lib

logger = logging.getLogger(__name__)
GRACE = 10.0  # seconds between asking a group to end and forcing it
STALLED = 600.0  # seconds without a sign of progress after which work that is watched counts as stuck
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


def package_dir() -> Path:
    """The folder from which `xlam_lib` was imported, e.g. `<root>`: what a child needs in its PYTHONPATH."""
    return Path(xlam_lib.__path__[0]).resolve().parent


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """A child's environment: the given one (None: ours), this very package first among modules, output at once.

    Example: `environment({"PATH": "/bin"})` -> {"PATH": "/bin", "PYTHONPATH": "<root>", "PYTHONUNBUFFERED": "1"}
    """
    given = os.environ if given is None else given
    path = os.pathsep.join(filter(None, (str(package_dir()), given.get("PYTHONPATH"))))
    return {**given, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def bare_environment() -> dict[str, str]:
    """A child's environment with nothing of ours but PATH, so without keys: `environment({"PATH": "/bin"})`."""
    return environment({"PATH": os.environ.get("PATH", "")})


class Child(subprocess.Popen):
    """A `subprocess.Popen` in a group of its own: `Child(["sleep", "60"])`; the end of a `with` block ends the group.

    Its environment is `environment()` and its standard input empty, unless given. When the leader is seen to have
    ended (`poll`, `wait`, `communicate`), what it left behind in its group is ended, too.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None, **options: Any) -> None:
        self._watcher: subprocess.Popen[bytes] | None = None
        options = {"stdin": subprocess.DEVNULL, **options, "start_new_session": True}
        super().__init__(command, env=environment() if env is None else env, **options)
        try:
            self._watcher = subprocess.Popen(
                [sys.executable, "-m", "xlam_lib.processes", str(self.pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=package_dir(),
                env=bare_environment(),
                start_new_session=True,
            )
        except BaseException:
            self.end(grace=0)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def poll(self) -> int | None:
        """The exit status; None while it runs."""
        code = super().poll()
        if code is not None:
            self._sweep()
        return code

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, as soon as there is one; `subprocess.TimeoutExpired` after `timeout` seconds."""
        code = super().wait(timeout)
        self._sweep()
        return code

    def end(self, grace: float = GRACE) -> None:
        """Ask the group to end, force it after `grace` seconds (0: at once); harmless when it has ended."""
        if self.poll() is None and grace:
            _signal(self.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(grace)
        if self.poll() is None:
            if grace:
                logger.warning("process %d did not end within %g s: it is forced to", self.pid, grace)
            _signal(self.pid, signal.SIGKILL)
            self.wait()
        for stream in filter(None, (self.stdin, self.stdout, self.stderr)):
            with contextlib.suppress(BrokenPipeError):  # what was still to be written to it
                stream.close()

    def _sweep(self) -> None:
        """Once, right after the leader's end: later its id may be another's, so nobody may signal it any more."""
        watcher, self._watcher = self._watcher, None
        if watcher:
            _signal(self.pid, signal.SIGKILL)
            watcher.kill()
            watcher.communicate()


class Stalled:
    """Acts once when work shows no progress for some time, however long the whole of it takes.

        with Stalled(600, lambda: end_group(child.pid)) as watch:
            for line in child.stdout:
                watch.progress()
        watch.happened  # whether it came to that

    A slow machine is no fault: what is limited is the time between two signs of life, not the time that work takes.
    `seconds` of 0 sets no limit. `act` runs in a thread of its own.
    """

    def __init__(self, seconds: float, act: Callable[[], object]) -> None:
        self.seconds, self.happened, self._act = seconds, False, act
        self._last, self._ended = time.monotonic(), threading.Event()

    def __enter__(self) -> Stalled:
        self.progress()
        if self.seconds:
            threading.Thread(target=self._watch, name="stalled", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def progress(self) -> None:
        """Something happened: the time begins anew."""
        self._last = time.monotonic()

    def _watch(self) -> None:
        while not self._ended.wait(max(0.01, left := self._last + self.seconds - time.monotonic())):
            if left <= 0:
                self.happened = True
                self._act()
                return


def end_group(group: int, grace: float = GRACE) -> None:
    """Ask all processes of a group to end, then force those that stay; a group that is gone is fine."""
    limit, there = time.monotonic() + grace, _signal(group, signal.SIGTERM)
    while there and time.monotonic() < limit:
        time.sleep(0.05)
        there = _signal(group, 0)
    if there:
        _signal(group, signal.SIGKILL)


def tie_to_parent(number: int = signal.SIGTERM) -> None:
    """Let this process get a signal when the one that started it ends, however it ends; on Linux only.

    For children that leave the group of their owner, as torchrun's and the sandbox's do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def hide_memory() -> None:
    """Keep other processes of this user from this one's memory and environment, for good; on Linux only.

    For those that run strangers' functions beside them, such as a trainer. Root sees them still, debuggers don't.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def how_ended(code: int) -> str:
    """An exit status in words: 3 -> "ended with code 3", -9 -> "was ended by SIGKILL (out of memory?)"."""
    if code >= 0:
        return f"ended with code {code}"
    return f"was ended by {signal.Signals(-code).name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")


def tail(log: str | Path, lines: int | None = 20) -> list[str]:
    """The last lines of a log, None for all of them: `tail("vllm.log", 1)` -> ["done"]; [] where there is none."""
    if not Path(log).is_file():
        return []
    with open(log, encoding="utf-8", errors="replace") as file:
        return [line.rstrip() for line in deque(file, maxlen=lines)]


def _signal(group: int, number: int) -> bool:
    """Whether there was a group to get the signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # the latter: of a group of zombies, on macOS
        return False
    return True


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_group(int(sys.argv[1]))
