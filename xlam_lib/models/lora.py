"""Low-rank adapters on a frozen base (LoRA), whose weights may be held in four bits (QLoRA); used by SFT, DPO and GRPO.

    python -m xlam_lib.train.sft recipe.yaml --lora-rank 16 --quantize nf4

LoRA (Hu et al., 2021) trains two thin matrices beside each linear layer; their product times alpha / rank is added to
the layer's output. QLoRA (Dettmers et al., 2023) holds the base as 4-bit "normal floats" whose scales are quantised a
second time, and computes in the precision of the run. Adapters are float32 in every case, for small steps would vanish
in bfloat16. The options are in `lora_settings.py`; `adapters.py` loads and merges what such a run saves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from torch import nn
from transformers import PreTrainedModel, set_seed
from transformers.pytorch_utils import Conv1D

from xlam_lib.errors import TrainingError
from xlam_lib.models.bases import base, base_info, base_of
from xlam_lib.models.folders import ADAPTER, read_object
from xlam_lib.models.load import base_dtype, load_model, nf4

# What of peft's configuration decides what an adapter computes.
FORM = (
    "r", "lora_alpha", "target_modules", "target_parameters", "rank_pattern", "alpha_pattern", "layers_to_transform",
    "modules_to_save", "bias", "lora_bias", "use_rslora", "use_dora", "fan_in_fan_out",
)  # fmt: skip


def load_base(settings: Any) -> PreTrainedModel:
    """The model to train or to lay adapters on, quantised if asked for."""
    if settings.quantize == "none":
        return load_model(base(settings.base), base_dtype(settings))
    return prepare_model_for_kbit_training(
        nf4(base(settings.base), base_dtype(settings)), use_gradient_checkpointing=False
    )


def config(settings: Any, model: PreTrainedModel) -> LoraConfig | None:
    """peft's configuration for this model, None without adapters; a target that it doesn't have is an error.

    The experts of a mixture are weights, not layers: they get adapters only if named (`mlp.experts.gate_up_proj`), and
    none in four bits.
    """
    if not settings.lora_rank:
        return None
    layers, experts = _places(model)
    targets = settings.lora_targets
    for name in targets:
        if not _matching(name, [*layers, *experts]):
            known = sorted({_short(place) for place in layers} | {_short(place, 2) for place in experts})
            raise TrainingError(
                f"lora_targets: {name!r} is no linear layer of the model, or its head; there are {', '.join(known)}"
            )
    parameters = [name for name in targets if not _matching(name, layers)]
    if parameters and settings.lora_dropout:
        raise TrainingError(f"lora_dropout: there is none for {parameters[0]!r}, which is no layer; set it to 0")
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha or 2 * settings.lora_rank,
        lora_dropout=settings.lora_dropout,
        # not "all-linear", to which peft adds experts and routers of some families
        target_modules=sorted(set(targets) - set(parameters) if targets else {_short(place) for place in layers}),
        target_parameters=parameters or None,
        task_type="CAUSAL_LM",
    )


def attach(model: PreTrainedModel, settings: Any) -> PreTrainedModel | PeftModel:
    """The model with adapters: those of `settings.adapter`, else fresh ones, drawn by the settings' seed.

    Without `lora_rank` it is the model itself.
    """
    made = config(settings, model)
    if made is None:
        return model
    set_seed(settings.seed)
    if folder := getattr(settings, "adapter", ""):
        return _continued(model, folder, made, settings)
    return get_peft_model(model, made)


def _continued(model: PreTrainedModel, folder: str, made: LoraConfig, settings: Any) -> PeftModel:
    """The model with a trained adapter, which must be one of this base and have the settings' form."""
    base_of(folder, base(settings.base))
    if (held := base_info(folder)["quantize"]) != settings.quantize:
        raise TrainingError(f"{folder}: for a base with quantize {held}, but the settings say {settings.quantize}")
    kept = read_object(Path(folder) / ADAPTER)
    for name in FORM:
        found, expected = _plain(kept.get(name)), _plain(getattr(made, name))
        if found != expected:
            raise TrainingError(f"{folder}: an adapter with {name} {found}, but the settings ask for {expected}")
    return PeftModel.from_pretrained(
        model, folder, config=made, is_trainable=True, use_safetensors=True, local_files_only=True
    )


def keep_float32(model: nn.Module) -> None:
    """Adapters as float32, where trl has turned them into bfloat16."""
    for values in model.parameters():
        if values.requires_grad:
            values.data = values.data.float()


def _places(model: PreTrainedModel) -> tuple[list[str], list[str]]:
    """Names of the linear layers but the head, and of weights of several experts at once (experts, out, in)."""
    head = model.get_output_embeddings()
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]
    layers = [name for name in linear if model.get_submodule(name) is not head]
    return layers, [name for name, values in model.named_parameters() if values.ndim == 3]


def _plain(value: Any) -> Any:
    """Names in order, all else as it is: `_plain({"b", "a"})` -> ["a", "b"]; what is empty or off is None."""
    return (sorted(value) if isinstance(value, list | set | tuple) else value) or None


def _matching(name: str, places: list[str]) -> list[str]:
    return [place for place in places if place == name or place.endswith(f".{name}")]


def _short(place: str, parts: int = 1) -> str:
    return ".".join(place.split(".")[-parts:])
