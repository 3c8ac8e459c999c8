"""Which files a confined process may read, by Landlock of Linux: Python's own and those where modules are found.

    ruleset(["/home/me/project"]).restrict()    # from here on, for this process and all that it starts

Used by `confine.py`. Nothing may be written but /dev/null, and, as far as the kernel has it, other processes get no
signal, and their memory and environment can't be read through /proc, not even where their files could be.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
from collections.abc import Iterable

from landlockpy import AccessFS, LandlockError, Ruleset, Scope, abi_version
from landlockpy.flags import LATEST_ABI, fs_for_abi

TRUNCATES, SCOPES = 3, 6  # versions of Landlock that hold every change of contents, and signals
SYSTEM = (  # what the C library and Python's standard library read
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/usr/share/locale",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/os-release", "/etc/ssl/openssl.cnf",
    "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
    "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
)  # fmt: skip
READ = AccessFS.READ_FILE | AccessFS.READ_DIR
WRITE = AccessFS.WRITE_FILE | AccessFS.TRUNCATE


def version() -> int:
    """The version of the kernel's Landlock, e.g. 7; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    try:
        return abi_version()
    except LandlockError:
        return 0


def installation() -> list[str]:
    """The folders of Python and its packages, e.g. ["/opt/venv", "/usr/local", "/opt/venv/lib/python3.11", ...]."""
    return [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()]


def ruleset(places: Iterable[str]) -> Ruleset | None:
    """The rules for a process that may read these files and folders, too; None where the kernel has no Landlock."""
    if not version():
        return None
    rules = Ruleset(handled_fs=fs_for_abi(LATEST_ABI), scoped=Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET)
    for place in dict.fromkeys((*SYSTEM, *installation(), *places)):
        access = READ if os.path.isdir(place) else AccessFS.READ_FILE
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            rules.allow_path(place, access | WRITE if place == os.devnull else access)
    return rules
