"""What a process gives up of its rights as a user: other processes out of sight, another user, no capabilities.

    go_apart(), become_nobody(["/opt/project"]), drop_capabilities()    # each says whether the system gave it

Used by `confine.py`; Linux only. Root may do everything that file permissions refuse, so a process that root started
becomes the user "nobody" where that user can read what it needs, and loses the capabilities of root in any case.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from xlam_lib.processes import tie_to_parent

NOBODY = 65534
APART = 0x20000000 | 0x40000000 | 0x08000000  # CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC
OF_USER = 0x10000000  # CLONE_NEWUSER, without which only root may have the others
CAPABILITIES = 0x20080522  # the version of their layout, with 64 bits each


def go_apart() -> bool:
    """Whether this process now runs in namespaces of its own: it sees and reaches no other process and no network.

    A process enters a namespace of processes only when it starts: so this one starts a child that returns from here as
    process 1 of its namespace, and waits for its end itself. It must have a single thread.
    """
    if sys.platform != "linux":
        return False
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    if unshare(APART) and unshare(APART | OF_USER):
        return False
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        os._exit(max(0, os.waitstatus_to_exitcode(status)) or int(status != 0))
    tie_to_parent(signal.SIGKILL)
    return True


def become_nobody(places: Iterable[str]) -> bool:
    """Whether this process now is another user than root: only where that user can read these places.

    Example: `become_nobody(["/root/project"])` -> False, as root's home is closed to others
    """
    if sys.platform != "linux" or os.geteuid() != 0 or not all(map(open_to_all, places)):
        return False
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:  # root of a container whose users are mapped, or without that right
        return False
    return True


def open_to_all(place: str) -> bool:
    """Whether any user can read this file or list this folder, e.g. "/usr/lib" -> True; True if it isn't there."""
    path = Path(place).resolve()
    if not path.exists():
        return True
    readable = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    return path.stat().st_mode & readable == readable and all(p.stat().st_mode & stat.S_IXOTH for p in path.parents)


def drop_capabilities() -> bool:
    """Whether this process, and what it starts, has lost each special right of root, for good."""
    if sys.platform != "linux":
        return False
    header, none = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    return ctypes.CDLL(None, use_errno=True).capset(header, none) == 0
