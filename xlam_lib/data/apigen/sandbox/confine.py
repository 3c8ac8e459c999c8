"""What a process gives up before it runs a function of unknown quality: network, other processes, files, rights.

    fences = Fences(["/home/me/project"])       # what this system has of them: fences.names
    fences.around_call(Limits(seconds=2.0))     # from here on, in this process only; there is no way back

From the outside to the inside:

* other processes and the network are out of sight, in namespaces of Linux; a process that root started is another user,
  without any capability (`privileges.py`);
* Landlock lets only Python's files and those of the modules be read, and nothing be written (`kernel.py`);
* seccomp refuses every system call that isn't on a list, also to native code (`kernel.py`);
* limits of the kernel on processor time, memory, size of files, core dumps and open files;
* an audit hook of Python refuses sockets, new processes, signals and every change of a file with a clear message. It
  is no fence for who wants to get over it.

Not each system has each of them: `held_by(fences.names)` says what then keeps functions from what, and what nothing
keeps them from. Files that Python finds modules in can be read, the kernel is trusted, and a function can use up what
its limits leave it. Used by `sandbox_child.py`, `interpreter_child.py`, `worker.py` and BFCL's checker
(`bench/tasks/bfcl_check.py`).
"""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from landlockpy import Ruleset
from seccompy import Filter

from xlam_lib.data.apigen.sandbox.kernel import (
    SCOPES,
    TRUNCATES,
    WRITING,
    call_filter,
    installation,
    ruleset,
    version,
)
from xlam_lib.data.apigen.sandbox.privileges import become_nobody, drop_capabilities, go_apart
from xlam_lib.processes import hide_memory, tie_to_parent

NETWORK = ("socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
PROCESSES = ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen")
SIGNALS = ("os.kill", "os.killpg")
FILES = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.setxattr", "os.removexattr", "shutil.rmtree", "shutil.move", "tempfile.mkstemp", "tempfile.mkdtemp",
)  # fmt: skip
REFUSED = {
    **dict.fromkeys(NETWORK, "no network here"),
    **dict.fromkeys(PROCESSES, "no other processes here"),
    **dict.fromkeys(SIGNALS, "no signals to processes here"),
    **dict.fromkeys(FILES, "files can't be changed here"),
}
AF_UNIX = 1

# What functions must not reach, and which fence of the kernel keeps them from it.
KEPT = {
    "network": ("seccomp", "namespaces"),
    "other processes": ("seccomp",),
    "signals": ("seccomp", "Landlock for signals", "namespaces", "another user"),
    "limits of others": ("seccomp", "namespaces", "another user"),
    "memory of others": ("Landlock", "another user"),
    "contents of files": ("seccomp", "Landlock"),
    "modes and locks of files": ("seccomp",),
    "files to read": ("Landlock",),
}


@dataclass(frozen=True)
class Limits:
    """What one call may use: `Limits(seconds=2.0)`."""

    seconds: float = 20.0  # on the clock on the wall: for what waits, and long enough for a busy machine
    cpu_seconds: float = 3.0  # of the processor; the kernel counts whole seconds
    memory_mb: int = 1024  # of address space
    answer_bytes: int = 1_000_000  # of the result as JSON
    open_files: int = 64


def held_by(fences: Collection[str]) -> dict[str, list[str]]:
    """Which fences hold each thing that functions must not reach.

    Example: `held_by({"seccomp", "namespaces"})` -> {"network": ["seccomp", "namespaces"], ..., "files to read": []}
    """
    return {kept: [fence for fence in by if fence in fences] for kept, by in KEPT.items()}


class Fences:
    """The fences that this system has, ready to go up around this process and those that it starts.

    Making them gives up the rights of the user at once. `names` are those that there are, e.g. {"seccomp", "Landlock"}.
    With `loading` this process may still start others, one for each call, and is kept from other processes' sight.
    """

    def __init__(self, places: Sequence[str], loading: bool = False) -> None:
        apart = loading and go_apart()
        nobody = become_nobody([*installation(), *places])
        drop_capabilities()
        hide_memory()
        if apart:
            tie_to_parent(signal.SIGKILL)  # anew, for a change of user undoes it
        landlock = version()
        writes = landlock >= TRUNCATES
        self._rules = ruleset(places)
        self._calls = call_filter(writes)
        there = {
            "namespaces": apart,
            "another user": nobody,
            "Landlock": writes,
            "Landlock for signals": landlock >= SCOPES,
            "seccomp": self._calls is not None,
        }
        self.names = {name for name, found in there.items() if found}
        if loading:
            _around_loading(ruleset(places), call_filter(writes, loading=True))

    def around_call(self, limits: Limits, hook: bool = True) -> None:
        """Raises them all around this process; there is no way back. `hook`: Python's own fence, too."""
        _limit(limits)
        if self._rules is not None:
            self._rules.restrict()
        if self._calls is not None:
            self._calls.load()
        if hook:
            sys.addaudithook(_refuse)


def _around_loading(rules: Ruleset | None, calls: Filter | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if rules is not None:
        rules.restrict()
    if calls is not None:
        calls.load()


def _limit(limits: Limits) -> None:
    cpu = max(1, math.ceil(limits.cpu_seconds))
    memory = limits.memory_mb * 1024**2
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files, limits.open_files))
    if sys.platform == "linux":  # elsewhere the system refuses this limit
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _refuse(event: str, details: tuple[Any, ...]) -> None:
    if event in REFUSED:
        raise PermissionError(f"{REFUSED[event]} ({event})")
    if event == "socket.__new__" and details[1] != AF_UNIX:  # a loop of asyncio needs a pair of local sockets
        raise PermissionError(f"{REFUSED['socket.connect']} ({event})")
    if event == "open" and isinstance(details[2], int) and details[2] & WRITING and details[0] != os.devnull:
        raise PermissionError(f"files can't be changed here ({details[0]!r})")
