"""Attention for training on a CPU: a block of queries at a time, each with the keys up to its end alone.

Causal by itself; with `tries`, a row holds tries (`trie.py`) and a token attends to its ancestors; a row of more than
LONG nodes goes to `ancestors.py`. Used by SFT in bfloat16 and by DPO (notebooks 02 and 03). For causal rows it takes a
seventh of a training step less than transformers' "eager" attention and a quarter less than the fused kernel (both
measured in one run, rows of 392 tokens, a model of 5 million parameters). It reads no mask: rows are padded on the
right, so no token that counts comes after padding, and none sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from xlam_lib.train.ancestors import Block, attend

NAME = "causal_blocks"
SIZE = 200  # queries of a block
# nodes of a trie; longer ones are read by their ancestors. float32: as fast from 600 nodes on. bfloat16: a sixth slower
# for one trajectory of 2,600 nodes or one sample of 4,096, as fast for two trajectories joined, and no weights are kept
LONG = 2048
Blocks = list[torch.Tensor]  # of one trie: (queries, keys up to the last of them) booleans, which of them are hidden


def causal_blocks(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    size: int = SIZE,
    tries: Sequence[Blocks] = (),
    ancestors: Sequence[Block] = (),
    longest: int = 0,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of `(batch, heads, length, width)` tensors; the output is `(batch, length, heads, width)`.

    `tries` says how the row is cut into tries (`blocks_of`), which see nothing of each other; empty for causal rows. Or
    `ancestors` are the blocks of the whole row, and keys of a group of heads are repeated here, too. `longest` is the
    longest sequence of a row of tries.
    """
    if sliding_window and (longest or query.shape[2]) > sliding_window:
        raise ValueError(
            f"a row of {longest or query.shape[2]} tokens, but the model attends to the last {sliding_window} only: "
            "use rows of at most that, or another attention"
        )
    if dropout:
        raise ValueError(f"attention_dropout is {dropout:g}, but this attention drops nothing: set it to 0")
    if key.shape[1] < query.shape[1]:  # grouped queries share keys
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if ancestors:
        return attend(query, key, value, ancestors, scaling).transpose(1, 2).contiguous(), None
    query, columns, out = query * scaling, key.transpose(-1, -2), []
    tries = tries or [causal(query.shape[2], size, query.device)]
    lengths = [sum(len(hidden) for hidden in blocks) for blocks in tries]
    # split, because its way back joins the gradients once, where that of a slice fills a whole row with zeros
    parts = zip(query.split(lengths, 2), columns.split(lengths, 3), value.split(lengths, 2), tries, strict=True)
    for q, k, v, blocks in parts:
        for rows, hidden in zip(q.split([len(hidden) for hidden in blocks], 2), blocks, strict=True):
            end = hidden.shape[1]
            scores = (rows @ k[..., :end]).masked_fill_(hidden, float("-inf"))
            with torch.autocast(query.device.type, enabled=False):
                weights = scores.softmax(-1)
            out.append(weights @ v[:, :, :end])
    return torch.cat(out, 2).transpose(1, 2).contiguous(), None


def causal(length: int, size: int = SIZE, device: torch.device | str = "cpu") -> Blocks:
    """The masks of a causal row: `[mask.shape for mask in causal(450, 200)]` -> [(200, 200), (200, 400), (50, 450)]."""
    ends = [min(start + size, length) for start in range(0, length, size)]
    return [
        torch.ones(end - start, end, dtype=torch.bool, device=device).triu(1 + start)
        for start, end in pairwise([0, *ends])
    ]


def blocks_of(exit: torch.Tensor, starts: Sequence[int], size: int = SIZE) -> list[Blocks]:
    """The masks of a row of tries, for all layers of a step: where each begins, and where the subtree of a token ends.

    Example: `blocks_of(torch.tensor([2, 2, 4, 4]), [0, 2])` -> two tries with one block of (2, 2) each
    """
    made = []
    for first, last in pairwise([*starts, len(exit)]):
        ends = (exit[first:last] - first)[None, :]
        rows = torch.arange(last - first, device=exit.device)[:, None]
        blocks = causal(last - first, size, exit.device)
        at = list(accumulate(map(len, blocks), initial=0))
        made.append(
            [
                hidden | (ends[:, : hidden.shape[1]] <= rows[a:b])
                for hidden, (a, b) in zip(blocks, pairwise(at), strict=True)
            ]
        )
    return made


def use_causal_blocks(model: PreTrainedModel) -> None:
    """Let a model train with it: for whole rows padded on the right, never for generation or packed rows."""
    AttentionInterface.register(NAME, causal_blocks)
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)
    model.set_attn_implementation(NAME)
