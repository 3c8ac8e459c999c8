"""The loss that keeps the experts of a mixture equally busy, over tries: a node counts as often as samples hold it.

Used by SFT, SFT-lite and DPO where a checkpoint's `config.json` says `"output_router_logits": true`; it counts
`router_aux_loss_coef` times. Switch Transformer (Fedus et al., arXiv 2101.03961, equations 4 to 6): experts x the sum
over them of F x P, where F is how often one is chosen by a token and P how likely its router finds it, both means over
tokens and layers. Both means are sums over tokens first, so a trie needs nothing but a weight for each node:

    load = ExpertLoad.of(router_logits, count, top_k)     # of a row; (experts,) each: times chosen, probabilities
    load.loss()                                     # what transformers says of the samples in one padded batch

A product of two means doesn't add up over batches. SFT-lite takes F over all samples of the step on all devices, as
"Demons in the Detail" (Qiu et al., arXiv 2501.11873) finds better: then P adds up, and neither the length of rows nor
the number of devices changes what is learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PretrainedConfig


@dataclass(frozen=True)
class ExpertLoad:
    """How busy experts are: `chosen` (experts,) how many tokens took each, `probability` (experts,) their likelihoods.

    Both are summed over tokens and layers; `chosen` has no gradient. `rows` is how many tokens times layers there are.
    """

    chosen: torch.Tensor
    probability: torch.Tensor
    rows: torch.Tensor

    @classmethod
    def of(cls, logits: Sequence[torch.Tensor], count: torch.Tensor, top_k: int) -> ExpertLoad:
        """Of a router's logits, (tokens, experts) a layer, and how often each token counts, of any shape (tokens).

        In the order of transformers' own function: softmax as the logits are held, then float32.
        """
        count = count.reshape(-1).to(torch.float32)
        chosen = probability = torch.zeros(logits[0].shape[-1], device=count.device)
        for layer in logits:
            found = layer[: len(count)].softmax(-1)  # behind the nodes there may be filling
            taken = found.topk(top_k, -1).indices.reshape(-1)
            chosen = chosen + torch.zeros_like(chosen).scatter_add_(0, taken, count.repeat_interleave(top_k))
            probability = probability + (found.float() * count[:, None]).sum(0)
        return cls(chosen, probability, count.sum() * len(logits))

    def loss(self, total: ExpertLoad | None = None) -> torch.Tensor:
        """Of these tokens; or their part of the loss of `total`, of which they are some. Parts add up to it.

        Experts that are equally busy give top_k: `ExpertLoad(ones(4), ones(4) / 2, tensor(2.0)).loss()` -> 2.0, two
        tokens that take two experts each.
        """
        total = total or self
        rows = total.rows.clamp(min=1)
        return len(self.chosen) * ((total.chosen / rows) * (self.probability / rows)).sum()


def aux_loss_coef(config: PretrainedConfig) -> float:
    """How much the loss counts, 0.0 where the configuration has it off: `aux_loss_coef(model.config)` -> 0.02."""
    config = config.get_text_config()
    asked = getattr(config, "output_router_logits", False)
    return float(getattr(config, "router_aux_loss_coef", 0.0)) if asked else 0.0


def expert_load(config: PretrainedConfig, found: Any, count: torch.Tensor) -> ExpertLoad:
    """Of what a model gives (with `router_logits`), and how often each token counts (padding: 0).

    A ValueError for a model that doesn't return what its routers found.
    """
    logits, top_k = getattr(found, "router_logits", None), getattr(config.get_text_config(), "num_experts_per_tok", 0)
    if not logits or not top_k:
        raise ValueError(
            f"{config.model_type}: asked to keep experts busy, but it doesn't return its routers' logits, or how many "
            "experts a token takes (num_experts_per_tok); set output_router_logits to false in config.json"
        )
    return ExpertLoad.of(logits, count, top_k)


def summed(parts: Sequence[ExpertLoad], reduce: Callable[[torch.Tensor], torch.Tensor]) -> ExpertLoad:
    """The sum of parts, on all devices: `summed(parts, accelerator.reduce)`."""
    sums = (torch.stack([getattr(part, name) for part in parts]).sum(0) for name in ("chosen", "probability", "rows"))
    return ExpertLoad(*map(reduce, sums))
