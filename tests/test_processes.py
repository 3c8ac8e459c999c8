"""Children and their groups: none outlives its owner, however that ends, and nobody else is signalled."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from xlam_lib import processes
from xlam_lib.files import running
from xlam_lib.processes import Child, environment, how_ended, package_dir, tail

SLEEP = "import time; time.sleep(60)"
FAMILY = f"""
import subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
print(other.pid, flush=True)
"""


def gone(pid, seconds=15.0):
    """Whether the process ends in time; a zombie that nobody waits for counts as ended."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        state = Path(f"/proc/{pid}/stat")
        if not running(pid) or (state.is_file() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z"):
            return True
        time.sleep(0.05)
    return False


def family(then=SLEEP, **options):
    """A child that has started another process: (child, process id of the other)."""
    child = Child([sys.executable, "-c", FAMILY + then], stdout=subprocess.PIPE, text=True, **options)
    return child, int(child.stdout.readline())


def test_a_child_leads_a_group_in_which_it_finds_the_package(tmp_path):
    code = "import os, sys, xlam_lib; print(os.getpid() == os.getpgid(0) == os.getsid(0), xlam_lib.__path__[0])"
    with Child([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as child:
        output, _ = child.communicate(timeout=60)
    assert output == f"True {package_dir() / 'xlam_lib'}\n" and child.returncode == 0


def test_the_end_of_the_block_ends_the_group():
    child, other = family()
    with child:
        watcher = child._watcher
        assert child.poll() is None and os.getpgid(other) == child.pid != os.getpgid(watcher.pid)
    assert child.returncode == -signal.SIGTERM and gone(other) and watcher.poll() is not None
    child.end()  # once more does no harm


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_block_ends_the_group(error):
    child, other = family()
    with pytest.raises(error), child:
        raise error
    assert gone(child.pid) and gone(other)


def test_what_an_ended_leader_leaves_behind_is_ended():
    child, other = family(then="")
    assert child.wait(60) == 0 and gone(other) and child._watcher is None
    child.stdout.close()


def test_who_ignores_the_request_is_forced(caplog):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(0, flush=True); " + SLEEP
    child, other = family(then=deaf)
    child.stdout.readline()
    with caplog.at_level(logging.WARNING):
        child.end(grace=0.3)
    assert child.returncode == -signal.SIGKILL and gone(other) and "did not end within 0.3 s" in caplog.text


def test_without_grace_the_group_is_ended_at_once():
    child, other = family()
    began = time.monotonic()
    child.end(grace=0)
    assert child.returncode == -signal.SIGKILL and gone(other) and time.monotonic() - began < processes.GRACE


def test_an_ended_group_is_never_signalled_again(monkeypatch):
    """Its id may be another's by then."""
    child, _ = family(then="")
    child.wait(60)
    signalled = []
    monkeypatch.setattr(os, "killpg", lambda *given: signalled.append(given))
    child.poll(), child.wait(), child.end()
    assert signalled == []


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, None], ids=str)
def test_a_group_ends_with_its_owner_however_that_ends(tmp_path, ending):
    script = tmp_path / "owner.py"
    script.write_text(
        textwrap.dedent(f"""
        import subprocess, sys, time
        from xlam_lib.processes import Child
        child = Child([sys.executable, "-c", {FAMILY + SLEEP!r}], stdout=subprocess.PIPE, text=True)
        print(child.pid, child.stdout.readline(), flush=True)
        time.sleep({0 if ending is None else 60})
    """)
    )
    owner = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment())
    pids = [int(word) for word in owner.stdout.readline().split()]
    assert len(pids) == 2
    if ending is not None:
        assert all(map(running, pids))
        owner.send_signal(ending)
    owner.communicate(timeout=20)
    assert all(map(gone, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to another")
def test_a_process_outside_the_group_may_be_tied_to_its_parent():
    tied = f"from xlam_lib.processes import tie_to_parent; tie_to_parent(); print(1, flush=True); {SLEEP}"
    code = f"""
import subprocess, sys
other = subprocess.Popen([sys.executable, "-c", {tied!r}], stdout=subprocess.PIPE, start_new_session=True)
other.stdout.readline()
print(other.pid, flush=True)
sys.stdin.read()
"""
    child = Child([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    other = int(child.stdout.readline())
    assert running(other) and os.getpgid(other) != child.pid
    child.end(grace=0)
    assert gone(other)


def test_a_command_that_is_not_there_leaves_nothing():
    with pytest.raises(FileNotFoundError):
        Child(["/no/such/command"])


def test_the_environment_puts_this_package_first():
    found = environment({"PYTHONPATH": "mine", "HOME": "/h"})
    assert found.pop("PYTHONPATH").split(os.pathsep) == [str(package_dir()), "mine"]
    assert found == {"HOME": "/h", "PYTHONUNBUFFERED": "1"}
    assert environment()["PATH"] == os.environ["PATH"]


def test_exit_statuses_in_words():
    assert [how_ended(code) for code in (0, 3)] == ["ended with code 0", "ended with code 3"]
    assert how_ended(-signal.SIGTERM) == "was ended by SIGTERM"
    assert how_ended(-signal.SIGKILL) == "was ended by SIGKILL (out of memory?)"


def test_the_tail_of_a_log(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo \xff\r\nthree")
    assert (tail(log, 2), tail(log, None)) == (["two �", "three"], ["one", "two �", "three"])
    assert tail(tmp_path / "none") == []


def test_work_is_stalled_when_it_shows_nothing_for_the_given_time():
    acted = []
    with processes.Stalled(0.3, lambda: acted.append(time.monotonic())) as watch:
        for _ in range(5):
            time.sleep(0.1)
            watch.progress()
        assert not watch.happened and not acted
        time.sleep(0.8)
    assert watch.happened and len(acted) == 1
    with processes.Stalled(0, lambda: acted.append(0)) as watch:
        time.sleep(0.05)
    assert not watch.happened and len(acted) == 1
