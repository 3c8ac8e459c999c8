"""Experts in four bits: read one layer at a time, and that a mixture of experts learns beside them. bitsandbytes."""

import subprocess
import sys

import pytest
import torch

pytest.importorskip("bitsandbytes")
from bitsandbytes.nn.parametrize import replace_parameter_4bit  # noqa: E402
from peft import get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM, MixtralConfig  # noqa: E402

from xlam_lib.models import (
    checkpoint,
    load,
    lora,  # noqa: E402
)
from xlam_lib.models.experts import restore_experts  # noqa: E402
from xlam_lib.models.family import configuration, family  # noqa: E402
from xlam_lib.train.loop.child import environment  # noqa: E402
from xlam_lib.train.loop.log import curve, read_log  # noqa: E402
from xlam_lib.train.planning.memory import NF4  # noqa: E402
from xlam_lib.train.supervised import sft


@pytest.fixture(scope="module")
def mixture(base, tmp_path_factory):
    tokenizer = checkpoint.load_tokenizer(base)
    torch.manual_seed(0)
    shape = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
    given = family()["xLAM-8x7b-r"].architecture
    config = configuration(
        given, **shape, num_key_value_heads=2, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id
    )
    folder = tmp_path_factory.mktemp("mixture") / "base"
    return checkpoint.save(folder, AutoModelForCausalLM.from_config(config), tokenizer)


def quantised(model):
    """The experts of a model that is there whole, by bitsandbytes' own function."""
    for module in model.modules():
        for name in [name for name, values in module.named_parameters(recurse=False) if values.ndim == 3]:
            replace_parameter_4bit(module, name, compress_statistics=True, quant_type="nf4")
    return model


def folded(model):
    """{(layer, weight): what is held of it in four bits}."""
    modules = ((place, getattr(module, "parametrizations", {})) for place, module in model.named_modules())
    return {(place, name): made for place, found in modules for name, made in found.items()}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_experts_are_read_as_bitsandbytes_quantises_them(mixture, dtype):
    whole, model = load.load_model(mixture, dtype), load.nf4(mixture, dtype)
    before = {name: values.detach().clone() for name, values in whole.named_parameters() if values.ndim == 3}
    expected, found, held = folded(quantised(whole)), folded(model), 0
    assert found.keys() == expected.keys() and len(found) == len(before) == 4
    for key, made in found.items():
        assert torch.equal(made.original, expected[key].original) and not made.original.requires_grad
        assert made[0].quant_state.dtype == getattr(torch, dtype)
        held += made.original.nbytes + made[0].quant_state.absmax.nbytes + made[0].quant_state.state2.absmax.nbytes
    assert held == pytest.approx(NF4 * sum(values.numel() for values in before.values()), rel=0.01)
    restore_experts(model)
    restore_experts(whole)
    after, other = (dict(one.named_parameters()) for one in (model, whole))
    for name, values in before.items():
        off = (after[name] - values).norm() / values.norm()
        assert 0.01 < off < 0.12 and torch.equal(after[name], other[name]), name
    assert model.quantization_method == "bitsandbytes" and "parametrizations" not in " ".join(after)


PEAK = """
import re, sys, threading, time
import torch
from xlam_lib.models import load
def now():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
def watch():
    while not done.is_set():
        peak[0] = max(peak[0], now())
        time.sleep(0.001)
warm, folder = sys.argv[1:]
load.nf4(warm, "bfloat16")
start, peak, done = now(), [0], threading.Event()
thread = threading.Thread(target=watch)
thread.start()
model = load.nf4(folder, "bfloat16")
done.set()
thread.join()
print("above", peak[0] - start)
"""


@pytest.mark.slow
def test_loading_never_holds_all_experts_in_full(mixture, tmp_path):
    """In a process of its own that reads shards: the peak of its memory, which a CPU's quantising adds to."""
    sizes = dict(hidden_size=128, intermediate_size=256, num_hidden_layers=40, num_attention_heads=4)
    config = MixtralConfig(vocab_size=64, num_key_value_heads=2, num_local_experts=8, **sizes)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model = model.to_empty(device="cpu")
    for values in model.parameters():
        values.data.uniform_(-0.1, 0.1)
    experts = sum(values.nbytes for values in model.parameters() if values.ndim == 3)
    model.save_pretrained(tmp_path, max_shard_size="20MB")
    del model
    steady = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}  # what is freed goes back at once
    line = [sys.executable, "-c", PEAK, str(mixture), str(tmp_path)]
    done = subprocess.run(line, env={**environment(), **steady}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert experts / 4 < int(done.stdout.split()[-1]) < 0.6 * experts


def test_gradients_are_those_beside_the_rounded_weights(mixture):
    """With layers recomputed and without: four bits differ from a model of the rounded weights in nothing else."""
    found = []
    for rounded, again in ((False, False), (False, True), (True, False)):
        model = quantised(load.load_model(mixture))
        if rounded:
            restore_experts(model)
        if again:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        settings = sft.SftSettings(base=str(mixture), data="", out="", lora_rank=4, lora_targets=("q_proj", "o_proj"))
        model = lora.attach(model, settings).train()
        ids = torch.arange(3, 40)[None]
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        grads = [values.grad for values in model.parameters() if values.requires_grad]
        found.append([loss.detach(), *grads])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_mixture_of_experts_learns_in_four_bits(mixture, data, tmp_path, precision):
    settings = sft.SftSettings(
        base=str(mixture), data=str(data), out=str(tmp_path / "out"), samples=96, lr=2e-2, processes=1, log_every=1,
        precision=precision, gradient_checkpointing=True, quantize="nf4", lora_rank=8,
        lora_targets=("q_proj", "k_proj", "v_proj", "o_proj"),
    )  # fmt: skip
    out = sft.train(settings)
    _, losses = curve(read_log(out), "loss")
    assert losses[-1] < losses[0] - 0.1
    merged, side = load.merged(out), load.load_adapter(out)
    ids = torch.arange(3, 30)[None]
    with torch.no_grad():
        torch.testing.assert_close(merged(ids).logits, side(ids).logits, rtol=1e-3, atol=1e-4)
    assert not any("parametrizations" in name for name, _ in merged.named_parameters())


def test_the_base_in_training_holds_no_expert_in_full(mixture):
    settings = sft.SftSettings(
        base=str(mixture), data="", out="", quantize="nf4", lora_rank=4, lora_targets=("q_proj",)
    )
    model = lora.load_base(settings)
    model = get_peft_model(model, lora.config(settings, model))
    large = [name for name, values in model.named_parameters() if values.ndim == 3]
    assert not large and sum(p.dtype == torch.uint8 for p in model.parameters()) == 4 + 8
