"""Whole or not at all: files and folders that can't be found half written.

Used by everything that writes (all notebooks). A file or folder is first written under a hidden name beside its place,
flushed to the disk, then renamed into place. Whoever is killed, or meets a full disk, leaves the old content (or
nothing) there. Folders also get a marker file, so that `is_complete(path)` can be asked before work is done again.

Nothing is deleted or overwritten that is not ours: a folder is replaced only if it carries the marker, temporary names
can't be foreseen and never exist before, links are not followed, and one process at a time may write a folder.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from xlam_lib.errors import XlamError

MARKER, LOCK = "COMPLETE", ".lock"
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)  # no space, no quota, or a limit reached


class NotOursError(XlamError, FileExistsError):
    """Something stands where a folder is to be written, and this library did not make it."""


class BusyError(XlamError, RuntimeError):
    """Another process writes the same folder."""


def write_text(path: str | Path, text: str) -> Path:
    """Write one text file, e.g. `write_text(out / "log.txt", "done\\n")`; UTF-8, line ends as given."""
    with writing(path) as file:
        file.write(text)
    return Path(path)


def write_json(path: str | Path, value: Any, indent: int | None = 2) -> Path:
    """Write one JSON file, e.g. `write_json(out / "metrics.json", {"exact": 0.91})`. NaN and infinity are refused."""
    return write_text(path, to_json(value, indent=indent, where=str(path)) + "\n")


def to_json(value: Any, indent: int | None = 2, where: str = "value") -> str:
    """JSON text of plain data, paths and numpy values: `{"a": np.float32(1)}` -> `{"a": 1.0}`, keys in their order."""
    text = json.dumps(_plain(value, where), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate, which no file takes: "\\ud800" in JSON


@contextmanager
def writing(path: str | Path, mode: str = "w", buffering: int = -1) -> Iterator[IO[Any]]:
    """A file that takes its place only when the block succeeds, e.g. `with writing(p) as f: f.write("{}\\n")`."""
    path = Path(path)
    temporary = _temporary(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    remove_leftovers(path)
    with _named_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, mode, buffering, opener=_new, **text) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def complete_dir(path: str | Path, info: dict[str, Any] | None = None) -> Iterator[Path]:
    """A folder that appears whole: `with complete_dir(out / "sft") as d: model.save_pretrained(d)`.

    The block writes into the yielded sibling folder. When it succeeds the files are flushed, the marker (with `info` as
    JSON) is added and the folder takes its place; when it fails nothing changes. A folder that this library finished
    there before goes away; anything else is a NotOursError, before any work is done.
    """
    path = Path(path)
    check_ours(path)
    remove_leftovers(path)
    temporary = _temporary(path)
    with _named_errors(path):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            for file in sorted(p for p in temporary.rglob("*") if p.is_file() and not p.is_symlink()):
                _sync(file)
            mark_complete(temporary, info)
            check_ours(path)  # once more: the work may have taken hours
            _swap(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def check_ours(path: str | Path) -> None:
    """A NotOursError unless there is nothing at `path`, an empty folder, or one that this library finished."""
    path = Path(path)
    if path.is_symlink():
        raise NotOursError(f"{path} is a link, which is not replaced; give the folder that it leads to, or another one")
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path.is_dir() and _is_marker(path / MARKER)):
        raise NotOursError(
            f"{path} exists, and nothing shows that it was made here (a folder with a file {MARKER}), so it is not "
            "replaced; give another folder, or move this one away"
        )


def is_work_folder(path: Path, record: str) -> bool:
    """Whether a run of ours works, or worked, in a folder: its record lies there, or it was ended before it had one.

    Example: `is_work_folder(Path("runs/sft.partial"), "run.json")` -> True. False for a link, and where nothing is.
    """
    begun = (LOCK, f".{record}.part-")
    return (
        not path.is_symlink()
        and path.is_dir()
        and ((path / record).is_file() or all(inner.name.startswith(begun) for inner in path.iterdir()))
    )


def check_work_folder(path: Path, record: str) -> None:
    """A NotOursError for what stands where a run is to work, and isn't the folder of an earlier run."""
    if os.path.lexists(path) and not is_work_folder(path, record):
        raise NotOursError(f"{path} is not the working folder of an earlier run; move it away, or give another output")


def remove_work_folder(path: Path, record: str) -> None:
    """Remove the folder of a run of ours, its record last: whoever is killed meanwhile leaves what is still known."""
    for inner in path.iterdir():
        if inner.name not in (record, LOCK):
            remove_tree(inner)
    (path / record).unlink(missing_ok=True)
    shutil.rmtree(path)


def _is_marker(path: Path) -> bool:
    """A marker holds a JSON object; a file of that name that somebody else made hardly does."""
    try:
        return not path.is_symlink() and isinstance(json.loads(path.read_text("utf-8")), dict)
    except (OSError, ValueError):
        return False


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock during the block, e.g. `with only_writer(Path("runs/quickstart")):`; else a BusyError.

    The lock belongs to the operating system and goes away with the process, even one that is killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    try:
        held = FileLock(path, blocking=False, on_acquired=_write_holder).acquire()
    except Timeout as error:
        holder = path.read_text("utf-8").strip() or "another process"
        raise BusyError(
            f"{folder} is being written by {holder}; wait for it, stop it, or choose another folder"
        ) from error
    with held:
        yield


def _write_holder(lock: int) -> None:
    """Who holds the lock, into its file, for whoever finds it held."""
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}".encode())


def no_link(path: str, flags: int) -> int:
    """An opener that refuses a link: `open(log, "a", opener=no_link)` writes the file of that name, or none."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _new(path: str, flags: int) -> int:
    """An opener for files that must not be there yet, not even as a link."""
    return no_link(path, flags | os.O_EXCL)


def remove_tree(path: str | Path) -> None:
    """Remove a folder, or the file or link of that name; what a link leads to stays. Nothing there is fine."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def cut_torn_line(path: str | Path) -> int:
    """Remove what a crash left behind the last line end of a file that is appended to; returns how many bytes."""
    whole, _, torn = Path(path).read_bytes().rpartition(b"\n")
    if torn:
        with open(path, "r+b") as file:
            file.truncate(len(whole) + 1 if whole else 0)
    return len(torn)


def mark_complete(path: str | Path, info: dict[str, Any] | None = None) -> Path:
    """Put the marker into a folder that was written in place (a training run with checkpoints); call it last."""
    return write_json(Path(path) / MARKER, info or {})


def is_complete(path: str | Path) -> bool:
    """Whether the folder was finished by `complete_dir` or `mark_complete`; False when it doesn't exist."""
    return (Path(path) / MARKER).is_file()


def remove_leftovers(path: str | Path) -> list[Path]:
    """Remove what killed processes of this machine left beside `path`; returns the removed ones."""
    path, removed = Path(path), []
    name = re.compile(rf"\.{re.escape(path.name)}\.part-{_host()}#(\d+)-[0-9a-f]+")
    for old in sorted(path.parent.glob(".*.part-*")):
        match = name.fullmatch(old.name)
        if match is None or running(int(match[1])):
            continue
        remove_tree(old)
        removed.append(old)
    return removed


def running(pid: int) -> bool:
    """Whether a process of this machine runs (in doubt: yes), e.g. `running(os.getpid())` is True."""
    if os.name != "posix" or pid == os.getpid():
        return True  # on Windows os.kill(pid, 0) would end the process instead of asking
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _host() -> str:
    return "".join(c if c.isalnum() else "_" for c in socket.gethostname()) or "host"


def _temporary(path: Path) -> Path:
    return path.parent / f".{path.name}.part-{_host()}#{os.getpid()}-{secrets.token_hex(8)}"


def _swap(new: Path, path: Path) -> None:
    """Rename `new` to `path`. A folder in the way is moved aside first: rename can't replace one that isn't empty."""
    old = _temporary(path)
    if path.exists():  # which `check_ours` has let pass
        os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        if old.exists():
            os.replace(old, path)
        raise
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Full disk: say which file could not be written and that nothing half written was left."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        message = f"the disk is full: {path} was not written; what stood there before still stands"
        raise OSError(error.errno, message) from error


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {_key(k, where): _plain(v, f"{where}: {k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if not isinstance(value, str | int | float | bool | None) and callable(getattr(value, "tolist", None)):
        return _plain(value.tolist(), where)  # numpy and torch scalars and arrays
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} is {value}: JSON has no such number; write None where a figure is missing")
    if isinstance(value, str | int | float | bool | None):
        return value
    raise TypeError(f"{where} is a {type(value).__name__}: expected dict, list, str, int, float, bool or None")


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{where} has the key {key!r} ({type(key).__name__}): JSON keys are strings; convert it first")
    return key
