"""Trajectories on disk: JSON Lines, and Parquet with flat columns to filter by (notebook 01).

In a row the nested parts are JSON texts, since Arrow would fill each missing key of a struct with null; beside them
stand columns that a query may ask for. `datasets` streams rows of Parquet and of JSON Lines, and they read back equal:

    write_parquet("train.parquet", read_jsonl("trajectories.jsonl"))
    rows = load_dataset("parquet", data_files="train.parquet", split="train", streaming=True)
    write_rows("rows.jsonl", read_jsonl("trajectories.jsonl"))
    rows = load_dataset("json", data_files="rows.jsonl", features=row_features(), split="train", streaming=True)
    trajectories = map(from_row, rows)

(trajectories.jsonl itself is for `read_jsonl`: the JSON reader of `datasets` fills keys with null where features are
inferred, and rounds numbers to ten digits where its `Json` feature is used.)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlam_lib.errors import TrajectoryError, as_command
from xlam_lib.files import writing
from xlam_lib.trajectory import SCHEMA_VERSION, Trajectory, read_jsonl

if TYPE_CHECKING:
    import pyarrow
    from datasets import Features

BATCH = 512  # rows in memory at a time, and in a row group
TEXTS = ("schema_version", "trajectory_id")
PARTS = ("source", "task", "tools", "steps", "outcome", "quality", "extra")
FLAT = (  # (name, type): what can be asked for without decoding a part
    ("source_name", "string"),
    ("license", "string"),
    ("task_id", "string"),
    ("toolset_id", "string"),
    ("n_tools", "int32"),
    ("n_steps", "int32"),
    ("n_turns", "int32"),
    ("n_calls", "int32"),
    ("characters", "int64"),
    ("success", "bool"),
    ("reward", "double"),
    ("termination", "string"),
    ("score", "double"),  # the mean of the ratings
)


def to_row(t: Trajectory) -> dict[str, Any]:
    """A row of the table: `to_row(t)["n_calls"]` -> 3, `to_row(t)["steps"]` -> '[{"role": "user", ...}]'."""
    plain = t.to_dict()
    turns = [step for step in t.steps if step.role == "assistant"]
    scores = [rating.score for rating in t.quality]
    steps = _text(plain.get("steps", []))
    return {
        "schema_version": SCHEMA_VERSION,
        "trajectory_id": t.trajectory_id,
        "source_name": t.source.name,
        "license": t.source.license,
        "task_id": t.task.task_id,
        "toolset_id": t.toolset_id,
        "split": t.split,
        "tags": list(t.tags),
        "n_tools": len(t.tools),
        "n_steps": len(t.steps),
        "n_turns": len(turns),
        "n_calls": sum(len(step.tool_calls) for step in turns),
        "characters": len(steps),
        "success": t.outcome.success,
        "reward": t.outcome.reward,
        "termination": t.outcome.termination,
        "score": sum(scores) / len(scores) if scores else None,
        **{part: _text(plain[part]) if part in plain else "" for part in PARTS if part != "steps"},
        "steps": steps,
    }


def from_row(row: Mapping[str, Any]) -> Trajectory:
    """The trajectory of a row, read from Parquet or JSON Lines; the flat columns are left aside."""
    data: dict[str, Any] = {name: row[name] for name in TEXTS if name in row}
    for part in PARTS:
        value = row.get(part)
        if value not in (None, ""):
            data[part] = json.loads(value) if isinstance(value, str) else value
    if row.get("split"):
        data["split"] = row["split"]
    if row.get("tags"):
        data["tags"] = list(row["tags"])
    return Trajectory.from_dict(data)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def schema() -> pyarrow.Schema:
    """The columns of the Parquet file."""
    import pyarrow as pa

    kinds = {"string": pa.string(), "int32": pa.int32(), "int64": pa.int64()}
    kinds |= {"bool": pa.bool_(), "double": pa.float64()}
    columns = [(name, pa.string()) for name in TEXTS]
    columns += [(name, kinds[kind]) for name, kind in FLAT]
    columns += [("split", pa.string()), ("tags", pa.list_(pa.string()))]
    return pa.schema([*columns, *((part, pa.large_string()) for part in PARTS)])


def write_parquet(path: str | Path, trajectories: Iterable[Trajectory]) -> int:
    """Writes a Parquet file and returns how many; it appears whole or not at all, and never lies in memory whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns, count, rest = schema(), 0, iter(trajectories)
    with writing(path, "wb") as file, pq.ParquetWriter(file, columns, compression="zstd") as writer:
        while rows := [to_row(t) for t in islice(rest, BATCH)]:
            writer.write_table(pa.Table.from_pylist(rows, schema=columns))
            count += len(rows)
    return count


def read_parquet(path: str | Path) -> Iterator[Trajectory]:
    """Trajectories of a Parquet file, one at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        missing = [name for name in (*TEXTS, *PARTS) if name not in file.schema_arrow.names]
        if missing:
            raise TrajectoryError(f"{path}: no column {', '.join(missing)}; was it written by write_parquet?")
        for batch in file.iter_batches(BATCH, columns=[*TEXTS, "split", "tags", *PARTS]):
            yield from map(from_row, batch.to_pylist())


def write_rows(path: str | Path, trajectories: Iterable[Trajectory]) -> int:
    """The rows of the Parquet file as JSON Lines: `datasets` streams them without touching what the texts hold."""
    count = 0
    with writing(path, "wb") as file:
        for t in trajectories:
            file.write(_text(to_row(t)).encode() + b"\n")
            count += 1
    return count


def row_features() -> Features:
    """What `load_dataset("json", features=...)` needs for such rows, as a column may begin with nothing but null."""
    from datasets import Features

    return Features.from_arrow_schema(schema())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: `python -m xlam_lib.data.store --input t.jsonl --output t.parquet` (or rows.jsonl)."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.store", description="Trajectories -> rows.")
    parser.add_argument("--input", required=True, help="trajectories.jsonl")
    parser.add_argument("--output", required=True, help="a .parquet file, or a .jsonl file of rows")
    options = parser.parse_args(arguments)
    write = write_parquet if options.output.endswith(".parquet") else write_rows

    def work() -> None:
        count = write(options.output, read_jsonl(options.input))
        print(json.dumps({"rows": count, "output": options.output}))

    return as_command(work, status=1, also=(ValueError,))


if __name__ == "__main__":
    sys.exit(main())
