"""What makes a model read tries: rows of them as tensors, the mask for its attention, and DPO's pairs (notebook 03).

    rows = TrieRows.of([[chosen, rejected], ...])      # one trie a row; chosen and rejected share their prompt
    hidden = read(model.base_model, rows.tensors())    # what each sequence alone would have given, up to rounding

`share_prompts(model)` lets trl's DPO do so: it scores pairs through the model's `fused_lm_head`, which then reads each
prompt once and projects labelled positions only. All of trl's losses stay as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import FusedCausalLMOutput

from xlam_lib.train import attention
from xlam_lib.train.trie import trie

IGNORED = -100
KEYS = ("trie_tokens", "trie_depth", "trie_exit", "trie_node")


@dataclass(frozen=True)
class TrieRows:
    """Tensors of int64: tokens, depth and exit of shape (rows, longest row), node of (sequences, longest sequence).

    `node` counts through all rows; padding is token 0, which nothing attends to, and node 0.
    """

    tokens: torch.Tensor
    depth: torch.Tensor
    exit: torch.Tensor
    node: torch.Tensor

    @classmethod
    def of(cls, groups: Sequence[Sequence[Sequence[int]]], longest: int = 0) -> TrieRows:
        """One row for each group of sequences; `node` has their sequences in order, padded to `longest` at least."""
        tries = [trie(group) for group in groups]
        width = max(map(len, tries))
        paths = [(nodes, row * width) for row, made in enumerate(tries) for nodes in made.nodes]
        longest = max(longest, *(len(nodes) for nodes, _ in paths))
        node = torch.zeros(len(paths), longest, dtype=torch.int64)
        for number, (nodes, start) in enumerate(paths):
            node[number, : len(nodes)] = torch.from_numpy(nodes) + start
        tokens, depth = torch.zeros(len(tries), width, dtype=torch.int64), torch.zeros(len(tries), width).long()
        exit = torch.arange(1, width + 1).repeat(len(tries), 1)  # padding: its own subtree
        for row, made in enumerate(tries):
            for target, values in ((tokens, made.tokens), (depth, made.depth), (exit, made.exit)):
                target[row, : len(made)] = torch.from_numpy(values)
        return cls(tokens, depth, exit, node)

    def tensors(self) -> dict[str, torch.Tensor]:
        """As keys of a batch: KEYS."""
        return dict(zip(KEYS, (self.tokens, self.depth, self.exit, self.node), strict=True))


def read(backbone: torch.nn.Module, rows: Mapping[str, torch.Tensor], **more: Any) -> torch.Tensor:
    """Hidden states of all nodes, (rows * longest row, width); index them with `trie_node`."""
    exit = rows["trie_exit"]
    if backbone.config._attn_implementation == attention.NAME:
        mask: dict[str, Any] = {"attention_mask": None, "exits": exit}
    else:
        mask = {"attention_mask": allowed(exit)[:, None]}
    output = backbone(
        input_ids=rows["trie_tokens"], position_ids=rows["trie_depth"], use_cache=False, **mask, **more
    )  # fmt: skip
    return output.last_hidden_state.flatten(0, 1)


def allowed(exit: torch.Tensor) -> torch.Tensor:
    """(rows, queries, keys) booleans: each node attends to its ancestors and itself."""
    at = torch.arange(exit.shape[1], device=exit.device)
    return (at[None, None, :] <= at[None, :, None]) & (at[None, :, None] < exit[:, None, :])


@dataclass
class PairCollator(DataCollatorForPreference):
    """trl's collator, with a trie a pair."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        lengths, half = batch["attention_mask"].sum(1).tolist(), len(examples)
        ids = [row[:length].tolist() for row, length in zip(batch["input_ids"], lengths, strict=True)]
        rows = TrieRows.of([[ids[i], ids[half + i]] for i in range(half)], batch["input_ids"].shape[1])
        order = [2 * i for i in range(half)] + [2 * i + 1 for i in range(half)]  # trl has all chosen ones first
        return batch | rows.tensors() | {"trie_node": rows.node[order]}


def share_prompts(model: PreTrainedModel) -> None:
    """Let `model(..., labels=labels, fused_lm_head=True)` of trl read tries where the batch holds them."""
    if getattr(model.forward, "shares_prompts", False):
        return
    original = model.forward

    @functools.wraps(original)
    def forward(*args: Any, **kwargs: Any) -> Any:
        rows = {key: kwargs.pop(key) for key in KEYS if key in kwargs}
        if not (rows and kwargs.get("fused_lm_head")):
            return original(*args, **kwargs)
        if kwargs.get("output_router_logits"):
            raise ValueError("router losses count tokens as often as they are read: train such a model without tries")
        labels = kwargs["labels"][:, 1:]
        wanted = labels != IGNORED
        hidden = read(model.base_model, rows)[rows["trie_node"][:, :-1][wanted]]
        return _scored(model.get_output_embeddings()(hidden).float(), labels, wanted)

    forward.shares_prompts = True  # type: ignore[attr-defined]
    model.forward = forward


def _scored(logits: torch.Tensor, labels: torch.Tensor, wanted: torch.Tensor) -> FusedCausalLMOutput:
    """trl's output, from the logits of the labelled positions alone."""
    targets = labels[wanted]
    found = -F.cross_entropy(logits, targets, reduction="none")

    def spread(values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros(wanted.shape).masked_scatter(wanted, values)

    with torch.no_grad():
        logs = logits.log_softmax(-1)
        entropy, top = -(logs.exp() * logs).sum(-1), logits.argmax(-1) == targets
        means = logits.mean(-1)
    return FusedCausalLMOutput(
        loss=-found.sum() / wanted.sum().clamp(min=1),
        log_probs=spread(found),
        entropy=spread(entropy),
        mean_logits=spread(means),
        is_top1=spread(top),
        label_mask=wanted,
    )
