"""A run that is killed goes on to the same weights, and what compares two runs sees what differs."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from xlam_lib.perf import continuity


@pytest.fixture(scope="module")
def short(base, data):
    """Long enough to be killed well before its end."""
    return {
        "data": data,
        "base": str(base),
        "epochs": 2.0,
        "processes": 1,
        "lr": 5e-3,
        "batch_size": 8,
        "row_tokens": 2000,
    }


@pytest.fixture(scope="module")
def undisturbed(short, tmp_path_factory):
    return continuity.trained(out=tmp_path_factory.mktemp("undisturbed") / "out", **short)


@pytest.mark.slow
def test_killed_at_a_random_step_it_ends_as_the_undisturbed_one(undisturbed, short, tmp_path):
    """Both as commands, so that they compute with as many threads."""
    killed = continuity.killed(out=tmp_path / "killed", seed=0, **short)
    assert continuity.changed(undisturbed, killed) == 0.0 and continuity.curves(undisturbed, killed) == 0.0
    assert (undisturbed / "model.safetensors").read_bytes() == (killed / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_a_run_that_ends_before_it_is_killed_shows_nothing(short, tmp_path):
    with pytest.raises(RuntimeError, match="ended before step .* give it more epochs"):
        continuity.killed(out=tmp_path / "out", **{**short, "epochs": 0.05})


@pytest.mark.slow
def test_what_differs_is_seen(undisturbed, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(undisturbed, other)
    weights = load_file(other / "model.safetensors")
    next(iter(weights.values()))[0, 0] += 0.5
    save_file(weights, other / "model.safetensors")
    assert continuity.changed(undisturbed, other) == pytest.approx(0.5)
    lines = (other / "log.jsonl").read_text().splitlines()
    entry = json.loads(lines[3])
    entry["loss"] *= 1.01
    (other / "log.jsonl").write_text("\n".join([*lines[:3], json.dumps(entry), *lines[4:], ""]))
    assert continuity.curves(undisturbed, other) == pytest.approx(0.01)
    (other / "log.jsonl").write_text("\n".join([*lines[:-1], ""]))
    with pytest.raises(ValueError, match="runs of different steps"):
        continuity.curves(undisturbed, other)
