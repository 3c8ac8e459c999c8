"""The steps on Ray: the outputs of a local run. Ray isn't among the locked packages; `pip install ray` to run this."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline_checks import SMALL, outputs, rows, write

from xlam_lib.data.pipeline import executors, shards
from xlam_lib.data.pipeline.phases import Phase
from xlam_lib.data.unify import unify

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    given = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    before = dict(os.environ)
    os.environ.update(given)
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200_000_000, _node_ip_address="127.0.0.1")
    yield
    ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.slow
def test_ray_makes_what_one_process_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", SMALL)
    path = write(tmp_path / "rows.jsonl", rows(60))
    options = {"mem_per_cpu_gb": 0.5}
    made = unify("xlam_fc_60k", path, tmp_path / "ray", workers=2, executor="ray", executor_options=options)
    assert made.records_in == 60
    unify("xlam_fc_60k", path, tmp_path / "local")
    assert outputs(tmp_path / "ray") == outputs(tmp_path / "local")


def _fails(data: object, rank: int, world_size: int) -> None:
    if rank == 1:
        raise ValueError("a task that fails")


@pytest.mark.slow
def test_a_task_that_fails_on_ray_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(executors.LostWorker, match=r"convert: 1 of 2 task\(s\) failed on Ray \(the first is 1;"):
        executors.run_on_ray(Phase("convert", [_fails], 2), tmp_path, 2, {"mem_per_cpu_gb": 0.5})
