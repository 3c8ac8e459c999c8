"""Prompts read before their answers are written: what neighbours have alike is read once (used by `decode.py`).

    cache, logits, mask = prefill(model, rows)      # as if each row had been read alone, padded on the left

Questions of one trajectory, or about one list of tools, begin alike; in the embedded data that is half of all tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from xlam_lib.train.attention import NAME, use_causal_blocks
from xlam_lib.train.trie import common
from xlam_lib.train.trie_model import TrieRow, read

SHARED = 0.5  # of a row's tokens: below that a trie costs more in attention than it saves


class RoomyLayer(DynamicLayer):
    """Keys and values with room ahead, so that a token is written in place instead of copying all before it."""

    ROOM = 64
    room: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self.room is None or self.room[0].shape[-2] < end:
            self.room = tuple(
                new.new_empty(*new.shape[:2], end + self.ROOM, new.shape[-1]) for new in (key_states, value_states)
            )
            if start:
                self.room[0][:, :, :start], self.room[1][:, :, :start] = self.keys, self.values
        self.room[0][:, :, start:end], self.room[1][:, :, start:end] = key_states, value_states
        self.keys, self.values = (full[:, :, :end] for full in self.room)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)
        self.room = None


def prefill(model: PreTrainedModel, rows: Sequence[Sequence[int]]) -> tuple[Cache, torch.Tensor, torch.Tensor]:
    """(keys and values, logits of the next token, mask): of shapes (rows, ..., longest, ...), (rows, vocabulary),
    (rows, longest). Rows that begin alike must be neighbours to share anything."""
    made = TrieRow.of(alike(rows))
    tensors = {key: value.to(model.device) for key, value in made.tensors().items()}
    known, before = Cache(layer_class_to_replicate=DynamicLayer), model.config._attn_implementation
    if before != NAME:
        use_causal_blocks(model)
    try:
        hidden = read(model.base_model, tensors, past_key_values=known, use_cache=True)
    finally:
        if before != NAME:
            model.set_attn_implementation(before)
    lengths = torch.tensor([len(row) for row in rows], device=model.device)
    at = torch.arange(made.node.shape[1], device=model.device)[None, :] - (made.node.shape[1] - lengths)[:, None]
    mask, nodes = (at >= 0).long(), tensors["trie_node"].gather(1, at.clamp(min=0))
    cache = Cache(layer_class_to_replicate=RoomyLayer)
    for number, layer in enumerate(known.layers):
        cache.update(*(whole[0][:, nodes].transpose(0, 1) for whole in (layer.keys, layer.values)), number)
    return cache, model.get_output_embeddings()(hidden[nodes[:, -1]]), mask


def alike(rows: Sequence[Sequence[int]]) -> list[list[Sequence[int]]]:
    """Neighbours that share half of their tokens: `alike([[1, 2], [1, 3], [4]])` -> [[[1, 2], [1, 3]], [[4]]]."""
    groups: list[list[Sequence[int]]] = []
    before = np.empty(0, dtype=np.int64)
    for row in rows:
        array = np.asarray(row, dtype=np.int64)
        if groups and common(before, array) >= SHARED * max(len(before), len(array)):
            groups[-1].append(row)
        else:
            groups.append([row])
        before = array
    return groups
