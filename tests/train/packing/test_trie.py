"""A model that reads a trie gives what it gives for each sequence alone: hidden states, losses, gradients."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head

from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.trie import trie
from xlam_lib.train.packing.trie_model import KEYS, PairCollator, TrieRow, read, read_tries

SEQUENCES = st.lists(st.lists(st.integers(0, 3), max_size=8), min_size=1, max_size=7).filter(any)
PAIRS = [
    {"prompt_ids": [5, 6, 7, 8, 9, 10, 11], "chosen_ids": [12, 13, 14, 1], "rejected_ids": [12, 15, 1]},
    {"prompt_ids": [5, 6, 7, 8, 9, 10, 11], "chosen_ids": [12, 13, 14, 1], "rejected_ids": [16, 1]},
    {"prompt_ids": [5, 6, 20], "chosen_ids": [21, 1], "rejected_ids": [22, 23, 24, 25, 1]},
    {"prompt_ids": [30, 31, 32, 33], "chosen_ids": [34, 1], "rejected_ids": [34, 1, 1]},
]


@given(SEQUENCES)
def test_each_sequence_is_a_path(sequences: list[list[int]]) -> None:
    made = trie(sequences)
    prefixes = {tuple(sequence[: end + 1]) for sequence in sequences for end in range(len(sequence))}
    assert len(made) == len(prefixes)
    mask = made.mask()
    for sequence, nodes in zip(sequences, made.nodes, strict=True):
        assert made.tokens[nodes].tolist() == sequence
        assert made.depth[nodes].tolist() == list(range(len(sequence)))
        for at, node in enumerate(nodes):
            assert np.flatnonzero(mask[node]).tolist() == nodes[: at + 1].tolist()
    assert made.saved == pytest.approx(1 - len(prefixes) / sum(map(len, sequences)))


def test_the_example_of_the_docstring() -> None:
    made = trie([[5, 6, 7], [5, 6, 8, 9]])
    assert made.tokens.tolist() == [5, 6, 7, 8, 9] and made.depth.tolist() == [0, 1, 2, 2, 3]
    assert made.exit.tolist() == [5, 5, 3, 5, 5]
    assert [nodes.tolist() for nodes in made.nodes] == [[0, 1, 2], [0, 1, 3, 4]]


def test_large_ids_keep_their_order() -> None:
    made = trie([[151_000, 2], [151_000, 70_000], [300]])
    assert [made.tokens[nodes].tolist() for nodes in made.nodes] == [[151_000, 2], [151_000, 70_000], [300]]
    assert len(made) == 4


def test_a_trie_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no tokens"):
        trie([[], []])


@pytest.fixture(params=["causal_blocks", "sdpa", "eager"])
def model(request: pytest.FixtureRequest) -> LlamaForCausalLM:
    sizes = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=64, num_key_value_heads=2, **sizes)
    made = LlamaForCausalLM(config)
    use_causal_blocks(made) if request.param == "causal_blocks" else made.set_attn_implementation(request.param)
    return made


@settings(max_examples=15, deadline=None)
@given(groups=st.lists(SEQUENCES, min_size=1, max_size=3))
def test_hidden_states_are_those_of_the_sequences(groups: list[list[list[int]]]) -> None:
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
    made = LlamaForCausalLM(LlamaConfig(vocab_size=8, **sizes)).double()
    use_causal_blocks(made)
    row = TrieRow.of(groups)
    hidden = read(made.base_model, row.tensors())
    sequences = [sequence for group in groups for sequence in group]
    for sequence, nodes in zip(sequences, row.node, strict=True):
        if sequence:
            alone = made.base_model(torch.tensor([sequence]), use_cache=False).last_hidden_state[0]
            torch.testing.assert_close(hidden[nodes[: len(sequence)]], alone)


def test_pairs_score_as_they_do_apart(model: LlamaForCausalLM) -> None:
    outputs = ("log_probs", "entropy", "mean_logits", "is_top1")
    apart = copy.deepcopy(model).double()
    for one in (model.double(), apart):
        add_fused_lm_head(one, outputs=outputs)
    read_tries(model)
    read_tries(model)  # a second time changes nothing
    batch = PairCollator(0, 64)([{key: list(ids) for key, ids in pair.items()} for pair in PAIRS])
    assert batch["trie_tokens"].shape == (1, 15 + 10 + 7)  # 11 and 2, then 3 and 7, then 4, 2 and 1
    mask = batch.pop("completion_mask")
    labels = batch["input_ids"].masked_fill(mask == 0, -100)
    plain = {key: value for key, value in batch.items() if key not in KEYS}
    ours = model(**batch, labels=labels, fused_lm_head=True)
    theirs = apart(**plain, labels=labels, fused_lm_head=True)
    close = {"rtol": 1e-4, "atol": 1e-5, "check_dtype": False}  # trl scores in float32
    for key in ("loss", *outputs):
        torch.testing.assert_close(getattr(ours, key), getattr(theirs, key), **close)
    weights = torch.randn(ours.log_probs.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for one, found in ((model, ours), (apart, theirs)):
        (found.log_probs * weights).sum().backward()
        assert one.model.embed_tokens.weight.grad is not None
    for (name, a), (_, b) in zip(model.named_parameters(), apart.named_parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, **close, msg=lambda text, name=name: f"{name}: {text}")


def test_gradients_are_the_same_each_time() -> None:
    """Enough numbers that threads share the work, and nodes where three sequences and more part."""
    torch.manual_seed(0)
    sizes = dict(hidden_size=256, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    made = LlamaForCausalLM(LlamaConfig(vocab_size=64, **sizes))
    use_causal_blocks(made)
    read_tries(made)
    row = TrieRow.of([[[1, 2, 3, number, 4, 5] for number in range(60)] * 3])
    labels = torch.randint(0, 64, row.node.shape)  # so that what is added up differs
    threads, found = torch.get_num_threads(), set()
    torch.set_num_threads(2)
    try:
        for _ in range(12):
            made.zero_grad()
            made(labels=labels, **row.tensors()).log_probs.square().sum().backward()
            found.add(made.model.layers[0].self_attn.v_proj.weight.grad.numpy().tobytes())
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 1


def test_without_tries_the_model_is_as_it_was(model: LlamaForCausalLM) -> None:
    add_fused_lm_head(model)
    ids = torch.randint(0, 64, (2, 9))
    before = model(input_ids=ids, labels=ids, fused_lm_head=True).log_probs, model(input_ids=ids).logits
    read_tries(model)
    after = model(input_ids=ids, labels=ids, fused_lm_head=True).log_probs, model(input_ids=ids).logits
    torch.testing.assert_close(after, before)


def test_flex_attention_reads_tries(model: LlamaForCausalLM) -> None:
    """Its forward alone: on a CPU it has no way back. Not compiled, for that takes a minute."""
    row = TrieRow.of([[[1, 2, 3, 4], [1, 2, 5, 6, 7], [1, 2, 5, 8]], [[9] * 140]]).tensors()
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        expected = read(model.base_model, row)
        model.set_attn_implementation("flex_attention")
        torch.testing.assert_close(read(model.base_model, row), expected, rtol=1e-4, atol=1e-5)
