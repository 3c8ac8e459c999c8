"""What the settings of a run name: benchmarks, agents and a model, as episodes that are to be played.

Used by `bench/run.py` and, on the nodes of a cluster, by `cluster.py` (notebook 05). For example:

    with model_of(settings) as endpoint:
        plan_of(settings, endpoint)[0].id          # "webshop/react/webshop/test/0/0"
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xlam_lib.agents.architectures import Function, agents
from xlam_lib.agents.random_agent import RandomAgent
from xlam_lib.bench.base import Task
from xlam_lib.bench.episodes import AgentMaker, Metered, Planned, planned
from xlam_lib.bench.settings import BenchSettings
from xlam_lib.bench.tasks import tasks
from xlam_lib.endpoint import Endpoint
from xlam_lib.errors import XlamError
from xlam_lib.models.bases import base
from xlam_lib.models.folders import digest
from xlam_lib.serve.server import engine_of

ORACLE, RANDOM = "oracle", "random"


class RunError(XlamError, ValueError):
    """Settings that name nothing, or contradict each other."""


def plan_of(settings: BenchSettings, endpoint: Any = None) -> list[Planned]:
    """All episodes of a run, benchmark by benchmark: `plan_of(settings, endpoint)[0].id`.

    Another address of the same model's server doesn't make them others.
    """
    makers = {name: maker(name, settings, endpoint) for name in settings.agents}
    seeds = range(settings.seed, settings.seed + settings.trials)
    setting = " ".join(
        str(getattr(settings, name))
        for name in ("model", "serve", "engine", "function", "native", "max_tokens", "temperature", "memory", "context")
    )
    if settings.serve:  # another training into the same folder is another model
        setting += f" {digest(settings.serve if Path(settings.serve).is_file() else base(settings.serve))}"
    plan = []
    for task in tasks_of(settings):
        plan += planned(task, makers, seeds=seeds, items=settings.items, max_steps=settings.max_steps, setting=setting)
    return plan


def tasks_of(settings: BenchSettings) -> list[Task]:
    """The benchmarks with their items: `tasks_of(settings)[0].name` -> "webshop"."""
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
