"""Attention by ancestors gives what a mask written out gives, whatever the trie and the size of a block."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from xlam_lib.train.packing import attention
from xlam_lib.train.packing.block_attention import ancestor_blocks, attend
from xlam_lib.train.packing.trie import trie
from xlam_lib.train.packing.trie_model import TrieRow, read

SEQUENCES = st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=9).filter(any)


def by_mask(query, key, value, mask, scaling):
    scores = (query @ key.transpose(-1, -2) * scaling).masked_fill(~mask, float("-inf"))
    return scores.softmax(-1) @ value


@settings(max_examples=40, deadline=None)
@given(SEQUENCES, st.integers(1, 9))
def test_outputs_and_gradients_are_those_of_the_mask(sequences, size):
    made = trie(sequences)
    torch.manual_seed(len(made))
    query, key, value, grad = torch.randn(4, 1, 2, len(made), 8)
    blocks = ancestor_blocks(torch.from_numpy(made.exit), size)
    found = []
    for attention_of in (
        lambda *qkv: by_mask(*qkv, torch.from_numpy(made.mask()), 0.3),
        lambda *qkv: attend(*qkv, blocks, 0.3),
    ):
        leaves = [one.clone().requires_grad_() for one in (query, key, value)]
        out = attention_of(*leaves)
        out.backward(grad)
        found.append([out.detach(), *(leaf.grad for leaf in leaves)])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_a_query_costs_its_depth_not_the_row():
    made = trie([[7] * 50 + [number] * 30 for number in range(40)])
    blocks = ancestor_blocks(torch.from_numpy(made.exit), 10)
    assert len(made) == 50 + 40 * 30
    assert max(len(block.keys) for block in blocks) <= 80 + 10


def test_the_example_of_the_docstring():
    first, second = ancestor_blocks(torch.tensor([3, 2, 3]), 2)
    assert (first.queries, second.queries) == (slice(0, 2), slice(2, 3))
    assert second.keys.tolist() == [0, 2] and second.bias.tolist() == [[0.0, 0.0]]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    made = LlamaForCausalLM(LlamaConfig(vocab_size=50, num_key_value_heads=2, **sizes))
    attention.use_causal_blocks(made)
    return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_long_rows_are_read_by_their_ancestors(model, monkeypatch, dtype):
    rng = np.random.default_rng(0)
    start = rng.integers(0, 50, 300).tolist()
    row = TrieRow.of([[start + rng.integers(0, 50, 90).tolist() for _ in range(5)], [[1, 2, 3]]]).tensors()
    found = []
    for long in (10_000, 100):
        monkeypatch.setattr(attention, "LONG", long)
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            hidden = read(model.base_model, row)
        hidden.float().square().mean().backward()
        found.append((hidden.detach(), model.model.layers[0].self_attn.k_proj.weight.grad.clone()))
    close = {"rtol": 1e-4, "atol": 1e-6} if dtype is torch.float32 else {"rtol": 0.05, "atol": 0.02}
    torch.testing.assert_close(found[1], found[0], **close)


def test_models_of_many_heads_read_shorter_rows_by_their_ancestors(model, monkeypatch):
    """What bounds the memory is the weights of all heads: 8 of them keep 800 for a row of 10 nodes."""
    row = TrieRow.of([[[1, 2, 3, 4, 5, 6], [1, 2, 7, 8, 9, 10]]]).tensors()
    used, original = [], attention.row_of_tries
    monkeypatch.setattr(attention, "row_of_tries", lambda *given: used.append(original(*given)) or used[-1])
    for kept in (800, 799):
        monkeypatch.setattr(attention, "KEPT", kept)
        read(model.base_model, row)
    assert [bool(one["seen"].ancestors) for one in used] == [False, True]


def test_gradients_are_the_same_each_time():
    made = trie([[1, 2, 3, number, 4, 5] for number in range(200)])
    blocks = ancestor_blocks(torch.from_numpy(made.exit))
    values = torch.randn(3, 1, 4, len(made), 32)
    found = set()
    for _ in range(8):
        leaves = [one.clone().requires_grad_() for one in values]
        attend(*leaves, blocks, 0.2).square().sum().backward()
        found.add(b"".join(leaf.grad.numpy().tobytes() for leaf in leaves))
    assert len(found) == 1


def test_windows_and_dropout_are_refused(model):
    row = TrieRow.of([[[1, 2, 3, 4], [1, 2, 5]]]).tensors()
    with pytest.raises(ValueError, match="a row of 4 tokens, but the model attends to the last 3 only"):
        read(model.base_model, row, sliding_window=3)
    read(model.base_model, row, sliding_window=4)
    with pytest.raises(ValueError, match=r"attention_dropout is 0\.1"):
        attention.causal_blocks(None, *torch.randn(3, 1, 1, 2, 4), None, 1.0, dropout=0.1)
