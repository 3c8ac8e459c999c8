"""The last layer computes what the loss reads: attention and MLP of scored nodes alone (SFT-lite, SFT v1, DPO, GRPO).

    read = needed_nodes(row["trie_node"][:, :-1][labelled])   # the nodes behind which a token is scored
    backbone(..., scored=read)                                # hidden states of all other nodes mean nothing then

Keys and values of the last layer come from all nodes, but its output is read where a label follows: a quarter of the
nodes of ALFWorld's trajectories, a tenth of tau-bench's. The loss and its gradients stay what they are. It isn't for
routers that are to be kept busy (`router.py`): their loss reads all nodes.
"""

from __future__ import annotations

from typing import Any

import torch


def needed_nodes(nodes: torch.Tensor) -> torch.Tensor | None:
    """Each node once, in order: `needed_nodes(torch.tensor([4, 2, 4]))` -> tensor([2, 4]); None where there is none."""
    return torch.unique(nodes) if len(nodes) else None


def is_last(module: torch.nn.Module) -> bool:
    """Whether an attention module, which transformers gives its index, is that of the last layer."""
    config: Any = module.config
    return getattr(module, "layer_idx", None) == config.num_hidden_layers - 1


def limit_last_mlp(backbone: torch.nn.Module) -> None:
    """Let the MLP of the last layer read the nodes that `backbone(..., scored=nodes)` names, and leave 0 elsewhere.

    By hooks, which are called again, too, where a layer is computed again on the way back. Without `scored` nothing
    changes, and a model whose layers are of other parts is left as it is.
    """
    layers = getattr(backbone, "layers", None)
    mlp = getattr(layers[-1], "mlp", None) if isinstance(layers, torch.nn.ModuleList) and len(layers) else None
    if mlp is not None:
        hooks = _Hooks()
        layers[-1].register_forward_pre_hook(hooks.begin, with_kwargs=True)
        layers[-1].register_forward_hook(hooks.end, always_call=True)
        mlp.register_forward_pre_hook(hooks.gather)
        mlp.register_forward_hook(hooks.scatter)


class _Hooks:
    def __init__(self) -> None:
        self.nodes: torch.Tensor | None = None
        self.length = 0

    def begin(self, _: torch.nn.Module, __: tuple[Any, ...], given: dict[str, Any]) -> None:
        self.nodes = given.get("scored")

    def end(self, *_: Any) -> None:
        self.nodes = None

    def gather(self, _: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        if self.nodes is None:
            return None
        self.length = given[0].shape[1]
        return (given[0].index_select(1, self.nodes), *given[1:])

    def scatter(self, _: torch.nn.Module, __: Any, found: torch.Tensor) -> torch.Tensor:
        if self.nodes is None:
            return found
        whole = found.new_zeros(found.shape[0], self.length, found.shape[2])
        return whole.index_copy(1, self.nodes, found)
