"""The tables that the xLAM project published, to be shown beside ours and never mixed with them.

Used by notebook 05 and the report. The numbers lie in `published_results.json` beside this file, with their origin;
none of them was measured here. They come from models of 7 to 141 billion parameters on other benchmarks, so they say
what the road leads to, not what our small model should be compared with.

    ours = PublishedTable("ours", "Held-out tools", "exact match", ("seen",), {"SFT": (0.87,)}, "", label=MEASURED)
    for entry in (ours, *tables()):
        print(text(entry))
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from xlam_lib.errors import XlamError

LABEL, MEASURED = "published, not measured here", "measured here"
Cell = str | float | bool | None


class PublishedError(XlamError, ValueError):
    """A published table that isn't there, or isn't as expected."""


@dataclass(frozen=True)
class PublishedTable:
    """One table: `PublishedTable("mint", "MINT-Bench", "success rate", ("1-step",), {"GPT-4": (None,)}, "README")`."""

    key: str
    title: str
    metric: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Cell, ...]]  # model -> one cell a column; None where the source prints no number
    origin: str
    label: str = LABEL  # in every caption; MEASURED for a table of ours that is to stand beside these

    @property
    def caption(self) -> str:
        """`"ToolBench (ToolEval): pass rate (published, not measured here)"`."""
        return f"{self.title}: {self.metric} ({self.label})"

    def shown(self, model: str) -> list[str]:
        """A row as text, numbers of a column with equally many decimals: `["0.4385", "0.430", "0.435"]`."""
        return [
            _shown(cell, max(_decimals(cells[place]) for cells in self.rows.values()))
            for place, cell in enumerate(self.rows[model])
        ]


def tables() -> list[PublishedTable]:
    """All tables in the order of the source: seven benchmarks, then the family of models."""
    data = _load()
    about, family = data["provenance"]["benchmarks"], data["provenance"]["model_family"]
    benchmarks = [
        PublishedTable(key, raw["title"], raw["metric"], tuple(raw["columns"]), dict(_rows(key, raw)), about)
        for key, raw in data["benchmarks"].items()
    ]
    return [*benchmarks, _family(data["model_family"], family)]


def table(key: str) -> PublishedTable:
    """One table by its key, e.g. `table("toolbench")`."""
    found = {entry.key: entry for entry in tables()}
    if key not in found:
        raise PublishedError(f"no published table {key!r}; there are {', '.join(found)}")
    return found[key]


def provenance() -> dict[str, Any]:
    """Where the numbers come from, e.g. `provenance()["benchmarks"]` -> "README of the repository ..."."""
    return dict(_load()["provenance"])


def best(entry: PublishedTable, column: str) -> set[str]:
    """Models with the highest number of a column, e.g. `best(table("toolbench"), "Unseen Tools & Seen Cat")`."""
    place = entry.columns.index(column)
    numbers = {model: cells[place] for model, cells in entry.rows.items() if _number(cells[place])}
    return {model for model, value in numbers.items() if value == max(numbers.values())}


def text(entry: PublishedTable) -> str:
    """The table for a terminal, its caption first; "-" where the source prints no number."""
    lines = [["model", *entry.columns], *([model, *entry.shown(model)] for model in entry.rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    body = [
        "  ".join(_pad(cell, width, place) for place, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    return "\n".join([entry.caption, body[0], "-" * len(body[0]), *body[1:]])


def html(entry: PublishedTable) -> str:
    """The table as HTML, its label in `<caption>`, the best number of a column in bold."""
    winners = {column: best(entry, column) for column in entry.columns}
    numeric = [
        all(_number(cells[place]) or cells[place] is None for cells in entry.rows.values())
        for place in range(len(entry.columns))
    ]
    sides = [" class='number'" if side else "" for side in numeric]
    named = zip(entry.columns, sides, strict=True)
    head = "<th>model</th>" + "".join(f"<th{side}>{escape(name)}</th>" for name, side in named)
    rows = []
    for model in entry.rows:
        cells = "".join(
            f"<td{side}>{f'<b>{escape(words)}</b>' if model in winners[column] else escape(words)}</td>"
            for column, words, side in zip(entry.columns, entry.shown(model), sides, strict=True)
        )
        rows.append(f"<tr><td>{escape(model)}</td>{cells}</tr>")
    caption, body = f"<caption>{escape(entry.caption)}</caption>", "".join(rows)
    return f"<table class='published'>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@cache
def _load() -> dict[str, Any]:
    file = resources.files("xlam_lib.bench.report").joinpath("published_results.json")
    return json.loads(file.read_text(encoding="utf-8"))


def _rows(key: str, raw: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    for row in raw["rows"]:
        if set(row) != {"model", *raw["columns"]}:
            raise PublishedError(
                f"published_results.json: {key}: row {row.get('model')!r} has the columns {sorted(row)}; "
                f"expected model and {raw['columns']}"
            )
        yield row["model"], tuple(row[column] for column in raw["columns"])


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
