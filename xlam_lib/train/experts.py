"""The experts of a mixture in four bits: in transformers they are weights, not layers, so its quantisation skips them.

    quantize_experts(model)        # before adapters are laid on; `lora.nf4` does it
    restore_experts(model)         # back to full precision, rounded: what an adapter is merged into

Used by SFT and DPO with `quantize: nf4`. The weights of a layer are unfolded when the layer is entered, and stay so as
long as the way back needs them: with `recompute`, one layer at a time (`memory.py` counts that).
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.utils import parametrize


def quantize_experts(model: nn.Module) -> int:
    """Hold all weights of several experts (experts, out, in) as 4-bit normal floats; returns how many there are."""
    from bitsandbytes.nn.parametrize import replace_parameter_4bit

    found = [(module, name) for module in model.modules() for name in _experts(module)]
    for module, name in found:
        replace_parameter_4bit(module, name, compress_statistics=True, quant_type="nf4")
    return len(found)


def restore_experts(model: nn.Module) -> None:
    """Unfold them for good, each with the rounding that it has had."""
    for module in model.modules():
        for name in list(getattr(module, "parametrizations", ())):
            values = getattr(module, name).detach().clone()
            parametrize.remove_parametrizations(module, name, leave_parametrized=False)
            setattr(module, name, nn.Parameter(values, requires_grad=False))


def _experts(module: nn.Module) -> Iterator[str]:
    return (name for name, values in list(module.named_parameters(recurse=False)) if values.ndim == 3)
