"""Command line: `python -m xlam_lib.data.apigen.broad --check` validates the catalogue and shows what it asks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from xlam_lib.data.apigen.broad.catalogue import FOLDER, read_catalogue
from xlam_lib.data.apigen.broad.check import checked
from xlam_lib.errors import as_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks the catalogue, and prints some questions of each tool."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.apigen.broad", description="Broad training data.")
    parser.add_argument("--check", action="store_true", help="validate the catalogue and print sample questions")
    parser.add_argument("--catalogue", type=Path, default=FOLDER, help="folder of YAML files")
    parser.add_argument("--show", type=int, default=2, help="questions to print of each tool")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    return as_command(lambda: _check(args))


def _check(args: argparse.Namespace) -> None:
    tools = read_catalogue(args.catalogue)
    for line in checked(tools, args.show, args.seed):
        print(line)
    domains = {tool.domain for tool in tools.values()}
    unseen = sum(tool.unseen for tool in tools.values())
    print(f"{len(tools)} tools of {len(domains)} domains are sound; {unseen} of them are kept for the unseen test")


if __name__ == "__main__":
    sys.exit(main())
