"""Experts in four bits: what is held, and that a mixture of experts learns beside them. Needs bitsandbytes."""

import pytest
import torch

pytest.importorskip("bitsandbytes")
from peft import get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from xlam_lib.train import adapters, checkpoint, lora, sft  # noqa: E402
from xlam_lib.train.experts import quantize_experts, restore_experts  # noqa: E402
from xlam_lib.train.family import configuration, family  # noqa: E402
from xlam_lib.train.log import curve, read_log  # noqa: E402
from xlam_lib.train.memory import NF4  # noqa: E402


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


def test_experts_take_four_bits_and_come_back_rounded(mixture):
    model = checkpoint.load_model(mixture)
    before = {name: values.clone() for name, values in model.named_parameters() if values.ndim == 3}
    assert quantize_experts(model) == len(before) == 4
    held = 0
    for module in model.modules():
        for made in getattr(module, "parametrizations", {}).values():
            scales = made[0].quant_state
            held += made.original.nbytes + scales.absmax.nbytes + scales.state2.absmax.nbytes
    assert held == pytest.approx(NF4 * sum(values.numel() for values in before.values()), rel=0.01)
    restore_experts(model)
    after = {name: values for name, values in model.named_parameters() if values.ndim == 3}
    for name, values in before.items():
        off = (after[name] - values).norm() / values.norm()
        assert 0.01 < off < 0.12, name


def test_gradients_are_those_beside_the_rounded_weights(mixture):
    """With layers recomputed and without: four bits differ from a model of the rounded weights in nothing else."""
    found = []
    for rounded, again in ((False, False), (False, True), (True, False)):
        model = checkpoint.load_model(mixture)
        quantize_experts(model)
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
        precision=precision, recompute=True, quantize="nf4", lora_rank=8,
        lora_targets=("q_proj", "k_proj", "v_proj", "o_proj"),
    )  # fmt: skip
    out = sft.train(settings)
    _, losses = curve(read_log(out), "loss")
    assert losses[-1] < losses[0] - 0.1
    merged, side = adapters.merged(out), adapters.load(out)
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
