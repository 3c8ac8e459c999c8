"""The command: `python -m xlam_lib.models.gguf runs/dpo runs/dpo.gguf`. See the room's docstring."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from xlam_lib.errors import as_command
from xlam_lib.models.bases import base
from xlam_lib.models.gguf.layouts import DTYPES


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["runs/dpo", "runs/dpo.gguf"])` -> 0."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.models.gguf", description="A checkpoint as a GGUF file.")
    parser.add_argument("checkpoint", help="folder of a checkpoint or of an adapter, or a base by name")
    parser.add_argument("out", help="file to write")
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="float16", help="of the matrices")
    parser.add_argument("--pre", default="", help="rule by which llama.cpp cuts text; nothing: found by the tokenizer")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return as_command(lambda: _export(given))


def _export(given: argparse.Namespace) -> None:
    checkpoint = base(given.checkpoint)
    from xlam_lib.models.gguf.export import export  # loads torch

    export(checkpoint, given.out, given.dtype, given.pre)


if __name__ == "__main__":
    sys.exit(main())
