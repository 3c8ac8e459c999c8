"""Real processes that are killed at random moments, disks that fill up: nothing lost, nothing doubled, nobody left.

Every command runs in a session of its own, so that whoever it started can be found, and found gone.
"""

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from pipeline_checks import SMALL, outputs, rows, write

from xlam_lib.data.convert import DUPLICATE
from xlam_lib.data.pipeline import shards
from xlam_lib.data.pipeline.merge import EXACT, PARQUET
from xlam_lib.data.pipeline.work import work_folder
from xlam_lib.data.unify import BOOKS, LOSSES, TRAJECTORIES, Options, unify

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals and sessions")
PATIENCE = 120  # seconds in which whoever doesn't end is taken to hang
RECORDS = 150
COMMAND = f"""
import resource, sys, time
from xlam_lib.data.pipeline import merge, shards
from xlam_lib.data.unify import main
shards.SHARD = {SMALL}
limit, linger, check = int(sys.argv[1]), float(sys.argv[2]), merge._check
merge._check = lambda *given: time.sleep(linger) or check(*given)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(main(sys.argv[3:]))
"""
OPTIONS = Options(dedup="exact", split=(0.8, 0.1, 0.1), split_by=("task",))
FLAGS = ["--dedup", "exact", "--split", "0.8", "0.1", "0.1", "--split-by", "task"]


def command(path: Path, output: Path, limit: int = 0, linger: float = 0) -> list[str]:
    """With two workers; no file may grow beyond `limit` bytes, and `linger` is how long the merge is nearly done."""
    given = ["--source", "xlam_fc_60k", "--input", path, "--output", output, "--workers", "2", *FLAGS]
    return [sys.executable, "-c", COMMAND, str(limit), str(linger), *map(str, given)]


class Run:
    """The command, just started."""

    def __init__(self, path: Path, output: Path, limit: int = 0, linger: float = 0) -> None:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.driver = subprocess.Popen(command(path, output, limit, linger), start_new_session=True, **pipes)

    def alive(self) -> list[int]:
        """The driver and all that descend from it, whoever their parent is by now."""
        return [pid for pid in psutil.pids() if _session(pid) == self.driver.pid and _runs(pid)]

    def children(self) -> list[int]:
        return [pid for pid in self.alive() if pid != self.driver.pid]

    def end(self) -> tuple[int, str]:
        """(exit status, what it wrote to stderr), once nobody is left of it; fails where that takes too long."""
        try:
            _, err = self.driver.communicate(timeout=PATIENCE)
            _wait(lambda: not self.alive(), f"{[_name(pid) for pid in self.alive()]} outlived the driver")
        finally:
            for pid in self.alive():
                os.kill(pid, signal.SIGKILL)
        return self.driver.returncode, err


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _name(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())[:200]
    except psutil.NoSuchProcess:  # or a zombie, which is one of these
        return "one that ended just now"


def _wait(ready: Callable[[], object], message: str) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end, message
        time.sleep(0.02)


def raw(folder: Path) -> Path:
    """Two files with broken lines, duplicates near and far, and one id given to several records of both files."""
    folder.mkdir()
    records = rows(RECORDS)
    records += [records[3], {**records[5], "id": 4}, {**records[7], "id": 99_999}, {"id": 1}]
    write(folder / "a.jsonl", records[: RECORDS // 2])
    write(folder / "b.jsonl", [*records[RECORDS // 2 :], records[10], {**records[20], "id": 2, "query": "other"}])
    with open(folder / "b.jsonl", "ab") as file:
        file.write(b'{"id": \xe9}\n{"id": 7, "query"')
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """The raw folder, and what becomes of it when nothing happens, with one worker."""
    folder, before = tmp_path_factory.mktemp("undisturbed"), shards.SHARD
    shards.SHARD = SMALL
    try:
        books = unify("xlam_fc_60k", raw(folder / "raw"), folder / "out", options=OPTIONS)
    finally:
        shards.SHARD = before
    assert books is not None and books.dropped == {DUPLICATE: 2, EXACT: 2, "no 'query'": 1}
    assert (books.records_in, books.quarantined) == (RECORDS + 8, 2)
    return folder / "raw", outputs(folder / "out")


def marks(output: Path) -> int:
    """How many shards are finished."""
    return len(list(work_folder(output).glob("convert/completions/*")))


def is_whole(run: Run, output: Path, expected: dict[str, bytes]) -> None:
    status, err = run.end()
    assert status == 0, err
    assert outputs(output) == expected
    books = json.loads((output / BOOKS).read_text(encoding="utf-8"))
    assert books["records_in"] == books["records_converted"] + sum(books["dropped"].values()) + books["quarantined"]
    assert books["trajectories"] == outputs(output)[TRAJECTORIES].count(b"\n")
    assert [path.name for path in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_the_driver_is_killed_at_random_moments(tmp_path: Path, undisturbed: tuple, seed: int) -> None:
    """Once or twice, each time a little further; then the same command ends it."""
    path, expected = undisturbed
    rng, output, tasks = random.Random(seed), tmp_path / "out", len(shards.plan(sorted(path.iterdir()), size=SMALL))
    for at in sorted(rng.sample(range(tasks), 1 + seed % 2)):
        run = Run(path, output)
        _wait(lambda run=run, at=at: marks(output) >= at or run.driver.poll() is not None, "it came no further")
        time.sleep(rng.uniform(0, 0.1))
        run.driver.kill()
        status, err = run.end()
        assert status == -signal.SIGKILL or (status == 0 and at > tasks // 2), err
        assert not output.exists() or outputs(output) == expected  # whole or not at all
    is_whole(Run(path, output), output, expected)


def test_the_driver_is_killed_when_the_merge_is_nearly_done(tmp_path: Path, undisturbed: tuple) -> None:
    path, expected = undisturbed
    output, run = tmp_path / "out", Run(path, tmp_path / "out", linger=PATIENCE)
    _wait(lambda: [*tmp_path.glob(".out.part-*/losses.jsonl")], "it never merged")
    time.sleep(0.2)
    run.driver.kill()
    assert run.end()[0] == -signal.SIGKILL and not output.exists()
    is_whole(Run(path, output), output, expected)  # what was left of the merge is gone, too


@pytest.mark.parametrize("seed", range(3))
def test_another_process_of_the_run_is_killed(tmp_path: Path, undisturbed: tuple, seed: int) -> None:
    """A worker, or the server that forks them: one clear error (or no loss), and the same command completes it."""
    path, expected = undisturbed
    rng, output = random.Random(seed), tmp_path / "out"
    run, at = Run(path, output), rng.randrange(1, 20)
    _wait(lambda: marks(output) >= at and len(run.children()) > 2 or run.driver.poll() is not None, "no workers")
    victims = run.children()
    assert victims, run.end()
    os.kill(rng.choice(victims), signal.SIGKILL)
    status, err = run.end()
    if status:
        assert "error: convert: a worker process was lost" in err and "Traceback" not in err
        assert marks(output) >= at and not output.exists()
    is_whole(Run(path, output), output, expected)


@pytest.mark.parametrize("limit", [300, 2500, 60_000])
def test_a_disk_that_fills_up_under_workers(tmp_path: Path, undisturbed: tuple, limit: int) -> None:
    """The plan, a shard or the merged file can't be written: one error, nothing is left; with room, all is well."""
    path, expected = undisturbed
    output = tmp_path / "out"
    status, err = Run(path, output, limit).end()
    assert status == 1 and "Traceback" not in err
    assert f"error: [Errno 27] the disk is full: {output} was not written" in err
    assert list(tmp_path.iterdir()) == []
    is_whole(Run(path, output), output, expected)


ON_A_SMALL_DISK = """
mount -t tmpfs -o size="$1" none "$2" && cd "$2" && shift 2 || exit 77
"$@"
echo "status $? files $(ls -A | tr '\\n' ' ')" >&2
mount -o remount,size=50m . && "$@" >&2
ls -A >&2 && cat out/trajectories.jsonl
"""


@pytest.mark.parametrize("size", ["40k", "350k"])
def test_a_real_disk_that_is_full(tmp_path: Path, undisturbed: tuple, size: int) -> None:
    """A small file system of its own, mounted where nobody else sees it: full in a shard, or in the merge."""
    path, expected = undisturbed
    shell = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh", size, str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run([*shell[:4], "true"], check=False).returncode:
        pytest.skip("this system lets nobody but root mount a file system")
    run = subprocess.run([*shell, *command(path, Path("out"))], capture_output=True, check=False, timeout=PATIENCE)
    assert run.returncode == 0, run.stderr.decode()
    stderr = run.stderr.decode()
    assert "error: [Errno 28] the disk is full: out was not written" in stderr and "Traceback" not in stderr
    assert "status 1 files \n" in stderr and stderr.splitlines()[-1] == "out"
    assert run.stdout.endswith(expected[TRAJECTORIES])


def test_a_disk_that_fills_up_spares_what_stood_there(tmp_path: Path, undisturbed: tuple) -> None:
    path, expected = undisturbed
    shutil.copytree(path, tmp_path / "raw")
    is_whole(Run(tmp_path / "raw", tmp_path / "x" / "out"), tmp_path / "x" / "out", _moved(expected, path, tmp_path))
    before = outputs(tmp_path / "x" / "out")
    write(tmp_path / "raw" / "c.jsonl", [{**rows(1)[0], "id": "new"}])
    status, _ = Run(tmp_path / "raw", tmp_path / "x" / "out", 2500).end()
    assert status == 1 and outputs(tmp_path / "x" / "out") == before


def _moved(expected: dict[str, bytes], path: Path, folder: Path) -> dict[str, bytes]:
    return {**expected, LOSSES: expected[LOSSES].replace(str(path).encode(), str(folder / "raw").encode())}


def test_every_fault_of_a_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of many encodings, gzip that breaks off, a record of 50 MB, ids given twice: known books, same bytes."""
    folder, records = tmp_path / "raw", rows(40)
    folder.mkdir()
    lines = [json.dumps(row).encode() + b"\n" for row in records]
    huge = json.dumps({**records[0], "id": "huge", "query": "x" * 50_000_000}).encode() + b"\n"
    (folder / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + b"".join(lines[:10]))
    (folder / "b.jsonl").write_bytes(lines[10] + huge + lines[11] + lines[12].replace(b"query", b"qu\xe9ry"))
    (folder / "c.jsonl").write_bytes(b"".join(lines[13:16]).decode().encode("utf-16"))
    (folder / "d.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[16:30]))[:-200])
    (folder / "e.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[30:])) + gzip.compress(lines[0] * 2))
    (folder / "f.json").write_bytes(json.dumps([{**records[3], "id": "4"}, {**records[1], "id": 2}]).encode()[:-1])
    (folder / "g.jsonl").write_bytes(b"")
    monkeypatch.setattr(shards, "SHARD", SMALL)
    books = [
        unify("xlam_fc_60k", folder, tmp_path / str(n), workers=n, options=Options(parquet=n == 2)) for n in (1, 2)
    ]
    assert outputs(tmp_path / "1") == outputs(tmp_path / "2") and (tmp_path / "2" / PARQUET).is_file()
    losses = [json.loads(line) for line in outputs(tmp_path / "1")[LOSSES].splitlines()]
    quarantined = [(Path(loss["file"]).name, loss["line"]) for loss in losses if loss["kind"] == "quarantined"]
    cut = next(line for name, line in quarantined if name.startswith("d"))
    assert quarantined == [("b.jsonl", 4), ("c.jsonl", 0), ("d.jsonl.gz", cut), ("f.json", 1), ("g.jsonl", 0)]
    read = 10 + 3 + (cut - 1) + 10 + 2 + 2
    for one in books:
        assert one is not None and one.records_in == read + 5 and one.dropped == {DUPLICATE: 2}
        assert one.records_converted == read - 2
        assert one.warnings["id given twice, renamed"] == 2
