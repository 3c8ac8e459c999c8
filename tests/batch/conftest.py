"""What the tests of `xlam_lib.run` share: a tiny experiment of two fixture notebooks, and a stand-in for papermill."""

import shutil
from pathlib import Path

import nbformat
import pytest

from xlam_lib.batch import execute
from xlam_lib.batch.params import TAG

NOTEBOOKS = Path(__file__).parents[1] / "fixtures" / "notebooks"


class Folder:
    """An experiment's folder whose YAML files a test writes: `folder.put("02_sum", "wait: 1")`."""

    def __init__(self, path: Path, out: Path) -> None:
        self.path, self.out = path, out

    def put(self, name: str, text: str = "") -> None:
        (self.path / f"{name}.yaml").write_text(text)

    def arguments(self, *more: str) -> list[str]:
        return [str(self.path), "--out", str(self.out), *more]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "00_tiny", tmp_path / "out")
    shutil.copytree(NOTEBOOKS, made.path)
    made.put("01_numbers", "n: 4\n")
    made.put("02_sum")
    return made


@pytest.fixture
def in_process(monkeypatch):
    """Cells run by `exec` in this process instead of in a kernel; returns the names of the notebooks that ran."""
    ran = []

    def run(notebook, output, parameters, watcher, stalled_after=0, environment=None, cwd=None):
        ran.append(notebook.stem)
        book, scope = nbformat.read(notebook, as_version=4), {}
        for number, cell in enumerate((c for c in book.cells if c.cell_type == "code"), 1):
            try:
                exec(cell.source, scope)
            except ConnectionError as error:
                partial = output.with_suffix(".partial.ipynb")
                nbformat.write(book, partial)
                message = f"{type(error).__name__}: {error}"
                line = execute.first_line(cell.source)
                raise execute.NotebookFailed(notebook.stem, number, line, message, partial) from error
            if TAG in cell.metadata.get("tags", []):
                scope |= parameters
        nbformat.write(book, output)

    monkeypatch.setattr(execute, "execute", run)
    return ran
