"""The rules a committed notebook keeps: what makes it runnable, readable and worth comparing.

Used by `python -m xlam_lib.batch.notebooks check` and by the structural test; no kernel is started. The template,
`notebooks/_template.ipynb`, keeps them all. Each rule is a function that yields what breaks it, by cell from 1.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from xlam_lib.batch import params

COMPARED = "nbval-check-output"
MAX_LINES, MEDIAN_LINES, MAX_DEFS = 25, 8, 2
MAX_OUTPUT_LINES = 40
MAX_FILE, MAX_IMAGE = 500_000, 100_000
HOME = re.compile(r"/home/|/Users/|/root/|/tmp/|\\Users\\")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
BOX = ("You will", "You need", "Takes")
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
Cell = tuple[int, Any]


@dataclass(frozen=True)
class Book:
    """A parsed notebook; `code` and `prose` hold (number from 1, cell)."""

    path: Path
    node: Any

    @property
    def code(self) -> list[Cell]:
        return [(i, c) for i, c in enumerate(self.node.cells, 1) if c.cell_type == "code"]

    @property
    def prose(self) -> list[Cell]:
        return [(i, c) for i, c in enumerate(self.node.cells, 1) if c.cell_type == "markdown"]


def problems(path: str | Path) -> list[str]:
    """What breaks the rules in one notebook, e.g. `["02_sft.ipynb, cell 7: 31 lines; at most 25"]`."""
    path = Path(path)
    try:
        node = nbformat.reads(path.read_text("utf-8"), as_version=4)
        nbformat.validate(node)
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        return [f"{path.name}: not a valid notebook: {str(error).splitlines()[0]}"]
    book = Book(path, node)
    return [f"{path.name}, {problem}" for rule in RULES for problem in rule(book)]


def kernel(book: Book) -> Iterator[str]:
    """The kernel is the one every installation has."""
    if dict(book.node.metadata.get("kernelspec", {})) != KERNEL:
        yield f"metadata: kernelspec must be {json.dumps(KERNEL)}"


def opening(book: Book) -> Iterator[str]:
    """Title, purpose and the box of what you will, need and wait stand before the first code."""
    first = book.node.cells[0] if book.node.cells else None
    if first is None or first.cell_type != "markdown" or not re.match(r"# \S", first.source):
        yield "cell 1: must be Markdown that begins with the title, `# …`"
    titles = [i for i, c in book.prose if re.search(r"^# ", _without_code(c.source), re.MULTILINE)]
    if len(titles) > 1:
        yield f"cell {titles[1]}: a second `# ` title; sections are `## `"
    first = book.code[0][0] if book.code else len(book.node.cells) + 1
    text = "\n".join(c.source for i, c in book.prose if i < first)
    missing = [word for word in BOX if word not in text]
    if missing:
        yield f"cell 1: before the first code, say: {', '.join(missing)}"


def parameters(book: Book) -> Iterator[str]:
    """Exactly one parameters cell, right after the imports, of annotated literals with comments."""
    tagged = [(i, c) for i, c in book.code if params.TAG in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        yield f"metadata: {len(tagged)} cells tagged `{params.TAG}`; expected exactly one"
        return
    number, cell = tagged[0]
    for i, other in book.code:
        if i < number and not _only_imports(other.source):
            yield f"cell {i}: only imports may stand before the parameters cell"
    try:
        declared = params.parse_cell(cell.source, f"cell {number}")
    except params.ParameterError as error:
        yield str(error)
        return
    for name, annotation, default in (("out_dir", "str", ""), ("seed", "int", 0)):
        found = declared.get(name)
        if found is None or (found.annotation, found.default) != (annotation, default):
            yield f"cell {number}: every notebook declares `{name}: {annotation} = {default!r}  # …`"
    for parameter in declared.values():
        if not parameter.help:
            yield f"cell {number}: {parameter.name} has no trailing comment to say what it is"


def executed(book: Book) -> Iterator[str]:
    """Run once from top to bottom, without errors or warnings."""
    for place, (i, cell) in enumerate(book.code, 1):
        if not cell.source.strip():
            yield f"cell {i}: empty"
        if cell.execution_count != place:
            yield f"cell {i}: execution count is {cell.execution_count}; run 1 to n (make notebooks) to get {place}"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {i}: holds an error: {output.ename}"
            if output.get("name") == "stderr":
                yield f"cell {i}: holds text on stderr: {output.text.strip()[:60]!r}"


def compared(book: Book) -> Iterator[str]:
    """At least one result is compared by nbval, and what is marked so has text to compare."""
    marked = [(i, c) for i, c in book.code if COMPARED in c.metadata.get("tags", [])]
    if not marked:
        yield f"metadata: no cell tagged `{COMPARED}`; tag those that print results"
    for i, cell in marked:
        if not any(_text(o).strip() for o in cell.outputs):
            yield f"cell {i}: tagged `{COMPARED}` but has no text output: nothing would be compared"


def small_cells(book: Book) -> Iterator[str]:
    """Short cells of plain Python that call the library rather than define things."""
    lengths, defs = [], 0
    for i, cell in book.code:
        lines = len(cell.source.splitlines())
        lengths.append(lines)
        if lines > MAX_LINES:
            yield f"cell {i}: {lines} lines; at most {MAX_LINES}"
        try:
            tree = ast.parse(cell.source)
        except (SyntaxError, ValueError) as error:
            yield f"cell {i}: not plain Python (no magics, no shell): {error}"
            continue
        defs += sum(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for n in ast.walk(tree))
        if "sys.path" in cell.source:
            yield f"cell {i}: sys.path is not for notebooks; the project is installed"
    if lengths and statistics.median(lengths) > MEDIAN_LINES:
        yield f"metadata: code cells have a median of {statistics.median(lengths):g} lines; at most {MEDIAN_LINES}"
    if defs > MAX_DEFS:
        yield f"metadata: {defs} functions and classes; at most {MAX_DEFS}, the rest belongs into xlam_lib"


def outputs(book: Book) -> Iterator[str]:
    """Outputs are short, the same for everybody, and followed by a sentence."""
    for i, cell in book.code:
        for output in cell.outputs:
            text = _text(output) + str(output.get("data", {}).get("text/html", ""))
            for pattern, kind in ((HOME, "a path of this machine"), (ADDRESS, "a memory address")):
                if found := pattern.search(text):
                    around = text[max(0, found.start() - 20) : found.end() + 30]
                    yield f"cell {i}: the output shows {kind}: {around!r} (xlam_lib.paths.short helps)"
            if _text(output).count("\n") > MAX_OUTPUT_LINES:
                yield f"cell {i}: an output of {_text(output).count(chr(10))} lines; at most {MAX_OUTPUT_LINES}"
            size = len(base64.b64decode(output.get("data", {}).get("image/png", "")))
            if size > MAX_IMAGE:
                yield f"cell {i}: an image of {size // 1000} kB; at most {MAX_IMAGE // 1000} kB"
        seen = {kind for o in cell.outputs for kind in o.get("data", {})}
        later = book.node.cells[i] if i < len(book.node.cells) else None
        if seen & {"image/png", "image/svg+xml", "text/html"} and (later is None or later.cell_type != "markdown"):
            yield f"cell {i}: a plot or table needs a sentence after it: what is to be seen?"


def sources(book: Book) -> Iterator[str]:
    """The text and code show no path of somebody's machine, and the file is small enough to be shown and compared."""
    for i, cell in enumerate(book.node.cells, 1):
        if found := HOME.search(cell.source):
            yield f"cell {i}: names a path of one machine: {cell.source[found.start() : found.end() + 30]!r}"
    size = book.path.stat().st_size
    if size > MAX_FILE:
        yield f"metadata: {size // 1000} kB; at most {MAX_FILE // 1000} kB"


def ending(book: Book) -> Iterator[str]:
    """The last code cell records the figures."""
    if not book.code or not re.search(r"\brecord\(", book.code[-1][1].source):
        yield "metadata: the last code cell must call record(metrics, out, name) of xlam_lib.batch.metrics"


RULES: tuple[Callable[[Book], Iterator[str]], ...] = (
    kernel,
    opening,
    parameters,
    executed,
    compared,
    small_cells,
    outputs,
    sources,
    ending,
)


def _text(output: Any) -> str:
    """What nbval compares of an output: printed text, or a result's plain text (that of a figure says nothing)."""
    if output.output_type == "stream":
        return output.text
    plain = output.get("data", {}).get("text/plain", "")
    return "" if "image/png" in output.get("data", {}) else plain


def _only_imports(source: str) -> bool:
    try:
        return all(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(source).body)
    except (SyntaxError, ValueError):
        return False


def _without_code(text: str) -> str:
    """Markdown without its fenced blocks, in which a # is a comment."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
