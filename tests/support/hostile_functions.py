"""Attacks on what a function must not reach, by the standard library and by ctypes. Helper of test_attacks.

Each is given the folder with canaries and the process id of a victim; what it returns or raises doesn't matter, only
what has become of them, and whether a text that only others know came back.
"""

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path

PYTHON, NATIVE = {}, {}  # by name: what is attacked, and how
OPEN = []  # what must not be closed at once


def python(what):
    return lambda attack: PYTHON.setdefault(attack.__name__, (what, attack))[1]


def native(what):
    return lambda attack: NATIVE.setdefault(attack.__name__, (what, attack))[1]


def run(name: str, folder: str, victim: int) -> str:
    """What came of an attack, as text."""
    _, attack = PYTHON.get(name) or NATIVE[name]
    try:
        return repr(attack(folder, victim))
    except (OSError, RuntimeError, ValueError, AttributeError, ImportError) as error:
        return repr(error)


# by the standard library alone


@python("contents of files")
def write(folder, victim):
    Path(f"{folder}/kept").write_text("changed")


@python("contents of files")
def append(folder, victim):
    with open(f"{folder}/kept", "a") as file:
        file.write("changed")


@python("contents of files")
def write_by_descriptor(folder, victim):
    os.write(os.open(f"{folder}/kept", os.O_RDWR), b"changed")


@python("contents of files")
def truncate_by_reading(folder, victim):
    os.open(f"{folder}/kept", os.O_RDONLY | os.O_TRUNC)


@python("contents of files")
def new_file(folder, victim):
    os.open(f"{folder}/new", os.O_CREAT | os.O_RDONLY)


@python("contents of files")
def unnamed_file(folder, victim):
    handle = os.open(folder, os.O_TMPFILE | os.O_RDWR)
    os.link(f"/proc/self/fd/{handle}", f"{folder}/new", src_dir_fd=handle)


@python("contents of files")
def new_folder(folder, victim):
    os.mkdir(f"{folder}/new")


@python("contents of files")
def fifo(folder, victim):
    os.mkfifo(f"{folder}/fifo")


@python("contents of files")
def node(folder, victim):
    import stat

    os.mknod(f"{folder}/node", stat.S_IFREG | 0o644)


@python("contents of files")
def device(folder, victim):
    import stat

    os.mknod(f"{folder}/device", stat.S_IFCHR | 0o666, os.makedev(1, 1))


@python("contents of files")
def database(folder, victim):
    import sqlite3

    try:
        sqlite3.connect(f"{folder}/new.db").execute("create table t (a)")
    except sqlite3.Error as error:
        return repr(error)


@python("contents of files")
def key_log(folder, victim):
    import ssl

    ssl.create_default_context().keylog_filename = f"{folder}/keys"


@python("contents of files")
def dump(folder, victim):
    import dbm.dumb

    with dbm.dumb.open(f"{folder}/dump", "c") as made:
        made["a"] = "b"


@python("contents of files")
def socket_file(folder, victim):
    socket.socket(socket.AF_UNIX).bind(f"{folder}/socket")


@python("contents of files")
def remove(folder, victim):
    os.unlink(f"{folder}/kept")


@python("contents of files")
def rename(folder, victim):
    os.replace(f"{folder}/kept", f"{folder}/other")


@python("contents of files")
def hard_link(folder, victim):
    os.link(f"{folder}/kept", f"{folder}/linked")


@python("contents of files")
def soft_link(folder, victim):
    os.symlink(f"{folder}/kept", f"{folder}/linked")


@python("modes and locks of files")
def mode(folder, victim):
    os.chmod(f"{folder}/kept", 0o777)


@python("modes and locks of files")
def mode_by_descriptor(folder, victim):
    os.fchmod(os.open(f"{folder}/kept", os.O_RDONLY), 0o777)


@python("modes and locks of files")
def owner(folder, victim):
    os.chown(f"{folder}/kept", 1234, 1234)


@python("modes and locks of files")
def times(folder, victim):
    os.utime(f"{folder}/kept", (0, 0))


@python("modes and locks of files")
def times_by_descriptor(folder, victim):
    os.utime(os.open(f"{folder}/kept", os.O_RDONLY), (0, 0))


@python("modes and locks of files")
def attribute(folder, victim):
    os.setxattr(f"{folder}/kept", "user.mark", b"x")


@python("modes and locks of files")
def lock(folder, victim):
    handle = os.open(f"{folder}/kept", os.O_RDONLY)
    OPEN.append(handle)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@python("contents of files")
def copy(folder, victim):
    os.copy_file_range(os.open(f"{folder}/secret", os.O_RDONLY), os.open(f"{folder}/kept", os.O_WRONLY), 5)


@python("contents of files")
def map_file(folder, victim):
    import mmap

    mmap.mmap(os.open(f"{folder}/kept", os.O_RDWR), 4)[:4] = b"gone"


@python("files to read")
def read_secret(folder, victim):
    return Path(f"{folder}/secret").read_text()


@python("files to read")
def list_secret(folder, victim):
    return os.listdir(f"{folder}/closed")


@python("memory of others")
def environment_of_another(folder, victim):
    return open(f"/proc/{victim}/environ", "rb").read()


@python("memory of others")
def environment_of_all(folder, victim):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.append(Path(f"/proc/{name}/environ").read_bytes())
        except OSError:
            continue
    return found


@python("memory of others")
def memory_of_another(folder, victim):
    with open(f"/proc/{victim}/maps") as maps:
        spans = [line.split()[0].split("-") for line in maps if line.split()[1].startswith("r") and "[stack]" in line]
    with open(f"/proc/{victim}/mem", "rb") as memory:
        memory.seek(int(spans[0][0], 16))
        return memory.read(int(spans[0][1], 16) - int(spans[0][0], 16))


@python("limits of others")
def limits_of_another(folder, victim):
    resource.prlimit(victim, resource.RLIMIT_NOFILE, (3, 3))


@python("limits of others")
def processors_of_another(folder, victim):
    os.sched_setaffinity(victim, {max(os.sched_getaffinity(0))})


@python("limits of others")
def priority_of_another(folder, victim):
    os.setpriority(os.PRIO_PROCESS, victim, 19)


@python("signals")
def stop_another(folder, victim):
    os.kill(victim, signal.SIGTERM)


@python("signals")
def stop_all(folder, victim):
    for pid in range(max(2, victim - 2), victim + 1):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


@python("signals")
def stop_by_handle(folder, victim):
    signal.pidfd_send_signal(os.pidfd_open(victim), signal.SIGTERM)


@python("signals")
def signal_by_file(folder, victim):
    """The kernel signals the owner of a pipe when something arrives."""
    ours, theirs = os.pipe()
    fcntl.fcntl(ours, fcntl.F_SETOWN, victim)
    fcntl.fcntl(ours, fcntl.F_SETFL, os.O_ASYNC | fcntl.fcntl(ours, fcntl.F_GETFL))
    os.write(theirs, b"x")
    time.sleep(0.01)


@python("network")
def connect(folder, victim):
    path = f"{folder}/listening"
    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"told", path)


@python("network")
def send_by_pair(folder, victim):
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"told", f"{folder}/listening")


@python("other processes")
def program(folder, victim):
    import _posixsubprocess

    args = [[b"touch", f"{folder}/touched".encode()], [b"/usr/bin/touch", b"/bin/touch"], True, (), None, None]
    errors = os.pipe()
    more = [True, False, -1, None, None, None, -1, None, False]
    os.waitpid(_posixsubprocess.fork_exec(*args, -1, -1, -1, -1, -1, -1, *errors, *more), 0)


@python("contents of files")
def shared_memory(folder, victim):
    from multiprocessing.shared_memory import SharedMemory

    SharedMemory(f"xlam_{os.path.basename(folder)}", create=True, size=16)


# past Python


def libc():
    return ctypes.CDLL(None, use_errno=True)


def called(name, *arguments):
    found = getattr(libc(), name)(*arguments)
    return found, ctypes.get_errno()


def numbered(number, *arguments):
    """A system call by its number on x86_64."""
    if os.uname().machine != "x86_64":
        return -1, 38
    return called("syscall", ctypes.c_long(number), *map(ctypes.c_long, arguments))


NATIVE_FILES = {
    "unlink": lambda kept, new: ("unlink", kept),
    "unlinkat": lambda kept, new: ("unlinkat", -100, kept, 0),
    "truncate": lambda kept, new: ("truncate", kept, 0),
    "creat": lambda kept, new: ("creat", kept, 0o644),
    "chmod": lambda kept, new: ("chmod", kept, 0o777),
    "fchmodat": lambda kept, new: ("fchmodat", -100, kept, 0o777, 0),
    "lchown": lambda kept, new: ("lchown", kept, 1234, 1234),
    "link": lambda kept, new: ("link", kept, new),
    "symlink": lambda kept, new: ("symlink", kept, new),
    "rename": lambda kept, new: ("rename", kept, new),
    "renameat2": lambda kept, new: ("renameat2", -100, kept, -100, new, 0),
    "mkdir": lambda kept, new: ("mkdir", new, 0o755),
    "mkfifo": lambda kept, new: ("mkfifo", new, 0o644),
    "utimes": lambda kept, new: ("utimes", kept, None),
    "mount": lambda kept, new: ("mount", b"tmpfs", os.path.dirname(kept), b"tmpfs", 0, None),
    "chroot": lambda kept, new: ("chroot", os.path.dirname(kept)),
}

OF_MODES = ("chmod", "fchmodat", "lchown", "utimes")


def _of_file(name):
    def attack(folder, victim):
        return called(*NATIVE_FILES[name](f"{folder}/kept".encode(), f"{folder}/new".encode()))

    attack.__name__ = f"native_{name}"
    return attack


for _name in NATIVE_FILES:
    native("contents of files" if _name not in OF_MODES else "modes and locks of files")(_of_file(_name))


@native("contents of files")
def overwrite_by_mmap(folder, victim):
    handle = called("open", f"{folder}/kept".encode(), os.O_RDWR)[0]
    library = libc()
    library.mmap.restype = ctypes.c_void_p
    at = library.mmap(None, ctypes.c_size_t(4096), 3, 1, handle, ctypes.c_long(0))
    if at not in (None, ctypes.c_void_p(-1).value):
        ctypes.memmove(at, b"gone", 4)
    return at


@native("contents of files")
def make_mapping_writable(folder, victim):
    handle = called("open", f"{folder}/kept".encode(), os.O_RDONLY)[0]
    library = libc()
    library.mmap.restype = ctypes.c_void_p
    at = library.mmap(None, ctypes.c_size_t(4096), 1, 1, handle, ctypes.c_long(0))
    if at in (None, ctypes.c_void_p(-1).value):
        return at
    if (found := library.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(4096), 3)) == 0:
        ctypes.memmove(at, b"gone", 4)
    return found


class Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


@native("memory of others")
def write_memory(folder, victim):
    text = ctypes.create_string_buffer(b"gone")
    at = int(os.path.basename(folder).rpartition("_")[2])
    ours, theirs = Span(ctypes.addressof(text), 4), Span(at, 4)
    return called("process_vm_writev", victim, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)


@native("memory of others")
def read_memory(folder, victim):
    text = ctypes.create_string_buffer(32)
    at = int(os.path.basename(folder).rpartition("_")[2])
    ours, theirs = Span(ctypes.addressof(text), 32), Span(at, 32)
    return called("process_vm_readv", victim, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0), text.raw


@native("memory of others")
def trace(folder, victim):
    return called("ptrace", 16, victim, None, None)  # PTRACE_ATTACH stops it


@native("signals")
def native_kill(folder, victim):
    return [called(name, *more) for name, *more in (("kill", victim, 15), ("killpg", victim, 15))]


@native("signals")
def native_queue(folder, victim):
    return called("sigqueue", victim, 15, 0)


@native("signals")
def native_thread_kill(folder, victim):
    return numbered(200, victim, 15), numbered(234, victim, victim, 15)


@native("limits of others")
def native_limits(folder, victim):
    low = (ctypes.c_uint64 * 2)(3, 3)
    return called("prlimit64", victim, 7, low, None)


@native("other processes")
def clone_of_process(folder, victim):
    if (child := numbered(57)[0]) == 0:  # fork past the C library
        open(f"{folder}/forked", "w").close()
        os._exit(0)
    os.waitpid(child, 0)


@native("other processes")
def execute(folder, victim):
    arguments = (ctypes.c_char_p * 3)(b"touch", f"{folder}/touched".encode(), None)
    return called("execve", b"/usr/bin/touch", arguments, None)  # where it is let, nothing comes back


@native("network")
def network(folder, victim):
    return called("socket", 2, 1, 0), called("socket", 16, 3, 0), called("socket", 1, 1, 0)


@native("signals")
def user_again(folder, victim):
    return called("setuid", 0), called("setresuid", 0, 0, 0), called("kill", victim, 15)


@native("other processes")
def other_namespaces(folder, victim):
    return called("unshare", 0x10000000), called("setns", called("open", f"/proc/{victim}/ns/pid".encode(), 0)[0], 0)


@native("contents of files")
def old_calls(folder, victim):
    """The 32-bit calls of x86 have other numbers: 10 is unlink, 37 kill."""
    if os.uname().machine != "x86_64":
        return None
    import mmap

    name = ctypes.create_string_buffer(f"{folder}/kept".encode())
    low = mmap.mmap(-1, 4096, prot=7, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40)  # below 4 GiB
    low.write(name.raw)
    at = ctypes.addressof(ctypes.c_char.from_buffer(low))
    code = b"\x53\xb8\x25\0\0\0\xbb" + victim.to_bytes(4, "little") + b"\xb9\x0f\0\0\0\xcd\x80"
    code += b"\xb8\x0a\0\0\0\xbb" + (at & 0xFFFFFFFF).to_bytes(4, "little") + b"\xcd\x80\x5b\xc3"
    low.seek(2048)
    low.write(code)
    return ctypes.CFUNCTYPE(ctypes.c_long)(at + 2048)()


@native("contents of files")
def hook_away(folder, victim):
    """Python's own fence can be taken down; the kernel's can't."""
    for name in list(sys.modules):
        if name.endswith("sandbox.confine"):
            sys.modules[name]._refuse.__code__ = (lambda event, details: None).__code__
    return write(folder, victim)
