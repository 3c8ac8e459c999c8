"""A GGUF file as a checkpoint: safetensors in float32, tokenizer and chat template, as any other base has them.

    convert(Path("SmolLM2-135M-Instruct.Q4_1.gguf"), folder, known()["smollm2-135m"])

transformers reads the file, which takes a minute (the tokenizer most of it), so it is done once. What it reads it
regards as quantised and refuses to save; the numbers go into a plain model of the same configuration. The files name
no version of transformers: the same package gives the same digest everywhere, so an adapter finds its base.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from xlam_lib.errors import CheckpointError
from xlam_lib.files import to_json, write_text
from xlam_lib.models.bases.registry import WRAPPERS, Base
from xlam_lib.models.checkpoint import load_tokenizer, wrapper
from xlam_lib.models.folders import LOCAL, NO_CODE

logger = logging.getLogger(__name__)

OWN = (
    "quantization_config",
    "_name_or_path",
    "_model_name_or_path",
    "transformers_version",
)  # of the file that was read, not of the model


def convert(gguf: Path, out: Path, entry: Base) -> None:
    """Write the checkpoint into `out`; a CheckpointError if its tokens or template aren't those that are declared."""
    logger.info("reading the tokenizer of %s (about a minute)", gguf.name)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, **LOCAL)
    logger.info("reading the weights of %s", gguf.name)
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32, **LOCAL)
    model = _plain(read)
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for name in ("config.json", "generation_config.json"):
        values = json.loads((out / name).read_text("utf-8"))
        write_text(out / name, to_json({key: value for key, value in values.items() if key not in OWN}) + "\n")
    check(out, entry)


def check(folder: Path, entry: Base) -> None:
    """A CheckpointError if what is in the folder isn't what `bases.yaml` declares: other tokens, another template."""
    tokenizer = load_tokenizer(folder)
    found: dict[str, Any] = {"end": tokenizer.eos_token, "pad": tokenizer.pad_token}
    expected: dict[str, Any] = {"end": entry.end, "pad": entry.pad}
    if entry.template:
        before, after = wrapper(tokenizer)
        expected["template"] = WRAPPERS[entry.template]
        found["template"] = (before[-len(expected["template"][0]) :], after)  # a system message may come first
    for what, value in expected.items():
        if found[what] != value:
            raise CheckpointError(f"{entry.name}: its {what} is {found[what]!r}, expected {value!r}")


def _plain(read: PreTrainedModel) -> PreTrainedModel:
    """The same weights in a model that nothing has been quantised in."""
    config = type(read.config).from_dict({key: value for key, value in read.config.to_dict().items() if key not in OWN})
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, **NO_CODE)
    # buffers of the meta device aren't saved, so nothing needs to fill them
    model.load_state_dict(read.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = read.generation_config
    return model
