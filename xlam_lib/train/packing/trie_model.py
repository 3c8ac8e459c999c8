"""What makes a model read tries: a row of them as tensors, the mask for its attention, scores (notebooks 02 and 03).

    row = TrieRow.of([[chosen, rejected], ...])        # a trie for each group, one behind the other, no padding
    hidden = read(model.base_model, row.tensors())     # what each sequence alone would have given, up to rounding
    hidden[row.node[0, :length]]                       # those of the first sequence

`read_tries(model)` lets `model(labels=labels, **row.tensors())` return log-probabilities of the labels, projecting
labelled positions only. trl's DPO calls models in this form, so all of its losses stay as they are. Of a mixture of
experts that is to keep them busy there is `aux_loss`, too, and what it is made of (`router.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import FusedCausalLMOutput

from xlam_lib.models import router
from xlam_lib.models.tokens import IGNORED
from xlam_lib.train.packing import attention, flex, padding_free
from xlam_lib.train.packing.last_layer import limit_last_mlp, needed_nodes
from xlam_lib.train.packing.trie import Trie, trie

KEYS = ("trie_tokens", "trie_depth", "trie_exit", "trie_count", "trie_starts", "trie_node")


@dataclass(frozen=True)
class TrieRow:
    """Tensors of int64: tokens, depth, exit, count of shape (1, row), starts (tries), node (sequences, longest one).

    `count` says how many sequences hold a node, `starts` where each trie begins; `node` has the place of each token in
    the row, 0 for padding.
    """

    tokens: torch.Tensor
    depth: torch.Tensor
    exit: torch.Tensor
    count: torch.Tensor
    starts: torch.Tensor
    node: torch.Tensor

    @classmethod
    def of(cls, groups: Sequence[Sequence[Sequence[int]]], longest: int = 0) -> TrieRow:
        """A trie for each group of sequences; `node` has the sequences in order, padded to `longest` at least."""
        return cls.concatenated([trie(group) for group in groups], longest)

    @classmethod
    def concatenated(cls, tries: Sequence[Trie], longest: int = 0) -> TrieRow:
        """Tries one behind the other."""
        starts = np.cumsum([0, *map(len, tries)])[:-1]
        paths = [nodes + start for made, start in zip(tries, starts, strict=True) for nodes in made.nodes]
        node = np.zeros((len(paths), max(longest, *map(len, paths))), dtype=np.int64)
        for number, path in enumerate(paths):
            node[number, : len(path)] = path
        columns = (
            np.concatenate([made.tokens for made in tries])[None],
            np.concatenate([made.depth for made in tries])[None],
            np.concatenate([made.exit + start for made, start in zip(tries, starts, strict=True)])[None],
            np.concatenate([made.count for made in tries])[None],
        )
        return cls(*map(torch.from_numpy, (*columns, starts, node)))

    def tensors(self) -> dict[str, torch.Tensor]:
        """As keys of a batch: KEYS."""
        values = (self.tokens, self.depth, self.exit, self.count, self.starts, self.node)
        return dict(zip(KEYS, values, strict=True))


@dataclass
class TrieOutput(FusedCausalLMOutput):
    """trl's output; of a mixture of experts also the parts of `aux_loss`, as `router.ExpertLoad` has them."""

    chosen: torch.Tensor | None = None
    probability: torch.Tensor | None = None
    rows: torch.Tensor | None = None


def read(backbone: torch.nn.Module, row: Mapping[str, torch.Tensor], **more: Any) -> torch.Tensor:
    """Hidden states of all nodes, (row, width); `trie_node` says where those of a sequence are."""
    return _node_states(_outputs(backbone, row, **more), row)


def _node_states(found: Any, row: Mapping[str, torch.Tensor]) -> torch.Tensor:
    hidden, nodes = found.last_hidden_state[0], row["trie_exit"].shape[1]
    return hidden if len(hidden) == nodes else hidden[:nodes]


def _outputs(backbone: torch.nn.Module, row: Mapping[str, torch.Tensor], **more: Any) -> Any:
    """What the model gives of all nodes; there may be more behind them (FlexAttention)."""
    implementation, mask = backbone.config._attn_implementation, {}
    if implementation == attention.NAME:
        config = backbone.config.get_text_config()
        heads = config.num_attention_heads * config.num_hidden_layers
        mask = attention.row_of_tries(row["trie_exit"][0], row["trie_starts"].tolist(), more.pop("scored", None), heads)
        mask |= {"attention_mask": None, "longest": int(row["trie_depth"].max()) + 1}
    elif implementation == "sdpa":
        mask = {"attention_mask": allowed(row["trie_exit"])[:, None]}
    elif implementation == "eager":  # adds its mask to the scores
        hidden = ~allowed(row["trie_exit"])[:, None]
        mask = {"attention_mask": torch.zeros_like(hidden, dtype=backbone.dtype).masked_fill_(hidden, float("-inf"))}
    elif implementation == "flex_attention":
        return _read_flex(backbone, row, **more)
    elif implementation in (padding_free.FLASH, padding_free.VARLEN):
        mask = {"attention_mask": None, **padding_free.lengths(row)}
    else:
        known = f"{attention.NAME}, flex_attention, sdpa and eager"
        raise ValueError(f"no tries with attention {implementation!r}; known are {known}")
    return backbone(input_ids=row["trie_tokens"], position_ids=row["trie_depth"], use_cache=False, **mask, **more)


def _read_flex(backbone: torch.nn.Module, row: Mapping[str, torch.Tensor], **more: Any) -> Any:
    """With FlexAttention: rows are filled up to a length for which there is a kernel (`flex.py`)."""
    exit = flex.padded(row["trie_exit"][0])
    tokens, depth = (F.pad(row[key], (0, len(exit) - row[key].shape[1])) for key in ("trie_tokens", "trie_depth"))
    mask = flex.block_mask(exit)
    return backbone(input_ids=tokens, position_ids=depth, attention_mask=mask, use_cache=False, **more)


def allowed(exit: torch.Tensor) -> torch.Tensor:
    """(1, queries, keys) booleans: each node attends to its ancestors and itself."""
    at = torch.arange(exit.shape[1], device=exit.device)
    return (at[None, None, :] <= at[None, :, None]) & (at[None, :, None] < exit[:, None, :])


def collate_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch of SFT rows {"input_ids", "labels", "group"}, with a trie for each group of neighbours.

    `labels` is (rows, longest row), padded with -100; `row_tokens` is how many tokens the rows have, shared or not.
    """
    groups = [[row["input_ids"] for row in same] for _, same in groupby(rows, key=lambda row: row["group"])]
    made = TrieRow.of(groups)
    labels = torch.full(made.node.shape, IGNORED)
    for number, row in enumerate(rows):
        labels[number, : len(row["labels"])] = torch.tensor(row["labels"])
    return {"labels": labels, "row_tokens": torch.tensor([len(row["input_ids"]) for row in rows]), **made.tensors()}


@dataclass
class PairCollator(DataCollatorForPreference):
    """trl's collator, with a trie for each prompt: pairs of the same prompt that are neighbours share it."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        lengths, half = batch["attention_mask"].sum(1).tolist(), len(examples)
        ids = [row[:length].tolist() for row, length in zip(batch["input_ids"], lengths, strict=True)]
        groups, order = [], []
        for _, same in groupby(range(half), key=lambda number: examples[number]["prompt_ids"]):
            members = [row for number in same for row in (number, half + number)]  # trl has all chosen ones first
            groups.append([ids[row] for row in members])
            order += members
        row = TrieRow.of(groups, batch["input_ids"].shape[1])
        node = torch.empty_like(row.node)
        node[order] = row.node
        return batch | row.tensors() | {"trie_node": node}


def read_tries(model: PreTrainedModel, temperature: float = 1.0) -> None:
    """Let `model(..., labels=labels)` read the trie that the batch holds, if it does; trl asks with `fused_lm_head`.

    Call it before a trainer prepares the model, whose autocast is laid around `forward`. A second call does nothing. Of
    a model with adapters the one beneath is changed, which they have been put into. Logits are divided by
    `temperature`, as GRPO samples and scores.
    """
    model = model.get_base_model() if hasattr(model, "peft_config") else model
    if getattr(model, "reads_tries", False):
        return
    original = model.forward
    limit_last_mlp(model.base_model)

    @functools.wraps(original)
    def forward(*args: Any, **kwargs: Any) -> Any:
        row = {key: kwargs.pop(key) for key in KEYS if key in kwargs}
        if not row or kwargs.get("labels") is None:
            return original(*args, **kwargs)
        with_aux_loss = bool(kwargs.get("output_router_logits", router.aux_loss_coef(model.config)))
        labels = kwargs["labels"][:, 1:]
        labelled = labels != IGNORED
        nodes = row["trie_node"][:, :-1][labelled]
        found = _outputs(
            model.base_model,
            row,
            **({"output_router_logits": True} if with_aux_loss else {"scored": needed_nodes(nodes)}),
        )
        # not by indexing: its way back adds up shared nodes from several threads, in an order that differs each time
        hidden = _node_states(found, row).index_select(0, nodes)
        logits = model.get_output_embeddings()(hidden).float() / temperature
        output = _scored(logits, labels, labelled, bool(kwargs.get("fused_lm_head")))
        return _with_aux_loss(output, model, found, row) if with_aux_loss else output

    model.forward, model.reads_tries = forward, True


def _with_aux_loss(
    output: TrieOutput, model: PreTrainedModel, found: Any, row: Mapping[str, torch.Tensor]
) -> TrieOutput:
    """With the loss of the routers over the sequences of the row, as transformers and trl give it of a padded batch."""
    load = router.expert_load(model.config, found, row["trie_count"])
    output.aux_loss, output.chosen, output.probability, output.rows = (
        load.loss(),
        load.chosen,
        load.probability,
        load.rows,
    )
    output.loss = output.loss + model.config.get_text_config().router_aux_loss_coef * output.aux_loss
    return output


def _scored(logits: torch.Tensor, labels: torch.Tensor, labelled: torch.Tensor, all_fields: bool) -> TrieOutput:
    """trl's output, from the logits of the labelled positions alone; entropies and means only for its DPO."""
    targets = labels[labelled]
    found = -F.cross_entropy(logits, targets, reduction="none")

    def scatter(values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros(labelled.shape).masked_scatter(labelled, values)

    output = TrieOutput(
        loss=-found.sum() / labelled.sum().clamp(min=1),
        log_probs=scatter(found),
        is_top1=scatter(logits.detach().argmax(-1) == targets),
        label_mask=labelled,
    )
    if all_fields:
        with torch.no_grad():
            logs = logits.log_softmax(-1)
            output.entropy = scatter(-(logs.exp() * logs).sum(-1))
            output.mean_logits = scatter(logits.mean(-1))
    return output
