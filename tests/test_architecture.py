"""The house: rooms of a size, imports that run downwards only, no circles, and names that rooms list are there."""

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from xlam_lib.paths import root

LIBRARY = root() / "xlam_lib"
FILES = sorted(LIBRARY.rglob("*.py"))
ROOMS = sorted(path.parent for path in FILES if path.name == "__init__.py")


def short(path: Path) -> str:
    return path.relative_to(root()).as_posix()


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """All imports of the tree, also those inside functions and for type checkers."""
    return grimp.build_graph("xlam_lib", cache_dir=None)


def test_rooms_import_downwards_only_and_none_each_other():
    """The contracts of pyproject.toml: the order of the rooms, and no circles between the parts of any room."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=root(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_two_files_import_each_other_whatever_lies_between(graph):
    order = graphlib.TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules})
    order.prepare()  # raises CycleError, which names the circle


def test_both_tests_would_notice(tmp_path, monkeypatch):
    """A room that imports upwards and a circle, in a copy of two rooms."""
    house = {"up/__init__.py": "", "up/a.py": "", "down/__init__.py": "", "__init__.py": ""}
    house |= {"down/b.py": "def f():\n    import house.up.a", "down/c.py": "import house.down.d"}
    house |= {"down/d.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.down.c"}
    for name, text in house.items():
        (tmp_path / "house" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "house" / name).write_text(text)
    contract = (root() / "pyproject.toml").read_text().partition("[tool.importlinter]")[2]
    contract = contract[contract.index("[[tool.importlinter.contracts]]\n", contract.index("acyclic") - 200) :]
    layers = '[tool.importlinter]\nroot_package = "house"\n[[tool.importlinter.contracts]]\nname = "down"\n'
    layers += 'type = "layers"\ncontainers = ["house"]\nlayers = ["up", "down"]\n'
    (tmp_path / "pyproject.toml").write_text(layers + contract.replace("xlam_lib", "house"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "0 kept, 2 broken" in done.stdout, done.stdout


@pytest.mark.parametrize("room", ROOMS, ids=short)
def test_a_room_has_at_most_about_twenty_files(room):
    files = [path for path in room.glob("*.py") if not path.name.startswith("__")]
    assert len(files) <= 20


@pytest.mark.parametrize("path", FILES, ids=short)
def test_a_file_is_one_whole_thing(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), "every module says what it is"


@pytest.mark.parametrize("room", ROOMS, ids=short)
def test_a_room_lists_its_public_names(room):
    module = importlib.import_module(".".join(room.relative_to(root()).parts))
    assert module.__all__ and [name for name in module.__all__ if not hasattr(module, name)] == []


def test_few_small_files_have_but_one_user(graph):
    """A fragment that one neighbour uses lives in that neighbour: 8 before the rooms were made, at most a third now."""
    small = []
    for path in FILES:
        name = ".".join(path.relative_to(root()).with_suffix("").parts)
        users = graph.find_modules_that_directly_import(name) if not path.name.startswith("__") else ()
        small += [name] if len(users) == 1 and len(path.read_text().splitlines()) < 60 else []
    assert len(small) <= 2, small


def test_one_module_makes_validators_of_schemas():
    """jsonschema fetches what a schema refers to, unless it is told not to: `json_validator` tells it."""
    makers = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            named = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jsonschema":
                named = [name.name for name in node.names]
            elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith("jsonschema."):
                named = [node.attr]
            if any("alidat" in name and name != "ValidationError" for name in named):
                makers.add(short(path))
    assert makers == {"xlam_lib/json_schema/validator.py"}


def test_prose_names_files_that_are_there():
    """A file called `x.py` exists, and so does `room/x.py`, below the root or any room."""
    folders = [root() / name for name in ("xlam_lib", "tests", "experiments", "requirements")]
    there = [f"/{short(path)}" for folder in folders for path in folder.rglob("*.py")]
    prose = [*FILES, root() / "README.md", *root().glob("notebooks/*.ipynb"), *root().glob("experiments/*/README.md")]
    lost = [
        f"{short(path)}: {name}"
        for path in prose
        for name in re.findall(r"`([\w/]+\.py)`", path.read_text())
        if not any(one.endswith(f"/{name}") for one in there)
    ]
    assert lost == []
