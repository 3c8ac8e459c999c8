"""The command that writes the report of a run's folder anew: `python -m xlam_lib.bench.report runs/quickstart`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from xlam_lib import paths
from xlam_lib.errors import as_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report of a run's folder anew; ends with 1 when figures are missing."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.bench.report", description=main.__doc__)
    parser.add_argument("out", help="folder of a run, e.g. runs/quickstart")
    given = parser.parse_args(arguments)
    return as_command(lambda: _write(given.out))


def _write(out: str) -> int:
    from xlam_lib.bench.report import builder, scorecard  # loads matplotlib

    if not Path(out).is_dir():
        raise FileNotFoundError(f"{out}: no such folder; expected that of a run, e.g. runs/quickstart")
    target = builder.write(out, strict=False)
    card = scorecard.read(out)
    print(f"{scorecard.text(card)}\n\nreport: {paths.short(target)}")
    return 1 if card["missing"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
