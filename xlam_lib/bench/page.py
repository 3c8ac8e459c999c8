"""Building blocks of the HTML report: one file that needs no other, readable on a screen, a phone and paper.

Used by `report/` and by the tasks that make sections of their own. Text is escaped here and nowhere else: what comes in
is text, what goes out is HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from xlam_lib.bench.base import percent

if TYPE_CHECKING:  # matplotlib is loaded where a chart is drawn
    from xlam_lib.plots import Chart

STYLE = """
:root { --ink: #1f2328; --soft: #5c6570; --line: #d9dde2; --back: #ffffff; --tint: #f5f7f9;
        --good: #00704f; --fair: #8a5a00; --bad: #b3261e; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 3rem 1.5rem 5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 3rem 0 .6rem; padding-top: 1.2rem; border-top: 1px solid var(--line); }
p, li { max-width: 46rem; }
p.lead { font-size: 1.1rem; margin: .2rem 0 0; }
p.soft, td.soft, .soft { color: var(--soft); }
a { color: #0b57a4; text-decoration-thickness: 1px; text-underline-offset: 2px; }
nav { margin: 1.2rem 0 0; font-size: .95rem; }
nav a { margin-right: 1.1rem; white-space: nowrap; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .94rem; margin: .8rem 0 1.2rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .34rem 1.1rem .34rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: .86rem; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr:last-child td { border-bottom-color: #9aa3ad; }
caption { text-align: left; font-size: .9rem; color: var(--soft); padding-bottom: .4rem; }
.tag { font-size: .84rem; font-weight: 600; white-space: nowrap; }
.tag.aim { color: var(--good); } .tag.floor { color: var(--fair); } .tag.below, .tag.missing { color: var(--bad); }
figure { margin: 1.2rem 0; } figure img { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .93rem; max-width: 46rem; margin-top: .3rem; }
.missing { background: #fdf3f2; border-left: 3px solid var(--bad); padding: .6rem 1rem; margin: 1rem 0; }
.missing p { margin: .2rem 0; }
details { margin: .6rem 0; } summary { cursor: pointer; }
@media print { main { padding: 0; max-width: none; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; } }
"""
PIXELS = 102  # of the page for an inch of a chart, so that all charts have letters of one size


def document(name: str, blocks: Iterable[str]) -> str:
    """The whole file from its blocks, e.g. `document("Quickstart", [paragraph("Hello")])`."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(name)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(block for block in blocks if block)
        + "\n</main>\n</body>\n</html>\n"
    )


def title(text: str) -> str:
    """The name of the page."""
    return f"<h1>{escape(text)}</h1>"


def heading(text: str, anchor: str = "") -> str:
    """A section's title, e.g. `heading("Scorecard", "scorecard")`."""
    mark = f' id="{escape(anchor, quote=True)}"' if anchor else ""
    return f"<h2{mark}>{escape(text)}</h2>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text; kind "lead" or "soft" for its look."""
    return f'<p class="{escape(kind, quote=True)}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def figure(chart: Chart, words: str, alternative: str) -> str:
    """A chart inside the file, with what to see in it, and a description for those who can't see it."""
    source, alt, width = chart.data_uri(), escape(alternative, quote=True), round(PIXELS * chart.get_figwidth())
    image = f'<img src="{source}" alt="{alt}" width="{width}">'
    return f"<figure>{image}<figcaption>{escape(words)}</figcaption></figure>"


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = (), caption: str = ""
) -> str:
    """A table; cells are text, or HTML when made by `tag` or `link`; `numbers` are the columns set to the right."""
    head = "".join(f"<th{_side(place, numbers)}>{escape(name)}</th>" for place, name in enumerate(columns))
    body = "".join(
        "<tr>" + "".join(f"<td{_side(place, numbers)}>{_html(cell)}</td>" for place, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


class Html(str):
    """Text that is HTML already."""


def tag(kind: str, text: str) -> Html:
    """A coloured word, e.g. `tag("aim", "aim")`; colour is never the only sign."""
    return Html(f'<span class="tag {escape(kind, quote=True)}">{escape(text)}</span>')


def link(target: str, text: str) -> Html:
    """A link to a file beside the report, e.g. `link("02_sft.ipynb", "02_sft")`."""
    return Html(f'<a href="{escape(quote(target), quote=True)}">{escape(text)}</a>')


def missing(title: str, lines: Iterable[str]) -> str:
    """A box that names what isn't there."""
    return f'<div class="missing"><p><b>{escape(title)}</b></p>' + "".join(map(paragraph, lines)) + "</div>"


def nothing(looked_for: str) -> str:
    """The box of a section without anything to show, e.g. `nothing("manifest.json, which xlam_lib.run writes")`."""
    return missing("Nothing to show", [f"looked for {looked_for}"])


def share(value: float | None) -> str:
    """A share as a cell: "87.1 %", or "none"."""
    return "none" if value is None else f"{percent(value)} %"


def folded(summary: str, inner: str) -> str:
    """Something that opens on a click."""
    return f"<details><summary>{escape(summary)}</summary>{inner}</details>"


def contents(sections: Mapping[str, str]) -> str:
    """Links to the sections, e.g. `contents({"scorecard": "Scorecard"})`."""
    return "<nav>" + " ".join(f'<a href="#{key}">{escape(name)}</a>' for key, name in sections.items()) + "</nav>"


def _side(place: int, numbers: Sequence[int]) -> str:
    return ' class="number"' if place in numbers else ""


def _html(cell: str) -> str:
    return cell if isinstance(cell, Html) else escape(str(cell))
