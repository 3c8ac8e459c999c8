"""The command that plays benchmarks: agents in environments, many episodes at once (notebook 05).

    python -m xlam_lib.bench.run --tasks webshop hotpotqa --agents zs react --serve runs/quickstart/sft --out runs/a
    python -m xlam_lib.bench.run webshop.yaml --base-url http://127.0.0.1:8000/v1 --model sft
    python -m xlam_lib.bench.run --tasks webshop --agents oracle random --out runs/bounds

The YAML file holds the same settings as the options. Stopped at any time, the same command goes on: an episode that is
in `episodes.jsonl` isn't played again, and one that the surroundings broke off is. `trajectories.jsonl` has the
transcripts in the unified format, `metrics.json` the figures with bootstrap intervals, `report.html` both to look at.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlam_lib.bench.settings import BenchSettings
from xlam_lib.errors import XlamError, as_command
from xlam_lib.settings import from_command_line

if TYPE_CHECKING:
    from xlam_lib.bench.base import Task
    from xlam_lib.bench.episodes import AgentMaker, Planned

ORACLE, RANDOM = "oracle", "random"
DESCRIPTION = "Play benchmarks: agents in environments, many episodes at once; the same command goes on."


class RunError(XlamError, ValueError):
    """Settings that name nothing, or contradict each other."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--tasks", "webshop", "--agents", "oracle", "--out", "runs/oracle"])` -> 0."""
    settings = from_command_line(BenchSettings, argv, "xlam_lib.bench.run", DESCRIPTION)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
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
    from xlam_lib.files import only_writer

    if settings.ray and settings.serve:
        raise RunError("a cluster's nodes need a server that all of them reach: give base_url, not serve")
    out = Path(settings.out)
    with ExitStack() as stack:
        stack.enter_context(only_writer(out))
        endpoint = stack.enter_context(model_of(settings))
        plan = plan_of(settings, endpoint)
        options = {"path": out / "episodes.jsonl", "concurrency": settings.concurrency}
        if settings.ray:
            from xlam_lib.bench.cluster import play_on_ray

            found = play_on_ray(settings, plan, progress=Counted("episodes"), **options)
        else:
            found = played.play(plan, progress=Counted("episodes"), **options)
    return write(out, found, {one.task.name: type(one.task) for one in plan}, settings)


def plan_of(settings: BenchSettings, endpoint: Any = None) -> list[Planned]:
    """All episodes of a run, benchmark by benchmark: `plan_of(settings, endpoint)[0].id`.

    Another address of the same model's server doesn't make them others.
    """
    from xlam_lib.bench.episodes import planned

    makers = {name: maker(name, settings, endpoint) for name in settings.agents}
    seeds = range(settings.seed, settings.seed + settings.trials)
    setting = " ".join(
        str(getattr(settings, name))
        for name in ("model", "serve", "function", "native", "max_tokens", "temperature", "memory")
    )
    plan = []
    for task in tasks_of(settings):
        plan += planned(task, makers, seeds=seeds, items=settings.items, max_steps=settings.max_steps, setting=setting)
    return plan


def tasks_of(settings: BenchSettings) -> list[Task]:
    """The benchmarks with their items: `tasks_of(settings)[0].name` -> "webshop"."""
    from xlam_lib.bench.base import Task
    from xlam_lib.bench.tasks import tasks

    files = dict(entry.partition("=")[::2] for entry in settings.data)
    if unknown := files.keys() - set(settings.tasks):
        raise RunError(f"data is given for {', '.join(unknown)}, which isn't among the tasks; expected task=path")
    there = {name: task for name, task in tasks().items() if task.environment is not Task.environment}
    found = []
    for name in settings.tasks:
        if ":" in name:
            kind = _named(name)
        elif name in there:
            kind = there[name]
        else:
            raise RunError(
                f"no benchmark is called {name!r}; there are {', '.join(there)}, or module:Class of your own"
            )
        given = {"path": files[name]} if name in files else {"split": settings.split}
        found.append(kind(**given))
    return found


def maker(name: str, settings: BenchSettings, endpoint: Any) -> AgentMaker:
    """What makes the agents of a name: `maker("react", settings, endpoint)(task, item, environment, 0, Usage())`."""
    from xlam_lib.agents.architectures import agents
    from xlam_lib.agents.random_agent import RandomAgent
    from xlam_lib.bench.episodes import Metered

    if name == ORACLE:
        return lambda task, item, environment, seed, usage: task.expert(item)
    if name == RANDOM:
        return lambda task, item, environment, seed, usage: RandomAgent(environment, seed)
    if name not in agents():
        raise RunError(f"no agent is called {name!r}; there are {', '.join((*agents(), RANDOM, ORACLE))}")
    if endpoint is None:
        raise RunError(f"{name} needs a model: give base_url and model, or serve, or function")
    seeded = settings.temperature > 0

    def make(task: Task, item: Any, environment: Any, seed: int, usage: Any) -> Any:
        return agents()[name](
            Metered(endpoint, usage),
            environment,
            native=settings.native,
            memory=settings.memory,
            seed=seed if seeded else None,
        )

    return make


@contextmanager
def model_of(settings: BenchSettings) -> Iterator[Any]:
    """The model that the settings name, served while the block lasts where they say so; None where none is needed."""
    from xlam_lib.agents.architectures import Function
    from xlam_lib.endpoint import Endpoint

    ways = [bool(settings.base_url), bool(settings.serve), bool(settings.function)]
    if not set(settings.agents) - {ORACLE, RANDOM}:
        yield None
        return
    if sum(ways) != 1 or bool(settings.base_url) != bool(settings.model):
        raise RunError("name one model: base_url with model, or serve, or function")
    if settings.function:
        yield Function(_named(settings.function), settings.function)
        return
    asked = {name: getattr(settings, name) for name in ("concurrency", "max_tokens", "temperature")}
    if settings.base_url:
        with Endpoint(settings.base_url, settings.model, **asked) as endpoint:
            yield endpoint
        return
    from xlam_lib.serve.server import engine_of

    server = engine_of(settings.engine, settings.serve, max_model_len=settings.context)
    with server, Endpoint(server.base_url, server.model, **asked) as endpoint:
        yield endpoint


def _named(text: str) -> Any:
    """What "module:name" names."""
    module, colon, name = text.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise RunError(f"{text!r} can't be found ({error}); expected module:name, from the folder one is in") from error


if __name__ == "__main__":
    sys.exit(main())
