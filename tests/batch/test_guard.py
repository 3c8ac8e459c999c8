"""The lock and the sweep: one writer a folder, and nothing of a killed run goes on."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from xlam_lib import files
from xlam_lib.batch import guard

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the lock is of POSIX")
HOLDER = """
import sys
from pathlib import Path
from xlam_lib import files
with files.only_writer(Path(sys.argv[1])):
    print("locked", flush=True)
    input()
"""


def start(code, *arguments, **environment):
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert child.stdout.readline().strip() in ("locked", "ready")
    return child


def test_two_runs_cannot_write_the_same_folder_and_a_killed_one_lets_go(tmp_path):
    child = start(HOLDER, str(tmp_path))
    with (
        pytest.raises(files.BusyError, match=f"being written by process {child.pid} since"),
        files.only_writer(tmp_path),
    ):
        pass
    child.kill()
    child.communicate()
    with files.only_writer(tmp_path):
        assert (tmp_path / files.LOCK).read_text().startswith(f"process {os.getpid()} since")


def test_only_marked_processes_are_stopped(tmp_path):
    wait = "print('ready', flush=True); input()"
    marked = start(wait, **{guard.VARIABLE: str(tmp_path)})
    other = start(wait, **{guard.VARIABLE: str(tmp_path / "other")})
    (stopped,) = guard.stop_leftovers(tmp_path)
    assert stopped.startswith(f"{marked.pid} ")
    assert not psutil.pid_exists(marked.pid) and other.poll() is None
    marked.communicate()
    other.communicate("\n")
    assert other.returncode == 0
    assert guard.stop_leftovers(tmp_path) == []


def test_a_deaf_process_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "PATIENCE", 0.2)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); input()"
    child = start(deaf, **{guard.VARIABLE: str(tmp_path)})
    assert len(guard.stop_leftovers(tmp_path)) == 1
    assert not psutil.pid_exists(child.pid)
    child.communicate()


def test_a_lock_follows_no_link(tmp_path):
    kept = tmp_path / "kept.txt"
    kept.write_text("here")
    (tmp_path / files.LOCK).symlink_to(kept)
    with pytest.raises(OSError, match=r"\.lock"), files.only_writer(tmp_path):
        pass
    assert kept.read_text() == "here"


def test_a_process_forked_by_the_holder_does_not_hold_the_lock(tmp_path):
    """It may live on when the holder is killed."""
    fork = "    child = os.fork() or time.sleep(60)\n    print('locked', flush=True)\n    print(child, flush=True)\n"
    code = "import os, time" + HOLDER.replace('    print("locked", flush=True)\n', fork)
    holder = start(code, str(tmp_path))
    forked = int(holder.stdout.readline())
    try:
        holder.kill()
        holder.wait()
        until = time.monotonic() + 60
        while True:  # the forked process lets go of the lock as the first thing it does
            with contextlib.suppress(files.BusyError if time.monotonic() < until else ()), files.only_writer(tmp_path):
                assert psutil.pid_exists(forked)
                break
            time.sleep(0.05)
    finally:
        os.kill(forked, signal.SIGKILL)
        holder.communicate()
