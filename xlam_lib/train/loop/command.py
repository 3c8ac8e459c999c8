"""What the commands of all trainings do before they load what trains: log, refuse, become several processes.

    return command(train, settings, "xlam_lib.train.sft", argv, check)

Nothing here loads torch until the settings are known to be meant: on a busy machine that takes a minute.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xlam_lib.errors import as_command
from xlam_lib.train.loop import launcher


def command(
    train: Callable[[Any], Path],
    settings: Any,
    module: str,
    argv: Sequence[str],
    check: Callable[[Any], None] = lambda settings: None,
) -> int:
    """Run a trainer as a command: known errors, those of `check` first, as one line 'error: ...' with exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("httpx", "datasets", "accelerate", "torch.distributed"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if refused := as_command(lambda: check(settings), launcher.FAILED):
        return refused
    launcher.tie_to_launcher()
    launcher.spread(settings.processes or launcher.default_processes(), module, argv)
    from xlam_lib.train.loop import distributed

    return distributed.run(lambda: train(settings))
