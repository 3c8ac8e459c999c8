"""Tables of Markdown whose cells are texts of strangers: shown as they are, never as markup, links or scripts.

    table(["source", "records"], [["glaive", 33], ["<script>", 1]])     # "| source | records |\\n| --- | --- |\\n..."

Used by the accounting and reports (notebook 01), and by model cards. Markdown passes HTML on to whoever shows it; so
what a cell holds is escaped for both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

SIGNS = {
    "\\": "\\\\",
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "|": "\\|",
    "`": "\\`",
    "](": "]\\(",  # else what is in brackets would be a link
}


class Markup(str):
    """A cell that is Markdown already: `Markup("**all**")`."""


def escaped(text: Any) -> str:
    """One line of text, of which Markdown makes the text: `escaped("<b>|")` -> "&lt;b&gt;\\\\|"."""
    line = " ".join(str(text).splitlines())
    for sign, shown in SIGNS.items():
        line = line.replace(sign, shown)
    return line


def code(text: Any) -> str:
    """A span of code that holds the text, whatever backticks it has: `code("a")` -> "`a`"."""
    line = " ".join(str(text).splitlines())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence}{line}{fence}" if len(fence) == 1 and line.strip() else f"{fence} {line} {fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table: `table(["a"], [[1]])` -> "| a |\\n| --- |\\n| 1 |"; cells are escaped unless they are `Markup`."""
    lines = [head, [Markup("---")] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(cell: Any) -> str:
    return cell if isinstance(cell, Markup) else escaped(cell)
