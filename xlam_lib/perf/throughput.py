"""Tokens a second, model FLOP utilisation and memory of training models of 1 to 8 B on a GPU, and what limits them:

    python -m xlam_lib.perf.throughput                                  # all of it, into runs/throughput
    python -m xlam_lib.perf.throughput --models xLAM-1b-fc-r --ways lora --lengths 8192 --profile
    python -m xlam_lib.perf.throughput --models tiny --lengths 512 --scale 0.1     # a rehearsal on a CPU

Models have the sizes of `family.yaml` and random weights. The same samples are read as tries with FlexAttention, and
apart without padding with flash attention (`padding_free.py`); trajectories share beginnings, single samples nothing,
so there both ways do the same work. Utilisation is telemetry's, what memory is expected the plan's (`memory.py`).
`throughput.json` is a list of rows, one for each model, way of training, length, data and way of reading; a case that
runs out of memory is a row that says so. `experiments/06_throughput` says what the fields mean.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from xlam_lib.errors import as_command
from xlam_lib.perf.throughput_settings import Settings, check
from xlam_lib.settings import from_command_line
from xlam_lib.train.loop import launcher


def main(argv: Sequence[str] | None = None) -> int:
    """The command; prints a line a row and writes `throughput.json`; 2 if it can't be run so."""
    logging.getLogger("datasets").setLevel(logging.ERROR)
    args = from_command_line(Settings, argv, "xlam_lib.perf.throughput", "Throughput of training on a GPU.")
    return as_command(lambda: _show(args), launcher.FAILED)


def _show(args: Settings) -> None:
    check(args)
    from xlam_lib.perf import throughput_run  # loads torch

    throughput_run.show(args)


if __name__ == "__main__":
    sys.exit(main())
