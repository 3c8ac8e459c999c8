"""What the last layer leaves out changes nothing: loss and gradients are those of a last layer that computes all."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from train_demo import token_rows
from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig, OlmoeConfig, Qwen2MoeConfig, Qwen3MoeConfig

from xlam_lib.models.tokens import IGNORED
from xlam_lib.train.packing import attention, last_layer, trie_model
from xlam_lib.train.packing.attention import blocks_of, use_causal_blocks
from xlam_lib.train.packing.block_attention import ancestor_blocks, attend
from xlam_lib.train.packing.packers import TriePacker, empty
from xlam_lib.train.packing.trie import trie
from xlam_lib.train.packing.trie_model import read_tries

SIZES = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2)
EXPERTS = dict(num_experts_per_tok=2, initializer_range=0.2)
KINDS = {
    "llama": LlamaConfig(vocab_size=64, **SIZES),
    "mixtral": MixtralConfig(vocab_size=64, num_local_experts=4, **SIZES),
    "qwen2_moe": Qwen2MoeConfig(
        vocab_size=64, num_experts=5, moe_intermediate_size=16, shared_expert_intermediate_size=16, **SIZES, **EXPERTS
    ),
    "qwen3_moe": Qwen3MoeConfig(vocab_size=64, num_experts=4, moe_intermediate_size=16, head_dim=8, **SIZES, **EXPERTS),
    "olmoe": OlmoeConfig(vocab_size=64, num_experts=4, **SIZES, **EXPERTS),
}
GROUPS = [token_rows([5, 6, 7, 8], 5), token_rows([9, 10], 3), token_rows([5, 6, 7, 9], 2)]
SEQUENCES = st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=9).filter(any)


def model_of(kind, implementation=attention.NAME):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(KINDS[kind])
    use_causal_blocks(model)
    model.set_attn_implementation(implementation)
    read_tries(model)
    return model.train()


def stepped(model, batch):
    """The loss of a batch and all gradients."""
    model.zero_grad(set_to_none=False)
    made = model(**{key: values for key, values in batch.items() if key not in ("weights", "source")})
    made.loss.backward()
    return [made.loss.detach(), *(values.grad.clone() for values in model.parameters())]


def packed():
    return TriePacker(64).pack(GROUPS).batches[0]


def whole(monkeypatch):
    monkeypatch.setattr(trie_model, "needed_nodes", lambda nodes: None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [False, True], ids=["kept", "again"])
def test_loss_and_gradients_are_those_of_a_whole_layer(kind, again, monkeypatch):
    model, batch = model_of(kind), packed()
    if again:
        model.gradient_checkpointing_enable()
    found = stepped(model, batch)
    whole(monkeypatch)
    torch.testing.assert_close(found, stepped(model, batch), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("implementation", ["ancestors", "sdpa", "eager"])
def test_so_they_are_with_other_attention(implementation, monkeypatch):
    if implementation == "ancestors":
        monkeypatch.setattr(attention, "LONG", 3)
    model = model_of("llama", attention.NAME if implementation == "ancestors" else implementation)
    found = stepped(model, packed())
    whole(monkeypatch)
    torch.testing.assert_close(found, stepped(model, packed()), rtol=1e-4, atol=1e-7)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_so_is_the_loss_with_flex_attention(monkeypatch):
    """Whose way back needs a GPU."""
    model, batch = model_of("llama", "flex_attention"), packed()
    given = {key: values for key, values in batch.items() if key not in ("weights", "source")}
    with torch.no_grad():
        found = model(**given).loss
        whole(monkeypatch)
        torch.testing.assert_close(found, model(**given).loss, rtol=1e-5, atol=1e-7)


def test_the_mlp_alone_reads_all_again():
    model = model_of("llama")
    stepped(model, packed())
    hidden = torch.randn(1, 9, 32)
    assert model.model.layers[-1].mlp(hidden).abs().sum(-1).all()


@settings(max_examples=40, deadline=None)
@given(SEQUENCES, st.integers(1, 9), st.randoms(use_true_random=False))
def test_some_queries_see_what_they_saw_among_all(sequences, size, random):
    made = trie(sequences)
    exit, starts = torch.from_numpy(made.exit), [0]
    some = torch.tensor(sorted(random.sample(range(len(made)), random.randint(1, len(made)))))
    allowed = torch.from_numpy(made.mask())
    (masks,) = blocks_of(exit, starts, size, queries=some)
    written = torch.cat([torch.nn.functional.pad(~mask, (0, len(made) - mask.shape[1])) for mask in masks])
    assert torch.equal(written, allowed[some])
    torch.manual_seed(size)
    query, key, value = torch.randn(3, 1, 2, len(made), 8)
    found = attend(query, key, value, ancestor_blocks(exit, size, queries=some), 0.3)
    every = attend(query, key, value, ancestor_blocks(exit, size), 0.3)
    torch.testing.assert_close(found[:, :, some], every[:, :, some], rtol=1e-4, atol=1e-5)
    others = np.setdiff1d(np.arange(len(made)), some.numpy())
    assert not found[:, :, others].any()


def test_the_last_layer_reads_scored_nodes_alone():
    model, batch, read = model_of("llama"), packed(), []
    for layer in model.model.layers:
        layer.mlp.gate_proj.register_forward_hook(lambda _, given, found: read.append(found.shape[1]))
    stepped(model, batch)
    nodes, scored = batch["trie_tokens"].shape[1], int((batch["labels"][:, 1:] != IGNORED).sum())
    assert read == [nodes, nodes, scored] and scored < nodes


def test_a_row_without_a_label_gives_every_weight_a_gradient_of_zero():
    found = stepped(model_of("llama"), empty())
    assert all(not values.any() for values in found)


def test_the_hidden_states_of_another_caller_are_whole():
    model, batch = model_of("llama"), packed()
    before = trie_model.read(model.base_model, batch)
    stepped(model, batch)
    assert torch.equal(trie_model.read(model.base_model, batch), before)


def test_each_node_is_needed_once():
    assert last_layer.needed_nodes(torch.tensor([4, 2, 4])).tolist() == [2, 4]
    assert last_layer.needed_nodes(torch.tensor([], dtype=torch.int64)) is None


def test_experts_that_are_kept_busy_meet_all_nodes():
    config = MixtralConfig(vocab_size=64, num_local_experts=4, output_router_logits=True, **SIZES)
    model, read = AutoModelForCausalLM.from_config(config), []
    use_causal_blocks(model)
    read_tries(model)
    model.model.layers[-1].mlp.register_forward_pre_hook(lambda _, given: read.append(given[0].shape[1]))
    stepped(model.train(), packed())
    assert read == [packed()["trie_tokens"].shape[1]]
