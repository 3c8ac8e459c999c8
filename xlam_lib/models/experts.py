"""The experts of a mixture in four bits: in transformers they are weights, not layers, so its quantisation skips them.

    load_model(folder, "bfloat16", quantization_config=four_bits(torch.bfloat16))   # linear layers and experts
    restore_experts(model)         # back to full precision, rounded: what an adapter is merged into

Used by SFT and DPO with `quantize: nf4` (`lora.py`). Each weight is quantised as soon as it is read, so loading takes
the room of the quantised model and twice that of one layer's experts in 16 bits (they are read one by one, then laid
into one weight). In training the weights of a layer are unfolded when the layer is entered, and stay so as long as the
way back needs them: with `gradient_checkpointing`, one layer at a time (`memory.py` counts that).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from transformers import BitsAndBytesConfig, PreTrainedModel
from transformers.core_model_loading import ConversionOps
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING, register_quantizer
from transformers.quantizers.quantizer_bnb_4bit import Bnb4BitHfQuantizer
from transformers.quantizers.quantizers_utils import get_module_from_name
from transformers.utils.quantization_config import QuantizationMethod

METHOD = "bitsandbytes_4bit_experts"


def four_bits(dtype: torch.dtype) -> BitsAndBytesConfig:
    """What to load a model with: 4-bit normal floats with quantised scales, which compute in `dtype`."""
    if METHOD not in AUTO_QUANTIZER_MAPPING:
        register_quantizer(METHOD)(_Quantizer)
    made = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    made.quant_method = METHOD
    return made


def restore_experts(model: nn.Module) -> None:
    """Unfold them for good, each with the rounding that it has had."""
    for module in model.modules():
        for name in list(getattr(module, "parametrizations", ())):
            values = getattr(module, name).detach().clone()
            parametrize.remove_parametrizations(module, name, leave_parametrized=False)
            setattr(module, name, nn.Parameter(values, requires_grad=False))


def _experts(module: nn.Module) -> Iterator[str]:
    """Names of the weights of several experts at once: (experts, out, in)."""
    return (name for name, values in list(module.named_parameters(recurse=False)) if values.ndim == 3)


class _Quantizer(Bnb4BitHfQuantizer):
    """transformers' own for bitsandbytes, which knows linear layers; experts are quantised by `_Quantize`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.states: dict[str, Any] = {}  # of the experts that were read: their scales

    def param_needs_quantization(self, model: PreTrainedModel, param_name: str, **kwargs: Any) -> bool:
        module, name = get_module_from_name(model, param_name)
        return name in _experts(module) or super().param_needs_quantization(model, param_name, **kwargs)

    def get_quantize_ops(self) -> ConversionOps:
        return _Quantize(self.states, super().get_quantize_ops())

    def _process_model_after_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> PreTrainedModel:
        """Let experts unfold where they are used; from here on the model is like any other of bitsandbytes."""
        from bitsandbytes.nn import parametrize as bits

        for place, state in self.states.items():
            module, name = get_module_from_name(model, place)
            parametrize.register_parametrization(module, name, bits.Bnb4bitParametrization(state), unsafe=True)
            bits._register_parametrization_hooks(module, name)
        self.states = {}
        self.quantization_config.quant_method = model.quantization_method = QuantizationMethod.BITS_AND_BYTES
        return super()._process_model_after_weight_loading(model, **kwargs)


class _Quantize(ConversionOps):
    """The last step of reading a weight, when its experts have been laid into one."""

    def __init__(self, states: dict[str, Any], linear: ConversionOps) -> None:
        self.states, self.linear = states, linear

    def convert(self, input_dict: dict[str, Any], *, model: PreTrainedModel, **kwargs: Any) -> dict[str, Any]:
        from bitsandbytes.functional import quantize_4bit

        made = {}
        for place, values in input_dict.items():
            module, name = get_module_from_name(model, place)
            if name not in _experts(module):
                made |= self.linear.convert({place: values}, model=model, **kwargs)
                continue
            values = values[0] if isinstance(values, list) else values
            packed, self.states[place] = quantize_4bit(values, compress_statistics=True, quant_type="nf4")
            made[place] = nn.Parameter(packed, requires_grad=False)
        return made
