"""Nulls that a table has filled in: taken out of records that came through Arrow (notebook 01).

In a table every object of a column has the same keys, and those that the record did not have are null: a call gets the
arguments of all other tools, a tool their parameters. `tables.py` sees the table and leaves such keys out. A file that
was written from one shows it by what lies in it: all messages have the same keys, or a schema has a parameter that is
null. Then nulls say nothing anywhere in messages and tools, and are taken out of them.

    row = {"tools": [{"name": "f", "parameters": {"properties": {"n": {"type": "integer"}, "city": None}}}]}
    without_padding(row, ("tools",)) -> ({"tools": [... {"n": {"type": "integer"}} ...]}, 1)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PADDING = "null_padding"  # key of `Trajectory.extra`: what was taken out


def without_padding(record: dict[str, Any], fields: Sequence[str]) -> tuple[dict[str, Any], int]:
    """(the record without nulls in these fields, how many there were), where a table has filled them in.

    Example: `without_padding(record, ("messages", "tools"))`; a record that came through no table is given back itself.
    """
    lists = [(key, record[key]) for key in fields if isinstance(record.get(key), list)]
    if not any(_is_padded(value) for _, value in lists):
        return record, 0
    count = [0]
    return {**record, **{key: _without_nulls(value, count) for key, value in lists}}, count[0]


def _is_padded(values: list[Any]) -> bool:
    """Whether the objects of a list are rows of a table that has filled in nulls."""
    first = values[0] if values else None
    if not isinstance(first, dict):
        return False
    if len(values) > 1 and None in first.values():
        keys = first.keys()
        return all(isinstance(value, dict) and value.keys() == keys for value in values)
    return any(_has_null_parameter(value) for value in values)


def _has_null_parameter(tool: Any) -> bool:
    """Whether a tool has a parameter that is null, which is no schema."""
    for key in ("function", "parameters", "properties"):
        inner = tool.get(key) if isinstance(tool, dict) else None
        if isinstance(inner, dict):
            tool = inner
        elif key != "function":
            return False
    return None in tool.values()


def _without_nulls(value: Any, count: list[int]) -> Any:
    """The value without keys that are null; `count` gets how many there were."""
    if isinstance(value, list):
        return [_without_nulls(item, count) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_nulls(item, count) for key, item in value.items() if item is not None}
    count[0] += len(value) - len(kept)
    return kept
