"""Command line: `python -m xlam_lib.data.apigen.broad --out DIR --seed 0 --train 20000 --test 400` builds the data.

`--check` validates the catalogue instead, and prints some questions of each tool.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from xlam_lib.data.apigen.broad.build import build_broad
from xlam_lib.data.apigen.broad.catalogue import FOLDER, checked, read_catalogue
from xlam_lib.data.apigen.broad.sampler import QUESTIONS_PER_LIST
from xlam_lib.data.pipeline.contamination import BFCL
from xlam_lib.errors import as_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the data and prints its books, or checks the catalogue."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.apigen.broad", description="Broad training data.")
    parser.add_argument("--out", type=Path, help="folder to write, whole or not at all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=int, default=8000, help="samples for training")
    parser.add_argument("--test", type=int, default=400, help="samples of each test: tools seen and unseen")
    parser.add_argument("--questions-per-list", type=int, default=QUESTIONS_PER_LIST)
    parser.add_argument("--decontaminate", nargs="*", default=[BFCL], help="bfcl, or files of questions")
    parser.add_argument("--real", type=Path, help="folder of real records, written beside as real.jsonl")
    parser.add_argument("--catalogue", type=Path, default=FOLDER, help="folder of YAML files")
    parser.add_argument("--check", action="store_true", help="validate the catalogue and print sample questions")
    parser.add_argument("--show", type=int, default=2, help="questions to print of each tool that is checked")
    args = parser.parse_args(arguments)
    if not args.check and args.out is None:
        parser.error("give --out DIR to build the data, or --check to validate the catalogue")
    return as_command(lambda: _check(args) if args.check else _build(args))


def _check(args: argparse.Namespace) -> None:
    tools = read_catalogue(args.catalogue)
    for line in checked(tools, args.show, args.seed):
        print(line)
    domains = {tool.domain for tool in tools.values()}
    unseen = sum(tool.unseen for tool in tools.values())
    print(f"{len(tools)} tools of {len(domains)} domains are sound; {unseen} of them are kept for the unseen test")


def _build(args: argparse.Namespace) -> None:
    paths = build_broad(
        args.out,
        args.seed,
        args.train,
        args.test,
        args.questions_per_list,
        args.catalogue,
        args.decontaminate,
        args.real,
    )
    print(paths["accounting"].read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
