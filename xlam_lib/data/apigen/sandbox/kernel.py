"""What the kernel of Linux refuses a confined process: files by Landlock, system calls by seccomp.

    ruleset(["/home/me/project"]).restrict()    # from here on, for this process and all that it starts
    call_filter(writes=True).load()

Used by `confine.py`. Of files, Python's own and those where modules are found may be read, and nothing but /dev/null be
written. As far as the kernel's Landlock has it, other processes get no signal, and their memory and environment can't
be read through /proc, not even where their files could be.

The list of system calls is what Python needs to compute, to read files, to run threads and a loop of asyncio. It has
no call that makes, changes or locks a file, connects, starts a program, sends a signal, or reads, writes or limits
another process; the kernel refuses every call that isn't on it, also to native code. Where one call does both harmless
and harmful things, its arguments decide.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import sysconfig
from collections.abc import Iterable

from landlockpy import AccessFS, LandlockError, Ruleset, Scope, abi_version
from landlockpy.flags import LATEST_ABI, fs_for_abi
from seccompy import Action, ArgCmp, CmpOp, Filter, SeccompError, UnsupportedError, supported, syscall_nr

TRUNCATES, SCOPES = 3, 6  # versions of Landlock that hold every change of contents, and signals
SYSTEM = (  # what the C library and Python's standard library read
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/usr/share/locale",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/os-release", "/etc/ssl/openssl.cnf",
    "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
    "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
)  # fmt: skip
READ = AccessFS.READ_FILE | AccessFS.READ_DIR
WRITE = AccessFS.WRITE_FILE | AccessFS.TRUNCATE

ALLOWED = """
    read readv pread64 preadv write writev pwrite64 lseek close close_range dup dup2 dup3 pipe pipe2
    stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat getdents64
    getcwd chdir fchdir umask fadvise64 poll ppoll select pselect6 eventfd2
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    brk mmap munmap mremap mprotect madvise mincore membarrier
    exit exit_group futex futex_waitv set_robust_list set_tid_address rseq sched_yield sched_getaffinity
    sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min restart_syscall
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack pause
    alarm setitimer getitimer timerfd_create timerfd_settime timerfd_gettime
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getrusage
    getpid getppid gettid getpgid getpgrp getsid getuid geteuid getgid getegid getgroups getresuid getresgid
    getpriority getrlimit setrlimit getcpu uname sysinfo getrandom wait4 waitid
    recvfrom shutdown getsockopt getsockname getpeername
""".split()
LOADING = "kill setsid seccomp landlock_restrict_self".split()  # what starts, confines and ends calls needs more
UNKNOWN = ("clone3", "openat2")  # as if the kernel were older: the C library then makes a call that can be looked into

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
THREAD = 0x00010000 | 0x00000800 | 0x00000100  # CLONE_THREAD, CLONE_SIGHAND, CLONE_VM
APART = 0x7E020000 | 0x00008000  # CLONE_NEW* and CLONE_PARENT
OF_FILES = (0, 1, 2, 3, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC: none that locks or signals
SET_FLAGS, BY_SIGNAL = 4, 0o20000  # F_SETFL, and O_ASYNC, which lets the kernel send signals
OF_DEVICES = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # is it a terminal, its size, FIONREAD, FIONBIO, (N)CLEX
OF_NAMES = (15, 16)  # PR_SET_NAME and PR_GET_NAME, of threads
OF_LOADING = (1, 4, 22, 38)  # PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS


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


def call_filter(writes: bool, loading: bool = False) -> Filter | None:
    """The filter, to be loaded; None where the kernel or the machine has none.

    `writes`: files may be opened for writing, as another fence holds them. `loading`: for the process that loads
    functions and starts one for each call. Example: `call_filter(writes=False).allow` -> more calls, by name
    """
    try:
        if not supported():
            return None
        syscall_nr("read")
    except (SeccompError, UnsupportedError):
        return None
    made = Filter(default=Action.ERRNO | errno.EPERM)
    for name in filter(_exists, ALLOWED + (LOADING if loading else [])):
        made.allow(name)
    for name in UNKNOWN:
        made.errno(name, errno.ENOSYS)
    for name, at in (("open", 1), ("openat", 2)):
        if _exists(name):
            made.allow(name, args=() if writes else (_no_bit(at, WRITING),))
    _allow_some(made, loading)
    return made


def _allow_some(made: Filter, loading: bool) -> None:
    if loading:
        made.allow("clone", args=(_no_bit(0, APART),))
    else:
        made.allow("clone", args=(ArgCmp(0, CmpOp.MASKED_EQ, THREAD, THREAD | APART),))
    for command in OF_FILES:
        made.allow("fcntl", args={1: command})
    made.allow("fcntl", args=(ArgCmp(1, CmpOp.EQ, SET_FLAGS), _no_bit(2, BY_SIGNAL)))
    for command in OF_DEVICES:
        made.allow("ioctl", args={1: command})
    for option in OF_NAMES + (OF_LOADING if loading else ()):
        made.allow("prctl", args={0: option})
    made.allow("prlimit64", args={0: 0})  # its own limits
    made.allow("socketpair", args={0: int(socket.AF_UNIX)})  # with itself: a loop of asyncio has one
    made.allow("sendto", args={4: 0})  # to the other end, to no address


def _no_bit(at: int, bits: int) -> ArgCmp:
    return ArgCmp(at, CmpOp.MASKED_EQ, 0, bits)


def _exists(name: str) -> bool:
    """Whether the machine has it: "open" and others are x86_64's only."""
    try:
        return syscall_nr(name) >= 0
    except ValueError:
        return False
