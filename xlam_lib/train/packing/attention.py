"""Attention for training on a CPU: a block of queries at a time, each with the keys up to its end alone.

Causal by itself; given what is `seen`, it reads rows of tries (`trie.py`), where a token attends to its ancestors, and
a row with a trie of more than LONG nodes by `block_attention.py`. Used by SFT in bfloat16 and by DPO (notebooks 02 and
03). For causal rows it takes a seventh of a training step less than transformers' "eager" attention and a quarter less
than the fused kernel (both measured in one run, rows of 392 tokens, a model of 5 million parameters). It reads no mask:
rows are padded on the right, so no token that counts comes after padding, and none sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from xlam_lib.train.packing.block_attention import Block, ancestor_blocks, attend
from xlam_lib.train.packing.last_layer import is_last

NAME = "causal_blocks"
SIZE = 200  # queries of a block
# nodes of a trie; longer ones are read by their ancestors. float32: as fast from 600 nodes on. bfloat16: a sixth slower
# for one trajectory of 2,600 nodes or one sample of 4,096, as fast for two trajectories joined, and no weights are kept
LONG = 2048
KEPT = 2e8  # attention weights of a trie that all layers keep for the way back, at most; SmolLM2's 270 heads: 860 nodes
Blocks = list[torch.Tensor]  # of one trie: (queries, keys up to the last of them) booleans, which of them are hidden


class Seen(NamedTuple):
    """What queries of a row see: `tries` of short rows or `ancestors` of long ones; `nodes` are these, if not all."""

    tries: Sequence[Blocks] = ()
    ancestors: Sequence[Block] = ()
    nodes: torch.Tensor | None = None


def causal_blocks(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    size: int = SIZE,
    seen: Seen | None = None,
    seen_last: Seen | None = None,
    longest: int = 0,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of `(batch, heads, length, width)` tensors; the output is `(batch, length, heads, width)`.

    `seen` says what a row of tries sees (`row_of_tries`), `seen_last` what it does in the last layer; None for causal
    rows. Keys of a group of heads are repeated here, too. `longest` is the longest sequence of a row of tries.
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
    seen = (seen_last if seen_last is not None and is_last(module) else seen) or Seen()
    if seen.ancestors:
        return attend(query, key, value, seen.ancestors, scaling).transpose(1, 2).contiguous(), None
    whole, nodes, columns, out = query, seen.nodes, key.transpose(-1, -2), []
    query = (query if nodes is None else query.index_select(2, nodes)) * scaling
    tries = seen.tries or [causal(query.shape[2], size, query.device)]
    queries = [sum(len(hidden) for hidden in blocks) for blocks in tries]
    keys = [blocks[-1].shape[1] for blocks in tries]
    # split, because its way back joins the gradients once, where that of a slice fills a whole row with zeros
    parts = zip(query.split(queries, 2), columns.split(keys, 3), value.split(keys, 2), tries, strict=True)
    for q, k, v, blocks in parts:
        for rows, hidden in zip(q.split([len(hidden) for hidden in blocks], 2), blocks, strict=True):
            end = hidden.shape[1]
            scores = (rows @ k[..., :end]).masked_fill_(hidden, float("-inf"))
            with torch.autocast(query.device.type, enabled=False):
                weights = scores.softmax(-1)
            out.append(weights @ v[:, :, :end])
    found = torch.cat(out, 2)
    if nodes is not None:
        found = found.new_zeros(*whole.shape[:3], found.shape[3]).index_copy(2, nodes, found)
    return found.transpose(1, 2).contiguous(), None


def row_of_tries(
    exit: torch.Tensor, starts: Sequence[int], scored: torch.Tensor | None = None, heads: int = 1
) -> dict[str, Any]:
    """What `causal_blocks` is given of a row of tries: where each node's subtree ends, and where each trie begins.

    In the last layer only the nodes `scored` (in order, at least one) are queries, if that is given. `heads` are those
    of all layers together.
    """
    longest = max(end - start for start, end in pairwise([*starts, len(exit)]))
    long = longest > LONG or heads * longest**2 > KEPT

    def of(nodes: torch.Tensor | None) -> Seen:
        if long:
            return Seen(ancestors=ancestor_blocks(exit, queries=nodes), nodes=nodes)
        return Seen(tries=blocks_of(exit, starts, queries=nodes), nodes=nodes)

    return {"seen": of(None)} | ({} if scored is None else {"seen_last": of(scored), "scored": scored})


def causal(length: int, size: int = SIZE, device: torch.device | str = "cpu") -> Blocks:
    """The masks of a causal row: `[mask.shape for mask in causal(450, 200)]` -> [(200, 200), (200, 400), (50, 450)]."""
    ends = [min(start + size, length) for start in range(0, length, size)]
    return [
        torch.ones(end - start, end, dtype=torch.bool, device=device).triu(1 + start)
        for start, end in pairwise([0, *ends])
    ]


def blocks_of(
    exit: torch.Tensor, starts: Sequence[int], size: int = SIZE, queries: torch.Tensor | None = None
) -> list[Blocks]:
    """The masks of a row of tries, for all layers of a step: where each begins, and where the subtree of a token ends.

    `queries` are some of the nodes in order, and then the rows of the masks.
    Example: `blocks_of(torch.tensor([2, 2, 4, 4]), [0, 2])` -> two tries with one block of (2, 2) each
    """
    made = []
    for first, last in pairwise([*starts, len(exit)]):
        ends = (exit[first:last] - first)[None, :]
        rows = torch.arange(last - first, device=exit.device)[:, None]
        blocks = causal(last - first, size, exit.device)
        at = list(accumulate(map(len, blocks), initial=0))
        masks = [
            hidden | (ends[:, : hidden.shape[1]] <= rows[a:b])
            for hidden, (a, b) in zip(blocks, pairwise(at), strict=True)
        ]
        if queries is not None:
            cut = (torch.searchsorted(queries, exit.new_tensor(at) + first)).tolist()
            masks = [mask[queries[i:j] - first - a] for mask, a, (i, j) in zip(masks, at, pairwise(cut), strict=False)]
        made.append(masks)
    return made


def use_causal_blocks(model: PreTrainedModel) -> None:
    """Let a model train with it: for whole rows padded on the right, never for generation or packed rows."""
    AttentionInterface.register(NAME, causal_blocks)
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)
    model.set_attn_implementation(NAME)
