"""Every experiment in the repository could be run as it stands, and says what it is about."""

import pytest

from xlam_lib import paths
from xlam_lib.batch import plan

FOLDERS = sorted(p for p in paths.experiments_dir().glob("[0-9]*") if p.is_dir())
BATCHES = [p for p in FOLDERS if any(y.name != plan.EXPERIMENT_FILE for y in p.glob("*.yaml"))]


@pytest.mark.parametrize("folder", BATCHES, ids=lambda p: p.name)
def test_its_plan_is_whole(folder):
    assert plan.load(folder).runs


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_its_readme_gives_hypothesis_command_results_and_verdict(folder):
    text = (folder / "README.md").read_text("utf-8").lower()
    assert not [word for word in ("hypothesis", "python -m", "results", "verdict") if word not in text]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_it_holds_no_large_output_notebooks(folder):
    assert not [p.name for p in folder.rglob("*.ipynb") if p.stat().st_size > 1_000_000]
