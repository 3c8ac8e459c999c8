"""Every experiment in the repository could be run as it stands, and says what it is about."""

import json

import pytest

from xlam_lib import paths
from xlam_lib.batch import plan
from xlam_lib.models.folders import digest

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


def test_the_random_twin_that_the_quickstart_shows_was_trained_as_the_quickstart_trains():
    step = next(s for s in plan.load(paths.experiments_dir() / "00_quickstart").runs[0].steps if s.name == "02_sft")
    record = json.loads((paths.root() / step.parameters["twin_record"]).read_text("utf-8"))
    wanted = {name: step.parameters[name] for name in ("n_train", "samples", "batch_size", "lr", "decay", "seed")}
    assert record["settings"] == wanted | {"style": "brief", "base": digest(paths.base_model_dir())}
