"""Parquet and rows read back equal, also as `datasets` streams them, and no key is filled with null."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.data.golden import samples_dir
from xlam_lib.data.store import FLAT, from_row, main, read_parquet, row_features, to_row, write_parquet, write_rows
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Trajectory, read_jsonl, write_jsonl

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def trajectories() -> list[Trajectory]:
    sources = ("xlam_fc_60k", "tau_bench", "toolbench")
    made = [t for name in sources for t in read_jsonl(samples_dir(name) / "unified.jsonl")]
    unusual = {"numbers": [0.1 + 0.2, 1.2345678901234567, 12345678901234567890], "none": {"a": None}, "é": "\u2028"}
    return [dataclasses.replace(made[0], extra=unusual, split="train", tags=()), *made[1:]]


def test_parquet_round_trip(trajectories: list[Trajectory], tmp_path: Path) -> None:
    assert write_parquet(tmp_path / "t.parquet", trajectories) == len(trajectories)
    assert list(read_parquet(tmp_path / "t.parquet")) == trajectories


def test_datasets_streams_both(trajectories: list[Trajectory], tmp_path: Path) -> None:
    from datasets import load_dataset

    write_parquet(tmp_path / "t.parquet", trajectories)
    write_rows(tmp_path / "rows.jsonl", trajectories)
    for kind, name, features in (("parquet", "t.parquet", None), ("json", "rows.jsonl", row_features())):
        options = {"split": "train", "streaming": True, "features": features, "cache_dir": str(tmp_path / "cache")}
        rows = load_dataset(kind, data_files=str(tmp_path / name), **options)
        assert [from_row(row) for row in rows] == trajectories


def test_flat_columns_say_what_the_trajectory_says(trajectories: list[Trajectory]) -> None:
    t = trajectories[-1]
    row = to_row(t)
    assert {name for name, _ in FLAT} < row.keys()
    assert (row["source_name"], row["n_steps"], row["success"]) == (t.source.name, len(t.steps), t.outcome.success)
    assert row["n_calls"] == sum(len(step.tool_calls) for step in t.steps)


@settings(max_examples=50, deadline=None)
@given(extra=st.dictionaries(st.text(max_size=5), JSON, max_size=3), tags=st.lists(st.text(max_size=4), max_size=3))
def test_any_content_survives_a_row(extra: dict, tags: list[str]) -> None:
    t = next(read_jsonl(samples_dir("xlam_fc_60k") / "unified.jsonl"))
    t = dataclasses.replace(t, extra=extra, tags=tuple(tags))
    assert from_row(json.loads(json.dumps(to_row(t)))) == t


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(TrajectoryError, match=r"x\.parquet: no column schema_version, trajectory_id, source"):
        list(read_parquet(tmp_path / "x.parquet"))


def test_the_command(trajectories: list[Trajectory], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl(tmp_path / "t.jsonl", trajectories)
    for name in ("t.parquet", "rows.jsonl"):
        assert main(["--input", str(tmp_path / "t.jsonl"), "--output", str(tmp_path / name)]) == 0
        assert json.loads(capsys.readouterr().out)["rows"] == len(trajectories)
    assert main(["--input", str(tmp_path / "none"), "--output", str(tmp_path / "x.parquet")]) == 1
