"""FSDP2 for real, on two processes that talk over gloo: the same steps as one process, whole weights, resumed alike."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from xlam_lib.train import checkpoint, sft, sft_lite
from xlam_lib.train.config import to_arguments
from xlam_lib.train.family import family, shrunk
from xlam_lib.train.launch import surroundings
from xlam_lib.train.log import curve, read_log

LAUNCH = paths.experiments_dir() / "04_model_family" / "launch"
FSDP2 = LAUNCH / "fsdp2.yaml"


@pytest.fixture()
def start(base, tmp_path):
    """A mixture of experts whose head shares its weights with the embedding."""
    tokenizer = checkpoint.load_tokenizer(base)
    torch.manual_seed(0)
    spec = family()["xLAM-8x7b-r"]
    config = shrunk(spec.architecture, len(tokenizer), tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id)
    return checkpoint.save(tmp_path / "start", AutoModelForCausalLM.from_config(config), tokenizer)


@pytest.mark.slow
def test_shards_make_the_steps_of_one_process(start, data, tmp_path):
    """All weights, broken off after three of five steps."""
    settings = sft_lite.LiteSettings(
        base=str(start), data=(str(data),), out=str(tmp_path / "one"), epochs=0.6, lr=1e-3, processes=1,
        precision="float32", row_tokens=700, log_every=1, save_every=2,
    )  # fmt: skip
    sft_lite.train(settings)
    shards = replace(settings, out=str(tmp_path / "two"))
    adapters = replace(tuned, out=str(tmp_path / "adapters"))
    cut, *_ = launched(tmp_path, Job(FSDP2, shards, stop=3))
    assert cut == [("FSDP", 3, [1, 2, 3, 4])]
    logs = [read_log(tmp_path / out) for out in ("one", "two")]
    for figure, close in (("loss", 1e-4), ("grad_norm", 1e-3)):
        assert curve(logs[0], figure)[1] == pytest.approx(curve(logs[1], figure)[1], rel=close)
    one, two = (load_file(tmp_path / out / "model.safetensors") for out in ("one", "two"))
    assert one.keys() == two.keys()
    for key, values in one.items():
        torch.testing.assert_close(two[key], values, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")
    configs = [json.loads((tmp_path / out / "config.json").read_text()) for out in ("one", "two")]
    assert configs[0] == configs[1]


@pytest.mark.slow
def test_adapters_beside_shards_are_those_of_one_process(start, data, tmp_path):
    settings = sft.SftSettings(
        base=str(start), data=str(data), out=str(tmp_path / "one"), samples=24, batch_size=8, micro_batch=4, lr=1e-3,
        processes=1, precision="float32", recompute=True, lora_rank=4, lora_targets=("q_proj", "o_proj"), log_every=1,
    )  # fmt: skip
    sft.train(settings)
    ended = sharded(tmp_path, "sft", asdict(settings) | {"out": str(tmp_path / "two")})
    assert ended.returncode == 0 and "FSDP made" in ended.stdout, ended.stderr[-3000:]
    one, two = (load_file(tmp_path / out / "adapter_model.safetensors") for out in ("one", "two"))
    assert one.keys() == two.keys() and len(one) == 8
    for key, values in one.items():
        torch.testing.assert_close(two[key], values, rtol=1e-3, atol=1e-5)
