"""DeepSpeed for real, on two processes that talk over gloo: ZeRO-2 and ZeRO-3 make the steps of one process."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from launch_demo import launched
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from xlam_lib.train import checkpoint, sft_lite
from xlam_lib.train.family import family, shrunk
from xlam_lib.train.log import curve, read_log

CUT = {"stage3_param_persistence_threshold": 0}


def zero(stage, offload="none"):
    fields = {
        "zero_stage": stage,
        "offload_param_device": offload if stage == 3 else "none",
        "offload_optimizer_device": offload,
        "zero3_init_flag": stage == 3,
        "zero3_save_16bit_model": stage == 3,
    }
    return {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "DEEPSPEED",
        "mixed_precision": "bf16",
        "num_machines": 1,
        "num_processes": 2,
        "deepspeed_config": fields,
    }


@pytest.fixture(scope="module")
def start(base, tmp_path_factory):
    """A mixture of experts whose head shares its weights with the embedding."""
    tokenizer = checkpoint.load_tokenizer(base)
    torch.manual_seed(0)
    spec = family()["xLAM-8x7b-r"]
    config = shrunk(spec.architecture, len(tokenizer), tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id)
    return checkpoint.save(
        tmp_path_factory.mktemp("start") / "start", AutoModelForCausalLM.from_config(config), tokenizer
    )


@pytest.fixture(scope="module")
def settings(start, data, tmp_path_factory):
    return sft_lite.LiteSettings(
        base=str(start), data=(str(data),), out=str(tmp_path_factory.mktemp("one") / "one"), epochs=0.6, lr=1e-3,
        processes=1, precision="float32", row_tokens=700, log_every=1, save_every=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def alone(settings):
    return sft_lite.train(settings)


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "offload"), [(2, "none"), (2, "cpu"), (3, "none"), (3, "cpu")])
def test_shards_make_the_steps_of_one_process(alone, settings, tmp_path, stage, offload):
    ended = launched(zero(stage, offload), "sft_lite", asdict(replace(settings, out=str(tmp_path / "two"))))
    assert ended.returncode == 0 and "DEEPSPEED made 1 5" in ended.stdout, ended.stdout[-3000:] + ended.stderr[-6000:]
    logs = [read_log(folder) for folder in (alone, tmp_path / "two")]
    print(curve(logs[0], "loss"), curve(logs[1], "loss"))
    print(curve(logs[0], "grad_norm"), curve(logs[1], "grad_norm"))
    for figure, close in (("loss", 1e-4), ("grad_norm", 1e-3)):
        assert curve(logs[0], figure)[1] == pytest.approx(curve(logs[1], figure)[1], rel=close)
    one, two = (load_file(out / "model.safetensors") for out in (alone, tmp_path / "two"))
    assert one.keys() == two.keys()
    for key, values in one.items():
        torch.testing.assert_close(two[key], values, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")
