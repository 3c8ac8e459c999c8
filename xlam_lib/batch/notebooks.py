"""The committed notebooks: executed with their defaults, brought into one form, and checked.

    python -m xlam_lib.batch.notebooks build           execute all of notebooks/ and write them back with their outputs
    python -m xlam_lib.batch.notebooks build 02_sft    just this one
    python -m xlam_lib.batch.notebooks check           report what breaks the rules of xlam_lib.batch.rules

`build` is what `make notebooks` runs. Executing leaves traces that change each time (papermill's and ipykernel's time
stamps, widget states); they are taken out, so that a notebook that still says the same doesn't change in git.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat

from xlam_lib import files, paths
from xlam_lib.batch import params
from xlam_lib.batch.rules import KERNEL, problems
from xlam_lib.errors import as_command

KEPT_CELL_METADATA = ("tags", "jupyter")


def main(argv: list[str] | None = None) -> int:
    """The command line, e.g. `main(["check"])` -> 0 when every notebook keeps the rules."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.batch.notebooks", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="execute with defaults and write back")
    building.add_argument("names", nargs="*", help="e.g. 02_sft (default: all)")
    building.add_argument("--fresh", action="store_true", help="first remove runs/notebooks, where notebooks write")
    checking = commands.add_parser("check", help="report what breaks the rules")
    checking.add_argument("names", nargs="*", help="e.g. 02_sft (default: all)")
    options = parser.parse_args(argv)
    if options.command == "check":
        return as_command(lambda: check(find(options.names)))
    return as_command(lambda: build(find(options.names), options.fresh))


def find(names: list[str]) -> list[Path]:
    """The notebooks meant, e.g. `find(["02_sft"])`; all of `notebooks/`, sorted, when none is named."""
    have = {p.stem: p for p in sorted(paths.notebooks_dir().glob("*.ipynb"))}
    stems = [Path(name).stem for name in names]
    unknown = [stem for stem in stems if stem not in have]
    if unknown or not have:
        name = unknown[0] if unknown else "*"
        raise FileNotFoundError(
            f"{paths.short(paths.notebooks_dir() / name)}.ipynb: no such notebook{params.did_you_mean(name, have)}"
        )
    return [have[stem] for stem in stems] or list(have.values())


def build(chosen: list[Path], fresh: bool = False) -> int:
    """Execute notebooks with their defaults and write them back in one form; stops at the first that fails."""
    from xlam_lib.batch.execute import NotebookFailed, execute
    from xlam_lib.batch.progress import progress

    if fresh:
        shutil.rmtree(paths.runs_dir() / "notebooks", ignore_errors=True)
    display = progress()
    for number, notebook in enumerate(chosen, 1):
        display.notebook(notebook.stem, f"{number}/{len(chosen)}", count_code_cells(notebook))
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / notebook.name
            try:
                execute(notebook, output, {}, display, cwd=notebook.parent)
            except NotebookFailed as error:
                kept = paths.out_dir() / f"{notebook.stem}.partial.ipynb"
                shutil.copyfile(output.with_suffix(".partial.ipynb"), kept)
                print(f"error: {error.message(kept)}", file=sys.stderr)
                return 1
            changed = write_back(output, notebook)
        display.notebook_done(f"executed (file {'changed' if changed else 'unchanged'})")
    return check(chosen)


def check(chosen: list[Path]) -> int:
    """Print what breaks the rules, or that nothing does; 1 when something does."""
    found = [problem for notebook in chosen for problem in [*problems(notebook), *untidy(notebook)]]
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"all rules kept: {', '.join(notebook.stem for notebook in chosen)}")
    return 1 if found else 0


def write_back(executed: Path, notebook: Path) -> bool:
    """Put the executed notebook, in its one form, in the place of the committed one; whether that changed anything."""
    text = dumps(tidy(nbformat.read(executed, as_version=4)))
    if notebook.is_file() and notebook.read_text("utf-8") == text:
        return False
    files.write_text(notebook, text)
    return True


def untidy(notebook: Path) -> list[str]:
    """Says so when a notebook holds traces that `build` would take out, e.g. after saving it in JupyterLab."""
    text = notebook.read_text("utf-8")
    try:
        same = dumps(tidy(nbformat.reads(text, as_version=4))) == text
    except (ValueError, KeyError, AttributeError):
        return []  # no notebook at all: reported by the rules
    command = f"python -m xlam_lib.batch.notebooks build {notebook.stem}"
    return [] if same else [f"{notebook.name}, metadata: holds traces of a run or an editor; {command} takes them out"]


def tidy(book: Any) -> Any:
    """The notebook in its one form: cells, outputs and counts kept; time stamps, widgets and empty tags gone."""
    cells, seen = [], set()
    for cell in book.cells:
        cell = nbformat.from_dict(cell)
        metadata = {key: cell.metadata[key] for key in KEPT_CELL_METADATA if cell.metadata.get(key)}
        cell.metadata = nbformat.from_dict(metadata)
        cell.id = _cell_id(cell, seen)
        if cell.cell_type == "code":
            cell.outputs = _tidy_outputs(cell.outputs)
        cells.append(cell)
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def dumps(book: Any) -> str:
    """The text of a notebook's file: one space of indent, keys sorted, a line end at the end."""
    return nbformat.writes(book, version=4).rstrip("\n") + "\n"


def count_code_cells(notebook: Path) -> int:
    """How many code cells a notebook has, e.g. 14."""
    return sum(cell.cell_type == "code" for cell in nbformat.read(notebook, as_version=4).cells)


def _tidy_outputs(outputs: list[Any]) -> list[Any]:
    """Pieces of one stream joined (they split by chance), counts and metadata of outputs settled."""
    made: list[Any] = []
    for output in outputs:
        output = nbformat.from_dict(output)
        last = made[-1] if made else None
        if output.output_type == "stream" and last is not None and last.get("name") == output.name:
            last.text += output.text
            continue
        if "metadata" in output:
            output.metadata = nbformat.from_dict({})
        if "data" in output:
            output.data.pop("application/vnd.jupyter.widget-view+json", None)
        made.append(output)
    return made


def _cell_id(cell: Any, seen: set[str]) -> str:
    """An id that depends on the cell's text alone, so that executing or moving it doesn't change it."""
    for repeat in range(len(seen) + 1):
        digest = hashlib.sha256(f"{cell.cell_type}\n{repeat}\n{cell.source}".encode()).hexdigest()[:8]
        if digest not in seen:
            break
    seen.add(digest)
    return digest


if __name__ == "__main__":
    sys.exit(main())
