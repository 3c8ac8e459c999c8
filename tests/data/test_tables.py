"""Parquet and Arrow files are inputs like any other: rows in order, without the nulls that a table fills in."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xlam_lib.data.accounting import Accounting, Loss
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.pipeline.shards import plan
from xlam_lib.data.reading import Raw, data_files, is_lines, read_records
from xlam_lib.data.sources import load_source
from xlam_lib.data.unify import TRAJECTORIES, unify

ROWS = [
    {"id": str(n), "messages": [{"role": "user", "content": f"Go {n}"}, {"role": "assistant", "content": "Gone."}]}
    for n in range(250)
]
ROWS[1]["messages"][1] = {
    "role": "assistant",
    "tool_calls": [{"id": "x", "args": {"a": 1}}, {"id": "y", "args": {"b": [None]}}],
}


def parquet(path: Path, rows: list[dict], **how: object) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path, **how)
    return path


def arrow(path: Path, rows: list[dict], new: object = pa.ipc.new_stream) -> Path:
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema) as writer:
        writer.write_table(table)
    return path


@pytest.mark.parametrize(
    "path",
    [
        lambda folder: parquet(folder / "rows.parquet", ROWS, row_group_size=60),
        lambda folder: parquet(folder / "rows", ROWS),  # by its content
        lambda folder: arrow(folder / "rows.arrow", ROWS),
        lambda folder: arrow(folder / "rows.arrow", ROWS, pa.ipc.new_file),
    ],
)
def test_rows_in_their_order_without_the_nulls_of_the_table(path, tmp_path: Path) -> None:
    file = path(tmp_path)
    records = list(read_records(file))
    assert [record.value for record in records] == ROWS
    assert [record.line for record in records] == list(range(1, len(ROWS) + 1))
    assert not is_lines(file)


def test_maps_are_objects(tmp_path: Path) -> None:
    schema = pa.schema({"scores": pa.map_(pa.string(), pa.int64())})
    pq.write_table(pa.Table.from_pylist([{"scores": [("a", 1), ("b", None)]}], schema), tmp_path / "x.parquet")
    assert [record.value for record in read_records(tmp_path / "x.parquet")] == [{"scores": {"a": 1, "b": None}}]


def test_values_that_are_no_json_cost_their_row(tmp_path: Path) -> None:
    first, second = read_records(parquet(tmp_path / "x.parquet", [{"a": 1.0}, {"a": float("nan")}]))
    assert isinstance(first, Raw)
    assert second == Loss("quarantined", str(tmp_path / "x.parquet"), 2, "not JSON: nan is not JSON")


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
@pytest.mark.parametrize("data", [b"version https://git-lfs.github.com/spec/v1\n", b"PAR1", b"ARROW1", b"\0" * 50])
def test_what_is_no_table_is_one_entry(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    (loss,) = read_records(tmp_path / name)
    assert (loss.kind, loss.line) == ("quarantined", 0)
    assert loss.reason.startswith("this is no ") and "fetch it again" in loss.reason


def test_an_empty_file_and_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"")
    assert [loss.reason for loss in read_records(tmp_path / "x.parquet")] == ["the file is empty"]
    assert [loss.reason for loss in read_records(parquet(tmp_path / "y.parquet", []))] == ["the file has no rows"]


def test_a_broken_row_group_costs_what_follows(tmp_path: Path) -> None:
    file = parquet(tmp_path / "x.parquet", [{"a": f"{n} is a text"} for n in range(400)], row_group_size=200)
    data = bytearray(file.read_bytes())
    column = pq.ParquetFile(file).metadata.row_group(1).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    file.write_bytes(bytes(data))
    *rows, loss = read_records(file)
    assert len(rows) == 200 and all(isinstance(row, Raw) for row in rows)
    assert loss.line == 201 and loss.reason.startswith("the parquet file is broken behind row 200")


def test_a_cut_off_file(tmp_path: Path) -> None:
    file = parquet(tmp_path / "x.parquet", ROWS)
    file.write_bytes(file.read_bytes()[:-20])
    (loss,) = read_records(file)
    assert loss.reason.startswith("this is no parquet file")
    file = arrow(tmp_path / "x.arrow", ROWS)
    file.write_bytes(file.read_bytes()[:300])
    assert list(read_records(file))[-1].kind == "quarantined"


@pytest.mark.parametrize("source", ["openai_chat", "sharegpt", "langchain", "gemini", "preferences", "verifiers"])
def test_every_form_of_chats_can_be_read_from_parquet(source: str, tmp_path: Path) -> None:
    rows = [raw.value for file in data_files(samples_dir(source) / "raw")[0] for raw in read_records(file)]
    read = 0
    for row in rows:
        try:
            file = parquet(tmp_path / "x.parquet", [row])
        except pa.ArrowInvalid:  # no table holds texts and lists in one column
            continue
        (tmp_path / "x.jsonl").write_text(json.dumps(row))
        accounting = Accounting(source)
        table, line = next(load_source(source, file, accounting)), next(load_source(source, tmp_path / "x.jsonl"))
        assert (table.steps, table.tools, accounting.quarantined) == (line.steps, line.tools, 0)
        read += 1
    assert read


def test_unify_reads_a_folder_of_parquet_files(tmp_path: Path) -> None:
    rows = [row for number, row in enumerate(ROWS) if number != 1]
    (tmp_path / "in").mkdir()
    parquet(tmp_path / "in" / "0.parquet", rows[:100])
    parquet(tmp_path / "in" / "1.parquet", rows[100:])
    (tmp_path / "in" / "2.parquet").write_bytes(b"no table")
    books = unify("openai_chat", tmp_path / "in", tmp_path / "out", workers=2)
    assert (books.records_converted, books.quarantined, books.files) == (len(rows), 1, 3)
    assert len((tmp_path / "out" / TRAJECTORIES).read_text().splitlines()) == len(rows)
    assert all(not part.end for shard in plan(data_files(tmp_path / "in")[0], size=1) for part in shard)
