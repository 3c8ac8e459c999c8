"""The memory and the work that a plan tells, against what torch holds and counts for small models of each kind."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from xlam_lib.models.family import build, configuration, family
from xlam_lib.train.planning.memory import NF4, Layout, Sizes, activation, flops, memory, sizes

KINDS = ("xLAM-7b-r", "xLAM-8x7b-r", "xLAM-1b-fc-r", "xLAM-2-1b-fc-r")
ROW = 192
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
GIB = 2**30


def small(name: str, layers: int = 2, dtype: torch.dtype = torch.float32, targets: list[str] | None = None):
    """A model that is wide enough for its activations to outweigh odds and ends."""
    given = family()[name].architecture
    shared = 8 if given["num_attention_heads"] == given["num_key_value_heads"] else 2
    shape = dict(hidden_size=256, intermediate_size=640, num_attention_heads=8, num_key_value_heads=shared)
    torch.manual_seed(0)
    config = configuration(given, **shape, num_hidden_layers=layers, vocab_size=128)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    if targets:
        model = get_peft_model(model, LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"))
    return model


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("targets", [None, ATTENTION])
def test_states_are_what_torch_holds(name, targets):
    model = small(name, targets=targets)
    counted = sizes(model, adapters=bool(targets))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)
    model(input_ids=torch.arange(64)[None], labels=torch.arange(64)[None], use_cache=False).loss.backward()
    optimizer.step()
    states = [value for state in optimizer.state.values() for key, value in state.items() if key != "step"]
    held = {
        "weights": sum(p.nbytes for p in model.parameters()),
        "gradients": sum(p.grad.nbytes for p in trained),
        "optimizer": sum(value.nbytes for value in states),
    }
    parts, host = memory(counted, model.config, Layout(1, compute="float32"), ROW, 10)
    assert {part: parts[part] for part in held} == held and not host


def kept(model: torch.nn.Module, autocast: bool) -> int:
    """Bytes that the layers keep for the way back, the weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    found, alive = {}, []

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
            alive.append(value)
        return value

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value),
        torch.autocast("cpu", torch.bfloat16, enabled=autocast),
    ):
        model(input_ids=torch.randint(0, 128, (1, ROW)), use_cache=False, logits_to_keep=1)
    return sum(found.values())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("weights", "compute", "targets"),
    [
        ("float32", "float32", None),
        ("bfloat16", "bfloat16", None),
        ("float32", "bfloat16", None),
        ("bfloat16", "bfloat16", ATTENTION),
    ],
)
def test_activations_are_what_torch_keeps(name, weights, compute, targets):
    autocast = compute == "bfloat16" and (weights == "float32" or bool(targets))
    one, two = (small(name, layers, getattr(torch, weights), targets) for layers in (1, 2))
    counted, layout = sizes(two, adapters=bool(targets)), Layout(1, weights=weights, compute=compute)
    found = kept(two, autocast) - kept(one, autocast)
    if autocast and not targets:
        found -= 2 * (counted.linear // 2)  # the weights of a layer, cast
    assert activation(counted, two.config, layout) * ROW == pytest.approx(found, rel=0.03)


@pytest.mark.parametrize("name", KINDS)
def test_work_is_what_torch_counts(name):
    model = small(name)
    model.set_attn_implementation("eager")
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    ids = torch.randint(0, 128, (1, ROW))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    router = 0 if not sizes(model).experts else 6 * 2 * 8 * 256 * ROW
    found = flops(sizes(model), model.config, ROW, ROW, ROW, checkpointing=False) + router
    assert found == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_the_shares_of_zero():
    """The example of the ZeRO paper, figure 1: 7.5 billion parameters on 64 GPUs take 31.4, 16.6 and 1.9 GB each."""
    psi = int(7.5e9)
    counted = Sizes(psi, psi, 0, psi, 0, 1.0, 0, psi // 40, 40, 0)
    config = family()["xLAM-7b-r"].config()
    found = []
    for shard in ("zero1", "zero2", "zero3"):
        parts, _ = memory(counted, config, Layout(64, shard), 0, 0)
        found.append(sum(parts[part] for part in ("weights", "gradients", "optimizer")) / 1e9)
    assert found == pytest.approx([31.4, 16.6, 1.9], abs=0.05)


def test_four_bits_and_what_surrounds_them():
    """QLoRA, section 3: double quantisation takes 0.127 bits a parameter where single takes 0.5."""
    assert pytest.approx(0.127, abs=5e-4) == (NF4 - 0.5) * 8
    model = build(family()["xLAM-8x7b-r"].config())
    counted = sizes(model)
    parts, _ = memory(counted, model.config, Layout(1, weights="nf4"), 0, 0)
    assert 23 < parts["weights"] / GIB < 24.5  # 46.7 billion


def test_an_offload_moves_states_to_the_machine():
    config = family()["xLAM-8x7b-r"].config()
    counted = sizes(build(config))
    on, _ = memory(counted, config, Layout(8, "zero3", checkpointing=True), 4096, 500)
    off, host = memory(counted, config, Layout(8, "zero3", "all", checkpointing=True), 4096, 500)
    assert sum(host.values()) == pytest.approx(16 * counted.total)
    assert "optimizer" not in off and "weights" not in off and sum(off.values()) < sum(on.values()) / 3


def test_checkpointing_keeps_one_layer_and_what_lies_between():
    config = family()["xLAM-7b-r"].config()
    counted = sizes(build(config))
    plain, _ = memory(counted, config, Layout(8, "fsdp2"), 8192, 500)
    less, _ = memory(counted, config, Layout(8, "fsdp2", checkpointing=True), 8192, 500)
    each = activation(counted, config, Layout(8, "fsdp2")) * 8192
    assert plain["activations"] == 32 * each
    assert less["activations"] == each + 32 * 2 * 4096 * 8192
    assert less["mask"] < plain["mask"] / 10
