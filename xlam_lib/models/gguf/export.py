"""Writes a checkpoint as a GGUF file: weights, configuration, tokenizer (`tokens.py`) and chat template.

    export("runs/dpo", "runs/dpo.gguf", "q8_0")

What a file can't hold of a model (a window of attention, another activation, another scaling of positions) is refused.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from xlam_lib.errors import CheckpointError
from xlam_lib.models import checkpoint, load
from xlam_lib.models.folders import ADAPTER
from xlam_lib.models.gguf.layouts import DTYPES, KEPT_FLOAT32, LAYOUTS, ROPES, Layout
from xlam_lib.models.gguf.tokens import add_tokenizer

logger = logging.getLogger(__name__)


def export(folder: str | Path, out: str | Path, dtype: str = "float16", pre: str = "") -> Path:
    """Write the file, whole or not at all: `export("runs/dpo", "runs/dpo.gguf")`.

    Norms, other vectors and routers stay float32. "q8_0" rounds 32 values of a row together to eight bits and a scale;
    rows that don't divide so are float16. `pre` is the name of the rule by which llama.cpp is to cut text.
    """
    if importlib.util.find_spec("gguf") is None:
        raise CheckpointError("the package gguf is missing: pip install gguf")
    import gguf

    _check(folder, checkpoint.load_config(folder))
    model, tokenizer = load.load_model(folder, _stored_dtype(folder)), checkpoint.load_tokenizer(folder)
    config, layout = model.config, LAYOUTS[model.config.model_type]
    architecture = gguf.MODEL_ARCH[layout.architecture]
    out = _checked_place(Path(out))
    writer = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[architecture])
    file_type = "ALL_F32" if dtype == "float32" else f"MOSTLY_{DTYPES[dtype]}"
    _describe(writer, config, Path(folder).resolve().name, gguf.LlamaFileType[file_type])
    if layout.experts:
        writer.add_expert_count(config.num_local_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    add_tokenizer(writer, tokenizer, config.vocab_size, pre)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    requested = gguf.GGMLQuantizationType[DTYPES[dtype]]
    kinds = {}
    for name, values in _tensors(model, layout):
        gguf_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if gguf_name is None:
            raise CheckpointError(f"{folder}: the weights {name!r} have no place in a GGUF file of {config.model_type}")
        gguf_name = gguf_name if gguf_name.endswith((".weight", ".bias")) else f"{gguf_name}.weight"
        kinds[name] = kind = _kind(gguf_name, values.shape, requested)
        block, size = gguf.GGML_QUANT_SIZES[kind]
        writer.add_tensor_info(gguf_name, values.shape, np.dtype(np.float32), values.numel() // block * size, kind)
    writer.add_size_label(gguf.size_label(*writer.get_total_parameter_count()))
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder_of_part:
        partial = Path(folder_of_part, out.name)
        writer.write_header_to_file(partial)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, values in _tensors(model, layout):  # a second time, so that one at a time is in memory twice
            array = np.ascontiguousarray(values.to(torch.float32).numpy())
            writer.write_tensor_data(gguf.quants.quantize(array, kinds[name]))
        writer.close()
        os.replace(partial, out)
    logger.info("%s: %.1f MB", out, out.stat().st_size / 1e6)
    return out


def _checked_place(out: Path) -> Path:
    """The path, its folder made; a CheckpointError for a link, or a file there that is no GGUF: it isn't replaced."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.is_symlink() or (out.exists() and not (out.is_file() and _magic(out) == b"GGUF")):
        raise CheckpointError(f"{out} exists and is no GGUF file, so it is not replaced; give another name")
    return out


def _magic(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(4)


def _check(folder: str | Path, config: Any) -> None:
    """A CheckpointError if llama.cpp would calculate something else than this model."""
    kind, rope = config.model_type, getattr(config, "rope_parameters", None) or {}
    if kind not in LAYOUTS:
        raise CheckpointError(f"{folder}: a model of type {kind!r} can't be exported; supported: {', '.join(LAYOUTS)}")
    if rope["rope_type"] not in ROPES:
        raise CheckpointError(
            f"{folder}: positions of type {rope['rope_type']!r} can't be exported; supported: {', '.join(ROPES)}"
        )
    more = {key for key, value in rope.items() if value is not None} - ROPES[rope["rope_type"]] - {"rope_type"}
    if more:
        raise CheckpointError(f"{folder}: positions with {', '.join(sorted(more))} can't be exported")
    window, context = getattr(config, "sliding_window", None), config.max_position_embeddings
    if window is not None and window < context:
        raise CheckpointError(
            f"{folder}: a sliding_window of {window} of {context} positions can't be exported, llama.cpp would read "
            f"all of them; set max_position_embeddings to {window} in config.json to export the shorter context"
        )
    if config.hidden_act != "silu":
        raise CheckpointError(f"{folder}: hidden_act is {config.hidden_act!r}; llama.cpp computes silu")


def _stored_dtype(folder: str | Path) -> str:
    """The precision in which the weights lie there, which loses nothing; float32 where an adapter is to be merged."""
    dtype = str(checkpoint.load_config(folder).dtype).removeprefix("torch.")
    return dtype if dtype in ("float16", "bfloat16") and not (Path(folder) / ADAPTER).is_file() else "float32"


def _describe(writer: Any, config: Any, name: str, file_type: int) -> None:
    from gguf import GGML_QUANT_VERSION, RopeScalingType

    rope, head = config.rope_parameters, _head_dim(config)
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(file_type)
    writer.add_quantization_version(GGML_QUANT_VERSION)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])


def _head_dim(config: Any) -> int:
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def _kind(name: str, shape: Sequence[int], requested: Any) -> Any:
    """How a tensor is held, of the type that is requested for matrices."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    if len(shape) < 2 or name.endswith(KEPT_FLOAT32):
        return GGMLQuantizationType.F32
    return requested if shape[-1] % GGML_QUANT_SIZES[requested][0] == 0 else GGMLQuantizationType.F16


def _tensors(model: PreTrainedModel, layout: Layout) -> Iterator[tuple[str, torch.Tensor]]:
    """Names and values as llama.cpp orders them."""
    config, head = model.config, model.get_output_embeddings().weight.data_ptr()
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, values in model.state_dict().items():
        if config.tie_word_embeddings and values.data_ptr() == head and "embed" not in name:
            continue  # read from the embeddings
        count = heads.get(name.split(".")[-2])
        if count and layout.interleaved:
            values = values.reshape(count, 2, -1, *values.shape[1:]).transpose(1, 2).reshape(values.shape)
        if layout.experts and name.endswith(".gate_up_proj"):
            parts = zip(("gate_proj", "up_proj"), values.chunk(2, dim=1), strict=True)
            yield from ((name.replace("gate_up_proj", part), half) for part, half in parts)
        else:
            yield name, values
    if config.rope_parameters["rope_type"] == "llama3":
        yield "rope_freqs", _rope_factors(config)


def _rope_factors(config: Any) -> torch.Tensor:
    """How many times slower each pair of a head turns than unscaled, (head / 2,), by transformers' own formula."""
    head, theta = _head_dim(config), config.rope_parameters["rope_theta"]
    unscaled = 1.0 / theta ** (torch.arange(0, head, 2, dtype=torch.float32) / head)
    scaled, times = ROPE_INIT_FUNCTIONS["llama3"](config)
    if not math.isclose(times, 1.0):
        raise CheckpointError(f"positions that make attention {times} times as large can't be exported")
    return unscaled / scaled
