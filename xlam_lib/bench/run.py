"""The command that plays benchmarks: agents in environments, many episodes at once (notebook 05).

    python -m xlam_lib.bench.run --tasks webshop hotpotqa --agents zs react --serve runs/quickstart/sft --out runs/a
    python -m xlam_lib.bench.run webshop.yaml --base-url http://127.0.0.1:8000/v1 --model sft
    python -m xlam_lib.bench.run --tasks webshop --agents oracle random --out runs/bounds

The YAML file holds the same settings as the options. Stopped at any time, the same command goes on: an episode that is
in `episodes.jsonl` isn't played again, and one that the surroundings broke off is. `trajectories.jsonl` has the
transcripts in the unified format, `metrics.json` the figures with bootstrap intervals, `report.html` both to look at.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from xlam_lib.bench.settings import BenchSettings
from xlam_lib.errors import as_command
from xlam_lib.settings import from_command_line

DESCRIPTION = "Play benchmarks: agents in environments, many episodes at once; the same command goes on."


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--tasks", "webshop", "--agents", "oracle", "--out", "runs/oracle"])` -> 0."""
    settings = from_command_line(BenchSettings, argv, "xlam_lib.bench.run", DESCRIPTION)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # of the openai package: a line for each request
    sys.path.insert(0, "")  # modules of the folder one is in
    try:
        return as_command(lambda: run_benchmarks(settings) and None)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        sys.path.remove("")


def run_benchmarks(settings: BenchSettings) -> dict[str, Any]:
    """Plays all that is left, writes the run's files and returns the figures: {"webshop": {"react": {...}}}."""
    from xlam_lib.batch.progress import Counted
    from xlam_lib.bench import episodes as played
    from xlam_lib.bench.episodes_page import write
    from xlam_lib.bench.plan import RunError, model_of, plan_of
    from xlam_lib.files import only_writer

    if settings.ray and settings.serve:
        raise RunError("a cluster's nodes need a server that all of them reach: give base_url, not serve")
    out = Path(settings.out)
    with ExitStack() as stack:
        stack.enter_context(only_writer(out))
        endpoint = stack.enter_context(model_of(settings))
        plan = plan_of(settings, endpoint)
        for task in {id(one.task): one.task for one in plan}.values():
            stack.callback(getattr(task, "close", int))  # whatever its environments share, such as an interpreter
        options = {"path": out / "episodes.jsonl", "concurrency": settings.concurrency}
        if settings.ray:
            from xlam_lib.bench.cluster import play_on_ray

            found = play_on_ray(settings, plan, progress=Counted("episodes"), **options)
        else:
            found = played.play(plan, progress=Counted("episodes"), **options)
    return write(out, found, {one.task.name: type(one.task) for one in plan}, settings)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # both end it in order, also where the shell ignores Ctrl-C
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
