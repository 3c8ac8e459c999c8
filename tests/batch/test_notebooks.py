"""Building notebooks: what executing leaves behind is taken out, and nothing else."""

import copy
import shutil

import nbformat
import pytest

from xlam_lib import paths
from xlam_lib.batch import execute, notebooks

TEMPLATE = paths.notebooks_dir() / "_template.ipynb"


def used(book):
    """The notebook as papermill, ipykernel and JupyterLab leave it."""
    book = copy.deepcopy(book)
    book.metadata["papermill"] = {"input_path": "/home/ann/x.ipynb", "parameters": {}}
    book.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    book.metadata["language_info"] = {"name": "python", "version": "3.12.1"}
    book.metadata["kernelspec"] = {"name": "myenv", "display_name": "mine", "language": "python"}
    for number, cell in enumerate(book.cells):
        cell.id = f"other-{number}"
        cell.metadata["papermill"] = {"duration": 0.1}
        cell.metadata.setdefault("tags", [])
        if cell.cell_type == "code":
            cell.metadata["execution"] = {"iopub.status.busy": "2026-11-21T10:00:00Z"}
            for output in cell.outputs:
                if output.output_type == "stream":
                    half = len(output.text) // 2
                    first, output.text = output.text[:half], output.text[half:]
                    cell.outputs.insert(0, nbformat.v4.new_output("stream", name="stdout", text=first))
                    break
    return book


def test_traces_are_taken_out_and_everything_else_stays():
    clean = nbformat.read(TEMPLATE, as_version=4)
    dirty = used(clean)
    assert notebooks.dumps(dirty) != notebooks.dumps(clean)
    assert notebooks.dumps(notebooks.tidy(dirty)) == notebooks.dumps(clean)


def test_tidying_twice_changes_nothing():
    once = notebooks.tidy(used(nbformat.read(TEMPLATE, as_version=4)))
    assert notebooks.dumps(notebooks.tidy(once)) == notebooks.dumps(once)


def test_ids_depend_on_the_text_alone_and_differ():
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in ("a", "b", "a")])
    ids = [c.id for c in notebooks.tidy(book).cells]
    assert len(set(ids)) == 3
    book.cells.pop(1)
    assert [c.id for c in notebooks.tidy(book).cells] == [ids[0], ids[2]]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own with the template in it; executing only copies."""
    (tmp_path / "environment.yml").write_text("")
    (tmp_path / "xlam_lib").mkdir()
    (tmp_path / "notebooks").mkdir()
    shutil.copy(TEMPLATE, tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)

    def copied(notebook, output, parameters, watcher, cwd=None):
        assert parameters == {} and cwd == notebook.parent
        nbformat.write(used(nbformat.read(notebook, as_version=4)), output)

    monkeypatch.setattr(execute, "execute", copied)
    return tmp_path


def test_build_writes_only_what_changed(project, capsys):
    notebook = project / "notebooks" / "_template.ipynb"
    before = notebook.stat().st_mtime_ns
    assert notebooks.main(["build"]) == 0
    assert notebook.stat().st_mtime_ns == before and "file unchanged" in capsys.readouterr().out
    nbformat.write(used(nbformat.read(notebook, as_version=4)), notebook)
    assert notebooks.main(["check"]) == 1
    assert "build _template takes them out" in capsys.readouterr().err
    assert notebooks.main(["build", "_template"]) == 0
    assert notebook.read_bytes() == TEMPLATE.read_bytes()


def test_build_keeps_the_committed_notebook_when_it_fails(project, capsys, monkeypatch):
    def failing(notebook, output, parameters, watcher, cwd=None):
        partial = output.with_suffix(".partial.ipynb")
        partial.write_text("{}")
        raise execute.NotebookFailed(notebook.stem, 3, "x = y", "NameError: y", partial)

    monkeypatch.setattr(execute, "execute", failing)
    assert notebooks.main(["build"]) == 1
    told = capsys.readouterr().err
    assert "_template failed in In [3]: x = y" in told and "runs/notebooks/_template.partial.ipynb" in told
    assert (project / "notebooks" / "_template.ipynb").read_bytes() == TEMPLATE.read_bytes()


def test_fresh_removes_what_notebooks_left(project):
    old = paths.out_dir() / "data"
    old.mkdir()
    assert notebooks.main(["build", "--fresh"]) == 0
    assert not old.exists()


def test_an_unknown_name_is_told_with_a_near_miss(project, capsys):
    assert notebooks.main(["check", "_tempalte"]) == 2
    assert "no such notebook; did you mean '_template'" in capsys.readouterr().err
