"""FSDP2 for real, on two processes that talk over gloo: the same steps as one process, whole weights, resumed alike."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from launch_demo import Job, launched
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from xlam_lib import paths
from xlam_lib.models import checkpoint
from xlam_lib.models.family import family, shrunk
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.supervised import sft, sft_lite

LAUNCH = paths.experiments_dir() / "04_model_family" / "launch"


@pytest.fixture(scope="module")
def start(base, tmp_path_factory):
    """A mixture of experts whose head shares its weights with the embedding, asked to keep its experts busy."""
    tokenizer = checkpoint.load_tokenizer(base)
    torch.manual_seed(0)
    spec = family()["xLAM-8x7b-r"]
    balanced = {"output_router_logits": True, "router_aux_loss_coef": 0.5}
    given = {"tie_word_embeddings": True, "eos_token_id": tokenizer.eos_token_id} | balanced
    config = shrunk(spec.architecture, len(tokenizer), **given)
    model = AutoModelForCausalLM.from_config(config)
    return checkpoint.save(tmp_path_factory.mktemp("start") / "start", model, tokenizer)


@pytest.fixture(scope="module")
def runs(start, data, tmp_path_factory):
    """Alone, and by the launch files in experiments/; one run is broken off, and taken up again by other processes."""
    folder = tmp_path_factory.mktemp("shards")
    lite = sft_lite.LiteSettings(
        base=str(start), data=(str(data),), out=str(folder / "one"), epochs=0.6, lr=1e-3, processes=1,
        precision="float32", row_tokens=700, log_every=1, save_every=2,
    )  # fmt: skip
    tuned = sft.SftSettings(
        base=str(start), data=str(data), out=str(folder / "adapter"), samples=24, batch_size=8, lr=1e-3,
        per_device_batch_size=4, processes=1, precision="float32", gradient_checkpointing=True, lora_rank=4,
        lora_targets=("q_proj", "o_proj"), log_every=1,
    )  # fmt: skip
    sft_lite.train(lite)
    sft.train(tuned)
    cut = Job(LAUNCH / "fsdp2.yaml", replace(lite, out=str(folder / "two")), stop=3)
    off = Job(LAUNCH / "fsdp2_offload.yaml", replace(lite, out=str(folder / "offloaded")))
    exact = ("--mixed_precision", "no")  # transformers takes bfloat16 from the file, whatever the settings say
    beside = Job(LAUNCH / "fsdp2.yaml", replace(tuned, out=str(folder / "beside")), module="sft", options=exact)
    first, _ = launched(folder, cut, beside)
    again, _ = launched(folder, replace(cut, stop=10**6), off)
    return SimpleNamespace(folder=folder, cut=first[0], beside=first[1], resumed=again[0], offloaded=again[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two", "offloaded"])
def test_shards_make_the_steps_of_one_process(runs, name):
    """All weights, broken off after three of five steps, or in the machine's memory."""
    assert runs.cut == ("FSDP", 3, [1, 2, 3, 4]) and runs.resumed == ("FSDP", 0, [3, 4, 5])
    assert runs.offloaded == ("FSDP", 0, [1, 2, 3, 4, 5])
    folders = [runs.folder / "one", runs.folder / name]
    logs = [read_log(folder) for folder in folders]
    for figure, close in (("loss", 1e-4), ("aux_loss", 1e-3), ("grad_norm", 1e-3)):
        assert curve(logs[0], figure)[1] == pytest.approx(curve(logs[1], figure)[1], rel=close)
    one, two = (load_file(folder / "model.safetensors") for folder in folders)
    assert one.keys() == two.keys()
    for key, values in one.items():
        torch.testing.assert_close(two[key], values, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")
    configs = [json.loads((folder / "config.json").read_text()) for folder in folders]
    assert configs[0] == configs[1]


@pytest.mark.slow
def test_adapters_beside_shards_are_those_of_one_process(runs):
    assert runs.beside[:2] == ("FSDP", 0)
    one, two = (load_file(runs.folder / out / "adapter_model.safetensors") for out in ("adapter", "beside"))
    assert one.keys() == two.keys() and len(one) == 8
    for key, values in one.items():
        torch.testing.assert_close(two[key], values, rtol=1e-3, atol=1e-5)
