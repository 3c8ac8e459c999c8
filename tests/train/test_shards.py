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

# accelerate shards between GPUs only; told that these processes had some, it takes the very same path
SHARDED = """
import sys
from accelerate import DistributedType, PartialState
from accelerate.state import AcceleratorState
begin = PartialState.__init__
def as_if_on_gpus(self, *given, **named):
    begin(self, *given, **named)
    if self._shared_state["distributed_type"] == DistributedType.MULTI_CPU:
        self._shared_state["distributed_type"] = DistributedType.MULTI_GPU
PartialState.__init__ = as_if_on_gpus
PartialState(cpu=True)
from xlam_lib.train import lite, sft_lite
module, stop, *argv = sys.argv[1:]
first, made = lite.SFTFoundationTrainerLite._step, []
def step(self, number, groups):
    made.append(number)
    if number == int(stop) + 1:
        raise SystemExit(3)
    return first(self, number, groups)
lite.SFTFoundationTrainerLite._step = step
code = getattr(__import__("xlam_lib.train", fromlist=[module]), module).main(argv)
print(AcceleratorState._shared_state["distributed_type"], "made", *made[:1], *made[-1:], flush=True)
sys.exit(code)
"""
FSDP2 = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}


def sharded(folder, module, settings, stop=1000):
    script = folder / "sharded.py"
    script.write_text(SHARDED)
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    return subprocess.run(
        [*line, module, str(stop), *to_arguments(settings)],
        env={**surroundings(), **FSDP2, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": os.environ.get("IFNAME", "lo")},
        capture_output=True,
        text=True,
    )


@pytest.fixture()
def start(base, tmp_path):
    """A mixture of experts whose head shares its weights with the embedding, asked to keep its experts busy."""
    tokenizer = checkpoint.load_tokenizer(base)
    torch.manual_seed(0)
    spec = family()["xLAM-8x7b-r"]
    balanced = {"output_router_logits": True, "router_aux_loss_coef": 0.5}
    given = {"tie_word_embeddings": True, "eos_token_id": tokenizer.eos_token_id} | balanced
    config = shrunk(spec.architecture, len(tokenizer), **given)
    return checkpoint.save(tmp_path / "start", AutoModelForCausalLM.from_config(config), tokenizer)


@pytest.mark.slow
def test_shards_make_the_steps_of_one_process(start, data, tmp_path):
    """All weights, broken off after three of five steps."""
    settings = sft_lite.LiteSettings(
        base=str(start), data=(str(data),), out=str(tmp_path / "one"), epochs=0.6, lr=1e-3, processes=1,
        precision="float32", row_tokens=700, log_every=1, save_every=2,
    )  # fmt: skip
    sft_lite.train(settings)
    shards = asdict(settings) | {"out": str(tmp_path / "two")}
    cut = sharded(tmp_path, "sft_lite", shards, stop=3)
    assert cut.returncode and (tmp_path / "two.partial" / "checkpoint-2" / "COMPLETE").is_file(), cut.stderr
    ended = sharded(tmp_path, "sft_lite", shards)
    assert ended.returncode == 0 and "FSDP made 3 5" in ended.stdout, ended.stderr[-3000:]
    logs = [read_log(tmp_path / out) for out in ("one", "two")]
    for figure, close in (("loss", 1e-4), ("aux_loss", 1e-3), ("grad_norm", 1e-3)):
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
