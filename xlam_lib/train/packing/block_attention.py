"""Attention over long tries on a CPU: each block of queries with its ancestors alone (SFT-lite; notebook 06).

    blocks = ancestor_blocks(exit, size=256)      # once a row, for all layers
    out = attend(query, key, value, blocks, scaling)

The nodes before a block that it may see are those whose subtree reaches into it: the path to its first node. So a query
costs its depth, however long the row is, and trajectories that share a prompt can lie in one row. PyTorch's fused
kernel does the arithmetic of a block, forward and backward; no scores are kept between the two. A trie of 19,000 nodes
(8 ALFWorld trajectories, 2,400 tokens deep on average) took 2.8 s of one core, forward and backward of one layer with 4
heads of 64; the same trajectories as a trie each, with dense blocks (`attention.py`), 5.1 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

SIZE = 256  # queries of a block: 64 took 1.5 times as long, 512 the same


class Block(NamedTuple):
    """Some queries of a row, the nodes they see, and which of these each sees: 0 or -inf, (queries, keys)."""

    queries: slice | torch.Tensor
    keys: torch.Tensor
    bias: torch.Tensor


def ancestor_blocks(
    exit: torch.Tensor, size: int = SIZE, dtype: torch.dtype = torch.float32, queries: torch.Tensor | None = None
) -> list[Block]:
    """The blocks of a row, from where each node's subtree ends: `ancestor_blocks(torch.tensor([3, 2, 3]), 2)` -> two.

    The second of them is the last node alone, which sees nodes 0 and 2. `queries` are some of the nodes in order.
    """
    nodes, blocks = torch.arange(len(exit), device=exit.device), []
    for chunk in (nodes if queries is None else queries).split(size):
        first, end = int(chunk[0]), int(chunk[-1]) + 1
        # a node is seen by the queries from itself up to where its subtree ends, if there are any of this block
        keys = (torch.searchsorted(chunk, exit[:end]) > torch.searchsorted(chunk, nodes[:end])).nonzero()[:, 0]
        hidden = (keys > chunk[:, None]) | (exit[keys] <= chunk[:, None])
        bias = torch.zeros(hidden.shape, dtype=dtype, device=exit.device).masked_fill_(hidden, float("-inf"))
        blocks.append(Block(slice(first, end) if end - first == len(chunk) else chunk, keys, bias))
    return blocks


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, blocks: Sequence[Block], scaling: float
) -> torch.Tensor:
    """Attention of `(1, heads, nodes, width)` tensors, of the same shape: each node with its ancestors and itself.

    0 for nodes that are no query of a block.
    """
    kind = value.dtype  # under autocast, rotary positions leave queries and keys in float32
    return _Attention.apply(query.to(kind), key.to(kind), value, blocks, scaling)


class _Attention(torch.autograd.Function):
    """The gradients of keys and values are added up in one place; autograd would fill a row with zeros a block."""

    @staticmethod
    def forward(
        context: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, blocks: Sequence[Block], scale: float
    ) -> torch.Tensor:
        out, sums = torch.zeros_like(query), []
        for queries, keys, bias in blocks:
            out[:, :, queries], total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query[:, :, queries],
                key.index_select(2, keys),
                value.index_select(2, keys),
                attn_mask=bias.to(query.dtype),
                scale=scale,
            )
            sums.append(total)
        context.save_for_backward(query, key, value, out, *sums)
        context.blocks, context.scale = blocks, scale
        return out

    @staticmethod
    def backward(context: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, out, *sums = context.saved_tensors
        by_query, by_key, by_value = torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(value)
        for (queries, keys, bias), total in zip(context.blocks, sums, strict=True):
            found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                grad[:, :, queries],
                query[:, :, queries],
                key.index_select(2, keys),
                value.index_select(2, keys),
                out[:, :, queries],
                total,
                0.0,
                False,
                attn_mask=bias.to(query.dtype),
                scale=context.scale,
            )
            by_query[:, :, queries] = found[0]
            by_key.index_add_(2, keys, found[1])
            by_value.index_add_(2, keys, found[2])
        return by_query, by_key, by_value, None, None
