"""The command (notebook 07 does the same step by step):

    python -m xlam_lib.teach my_tools --out runs/mine
    python -m xlam_lib.teach my_tools petstore.yaml --base tiny --out runs/mine
    python -m xlam_lib.teach my_tools --base-url http://127.0.0.1:8000/v1 --model M --out runs/mine

It can be stopped at any time; the same command goes on. At its end it says how to serve the model and how to ask it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from itertools import takewhile

from xlam_lib.errors import XlamError, as_command
from xlam_lib.settings import from_command_line
from xlam_lib.teach.settings import TeachSettings

DESCRIPTION = "Teach a model your own tools: modules and OpenAPI documents, named first, then options."


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["my_tools", "--out", "runs/mine"])` -> 0."""
    given = list(sys.argv[1:] if argv is None else argv)
    tools = list(takewhile(lambda one: not one.startswith("-"), given))
    options = [*given[len(tools) :], *(["--tools", *tools] if tools else [])]
    settings = from_command_line(TeachSettings, options, "xlam_lib.teach", DESCRIPTION)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    sys.path.insert(0, "")  # modules of the folder one is in
    try:
        return as_command(lambda: _teach(settings), status=1)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        sys.path.remove("")


def _teach(settings: TeachSettings) -> None:
    if bool(settings.base_url) != bool(settings.model):
        raise XlamError("a model that writes questions needs both --base-url and --model")
    from xlam_lib.batch.progress import Counted
    from xlam_lib.teach.course import MODEL, teach

    print(teach(settings, show=print, progress=Counted("answers")))
    print(f"serve it:  python -m xlam_lib.serve.server {settings.out}/{MODEL}")


if __name__ == "__main__":
    sys.exit(main())
