"""What a LoRA run saves, loaded again or merged into its base (a shell command, after SFT or DPO with adapters):

    python -m xlam_lib.models.adapters runs/lora runs/merged

The folder of such a run holds `adapter_model.safetensors`, peft's `adapter_config.json`, configuration, tokenizer and
chat template, and `base.json`: where the base is, a digest of it, and how it was held. `checkpoint.load_model` gives
base and adapter merged, so decoding, scoring, another training and the export work on the folder as on any checkpoint.

Merging adds alpha / rank * B A to each weight. An adapter of a quantised base has learnt beside rounded weights, so it
is merged into these: the base is quantised as in training, dequantised, and the adapter added. The result is a model
of full size whose weights differ from the original base's by the rounding of four bits, too.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from xlam_lib.files import to_json
from xlam_lib.models import checkpoint, lora
from xlam_lib.models.checkpoint import ADAPTER, CheckpointError

logger = logging.getLogger(__name__)

BASE = "base.json"
KEPT = (
    "README.md",
    "origin.json",
    "run.json",
    "config.yaml",
    "log.jsonl",
)  # of the training, beside the merged weights
KEYS = ("path", "digest", "quantize", "dtype")


def base_of(settings: Any) -> dict[str, str]:
    """The text of `base.json` by its name, for the folder that a run with these settings saves; {} without adapters."""
    if not settings.lora_rank:
        return {}
    told = {
        "path": os.path.relpath(settings.base, settings.out),
        "digest": checkpoint.digest(settings.base),
        "quantize": settings.quantize,
        "dtype": lora.base_dtype(settings),
    }
    return {BASE: to_json(told) + "\n"}


def load(folder: str | Path, dtype: str = "float32", base: str | Path = "") -> PeftModel:
    """Base and adapter side by side, as they were trained: `load("runs/lora").disable_adapter()`.

    The base is looked for where it was when the adapter was saved; `base` names another place of the same one.
    """
    folder = Path(folder)
    told = _told(folder)
    path = Path(base) if base else _found(folder, told)
    if (found := checkpoint.digest(path)) != told["digest"]:
        raise CheckpointError(
            f"{path}: not the base that {folder} was trained on (digest {found}, expected {told['digest']}); has it "
            "been trained anew? Give the folder of the right one as base"
        )
    if told["quantize"] == "none":
        model = checkpoint.load_model(path, dtype)
    else:
        model = lora.dequantised(path, told["dtype"]).to(getattr(torch, dtype))
    return PeftModel.from_pretrained(model, folder)


def merged(folder: str | Path, dtype: str = "float32", base: str | Path = "") -> PreTrainedModel:
    """The base with the adapter added to its weights: a model like any other."""
    model = load(folder, dtype, base).merge_and_unload(safe_merge=True)
    model.name_or_path = str(folder)  # an adapter that is trained on it has this folder as its base
    return model


def merge_adapter(folder: str | Path, out: str | Path, dtype: str = "float32", base: str | Path = "") -> Path:
    """Save the merged model, with tokenizer and chat template, as a checkpoint: `merge_adapter("runs/lora", "m")`."""
    if not (Path(folder) / ADAPTER).is_file():
        raise CheckpointError(f"{folder}: no adapter there (no {ADAPTER}); there is nothing to merge")
    model, tokenizer = merged(folder, dtype, base), checkpoint.load_tokenizer(folder)
    kept = {name: (Path(folder) / name).read_text("utf-8") for name in KEPT if (Path(folder) / name).is_file()}
    return checkpoint.save(out, model, tokenizer, files=kept, info={"merged": checkpoint.digest(folder)})


def _told(folder: Path) -> dict[str, str]:
    try:
        told = json.loads((folder / BASE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: an adapter without a {BASE} that can be read ({error})") from error
    if not isinstance(told, dict) or any(not isinstance(told.get(key), str) for key in KEYS):
        raise CheckpointError(f"{folder / BASE}: expected {', '.join(KEYS)}, found {str(told)[:80]}")
    return told


def _found(folder: Path, told: dict[str, str]) -> Path:
    """Beside the adapter as when it was saved, or where its training was told that it is."""
    named = json.loads((folder / ADAPTER).read_text("utf-8")).get("base_model_name_or_path") or ""
    places = [folder / told["path"], Path(named)]
    for place in places:
        if (place / "config.json").is_file():
            return place
    raise CheckpointError(
        f"{folder}: its base is neither at {places[0]} nor at {places[1]}; give its folder as base (--base)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["runs/lora", "runs/merged"])` -> 0."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.models.adapters", description="Merge an adapter.")
    parser.add_argument("folder", help="what a run with --lora-rank made")
    parser.add_argument("out", help="folder to make: a checkpoint of full size")
    parser.add_argument("--base", default="", help="where the base is, if it isn't where it was")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="to save in")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        merge_adapter(given.folder, given.out, given.dtype, given.base)
    except (CheckpointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
