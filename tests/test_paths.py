"""Paths: the root is found from anywhere, and nothing printed shows a home folder."""

import os
from pathlib import Path

import pytest

from xlam_lib import paths


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "environment.yml").write_text("name: x\n")
    (tmp_path / "xlam_lib").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path.resolve()


def test_root_is_found_upwards_from_the_working_directory(project):
    assert paths.root() == project
    assert paths.runs_dir() == project / "runs"
    assert paths.base_model_dir() == project / "experiments" / "01_tiny_base" / "model"


def test_root_passes_by_a_foreign_environment_file(project, monkeypatch):
    inner = project / "notebooks" / "scratch"
    inner.mkdir()
    (inner / "environment.yml").write_text("name: other\n")
    monkeypatch.chdir(inner)
    assert paths.root() == project


def test_root_falls_back_to_the_package(project, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(paths, "__file__", str(project / "xlam_lib" / "paths.py"))
    assert paths.root(tmp_path_factory.mktemp("elsewhere")) == project


def test_no_root_says_what_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "xlam_lib" / "paths.py"))
    with pytest.raises(FileNotFoundError, match=r"environment\.yml and xlam_lib/ upwards"):
        paths.root(tmp_path)


def test_out_dir_is_relative_to_the_root_not_to_the_notebook(project):
    assert paths.out_dir() == project / "runs" / "notebooks"
    assert paths.out_dir("runs/a") == project / "runs" / "a"
    assert (project / "runs" / "a").is_dir()
    assert paths.out_dir(project / "b") == project / "b"


def test_short_hides_root_and_home(project):
    assert paths.short(project / "runs" / "a") == "runs/a"
    assert paths.short("runs") == "notebooks/runs"  # relative to the working directory, as the shell means it
    assert paths.short(project) == "."
    assert paths.short(Path.home() / "models") == "~/models"
    assert paths.short(Path(os.sep) / "opt") in ("/opt", "C:/opt")
