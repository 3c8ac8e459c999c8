"""Rows of tables -> raw records: Parquet and Arrow files, and what the hub streams (notebook 01).

    for record in table_rows("train-00000-of-00001.parquet"): ...   # record.line is the number of the row

What a table can't tell, a row doesn't claim: in it every object of a column has the same keys, and those that the
record did not have are null. Such keys are left out again, and counted. JSON kept as JSON stays as it was, nulls
included.

A file is read by pieces of a row group, never as a whole. One that is no table, or breaks off, is a quarantined entry:
behind the rows that could be read, and with the reason that Arrow gives. So is a row that is longer than a record may
be, and a piece that unpacks to a multiple of its size that no real data have.
"""

from __future__ import annotations

import datetime
import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xlam_lib.data.accounting import Loss
from xlam_lib.data.streams import LONGEST, TOO_LONG, WHOLE, Raw, TooLarge

PARQUET, ARROW = ".parquet", ".arrow"
TABLES = (PARQUET, ARROW)
MAGIC = {b"PAR1": PARQUET, b"ARROW1": ARROW}  # a stream of Arrow, as `datasets` stores it, begins with neither
BATCH = 100  # rows taken out of a table at a time
DENSE, BOMB = 50, 200  # times its size that a row group unpacks to: read row by row, not read
DICTIONARY = 2 << 20  # bytes of values that many rows refer to; writers give up at one megabyte
BROKEN = "it may be cut off, or a pointer of Git LFS instead of the file; fetch it again"


def kind_of_table(path: str | Path, head: bytes) -> str:
    """ ".parquet" or ".arrow" by the first bytes or the name, "" for anything else: `kind_of_table("a", b"PAR1")`."""
    kind = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "")
    return kind or next((kind for kind in TABLES if str(path).endswith(kind)), "")


def table_rows(path: str | Path, kind: str = PARQUET) -> Iterator[Raw | Loss]:
    """The rows of a Parquet or Arrow file in order; see the module's text."""
    import pyarrow as pa  # takes a while, and few need it

    number = 0
    try:
        for batch in _parquet(path) if kind == PARQUET else _arrow(path):
            for row in rows_of(batch):
                number += 1
                yield record_of(row, batch.schema, str(path), number)
    except (pa.ArrowException, OSError, EOFError, struct.error) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        reason = f"the {kind[1:]} file is broken behind row {number}" if number else f"this is no {kind[1:]} file"
        yield _lost(path, number + 1 if number else 0, f"{reason} ({why}); {BROKEN}")
        return
    except TooLarge as error:
        yield _lost(path, number + 1, str(error))
        return
    if not number:
        yield _lost(path, 0, "the file has no rows")


def _bomb(size: int, packed: int) -> TooLarge:
    return TooLarge(f"what follows unpacks from {packed} bytes to {size >> 20} MB: that is no data")


def _lost(path: str | Path, number: int, reason: str) -> Loss:
    return Loss("quarantined", str(path), number, reason)


def rows_of(batch: Any) -> Iterator[dict[str, Any] | str]:
    """The rows of a batch or table as `record_of` takes them; a text for one that can't be had says why."""
    if batch.nbytes <= LONGEST:
        try:
            yield from batch.to_pylist()
            return
        except (ValueError, ArithmeticError):  # one of them has a text that is not UTF-8, a date beyond all years, ...
            pass
    for number in range(batch.num_rows):
        row = batch.slice(number, 1)
        try:
            yield row.to_pylist()[0] if row.nbytes <= LONGEST else TOO_LONG
        except (ValueError, ArithmeticError) as error:
            yield f"not JSON: {error}"


def _parquet(path: str | Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            rows = _at_a_time(file.metadata.row_group(number))
            yield from file.iter_batches(rows, row_groups=[number], use_threads=False)


def _at_a_time(group: Any) -> int:
    """How many rows of a row group are taken out at a time; many may refer to one long value."""
    columns = [group.column(number) for number in range(group.num_columns)]
    size, packed = (
        sum(getattr(one, f"total_{kind}_size") for one in columns) for kind in ("uncompressed", "compressed")
    )
    if size > WHOLE and size > BOMB * packed:
        raise _bomb(size, packed)
    long = any(
        one.dictionary_page_offset is not None and one.data_page_offset - one.dictionary_page_offset > DICTIONARY
        for one in columns
    )
    return 1 if long or size > DENSE * packed else BATCH


def _arrow(path: str | Path) -> Iterator[Any]:
    """The batches of a file of Arrow, or of a stream of Arrow that was stored."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        is_file = bytes(source.read(6)) == b"ARROW1"
        source.seek(8 if is_file else 0)  # behind the magic a file is a stream, too
        for message in pa.ipc.MessageReader.open_stream(source):
            packed = message.body.size if message.body else 0
            if (size := _unpacked_size(message)) > WHOLE and size > BOMB * packed:
                raise _bomb(size, packed)
        source.seek(0)
        if is_file:
            file = pa.ipc.open_file(source)
            whole = (file.get_batch(number) for number in range(file.num_record_batches))
        else:
            whole = iter(pa.ipc.open_stream(source))
        for batch in whole:
            for start in range(0, batch.num_rows, BATCH):
                yield batch.slice(start, BATCH)


def _unpacked_size(message: Any) -> int:
    """What the buffers of a batch unpack to, 0 where they aren't compressed.

    Arrow doesn't tell, but it stands in the file: a flatbuffer says where the buffers begin, and each with its length.
    """
    head, body = bytes(message.metadata), message.body

    def read(form: str, at: int) -> int:
        return struct.unpack_from(form, head, at)[0]

    def field(table: int, number: int) -> int:
        known = table - read("<i", table)
        inside = 4 + 2 * number < read("<H", known)
        return table + read("<H", known + 4 + 2 * number) if inside and read("<H", known + 4 + 2 * number) else 0

    def follow(at: int) -> int:
        return at + read("<I", at)

    if message.type not in ("record batch", "dictionary") or not (header := field(follow(0), 2)):
        return 0
    batch = follow(header)
    if message.type == "dictionary":
        batch = follow(field(batch, 1))
    if not field(batch, 3) or not (buffers := field(batch, 2)):
        return 0
    first, size = follow(buffers) + 4, 0
    for number in range(read("<I", first - 4)):
        offset, length = struct.unpack_from("<qq", head, first + 16 * number)
        size += max(struct.unpack_from("<q", body, offset)[0], length) if length else 0
    return size


def record_of(row: dict[str, Any] | str, schema: Any, place: str, number: int) -> Raw | Loss:
    """A row of a table as a record, without the keys that the table has filled with null; a text is why it is lost."""
    if isinstance(row, str):
        return _lost(place, number, row)
    nulls = [0]
    try:
        columns = [field for field in schema if row[field.name] is not None]
        value = {field.name: _plain(row[field.name], field.type, nulls) for field in columns}
    except (ValueError, RecursionError, LookupError, TypeError) as error:  # two columns of one name are no JSON, either
        return _lost(place, number, f"not JSON: {error}")
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
