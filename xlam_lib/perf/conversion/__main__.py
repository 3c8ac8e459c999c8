"""The command: `python -m xlam_lib.perf.conversion`; prints one JSON line a measurement. See the room's docstring."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

from xlam_lib.errors import as_command
from xlam_lib.perf.conversion.against_map import against_map
from xlam_lib.perf.conversion.as_they_are import as_they_are
from xlam_lib.perf.conversion.compare import compare
from xlam_lib.perf.conversion.memory import memory


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.perf.conversion", description="Speed and memory of unify."
    )
    add = parser.add_argument
    add("--source", help="its name; with --as-they-are all that have a folder of their name in the input")
    add("--input", required=True, help="real records of that source, or the folder of the sources' folders")
    add("--seconds", type=float, default=2.0, help="how long the plain loop, or one process, should take")
    add("--as-they-are", action="store_true", help="over the real files themselves, not over changed records")
    add("--gigabytes", type=float, help="measure the memory over a file of this size instead")
    add("--folder", help="where that file may lie")
    add("--against-map", action="store_true", help="wall seconds against datasets.map instead")
    add("--workers", type=int, default=1)
    add("more", nargs="*", help="behind --: options for unify, with --gigabytes")
    options = parser.parse_args(arguments)
    if not (options.source or options.as_they_are):
        parser.error("--source missing")
    return as_command(lambda: _show(_measured(options)), status=1, also=(ValueError,))


def _show(measured: Iterable[dict[str, Any]]) -> None:
    for found in measured:
        print(json.dumps(found), flush=True)


def _measured(options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        given = (options.source, options.input)
        if options.as_they_are:
            yield from as_they_are(*given, folder, options.seconds)
        elif options.gigabytes:
            yield memory(*given, options.gigabytes, folder, options.workers, options.more)
        elif options.against_map:
            yield against_map(*given, options.seconds, options.workers, folder)
        else:
            yield compare(*given, options.seconds)


if __name__ == "__main__":
    sys.exit(main())
