"""The blocks for FlexAttention are those that torch finds by writing out the mask, its rule is that of the trie."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from xlam_lib.train.packing.flex import SIZE, STRIDE, block_mask, padded
from xlam_lib.train.packing.trie import trie
from xlam_lib.train.packing.trie_model import allowed

FORKS = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 200)), min_size=1, max_size=6)


def row_of(forks):
    """The ends of subtrees of sequences that part from the first after `shared` tokens."""
    longest = list(range(600))
    sequences = [longest] + [
        [*longest[:shared], *(1000 + number for _ in range(own))] for number, (own, shared) in enumerate(forks)
    ]
    return torch.from_numpy(trie(sequences).exit)


def blocks(counts, places):
    return [sorted(row[:count]) for count, row in zip(counts[0, 0].tolist(), places[0, 0].tolist(), strict=True)]


@settings(max_examples=25, deadline=None)
@given(FORKS)
def test_blocks_are_those_that_torch_finds(forks):
    exit = padded(row_of(forks))
    made = block_mask(exit)
    written = create_block_mask(
        lambda batch, head, query, key: (key <= query) & (query < exit[key]), None, None, len(exit), len(exit), "cpu"
    )
    assert blocks(made.kv_num_blocks, made.kv_indices) == blocks(written.kv_num_blocks, written.kv_indices)
    assert blocks(made.full_kv_num_blocks, made.full_kv_indices) == blocks(
        written.full_kv_num_blocks, written.full_kv_indices
    )
    assert blocks(made.q_num_blocks, made.q_indices) == blocks(written.q_num_blocks, written.q_indices)
    assert made.shape == written.shape and made.BLOCK_SIZE == written.BLOCK_SIZE == (SIZE, SIZE)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_it_gives_the_attention_of_the_trie():
    exit = padded(row_of([(300, 200), (40, 0), (200, 130)]))
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, len(exit), 16)
    found = flex_attention(query, key, value, block_mask=block_mask(exit))
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, allowed(exit[None])[:, None])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("nodes, length", [(1, STRIDE), (STRIDE, STRIDE), (STRIDE + 1, 2 * STRIDE)])
def test_rows_are_filled_up_to_a_stride(nodes, length):
    exit = torch.full((nodes,), nodes)
    assert len(padded(exit)) == length and torch.equal(padded(exit)[:nodes], exit)
    assert padded(exit)[nodes:].tolist() == list(range(nodes + 1, length + 1))
