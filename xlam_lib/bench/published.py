"""The tables that the xLAM project published, to be shown beside ours and never mixed with them.

Used by notebook 05 and the report. The numbers lie in `published_results.json` beside this file, with their origin;
none of them was measured here. They come from models of 7 to 141 billion parameters on other benchmarks, so they say
what the road leads to, not what our small model should be compared with.

    for table in tables():
        print(text(table))
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from typing import Any

LABEL = "published, not measured here"
Cell = str | float | bool | None


@dataclass(frozen=True)
class PublishedTable:
    """One table: `PublishedTable("mint", "MINT-Bench", "success rate", ("1-step",), {"GPT-4": (None,)}, "README")`."""

    key: str
    title: str
    metric: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Cell, ...]]  # model -> one cell a column; None where the source prints no number
    origin: str

    @property
    def caption(self) -> str:
        """`"ToolBench (ToolEval): pass rate (published, not measured here)"`."""
        return f"{self.title}: {self.metric} ({LABEL})"

    @cache
def _load() -> dict[str, Any]:
    file = resources.files("xlam_lib.bench").joinpath("published_results.json")
    return json.loads(file.read_text(encoding="utf-8"))


def _rows(key: str, table: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    for row in table["rows"]:
        if set(row) != {"model", *table["columns"]}:
            raise ValueError(f"published_results.json: {key}: row {row.get('model')!r} has the columns {sorted(row)}; "
                             f"expected model and {table['columns']}")
        yield row["model"], tuple(row[column] for column in table["columns"])


def _family(models: list[dict[str, Any]], origin: str) -> PublishedTable:
    columns = tuple(name for name in models[0] if name != "model")
    rows = {entry["model"]: tuple(entry[name] for name in columns) for entry in models}
    titles = tuple(name.replace("_", " ") for name in columns)
    about = "sizes, context lengths, release dates"
    return PublishedTable("model_family", "The xLAM models", about, titles, rows, origin)


def _number(cell: Cell) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _decimals(cell: Cell) -> int:
    return len(f"{cell:g}".partition(".")[2]) if _number(cell) else 0


def _shown(cell: Cell, decimals: int) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell if isinstance(cell, str) else f"{cell:.{decimals}f}"


def _pad(cell: str, width: int, place: int) -> str:
    return cell.ljust(width) if place == 0 else cell.rjust(width)
