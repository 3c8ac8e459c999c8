"""Checkpoints in and out: load model and tokenizer, make the same model with random weights, save whole or not at all.

Used by SFT, DPO and offline decoding (notebooks 02 to 05). A checkpoint is a folder with `config.json`, safetensors, a
tokenizer that has an end token, and, once trained, the chat template that says how prompts are wrapped:

    model, tokenizer = load_model("runs/quickstart/sft"), load_tokenizer("runs/quickstart/sft")
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from accelerate import DistributedType
from safetensors import SafetensorError
from torch.distributed.tensor import DTensor
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from xlam_lib.chat_template import AFTER, BEFORE, chat_template, wrapper_of
from xlam_lib.codec import PromptStyle
from xlam_lib.errors import CheckpointError
from xlam_lib.files import complete_dir, write_text
from xlam_lib.models.folders import LOCAL, checked, read_object
from xlam_lib.models.templates import TemplateFailed, rendered, template_of

logger = logging.getLogger(__name__)

WRITER = "inline_container"  # where torch.save says that it could not write
PROBE = "What is the weather in Oslo?"
ROUND = 20_000  # characters of another template around a message


def load_config(folder: str | Path) -> PretrainedConfig:
    """The configuration of a checkpoint: `load_config("runs/sft").vocab_size` -> 4096."""
    folder = checked(folder)
    read_object(folder / "config.json")
    try:
        return AutoConfig.from_pretrained(folder, **LOCAL)
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise CheckpointError(f"{folder}: no configuration that can be read ({error})") from error


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint; one without an end token is refused, without a pad token it pads with that."""
    folder = checked(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: no tokenizer that can be read ({error})") from error
    if tokenizer.eos_token_id is None:
        raise CheckpointError(f"{folder}: the tokenizer has no end token (eos_token): answers could never stop")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # fills rows up; what is filling is known by length, not by token
    return tokenizer


def wrapper(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    """What stands before and after a prompt: ('<|user|>', '<|assistant|>').

    Read from our chat template, or else from what another template puts around a user's message, or else our default.
    """
    template = template_of(tokenizer)
    if not template:
        return BEFORE, AFTER
    try:
        return wrapper_of(template)
    except ValueError:
        text = _rendered(template, json.dumps(tokenizer.special_tokens_map))
    before, found, after = text.partition(PROBE)
    if not found:
        raise CheckpointError(
            "the tokenizer's chat template doesn't repeat a user's message as it stands, so what it puts around one "
            "can't be determined. Remove the template to train with our own wrapper"
        )
    if len(before) + len(after) > ROUND:
        raise CheckpointError(
            f"the tokenizer's chat template puts {len(before) + len(after):,} characters around a user's message; "
            f"expected at most {ROUND:,}. Remove the template to train with our own wrapper"
        )
    return normalized_wrapper(before, after)


def normalized_wrapper(before: str, after: str) -> tuple[str, str]:
    """What another template puts around a message, for ours, where both end in a line break.

    One that ends otherwise gets a line break there, instead of a space if there is one, in training as in serving:
    `normalized_wrapper("[INST] ", " [/INST]")` -> ("[INST]", " [/INST]").
    """
    if not (before.endswith("\n") and after.endswith("\n")):
        logger.info("%r and %r of the chat template end in a line break from now on", before, after)
    return _without_break(before), _without_break(after)


def _without_break(text: str) -> str:
    return text.removesuffix("\n") if text.endswith("\n") else text.rstrip(" ")


@lru_cache(maxsize=16)
def _rendered(template: str, special_tokens: str) -> str:
    """What a chat template makes of one message."""
    message = [{"role": "user", "content": PROBE}]
    try:
        return rendered(template, [message], add_generation_prompt=True, **json.loads(special_tokens))[0].text
    except TemplateFailed as error:
        raise CheckpointError(
            f"the tokenizer's chat template can't write a user's message ({error}). Fix it, or remove it to train "
            "with our own wrapper"
        ) from error


def save(
    out: str | Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    style: PromptStyle | None = None,
    files: Mapping[str, str | Path] | None = None,
    info: dict[str, Any] | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> Path:
    """Write a checkpoint that appears whole or not at all, with the chat template of `style` (None: as it was).

    `files` are texts, or files and folders to copy, that lie beside; `info` goes into the marker; `weights` are those
    of a model that holds shards only (`gathered`). Weights that aren't finite are refused: a broken run leaves no
    checkpoint that looks like one.
    """
    check_finite(out, dict(model.named_parameters()) if weights is None else weights)
    if style is not None:
        tokenizer.chat_template = chat_template(style, *wrapper(tokenizer))
    with complete_dir(out, info) as folder, saving(out):
        if hasattr(model, "peft_config"):  # the adapter alone; what it says of its base is in `files`
            model.save_pretrained(folder, save_embedding_layers=False, state_dict=weights)
            load_config(model.name_or_path).save_pretrained(folder)
        else:
            model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)
        for name, text in (files or {}).items():
            if isinstance(text, str):
                write_text(folder / name, text)
            else:
                (shutil.copytree if text.is_dir() else shutil.copyfile)(text, folder / name)
    logger.info("checkpoint saved: %s", out)
    return Path(out)


def gathered(accelerator: Any, model: Any) -> dict[str, torch.Tensor] | None:
    """All weights of a model in shards, on the first process; None if each holds all of them. Call it on every one."""
    plugin = accelerator.deepspeed_plugin
    if accelerator.distributed_type != DistributedType.FSDP and (plugin is None or plugin.zero_stage < 3):
        return None
    whole = accelerator.unwrap_model(model)
    own = {name for values in (whole.named_parameters(), whole.named_buffers()) for name, _ in values}  # tied ones once
    return {name: values for name, values in (accelerator.get_state_dict(model) or {}).items() if name in own}


def check_finite(out: str | Path, weights: Mapping[str, torch.Tensor]) -> None:
    """A CheckpointError if a weight is NaN or infinite: what is saved is what one goes on from."""
    own = {name: values.to_local() if isinstance(values, DTensor) else values for name, values in weights.items()}
    broken = [name for name, values in own.items() if not bool(torch.isfinite(values).all())]
    if broken:
        raise CheckpointError(f"{out}: not saved, weights are not finite ({', '.join(broken[:3])}); lower the lr")


@contextmanager
def saving(folder: str | Path) -> Iterator[None]:
    """Around writing weights: a disk that is full becomes one clear error; safetensors and torch have their own."""
    hint = f"is the disk full? {folder} was not written; make room, then run the same command again"
    try:
        yield
    except SafetensorError as error:
        raise CheckpointError(f"{hint} ({error})") from error
    except RuntimeError as error:
        if WRITER not in str(error):
            raise
        raise CheckpointError(f"{hint} (torch: {str(error).splitlines()[0]})") from error


def check_context(folder: str | Path, longest: int, what: str) -> None:
    """A CheckpointError if that many tokens are more than the model's context: `check_context(base, 900, "a.jsonl")`.

    Positions beyond it were never trained, so they would be learnt badly, and nobody would notice.
    """
    config = load_config(folder).get_text_config()
    context = getattr(config, "max_position_embeddings", None)
    if context and longest > context:
        raise CheckpointError(
            f"{what}: a row has {longest} tokens, but the context of {folder} is {context}; lower max_length to "
            f"{context}, and longer rows are left out and counted"
        )
