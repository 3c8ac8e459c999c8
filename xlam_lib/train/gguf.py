"""A checkpoint as one GGUF file, for llama.cpp and what is built on it (a shell command, after training):

    python -m xlam_lib.train.gguf runs/dpo runs/dpo.gguf --dtype float16

Weights, configuration, tokenizer and chat template go into the file (its format: the `gguf` package). An adapter is
merged before. GGUF holds no rule by which text is cut before byte pairs are merged, only the name of one that llama.cpp
knows. A tokenizer that cuts in another way would be handed other tokens than its model was trained on, so it is refused
unless `--pre` names a rule in spite of that.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS as SPLITS

from xlam_lib.train import checkpoint
from xlam_lib.train.checkpoint import CheckpointError

logger = logging.getLogger(__name__)

ARCHITECTURES = {"llama": "LLAMA"}  # transformers' model_type -> gguf.MODEL_ARCH
DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def export(folder: str | Path, out: str | Path, dtype: str = "float16", pre: str = "") -> Path:
    """Write the file, whole or not at all: `export("runs/dpo", "runs/dpo.gguf")`.

    Norms and other vectors stay float32. `pre` is the name of the rule by which llama.cpp is to cut text.
    """
    if importlib.util.find_spec("gguf") is None:
        raise CheckpointError("the package gguf is missing: pip install gguf")
    import gguf

    model, tokenizer = checkpoint.load_model(folder), checkpoint.load_tokenizer(folder)
    config = model.config
    _check(folder, config)
    architecture = gguf.MODEL_ARCH[ARCHITECTURES[config.model_type]]
    out, partial = Path(out), Path(f"{out}.partial")
    out.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(partial, gguf.MODEL_ARCH_NAMES[architecture])
    _describe(writer, config, Path(folder).resolve().name, gguf.LlamaFileType[_file_type(dtype)])
    _add_tokenizer(writer, tokenizer, config.vocab_size, pre or pre_of(tokenizer))
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    kind = gguf.GGMLQuantizationType[DTYPES[dtype]]
    for name, values in _tensors(model):
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if written is None:
            raise CheckpointError(f"{folder}: the weights {name!r} have no place in a GGUF file of {config.model_type}")
        own = kind if values.ndim > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(written, gguf.quants.quantize(values, own), raw_dtype=own)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    logger.info("%s: %.1f MB", out, out.stat().st_size / 1e6)
    return out


def pre_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """The name under which llama.cpp knows how a byte-level tokenizer cuts text: "gpt-2", "llama3", "qwen2", ..."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    steps = state["pre_tokenizer"] or {}
    steps = steps.get("pretokenizers", [steps])
    if state["model"]["type"] != "BPE" or not steps or steps[-1].get("type") != "ByteLevel":
        raise CheckpointError(
            f"a tokenizer of {state['model']['type']} that isn't byte-level can't be exported; expected byte-level BPE"
        )
    *before, last = steps
    if not before and last["use_regex"] and not last["add_prefix_space"]:
        return "gpt-2"
    rules = [step.get("pattern", {}).get("Regex") for step in before]
    known = [name for name, rule in SPLITS.items() if rules == [rule] and not last["use_regex"]]
    if not known:
        raise CheckpointError(
            f"the tokenizer cuts text by {rules}, which llama.cpp does not know: it would hand the model other tokens "
            "than it was trained on. Name a rule of llama.cpp with --pre to export all the same, such as gpt-2"
        )
    return known[0]


def _check(folder: str | Path, config: Any) -> None:
    if config.model_type not in ARCHITECTURES:
        raise CheckpointError(
            f"{folder}: a model of type {config.model_type!r} can't be exported; supported: {', '.join(ARCHITECTURES)}"
        )
    rope = config.rope_parameters
    if rope["rope_type"] != "default":
        raise CheckpointError(
            f"{folder}: positions of type {rope['rope_type']!r} can't be exported; supported: default"
        )


def _describe(writer: Any, config: Any, name: str, file_type: int) -> None:
    writer.add_name(name)
    writer.add_file_type(file_type)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])


def _file_type(dtype: str) -> str:
    return "ALL_F32" if dtype == "float32" else f"MOSTLY_{DTYPES[dtype]}"


def _tensors(model: PreTrainedModel) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values; those of queries and keys with their halves interleaved, as llama.cpp turns positions."""
    config, head = model.config, model.get_output_embeddings().weight.data_ptr()
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, values in model.state_dict().items():
        if config.tie_word_embeddings and values.data_ptr() == head and "embed" not in name:
            continue  # read from the embeddings
        array = values.to(torch.float32).numpy()
        if count := heads.get(name.split(".")[-2]):
            array = array.reshape(count, 2, -1, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
        yield name, np.ascontiguousarray(array)


def _add_tokenizer(writer: Any, tokenizer: PreTrainedTokenizerBase, size: int, pre: str) -> None:
    from gguf import TokenType

    texts = {number: token for token, number in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    kinds = []
    for number in range(size):
        token = added.get(number)
        kind = TokenType.NORMAL if number in texts else TokenType.UNUSED
        kinds.append(kind if token is None else TokenType.CONTROL if token.special else TokenType.USER_DEFINED)
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([texts.get(number, f"[PAD{number}]") for number in range(size)])
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_add_bos_token(False)  # our prompts begin with the user's mark
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["runs/dpo", "runs/dpo.gguf"])` -> 0."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.train.gguf", description="A checkpoint as a GGUF file.")
    parser.add_argument("checkpoint", help="folder of a checkpoint, or of an adapter")
    parser.add_argument("out", help="file to write")
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="float16", help="of the matrices")
    parser.add_argument("--pre", default="", help="rule by which llama.cpp cuts text; nothing: found by the tokenizer")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        export(given.checkpoint, given.out, given.dtype, given.pre)
    except (CheckpointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
