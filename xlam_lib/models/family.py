"""The xLAM models as values: architecture, context, template and licence of each, from `family.yaml` (notebook 02).

    spec = family()["xLAM-8x7b-r"]
    model = build(spec.config())        # on the meta device: every parameter has a shape, none has memory

`plan.py` builds on it, tests train small twins (`shrunk`). Nothing here or elsewhere asks what a model is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from xlam_lib.models.folders import NO_CODE

if TYPE_CHECKING:  # the names of the models are read by commands that refuse wrong ones before they load torch
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

FILE = Path(__file__).with_name("family.yaml")


@dataclass(frozen=True)
class Template:
    """What a base's chat template puts around a user's message, and its tokens: `Template("<|user|>\\n", ...)`."""

    before: str
    after: str
    end: str  # the token that ends an answer
    pad: str  # which may be the same: padding is known by length


@dataclass(frozen=True)
class ModelSpec:
    """One model: `family()["xLAM-7b-r"].base` -> "mistralai/Mistral-7B-Instruct-v0.2"."""

    name: str
    hub: str
    base: str
    architecture: Mapping[str, Any]
    parameters: float  # billions, as its card says
    context: int  # tokens
    template: Template
    licence: str
    thought: bool
    parallel: bool
    answer: Literal["object", "list"]

    def config(self, **other: Any) -> PretrainedConfig:
        """Its configuration, with other values where given: `spec.config(num_hidden_layers=2)`."""
        return configuration(self.architecture, **other)


@cache
def family() -> Mapping[str, ModelSpec]:
    """All models by name; the names are those of the hub without the owner."""
    read = yaml.safe_load(FILE.read_text("utf-8"))
    templates = {name: Template(**values) for name, values in read["templates"].items()}
    return {
        name: ModelSpec(name=name, **(values | {"template": templates[values["template"]]}))
        for name, values in read["models"].items()
    }


def configuration(architecture: Mapping[str, Any], **other: Any) -> PretrainedConfig:
    """transformers' configuration of these values; a value that the architecture doesn't know is an error."""
    from transformers import AutoConfig

    values = {**architecture, **other}
    config = AutoConfig.for_model(values.pop("model_type"))
    unknown = [name for name in values if not hasattr(config, name)]
    if unknown:
        raise ValueError(f"{config.model_type}: no setting called {', '.join(unknown)}; see {type(config).__name__}")
    return type(config)(**values)


def shrunk(architecture: Mapping[str, Any], vocab_size: int, **other: Any) -> PretrainedConfig:
    """A tiny twin: the same kind of heads, experts, rope and ties, two layers of width 64. What tests train."""
    heads, shared = architecture["num_attention_heads"], architecture["num_key_value_heads"]
    small = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4 if heads == shared else 2,
        "vocab_size": vocab_size,
        "initializer_range": 0.1,
        "bos_token_id": None,
    }
    return configuration(architecture, **small, **other)


def build(config: PretrainedConfig, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """The model of a configuration on the meta device, where parameters take no memory; float32 unless given."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype or torch.float32, **NO_CODE)
