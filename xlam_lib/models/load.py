"""The model of a checkpoint: as it is saved, with random weights, with its adapter merged in, or in four bits.

    model = load_model("runs/quickstart/sft")       # a folder with an adapter gives its base with the adapter merged
    model = load_adapter("runs/lora")               # base and adapter side by side

Used by every training and by offline decoding (notebooks 02 to 05).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel

from xlam_lib.errors import CheckpointError
from xlam_lib.models.bases.adapted import base_info, base_of
from xlam_lib.models.checkpoint import load_config
from xlam_lib.models.experts import four_bits, restore_experts
from xlam_lib.models.folders import ADAPTER, ADAPTER_WEIGHTS, LOCAL, NO_CODE, checked
from xlam_lib.models.precision import bfloat16


def load_model(folder: str | Path, dtype: str = "float32", **more: Any) -> PreTrainedModel:
    """The model of a checkpoint, whatever precision it is stored in: `load_model(base_model_dir())`, float32.

    A folder with an adapter gives its base with the adapter merged. `more` goes to `from_pretrained`.
    """
    folder = checked(folder)
    if (folder / ADAPTER).is_file():
        if more:
            raise CheckpointError(f"{folder}: an adapter; merge it first (python -m xlam_lib.models.adapters)")
        return merged(folder, dtype)
    load_config(folder)  # named as such where it can't be read, or asks for code of its own
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(f"{folder}: no .safetensors file; only safetensors are read (never pickles)")
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), use_safetensors=True, **LOCAL, **more
        )
    except (SafetensorError, OSError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: weights that can't be read ({error}); is a file cut off?") from error


def fresh_model(folder: str | Path, seed: int = 0) -> PreTrainedModel:
    """The same architecture with random weights, float32: what SFT without pretraining starts from."""
    config = load_config(folder)
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, **NO_CODE)


def load_adapter(folder: str | Path, dtype: str = "float32", base: str | Path = "") -> PeftModel:
    """Base and adapter side by side, as they were trained: `load_adapter("runs/lora").disable_adapter()`.

    The base is looked for where it was when the adapter was saved; `base` names another place of the same one.
    """
    folder = Path(folder)
    info, path = base_info(folder), base_of(folder, base)
    if info["quantize"] == "none":
        model = load_model(path, dtype)
    else:
        model = dequantised(path, info["dtype"]).to(getattr(torch, dtype))
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise CheckpointError(f"{folder}: no {ADAPTER_WEIGHTS}; only safetensors are read (never pickles)")
    try:
        return PeftModel.from_pretrained(model, folder, use_safetensors=True, local_files_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{folder}: an adapter that can't be read ({error})") from error


def merged(folder: str | Path, dtype: str = "float32", base: str | Path = "") -> PreTrainedModel:
    """The base with the adapter added to its weights: a model like any other."""
    model = load_adapter(folder, dtype, base).merge_and_unload(safe_merge=True)
    model.requires_grad_(True)  # peft has frozen the base
    model.name_or_path = str(folder)  # an adapter that is trained on it has this folder as its base
    return model


def nf4(folder: Any, dtype: str) -> PreTrainedModel:
    """The model of a checkpoint with linear layers (but the head) and experts of four bits, which compute in `dtype`.

    Experts are dequantised a layer at a time and stay so until the backward pass; `gradient_checkpointing` lets them go
    in between.
    """
    return load_model(folder, dtype, quantization_config=four_bits(getattr(torch, dtype)))


def dequantised(folder: Any, dtype: str) -> PreTrainedModel:
    """The same model with the rounded weights as `dtype`: what an adapter of it has learnt beside."""
    model = nf4(folder, dtype).dequantize(dtype=getattr(torch, dtype))
    restore_experts(model)
    return model


def base_dtype(settings: Any) -> str:
    """How the frozen base is held: "bfloat16" or "float32", as the run computes; weights that are trained in float32.

    For "nf4" it is the type that the weights are dequantised to.
    """
    return "bfloat16" if settings.lora_rank and bfloat16(settings.precision) else "float32"
