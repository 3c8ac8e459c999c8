"""The mixture in real processes: torch's workers, and 1, 2 and 4 devices that talk to each other."""

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import islice

import pytest

from xlam_lib.seeds import DeviceSeed
from xlam_lib.train.mixture.loader import Loader
from xlam_lib.train.mixture.mixture import Mixture

SOURCES = {"a": range(200), "b": range(1000, 1090), "c": range(2000, 2011)}
SHARES = {"a": 0.5, "b": 0.3, "c": 0.2}

DEVICE = """
import json, os, sys
import torch.distributed as dist
from xlam_lib.train.mixture.interleave import interleave_data
from xlam_lib.train.mixture.loader import Loader
from xlam_lib.seeds import init_device_seed

folder, world = sys.argv[1], int(os.environ["WORLD_SIZE"])
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=int(os.environ["RANK"]), world_size=world)
seed = init_device_seed(seed=42)
sources = {"a": range(200), "b": range(1000, 1090), "c": range(2000, 2011)}
shares = {"a": 0.5, "b": 0.3, "c": 0.2}

def loader(workers):
    mixture, _ = interleave_data(sources, shares, seed, return_type="basic")
    return Loader(mixture, 8, workers=workers, even=True)

first = loader(0)
batches = list(first)
half = loader(0)
for _ in zip(range(7), half): pass
state = [half.state_dict() if seed.rank == 0 else None]
dist.broadcast_object_list(state)  # saved by one device, loaded by all
resumed = loader(1)
resumed.load_state_dict(state[0])
report = {"batches": batches, "rest": list(resumed), "place": [seed.rank, seed.world], "seed": int(seed)}
reports = [None] * world
dist.all_gather_object(reports, {**report, "fingerprint": first.mixture.fingerprint, "drawn": len(first.mixture)})
if seed.rank == 0:
    json.dump(reports, open(f"{folder}/reports.json", "w"))
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2, 4])
def test_devices_share_out_an_epoch_and_resume_it(world, tmp_path):
    pytest.importorskip("torch")
    surroundings = {**os.environ, "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-c", DEVICE, str(tmp_path)]
    started = [subprocess.Popen(command, env={**surroundings, "RANK": str(rank)}) for rank in range(world)]
    assert [process.wait(600) for process in started] == [0] * world
    reports = json.loads((tmp_path / "reports.json").read_text())
    assert [report["place"] for report in reports] == [[rank, world] for rank in range(world)]
    assert len({report["fingerprint"] for report in reports}) == 1
    assert len({report["seed"] for report in reports}) == world
    assert len({len(report["batches"]) for report in reports}) == 1, "as many steps on each device"
    assert all(report["rest"] == report["batches"][7:] for report in reports)
    parts = [sum(report["batches"], [])[: report["drawn"]] for report in reports]
    assert sum(len(set(part)) for part in parts) == len(set().union(*parts)) == 301, "disjoint and complete"
    drawn = Counter(sample // 1000 for part in parts for sample in part)
    assert drawn == {0: 200, 1: 120, 2: 80}, "all of a once; b and c as often as their shares ask"
    assert parts == [list(Mixture(SOURCES, SHARES, seed=DeviceSeed(42, rank, world))) for rank in range(world)]


@pytest.mark.parametrize("stop", ["all", "never"])
def test_workers_change_nothing(stop):
    pytest.importorskip("torch")

    def loader(workers):
        sources = {**SOURCES, "d": lambda: iter(range(3000, 3050))}
        shares = [0.4, 0.3, 0.2, 0.1]
        return Loader(Mixture(sources, shares, seed=DeviceSeed(1, 1, 2), stop=stop), 8, workers=workers)

    expected = list(islice(loader(0), 30))
    for workers in (1, 2):
        one = loader(workers)
        assert list(islice(one, 30)) == expected
        stopped = loader(workers)
        assert list(islice(stopped, 11)) == expected[:11]
        state = stopped.state_dict()
        assert state["place"] == 88, "what the workers have read ahead doesn't count"
        one.load_state_dict(state)
        assert list(islice(one, 19)) == expected[11:]


def test_a_trainer_that_shares_out_by_itself_gets_the_whole():
    torch_data = pytest.importorskip("torch.utils.data")
    from xlam_lib.train.mixture.torch_data import TorchMixture

    with pytest.raises(ValueError, match="the part of device 1 of 2"):
        TorchMixture(Mixture(SOURCES, seed=DeviceSeed(0, 1, 2)))
    whole = TorchMixture(Mixture(SOURCES, seed=DeviceSeed(0)))
    everything = sorted(x for samples in SOURCES.values() for x in samples)
    assert isinstance(whole, torch_data.IterableDataset) and len(whole) == 301
    assert list(whole) == list(whole.mixture)
    for workers in (0, 2):
        batches = torch_data.DataLoader(whole, batch_size=8, num_workers=workers)
        assert sorted(x for batch in batches for x in batch.tolist()) == everything
    whole.mixture.load_state_dict({**whole.mixture.state_dict(), "place": 5})
    with pytest.raises(ValueError, match="place 5 was loaded"):
        iter(whole)
    whole.set_epoch(1)
    assert sorted(whole) == everything


@pytest.mark.parametrize("dispatch", [True, False])
def test_accelerate_leaves_a_loader_alone(dispatch):
    accelerate = pytest.importorskip("accelerate")
    loader = Loader(Mixture(SOURCES), 8)
    configuration = accelerate.DataLoaderConfiguration(dispatch_batches=dispatch)
    assert accelerate.Accelerator(cpu=True, dataloader_config=configuration).prepare(loader) is loader
