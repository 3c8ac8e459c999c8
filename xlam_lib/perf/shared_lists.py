"""What it saves that questions about one list of tools are read as one trie, on a real base (a shell command):

    python -m xlam_lib.perf.shared_lists --base smollm2-135m --questions 8 --tools 8 --out runs/shared_lists

The questions are those of APIGen's templates about the embedded tools. `shared_lists.json` has the tokens of separate
rows and those that the trie reads (`tokens_ratio`); the seconds of an epoch on the trie and of trl's bfd packing, in
turns, each in a process of its own (`time_ratio`, the median of the turns; processor seconds, set-up included, beside
it, for on a busy machine they say more); and how far loss and gradients are from those of separate rows (float32).
Which other processes ran meanwhile stands there, too.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from xlam_lib import paths
from xlam_lib.errors import as_command
from xlam_lib.files import write_json
from xlam_lib.models.bases import base, name_of
from xlam_lib.perf.cases import in_turns
from xlam_lib.trajectory import Source, Step, ToolCall, Trajectory

FILE = "shared_lists.json"
FLOORS = {"tokens_ratio": 4.0, "time_ratio": 3.0}
ALLOWED = {"loss": 1e-5, "gradient": 1e-4}
Rows = list[dict[str, Any]]
logger = logging.getLogger(__name__)


def questions(count: int, tools: int, lists: int = 1) -> list[Trajectory]:
    """Questions about lists of embedded tools, those about a list together: `questions(8, 8)` has 8 about one list."""
    from xlam_lib.data.apigen.apis import Library
    from xlam_lib.data.apigen.generator import Task, TemplateGenerator
    from xlam_lib.data.apigen.sampler import Plan

    library = Library.embedded()
    names = [api.name for api in library]
    made = []
    for number in range(lists):
        offered = tuple(names[(number * tools + place) % len(names)] for place in range(min(tools, len(names))))
        plans = [Plan(at, "multiple", (offered[at % len(offered)],), offered) for at in range(count)]
        for plan, text in zip(plans, TemplateGenerator(library).write([Task(plan) for plan in plans]), strict=True):
            written = json.loads(text)
            calls = tuple(
                ToolCall(call["name"], call["arguments"], f"call_{at}") for at, call in enumerate(written["tool_calls"])
            )
            steps = (Step("user", written["query"]), Step("assistant", tool_calls=calls))
            source, shown = Source("apigen", "Apache-2.0"), tuple(library[name].tool for name in offered)
            made.append(Trajectory(f"list-{number}/{plan.number}", source, tools=shown, steps=steps))
    return made


def rows_of(trajectories: Sequence[Trajectory], folder: Path, together: int) -> list[Rows]:
    """Their rows in the base's own tokens, those that share a list together, as a training draws them."""
    from xlam_lib.codec import STYLES
    from xlam_lib.models import checkpoint
    from xlam_lib.train.mixture.examples import examples
    from xlam_lib.train.mixture.grouped import Trajectories

    tokenizer = checkpoint.load_tokenizer(folder)
    made, _ = examples(trajectories, tokenizer, STYLES["brief"], 10**9, checkpoint.wrapper(tokenizer))
    return list(Trajectories(made, together))


def epoch(way: str, folder: Path, groups: list[Rows], length: int) -> tuple[float, float]:
    """(seconds, processor seconds) of a way of training over all rows, after a step on a short one."""
    from xlam_lib.models import checkpoint, load
    from xlam_lib.perf import baselines

    model, tokenizer = load.load_model(folder), checkpoint.load_tokenizer(folder)
    short = [{name: values[-32:] for name, values in groups[0][0].items()}]
    ways = {
        "tries": lambda groups: baselines.tries(model, groups, batch=1),
        "bfd": lambda groups: baselines.trl_packed(model, [row for one in groups for row in one], tokenizer, length),
    }
    ways[way]([short])
    began = time.process_time()
    return ways[way](groups), time.process_time() - began


def exact(folder: Path, groups: list[Rows]) -> dict[str, float]:
    """How far loss and gradients of the tries are from those of the rows alone: {"loss": 5e-7, "gradient": 3e-6}."""
    from xlam_lib.models import load
    from xlam_lib.perf.exactness import difference

    found = difference("shared lists", groups, load.load_model(folder))
    return {"loss": found.loss, "gradient": found.gradient}


def measured(
    folder: Path, groups: list[Rows], length: int, rounds: int, beside: list[dict[str, Any]]
) -> dict[str, Any]:
    """Times of both ways in turns; what else ran before each goes into `beside`."""
    from xlam_lib.perf.comparisons import measure

    def timed(way: str) -> tuple[float, float]:
        beside.append({"way": way} | others())
        (seconds, processor), _ = measure(epoch, way, folder, groups, length)
        logger.info("%s: %.1f s, %.1f s of processors", way, seconds, processor)
        return seconds, processor

    found = in_turns({way: partial(timed, way) for way in ("tries", "bfd")}, rounds)
    kinds = {"seconds": 0, "processor_seconds": 1}
    times = {
        kind: {way: [round(one[at], 2) for one in made] for way, made in found.items()} for kind, at in kinds.items()
    }
    ratios = [[theirs / ours for ours, theirs in zip(one["tries"], one["bfd"], strict=True)] for one in times.values()]
    return times | {
        "time_ratio": round(statistics.median(ratios[0]), 2),
        "processor_ratio": round(statistics.median(ratios[1]), 2),
    }


def others() -> dict[str, Any]:
    """What else the machine does: {"running": 3, "load": 2.9, "cores": 2}, without this process."""
    import psutil

    running = [one for one in psutil.process_iter(["status"]) if one.info["status"] == psutil.STATUS_RUNNING]
    count = sum(one.pid != os.getpid() for one in running)
    return {"running": count, "load": round(os.getloadavg()[0], 1), "cores": os.cpu_count()}


def run(options: argparse.Namespace) -> int:
    """Measure, print and write; 1 where a floor isn't reached."""
    folder, out = base(options.base), paths.out_dir(options.out)
    groups = rows_of(questions(options.questions, options.tools, options.lists), folder, options.questions)
    from xlam_lib.train.packing.packers import TriePacker

    packed, beside = TriePacker(10**6).pack(groups), []
    about = {name: getattr(options, name) for name in ("questions", "tools", "lists", "length")}
    found: dict[str, Any] = {"base": name_of(folder)[0] or folder.name, **about, "tokens": packed.tokens}
    found |= {"read": packed.read, "tokens_ratio": round(packed.tokens / packed.read, 2)}
    write_json(out / FILE, found)
    if options.rounds:
        found |= measured(folder, groups, options.length, options.rounds, beside) | {"beside": beside}
        write_json(out / FILE, found)
    if options.exact:
        found |= exact(folder, groups)
    write_json(out / FILE, found)
    print(json.dumps({name: value for name, value in found.items() if name != "beside"}))
    slow = [name for name, floor in FLOORS.items() if found.get(name, floor) < floor]
    return int(bool(slow or [name for name, most in ALLOWED.items() if found.get(name, 0.0) > most]))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--base", "tiny", "--questions", "4", "--tools", "4", "--rounds", "0"])` -> 0."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.perf.shared_lists", description="Shared tool lists.")
    parser.add_argument("--base", default="smollm2-135m", help="name of a base, ORG/NAME of the hub, or a folder")
    parser.add_argument("--questions", type=int, default=8, help="about each list (8)")
    parser.add_argument("--tools", type=int, default=8, help="on a list (8)")
    parser.add_argument("--lists", type=int, default=1, help="how many (1)")
    parser.add_argument("--length", type=int, default=2048, help="of trl's packed rows (2048)")
    parser.add_argument("--rounds", type=int, default=1, help="turns in which both are timed (1); 0: none")
    parser.add_argument("--exact", action="store_true", help="compare loss and gradients with separate rows")
    parser.add_argument("--out", default="runs/shared_lists", help="where shared_lists.json is written")
    options = parser.parse_args(argv)
    if min(options.questions, options.tools, options.lists) < 1 or options.rounds < 0:
        parser.error("--questions, --tools and --lists are 1 or more, --rounds is not negative")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return as_command(lambda: run(options))


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
