"""FlexAttention's mask of a row of tries (`trie_model.py`; SFT-lite, SFT v1 and DPO on a GPU).

    exit = filled(row["trie_exit"][0])     # up to a length that a kernel is compiled for
    mask = block_mask(exit)                # which blocks of 128 by 128 are read whole, in part, or not at all

FlexAttention (Dong et al., arXiv 2412.05496) leaves out blocks in which nothing is seen, and asks for no single place
in those of which all is. `create_block_mask` finds them by writing out the mask, row x row bytes: 1 GiB for 32,768
nodes (unless it is compiled, anew for each length). Here the least and the greatest end of a subtree in each block of
keys say the same.
"""

from __future__ import annotations

import torch
from torch.nn.attention.flex_attention import BlockMask

STRIDE = 1024  # lengths of rows: a kernel is compiled for each
SIZE = 128  # of a block; divides STRIDE


def padded(exit: torch.Tensor) -> torch.Tensor:
    """With nodes behind the others that see themselves alone, up to a multiple of STRIDE."""
    nodes = len(exit)
    padding = torch.arange(nodes + 1, nodes + -nodes % STRIDE + 1, device=exit.device, dtype=exit.dtype)
    return torch.cat([exit, padding])


def block_mask(exit: torch.Tensor) -> BlockMask:
    """The mask by which each node sees its ancestors and itself; `exit` (multiple of SIZE,) is where its subtree ends.

    Example: `block_mask(filled(torch.tensor([3, 2, 3]))).shape` -> (1, 1, 1024, 1024)
    """
    ends = exit.view(-1, SIZE)
    last, first = ends.max(1).values, ends.min(1).values
    begin = torch.arange(0, len(exit), SIZE, device=exit.device)[:, None]
    before = begin.mT < begin
    whole = before & (first >= begin + SIZE)  # every key's subtree reaches behind the queries
    part = (begin.mT == begin) | (before & (last > begin) & ~whole)
    return BlockMask.from_kv_blocks(
        *_block_lists(part), *_block_lists(whole), BLOCK_SIZE=SIZE,
        mask_mod=lambda batch, head, query, key: (key <= query) & (query < exit[key]),
    )  # fmt: skip


def _block_lists(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How many blocks of keys each block of queries has, and which, those first: (1, 1, n) and (1, 1, n, n)."""
    order = blocks.int().argsort(dim=-1, descending=True, stable=True)
    return blocks.sum(-1, dtype=torch.int32)[None, None], order.int()[None, None]
