"""Rows of tables -> raw records: Parquet and Arrow files, and what the hub streams (notebook 01).

    for record in table_rows("train-00000-of-00001.parquet"): ...   # record.line is the number of the row

What a table can't tell, a row doesn't claim: in it every object of a column has the same keys, and those that the
record did not have are null. Such keys are left out again, and counted. JSON kept as JSON stays as it was, nulls
included.

A file is read by pieces of a row group, never as a whole. One that is no table, or breaks off, is a quarantined entry:
behind the rows that could be read, and with the reason that Arrow gives.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Loss
from xlam_lib.data.streams import Raw

PARQUET, ARROW = ".parquet", ".arrow"
TABLES = (PARQUET, ARROW)
MAGIC = {b"PAR1": PARQUET, b"ARROW1": ARROW}  # a stream of Arrow, as `datasets` stores it, begins with neither
BATCH = 100  # rows taken out of a table at a time
BROKEN = "it may be cut off, or a pointer of Git LFS instead of the file; fetch it again"


def kind_of_table(path: str | Path, head: bytes) -> str:
    """ ".parquet" or ".arrow" by the first bytes or the name, "" for anything else: `kind_of_table("a", b"PAR1")`."""
    kind = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "")
    return kind or next((kind for kind in TABLES if Path(path).name.endswith(kind)), "")


def table_rows(path: str | Path, kind: str = PARQUET) -> Iterator[Raw | Loss]:
    """The rows of a Parquet or Arrow file in order; see the module's text."""
    import pyarrow as pa  # takes a while, and few need it

    number = 0
    try:
        for batch in _parquet(path) if kind == PARQUET else _arrow(path):
            for row in batch.to_pylist():
                number += 1
                yield record_of(row, batch.schema, str(path), number)
    except (pa.ArrowException, OSError, EOFError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        reason = f"the {kind[1:]} file is broken behind row {number}" if number else f"this is no {kind[1:]} file"
        yield Loss("quarantined", str(path), number + 1 if number else 0, f"{reason} ({why}); {BROKEN}")
        return
    if not number:
        yield Loss("quarantined", str(path), 0, "the file has no rows")


def _parquet(path: str | Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(BATCH, use_threads=False)


def _arrow(path: str | Path) -> Iterator[Any]:
    """The batches of a file of Arrow, or of a stream of Arrow that was stored."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        if bytes(source.read(6)) == b"ARROW1":
            source.seek(0)
            file = pa.ipc.open_file(source)
            whole = (file.get_batch(number) for number in range(file.num_record_batches))
        else:
            source.seek(0)
            whole = iter(pa.ipc.open_stream(source))
        for batch in whole:
            for start in range(0, batch.num_rows, BATCH):
                yield batch.slice(start, BATCH)


def record_of(row: dict[str, Any], schema: Any, place: str, number: int) -> Raw | Loss:
    """A row of a table as a record, without the keys that the table has filled with null."""
    try:
        nulls = [0]
        columns = [field for field in schema if row[field.name] is not None]
        value = {field.name: _plain(row[field.name], field.type, nulls) for field in columns}
    except (ValueError, RecursionError) as error:
        return Loss("quarantined", place, number, f"not JSON: {error}")
    return Raw(value, place, number, nulls[0])


def _plain(value: Any, kind: Any, nulls: list[int]) -> Any:
    """A value of a table as JSON. `kind` is its Arrow type, which sets objects of the table apart from JSON in it.

    `nulls` gets how many keys are left out.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return json.loads(value, parse_constant=_no_constant) if _is_json(kind) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else _no_constant(str(value))
    if isinstance(value, dict):
        inner = {field.name: field.type for field in kind}
        kept = {key: _plain(item, inner[key], nulls) for key, item in value.items() if item is not None}
        nulls[0] += len(value) - len(kept)
        return kept
    if isinstance(value, list):
        if hasattr(kind, "key_type"):  # a map, given as pairs: its own keys, so that nulls are its own, too
            return {str(key): _plain(item, kind.item_type, nulls) for key, item in value}
        return [_plain(item, kind.value_type, nulls) for item in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise ValueError(f"a value of type {kind}")


def _is_json(kind: Any) -> bool:
    return getattr(kind, "extension_name", "") == "arrow.json"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
