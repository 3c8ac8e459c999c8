"""Every committed notebook keeps the rules, and every rule notices when it is broken. No kernel is started."""

import copy

import nbformat
import pytest

from xlam_lib import paths
from xlam_lib.batch import notebooks, rules

ALL = sorted(paths.notebooks_dir().glob("*.ipynb"))
TEMPLATE = paths.notebooks_dir() / "_template.ipynb"


@pytest.mark.parametrize("notebook", ALL, ids=lambda p: p.stem)
def test_a_committed_notebook_keeps_the_rules(notebook):
    assert rules.problems(notebook) == []
    assert notebooks.untidy(notebook) == []


def test_the_template_is_among_them():
    assert TEMPLATE in ALL


@pytest.fixture
def broken(tmp_path):
    """Change a copy of the template and get what the rules say: `broken(lambda cells: cells.pop(0))`."""

    def make(change, whole=False):
        book = copy.deepcopy(nbformat.read(TEMPLATE, as_version=4))
        change(book if whole else book.cells)
        path = tmp_path / "broken.ipynb"
        path.write_text(notebooks.dumps(book))
        return "\n".join(rules.problems(path))

    return make


def code(cells, number):
    return [c for c in cells if c.cell_type == "code"][number]


def test_an_unchanged_copy_keeps_them(broken):
    assert broken(lambda cells: None) == ""


def source(number, text):
    return lambda cells: code(cells, number).update(source=text)


def output(number, **fields):
    return lambda cells: code(cells, number).outputs.append(nbformat.from_dict(fields))


def stream(number, text, name="stdout"):
    return output(number, output_type="stream", name=name, text=text)


def shown(number, **data):
    data = {key.replace("_", "/"): value for key, value in data.items()}
    return output(number, output_type="display_data", metadata={}, data=data)


def parameters(text):
    return lambda cells: code(cells, 1).update(source=code(cells, 1).source + "\n" + text)


def unexplained_table(cells):
    shown(2, text_html="<table></table>")(cells)
    cells.pop(7)


BREAKS = [
    (lambda cells: cells.pop(0), "cell 1: must be Markdown that begins with the title"),
    (lambda cells: cells[0].update(source="## Small\nYou will You need Takes"), "begins with the title"),
    (lambda cells: cells[1].update(source="# Second"), "cell 2: a second `# ` title"),
    (lambda cells: cells[0].update(source="# Title"), "before the first code, say: You will, You need, Takes"),
    (lambda cells: code(cells, 1).metadata.pop("tags"), "0 cells tagged `parameters`"),
    (lambda cells: code(cells, 2).metadata.update(tags=["parameters"]), "2 cells tagged `parameters`"),
    (source(0, "import numpy as np\nnp.seterr()"), "cell 3: only imports may stand before the parameters cell"),
    (parameters("extra: int = 3"), "extra has no trailing comment"),
    (parameters("extra = 3  # three"), "expected `name: type = literal"),
    (parameters("extra: list = [seed]  # derived"), "is no literal"),
    (source(1, "seed: int = 0  # of all"), "every notebook declares `out_dir: str = ''"),
    (source(1, 'out_dir: str = ""  # where\nseed: int = 1  # of all'), "every notebook declares `seed: int = 0"),
    (lambda cells: code(cells, 2).update(execution_count=7), "cell 7: execution count is 7; run 1 to n"),
    (lambda cells: code(cells, 2).update(execution_count=None), "execution count is None"),
    (source(2, "  "), "cell 7: empty"),
    (output(2, output_type="error", ename="KeyError", evalue="x", traceback=[]), "holds an error: KeyError"),
    (stream(2, "UserWarning: old", "stderr"), "holds text on stderr"),
    (lambda cells: [c.metadata.pop("tags", 0) for c in cells[6:]], "no cell tagged `nbval-check-output`"),
    (lambda cells: code(cells, 3).update(outputs=[]), "has no text output: nothing would be compared"),
    (lambda cells: code(cells, 4).metadata.update(tags=["nbval-check-output"]), "cell 11: tagged"),
    (source(2, "x = 1\n" * 26), "cell 7: 26 lines; at most 25"),
    (lambda cells: [c.update(source="x = 1\n" * 9) for c in cells if c.cell_type == "code"], "a median of 9 lines"),
    (source(2, "def a(): ...\ndef b(): ...\nclass C: ..."), "3 functions and classes; at most 2"),
    (source(2, "!pip install x"), "cell 7: not plain Python (no magics, no shell)"),
    (source(2, "import sys; sys.path.insert(0, '..')"), "sys.path is not for notebooks"),
    (stream(2, "saved /home/ann/x"), "the output shows a path of this machine: 'saved /home/ann/x'"),
    (stream(2, "<x at 0x7f0123456789>"), "the output shows a memory address"),
    (stream(2, "line\n" * 41), "an output of 41 lines; at most 40"),
    (shown(4, image_png="A" * 140_000), "cell 11: an image of 105 kB; at most 100 kB"),
    (unexplained_table, "cell 7: a plot or table needs a sentence after it"),
    (source(2, "open('/root/data')"), "cell 7: names a path of one machine: "),
    (lambda cells: cells[1].update(source="See /Users/ann/notes"), "cell 2: names a path of one machine"),
    (source(5, "widths = 1"), "the last code cell must call record("),
    (lambda cells: cells[1].update(source="x" * 500_000), "at most 500 kB"),
]


@pytest.mark.parametrize(("change", "message"), BREAKS, ids=[message[:45] for _, message in BREAKS])
def test_a_broken_rule_is_noticed(broken, change, message):
    assert message in broken(change)


def test_every_rule_has_a_case(tmp_path):
    noticed = {"kernel"}  # has a test of its own
    for number, (change, _) in enumerate(BREAKS):
        book = nbformat.read(TEMPLATE, as_version=4)
        change(book.cells)
        path = tmp_path / f"{number}.ipynb"
        path.write_text(notebooks.dumps(book))
        book = rules.Book(path, book)
        noticed |= {rule.__name__ for rule in rules.RULES if list(rule(book))}
    assert noticed == {rule.__name__ for rule in rules.RULES}


def test_another_kernel_is_noticed(broken):
    def rename(book):
        book.metadata.kernelspec.name = "myenv"

    assert "kernelspec must be" in broken(rename, whole=True)


def test_what_is_no_notebook_is_told(tmp_path):
    (tmp_path / "a.ipynb").write_text('{"cells": [')
    (problem,) = rules.problems(tmp_path / "a.ipynb")
    assert problem.startswith("a.ipynb: not a valid notebook")


def test_a_comment_in_fenced_code_is_no_title(broken):
    assert broken(lambda cells: cells[1].update(source="```bash\n# comment\nls\n```")) == ""
