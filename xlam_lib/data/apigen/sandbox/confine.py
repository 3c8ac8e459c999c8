"""What a process gives up before it runs a function of unknown quality: limits, the network, other processes, files.

    confine(Limits(seconds=2.0, memory_mb=512))   # from here on, in this process only; there is no way back

Three fences, the outer ones for what gets over the inner ones:

* an audit hook of Python refuses sockets, new processes, signals and every change of a file, with a clear message.
  Python code can't get around it by accident; native code isn't seen by it;
* a seccomp filter of the Linux kernel (x86_64 and aarch64) refuses the system calls for sockets, new processes,
  programs, signals and tracing, also to native code. Where it can't be had, `confine` says so by its return value;
* limits of the kernel on processor time, memory, size of files, core dumps and open files.

What is NOT promised: files that this user may read can be read, and the kernel itself is trusted. That holds faulty
and careless functions. For hostile ones use a virtual machine. Used by `sandbox_child.py`.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import resource
import signal
import struct
import sys
from dataclasses import dataclass
from typing import Any

from xlam_lib.processes import tie_to_parent

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
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
AF_UNIX = 1

# Numbers of system calls that are refused with "operation not permitted", by machine. They never change.
CALLS = {
    "x86_64": {
        "socket": 41, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "ptrace": 101, "mount": 165, "tkill": 200,
        "tgkill": 234, "unshare": 272, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311,
        "execveat": 322, "pidfd_send_signal": 424, "io_uring_setup": 425,
    },
    "aarch64": {
        "socket": 198, "execve": 221, "kill": 129, "ptrace": 117, "mount": 40, "tkill": 130, "tgkill": 131,
        "unshare": 97, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "execveat": 281,
        "pidfd_send_signal": 424, "io_uring_setup": 425,
    },
}  # fmt: skip
CLONE = {"x86_64": 56, "aarch64": 220}  # allowed for threads
CLONE3 = 435  # refused as unknown, so that the C library falls back to clone, whose flags can be seen
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE_THREAD = 0x00010000
ALLOW, REFUSE, UNKNOWN = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38  # let it pass, EPERM, ENOSYS
LOAD, EQUAL, ANY_BIT, AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06  # instructions of the filter
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


@dataclass(frozen=True)
class Limits:
    """What one call may use: `Limits(seconds=2.0)`."""

    seconds: float = 20.0  # on the clock on the wall: for what waits, and long enough for a busy machine
    cpu_seconds: float = 3.0  # of the processor; the kernel counts whole seconds
    memory_mb: int = 1024  # of address space
    answer_bytes: int = 1_000_000  # of the result as JSON
    open_files: int = 64


def confine(limits: Limits) -> str:
    """Raises all fences around this process; returns what holds the network back: "seccomp" or "audit hook"."""
    cpu = max(1, math.ceil(limits.cpu_seconds))
    memory = limits.memory_mb * 1024**2
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files, limits.open_files))
    if sys.platform == "linux":  # elsewhere the system refuses this limit
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    tie_to_parent(signal.SIGKILL)
    held = "seccomp" if install_filter() else "audit hook"
    sys.addaudithook(_refuse)
    return held


def _refuse(event: str, details: tuple[Any, ...]) -> None:
    if event in REFUSED:
        raise PermissionError(f"{REFUSED[event]} ({event})")
    if event == "socket.__new__" and details[1] != AF_UNIX:  # a loop of asyncio needs a pair of local sockets
        raise PermissionError(f"{REFUSED['socket.connect']} ({event})")
    if event == "open" and isinstance(details[2], int) and details[2] & WRITING and details[0] != os.devnull:
        raise PermissionError(f"files can't be changed here ({details[0]!r})")


def filter_program(machine: str) -> bytes:
    """The filter as the kernel reads it: 8 bytes an instruction; "" for a machine that isn't known."""
    if machine not in CALLS:
        return b""
    numbers = sorted(CALLS[machine].values())
    lines = [
        (LOAD, 0, 0, 4),  # the architecture: calls of another one have other numbers
        (EQUAL, 1, 0, ARCHITECTURE[machine]),
        (RETURN, 0, 0, REFUSE),
        (LOAD, 0, 0, 0),  # the number of the call
        (AT_LEAST, 0, 1, 0x40000000),  # the x32 numbers of x86_64
        (RETURN, 0, 0, REFUSE),
    ]
    for number in numbers:
        lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE)]
    lines += [
        (EQUAL, 0, 1, CLONE3),
        (RETURN, 0, 0, UNKNOWN),
        (EQUAL, 0, 3, CLONE[machine]),
        (LOAD, 0, 0, 16),  # its flags
        (ANY_BIT, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_char_p))


def install_filter() -> bool:
    """Whether the kernel took the filter for this process; False on other systems."""
    program = filter_program(platform.machine()) if sys.platform == "linux" else b""
    if not program:
        return False
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    instructions = _Program(len(program) // 8, program)
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(instructions), 0, 0) == 0
