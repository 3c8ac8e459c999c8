"""`unify` over a data set of the hub: stored first, taken up after a kill or a broken stream, the books as of a file.

As in `test_hub.py` the hub is a folder owner/name of the working directory, which `datasets` streams by the same call.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pipeline_checks import SMALL, outputs, rows, write

from xlam_lib.data.accounting import Accounting, Loss
from xlam_lib.data.hub import HubId
from xlam_lib.data.pipeline import shards
from xlam_lib.data.pipeline import shards as module
from xlam_lib.data.pipeline.shards import BrokenOff, fetch, fetched
from xlam_lib.data.pipeline.work import work_folder
from xlam_lib.data.reading import ReadError
from xlam_lib.data.sources import SOURCES, load_source
from xlam_lib.data.unify import BOOKS, LOSSES, TRAJECTORIES, main, unify
from xlam_lib.trajectory import read_jsonl

SOURCE = "xlam_fc_60k"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the data set owner/name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(shards, "SHARD", SMALL)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    return tmp_path / "owner" / "name"


def test_the_output_is_what_load_source_gives(hub: Path, tmp_path: Path) -> None:
    write(hub / "train.jsonl", [*rows(20), {**rows(1)[0], "id": 77, "query": ""}, rows(20)[3]])
    own = Accounting(SOURCE)
    expected = list(load_source(SOURCE, "owner/name#train", own))
    books = unify(SOURCE, "owner/name#train", tmp_path / "out")
    stored = list(read_jsonl(tmp_path / "out" / TRAJECTORIES))
    assert [t.trajectory_id for t in stored] == [t.trajectory_id for t in expected]
    assert [t.source for t in stored] == [t.source for t in expected]
    assert books is not None and (books.files, books.records_in) == (1, 22) and books.dropped == own.dropped
    losses = [json.loads(line) for line in (tmp_path / "out" / LOSSES).read_text().splitlines()]
    assert [(loss["file"], loss["line"]) for loss in losses] == [("owner/name[train]", 21), ("owner/name[train]", 22)]
    two = unify(SOURCE, "owner/name#train", tmp_path / "two", workers=2)
    assert two is not None and outputs(tmp_path / "two") == outputs(tmp_path / "out")
    assert not work_folder(tmp_path / "out").exists()


def test_what_is_complete_is_not_asked_for_again(hub: Path, tmp_path: Path) -> None:
    write(hub / "train.jsonl", rows(3))
    first = unify(SOURCE, "owner/name#train", tmp_path / "out")
    (hub / "train.jsonl").unlink()
    assert unify(SOURCE, "owner/name#train", tmp_path / "out") == first
    with pytest.raises(ReadError, match="owner/name: no such file or folder"):
        unify(SOURCE, "owner/name#train", tmp_path / "out", force=True)
    assert (tmp_path / "out" / BOOKS).is_file()  # what stood there still stands


def test_the_word_hub_is_the_own_data_set(hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / SOURCES[SOURCE].SOURCE.hub_id
    own.mkdir(parents=True)
    write(own / "train.jsonl", rows(3))
    assert main(["--source", SOURCE, "--input", "hub", "--output", str(tmp_path / "out")]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["trajectories"] == 3
    assert main(["--source", "tau_bench", "--input", "hub", "--output", str(tmp_path / "tau")]) == 1
    assert "error: tau_bench lies on no hub: download it from https://" in capsys.readouterr().err


def test_a_hub_that_cannot_be_reached_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["-m", "xlam_lib.data.unify", "--source", "toolace", "--input", "hub", "--output", str(tmp_path / "out")]
    run = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1].startswith("error: Team-ACE/ToolACE: no such file or folder, and as a data set")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_stream_that_breaks_off_is_taken_up(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file is read, the second is broken; once fixed, the stream goes on behind what is stored."""
    records = rows(240)
    write(hub / "train-00000.jsonl", records[:120])
    good = write(hub / "train-00001.jsonl", records[120:]).read_bytes()
    expected = unify(SOURCE, "owner/name#train", tmp_path / "whole")
    (hub / "train-00001.jsonl").write_bytes(b'{"id": 1}\n{broken\n')
    with pytest.raises(BrokenOff, match=r"the stream broke off behind row 1\d\d .*the same command goes on"):
        unify(SOURCE, "owner/name#train", tmp_path / "out")
    assert len(list((work_folder(tmp_path / "out") / "rows").iterdir())) > 5 and not (tmp_path / "out").exists()
    (hub / "train-00001.jsonl").write_bytes(good)
    asked = []
    stream = module.hub_records
    monkeypatch.setattr(module, "hub_records", lambda hub, after: asked.append(after) or stream(hub, after))
    books = unify(SOURCE, "owner/name#train", tmp_path / "out")
    assert asked == [("owner/name[train]", 100)]  # rows are taken a hundred at a time
    assert books is not None and expected is not None and books.records_in == expected.records_in == 240
    assert outputs(tmp_path / "out")[TRAJECTORIES] == outputs(tmp_path / "whole")[TRAJECTORIES]


def test_a_data_set_that_shrank_is_begun_anew(hub: Path, tmp_path: Path) -> None:
    write(hub / "train.jsonl", rows(30))
    assert fetch(HubId("owner/name", split="train"), tmp_path / "rows")
    write(hub / "train.jsonl", rows(10))
    with pytest.raises(ReadError, match=r"row 30 was read before, and now there are but 10: the data set has changed"):
        fetch(HubId("owner/name", split="train"), tmp_path / "rows")
    (hub / "train.jsonl").rename(hub / "test.jsonl")
    with pytest.raises(ReadError, match=r"owner/name\[train\] was read before, and now there is owner/name\[test\]"):
        fetch(HubId("owner/name"), tmp_path / "rows")


def test_rows_and_losses_come_back(hub: Path, tmp_path: Path) -> None:
    write(hub / "train.jsonl", rows(25))
    write(hub / "validation.jsonl", rows(5, seed=1))
    files = fetch(HubId("owner/name"), tmp_path / "rows")
    found = [raw for file in files for raw in fetched(file)]
    assert found == list(module.hub_records("owner/name")) and len(files) > 3 and len(found) == 30
    (tmp_path / "x.rows").write_bytes(
        module._line(loss := Loss("quarantined", "owner/name[train]", 2, "not JSON", "?"))
    )
    assert list(fetched(tmp_path / "x.rows")) == [loss]
    assert fetch(HubId("owner/name"), tmp_path / "rows") == files  # nothing is left to be read


KILLED = f"""
import sys, time
from pathlib import Path
from xlam_lib.data.pipeline import shards
shards.SHARD = {SMALL}
store = shards._store
def slow(*given):
    store(*given)
    time.sleep(0.05)  # or else it would be over before it is killed
shards._store = slow
from xlam_lib.data.unify import unify
unify({SOURCE!r}, "owner/name#train", sys.argv[1])
"""


@pytest.mark.parametrize("files", [1, 6])
def test_killed_while_rows_are_stored(hub: Path, tmp_path: Path, files: int) -> None:
    write(hub / "train.jsonl", rows(200))
    unify(SOURCE, "owner/name#train", tmp_path / "whole")
    stored = work_folder(tmp_path / "out") / "rows"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "out")]) as run:
        while run.poll() is None and len(list(stored.glob("*.rows"))) < files:
            time.sleep(0.01)
        run.kill()
    assert run.returncode == -signal.SIGKILL and not (tmp_path / "out").exists()
    assert len(list(stored.glob("*.rows"))) >= files
    unify(SOURCE, "owner/name#train", tmp_path / "out")
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")
