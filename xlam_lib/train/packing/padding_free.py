"""Flash attention over samples that lie apart in a row, without padding: what tries are measured against on a GPU.

    name = choose(torch.device("cuda"))     # the fastest that is there
    model.set_attn_implementation(name)
    read(model.base_model, row)             # `trie_model.read`, for rows in which each trie is one sample

Kernels for sequences of many lengths (Dao, FlashAttention-2, arXiv 2307.08691) are given where each sample begins and
need no mask. They can't read tries that branch. `throughput.py` uses it, `trie_model.read` gives what they take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.utils import is_flash_attn_2_available

from xlam_lib.train.packing import attention

FLASH, VARLEN, FLEX = "flash_attention_2", "varlen", "flex_attention"
KERNELS = {
    FLASH: "padding-free flash attention of the package flash-attn",
    VARLEN: "padding-free flash attention of torch (varlen_attn)",
    FLEX: "FlexAttention with a mask of documents",
    attention.NAME: "blocks of queries on a CPU",
}
AMPERE = (8, 0)  # the oldest GPUs that flash attention runs on


def choose(device: torch.device) -> str:
    """The attention for samples apart on a device, a key of KERNELS: `choose(torch.device("cpu"))` -> causal_blocks."""
    if device.type == "cpu":
        return attention.NAME
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < AMPERE:
        return FLEX
    return FLASH if is_flash_attn_2_available() else VARLEN


def lengths(row: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """What the kernels are given of a row (keys of `trie_model.KEYS`); ValueError if a trie of it branches.

    Example: samples of 3 and 2 tokens -> `cu_seq_lens_q` [0, 3, 5], `max_length_q` 3
    """
    starts, samples, nodes = row["trie_starts"], row["trie_node"].shape[0], row["trie_tokens"].shape[1]
    if len(starts) != samples:
        raise ValueError(f"{samples} samples in {len(starts)} tries: flash attention reads samples apart, each a trie")
    ends = torch.nn.functional.pad(starts, (0, 1), value=nodes).int()
    longest = row["trie_node"].shape[1]  # asking the device for the longest would make it wait
    return {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest}


def varlen(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """torch's kernel as transformers calls attention: `(1, heads, row, width)` in, `(1, row, heads, width)` out."""
    if dropout:
        raise ValueError(f"attention_dropout is {dropout:g}, but this attention drops nothing: set it to 0")
    kind = value.dtype  # under autocast, rotary positions leave queries and keys in float32
    query, key, value = (one[0].transpose(0, 1).to(kind).contiguous() for one in (query, key, value))
    out = varlen_attn(
        query, key, value, cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q,
        scale=scaling, window_size=((sliding_window or 0) - 1, 0), enable_gqa=key.shape[1] < query.shape[1],
    )  # fmt: skip
    return out[None], None


def register() -> None:
    """Let models take `set_attn_implementation("varlen")`."""
    AttentionInterface.register(VARLEN, varlen)
    AttentionMaskInterface.register(VARLEN, lambda *_, **__: None)
