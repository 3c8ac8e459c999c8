"""What a LoRA run saves, loaded again or merged into its base (a shell command, after SFT or DPO with adapters):

    python -m xlam_lib.models.adapters runs/lora runs/merged

The folder of such a run holds `adapter_model.safetensors`, peft's `adapter_config.json`, configuration, tokenizer and
chat template, and `base.json`: where the base is, its name if it has one, a digest of it, and how it was held.
`load.load_model` gives base and adapter merged, so decoding, scoring, another training and the export work on the
folder as on any checkpoint.

Merging adds alpha / rank * B A to each weight. An adapter of a quantised base has learnt beside rounded weights, so it
is merged into these: the base is quantised as in training, dequantised, and the adapter added. The result is a model
of full size whose weights differ from the original base's by the rounding of four bits, too.

What loads torch is imported where work begins: the command refuses a wrong folder before.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlam_lib.errors import CheckpointError, as_command
from xlam_lib.files import to_json
from xlam_lib.models import bases
from xlam_lib.models.bases.adapted import BASE
from xlam_lib.models.folders import ADAPTER, digest, existing

logger = logging.getLogger(__name__)

COPIED = (
    "README.md",
    "origin.json",
    "run.json",
    "config.yaml",
    "log.jsonl",
)  # of the training, beside the merged weights


def base_file(model: Any, settings: Any) -> dict[str, str]:
    """The text of `base.json` by its name, for the folder that a run with these settings saves; {} without adapters.

    peft's own file names the base as the hub does, where it was fetched: a path of this machine is of no use elsewhere.
    """
    if not settings.lora_rank:
        return {}
    from xlam_lib.models.load import base_dtype

    name, source = bases.name_of(settings.base)
    if source:
        for config in model.peft_config.values():
            config.base_model_name_or_path = bases.known()[name].hub if name in bases.known() else name
    facts = {
        "path": name if source else os.path.relpath(settings.base, settings.out),
        "digest": digest(settings.base),
        "quantize": settings.quantize,
        "dtype": base_dtype(settings),
        "name": name,
        "source": source,
    }
    return {BASE: to_json(facts) + "\n"}


def merge_adapter(folder: str | Path, out: str | Path, dtype: str = "float32", base: str | Path = "") -> Path:
    """Save the merged model, with tokenizer and chat template, as a checkpoint: `merge_adapter("runs/lora", "m")`."""
    if not (existing(folder) / ADAPTER).is_file():
        raise CheckpointError(f"{folder}: no adapter there (no {ADAPTER}); there is nothing to merge")
    base = bases.base(base) if base else ""
    from xlam_lib.models import checkpoint
    from xlam_lib.models.load import merged

    model, tokenizer = merged(folder, dtype, base), checkpoint.load_tokenizer(folder)
    copied = {name: (Path(folder) / name).read_text("utf-8") for name in COPIED if (Path(folder) / name).is_file()}
    return checkpoint.save(out, model, tokenizer, files=copied, info={"merged": digest(folder)})


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["runs/lora", "runs/merged"])` -> 0."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.models.adapters", description="Merge an adapter.")
    parser.add_argument("folder", help="what a run with --lora-rank made")
    parser.add_argument("out", help="folder to make: a checkpoint of full size")
    parser.add_argument("--base", default="", help="where the base is, if it isn't where it was")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="to save in")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return as_command(lambda: merge_adapter(given.folder, given.out, given.dtype, given.base))


if __name__ == "__main__":
    sys.exit(main())
