"""A data set of the hub gives the records that its files hold, or one error that says what to do.

There is no hub here: `datasets` reads a folder owner/name of the working directory by the very same call.
"""

import datetime
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xlam_lib.data.accounting import Accounting, Loss
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.hub import HubId, hub_id, hub_records
from xlam_lib.data.reading import ReadError
from xlam_lib.data.sources import load_source

ROWS = [
    {"id": 1, "input": {"x": 1, "n": None}, "calls": [{"name": "f", "arguments": {"city": "Oslo"}}]},
    {"id": 2, "input": {"y": "s"}, "calls": [{"name": "g", "arguments": {"city": 5, "deep": [{"a": 1.5}]}}, {}]},
    {"id": 3, "calls": []},
]


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """The folder of the data set owner/name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "owner" / "name"
    folder.mkdir(parents=True)
    return folder


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_names_of_data_sets():
    assert hub_id("Team-ACE/ToolACE") == HubId("Team-ACE/ToolACE")
    assert hub_id("a/b:c@v1.0#train") == HubId("a/b", "c", "v1.0", "train")
    assert hub_id("a/b@refs/convert/parquet") == HubId("a/b", revision="refs/convert/parquet")
    for path in ("name", "a/b/c", "/a/b", "./a", "../a", "a/rows.jsonl", "a/rows.json.gz", Path("a/b")):
        assert hub_id(path) is None


def test_what_exists_is_a_path(hub):
    assert hub_id("owner/name") is None
    assert hub_id("owner/name#train") == HubId("owner/name", split="train")


@pytest.mark.parametrize("name,text", [("train.jsonl", lines(ROWS)), ("train.json", json.dumps(ROWS))])
def test_rows_of_json_files_have_no_foreign_keys(hub, name, text):
    (hub / name).write_text(text)
    records = list(hub_records("owner/name"))
    assert [r.where for r in records] == [f"owner/name[train]:{n}" for n in (1, 2, 3)]
    assert [r.value for r in records] == ROWS  # {"n": None} is JSON of its own, as types are mixed there


def test_null_filled_keys_of_tables_are_left_out(hub):
    rows = [{"a": {"x": 1}, "b": [{"y": "s"}, {"z": [1, None]}]}, {"a": {"w": True}, "b": []}]
    pq.write_table(pa.Table.from_pylist(rows), hub / "test-00000-of-00001.parquet")
    assert pq.read_table(hub / "test-00000-of-00001.parquet").to_pylist() != rows
    assert [r.value for r in hub_records("owner/name#test")] == rows


def test_what_is_no_json_is_quarantined_in_its_place(hub):
    rows = [{"d": datetime.date(2024, 5, 1), "f": 1.5}, {"f": float("nan")}, {"b": b"\0"}]
    pq.write_table(pa.Table.from_pylist(rows, pa.schema({"d": pa.date32(), "f": pa.float64(), "b": pa.binary()})),
                   hub / "train.parquet")  # fmt: skip
    first, nan, binary = hub_records("owner/name")
    assert first.value == {"d": "2024-05-01", "f": 1.5}
    assert nan == Loss("quarantined", "owner/name[train]", 2, "not JSON: nan is not JSON")
    assert binary.reason == "not JSON: a value of type binary"


def test_all_splits_are_read_or_the_one_that_is_named(hub):
    (hub / "train.jsonl").write_text(lines(ROWS[:2]))
    (hub / "test.jsonl").write_text(lines(ROWS[2:]))
    assert [r.where for r in hub_records("owner/name")] == [
        "owner/name[train]:1", "owner/name[train]:2", "owner/name[test]:1"
    ]  # fmt: skip
    assert [r.where for r in hub_records("owner/name#test")] == ["owner/name[test]:1"]


@pytest.mark.parametrize("source", ["xlam_fc_60k", "glaive", "toolace"])
def test_the_hub_gives_what_the_folder_gives(hub, source):
    raw = min((samples_dir(source) / "raw").glob("*.json"))
    (hub / "train.json").write_text(raw.read_text(encoding="utf-8"), encoding="utf-8")
    books, own = Accounting(source), Accounting(source)
    streamed = list(load_source(source, "owner/name#train", books))
    books.check()
    assert streamed and books.files == 1
    assert [t.steps for t in streamed] == [t.steps for t in load_source(source, raw, own)]
    assert books.dropped == own.dropped


def test_without_a_path_the_own_data_set_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReadError, match="tau_bench lies on no hub: download it from https://"):
        load_source("tau_bench")
    with pytest.raises(ReadError, match="Team-ACE/ToolACE: .*give the folder.*set HF_TOKEN"):
        load_source("toolace")


def test_one_error_says_what_to_do(hub, monkeypatch):
    with pytest.raises(ReadError, match="raw/missing: no such file or folder.*OfflineModeIsEnabled.*by hand.*HF_TOKEN"):
        load_source("tau_bench", "raw/missing")
    (hub / "train.jsonl").write_text(lines(ROWS))
    with pytest.raises(ReadError, match=r"Bad split: nope. Available splits: \['train'\]"):
        hub_records("owner/name#nope")
    with pytest.raises(ReadError, match="names no data set"):
        hub_records("nonsense")


def test_a_stream_that_breaks_off_says_where(hub):
    (hub / "train.jsonl").write_text(lines(ROWS))
    records = hub_records("owner/name")  # opened, and the first rows looked at
    (hub / "train.jsonl").unlink()
    with pytest.raises(ReadError, match=r"owner/name\[train\]: the stream broke off behind row 0"):
        list(records)


def test_datasets_is_imported_only_when_asked_for():
    code = "import sys, xlam_lib.data.sources; sys.exit('datasets' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
