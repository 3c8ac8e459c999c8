"""Episodes of a benchmark: agents in environments, many at once, kept as they end, and never played twice.

Used by `bench/run.py` and notebook 05. An episode is one agent on one item with one seed; its transcript is a
trajectory of our format. What the surroundings broke (a server that is gone) is no episode and is played again.

    plan = planned(WebShop(split="test"), {"react": maker}, seeds=(0, 1))
    episodes = play(plan, path="episodes.jsonl", concurrency=32, progress=Counted("episodes"))
    figures(episodes)["react"]["reward"]        # {"mean": 0.61, "low": 0.52, "high": 0.7, "n": 60}

Environments that compute or start processes run in threads, so that they hold up nobody else.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from xlam_lib.agents import Action, Agent, Environment, Observation, StepResult, rollout
from xlam_lib.agents.base import PromptTooLongError, resolve
from xlam_lib.agents.rollout import run
from xlam_lib.agents.tool_calling import ask
from xlam_lib.bench.base import Task, TaskError
from xlam_lib.bench.bootstrap import interval, pass_hat_k
from xlam_lib.endpoint import Progress, ServerUnreachableError
from xlam_lib.journal import Journal, fingerprint
from xlam_lib.trajectory import Source, Trajectory

MAX_STEPS = 15  # actions of an agent in an episode, where the task doesn't say
LOST = 8  # episodes in a row that the surroundings broke, after which nothing more is begun
SCORES = ("reward", "success")


class AgentMaker(Protocol):
    """Makes the agent of one episode."""

    def __call__(self, task: Task, item: Any, environment: Environment, seed: int, usage: Usage) -> Agent:
        """An agent for an item's environment; what its model reads and writes is counted in `usage`."""


@dataclass
class Usage:
    """What a model read and wrote in an episode: `Usage(requests=3, read=5_120, written=96, seconds=2.1)`."""

    requests: int = 0
    read: int = 0  # tokens of prompts, as the server counts them
    written: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Metered:
    """An endpoint of which one episode's share is counted: `Metered(endpoint, usage)`."""

    endpoint: Any
    usage: Usage

    @property
    def model(self) -> str:
        """Its name."""
        return self.endpoint.model

    async def complete(self, messages: Sequence[dict[str, Any]], **options: Any) -> Any:
        """The endpoint's reply."""
        began = time.monotonic()
        reply = await ask(self.endpoint, messages, options)
        self.usage.requests += 1
        self.usage.read += getattr(reply, "prompt_tokens", 0)
        self.usage.written += getattr(reply, "completion_tokens", 0)
        self.usage.seconds += time.monotonic() - began
        return reply


@dataclass(frozen=True)
class Planned:
    """One episode that is to be played."""

    task: Task
    item: Any
    agent: str
    seed: int
    make: AgentMaker
    max_steps: int
    setting: str  # whatever else an episode depends on: model, form, memory

    @property
    def id(self) -> str:
        """E.g. "webshop/react/test-7/0"."""
        return f"{self.task.name}/{self.agent}/{self.item.id}/{self.seed}"

    @property
    def asked(self) -> str:
        """A fingerprint by which another model's, or another task's, episode is noticed."""
        return fingerprint(f"{self.setting}\n{self.max_steps}\n{self.item.task.to_dict()}")


@dataclass(frozen=True)
class Episode:
    """One that was played: its row of scores and its transcript, or the `error` of the surroundings."""

    id: str
    asked: str
    task: str = ""
    agent: str = ""
    item: str = ""
    seed: int = 0
    row: dict[str, Any] = field(default_factory=dict)
    transcript: dict[str, Any] = field(default_factory=dict)  # a trajectory, see `trajectory.py`
    usage: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""

    @property
    def key(self) -> str:
        """What it belongs to."""
        return self.id

    @property
    def fingerprint(self) -> str:
        """Of what it depends on."""
        return self.asked

    @property
    def trajectory(self) -> Trajectory:
        """The transcript as a trajectory."""
        return Trajectory.from_dict(self.transcript)


def planned(
    task: Task,
    makers: Mapping[str, AgentMaker],
    *,
    seeds: Iterable[int] = (0,),
    items: int = 0,
    max_steps: int = 0,
    setting: str = "",
) -> list[Planned]:
    """All episodes of a task, agent by agent: `planned(WebShop(), {"react": maker}, seeds=range(4))`.

    `items` of them, the first ones, or all (0).
    """
    seeds, chosen = tuple(seeds), list(task.items())[: items or None]
    if len({item.id for item in chosen}) < len(chosen):
        raise TaskError(f"task {task.name}: two items have one id; ids must be unique")
    steps = max_steps or getattr(task, "max_steps", MAX_STEPS)
    return [
        Planned(task, item, name, seed, make, steps, setting)
        for name, make in makers.items()
        for item in chosen
        for seed in seeds
    ]


def play(
    plan: Sequence[Planned],
    *,
    path: str | Path | None = None,
    concurrency: int = 8,
    progress: Progress | None = None,
) -> list[Episode]:
    """Plays what isn't in the file yet, at most `concurrency` at once, and returns all episodes in order.

    Those that the surroundings broke have an `error`; a rerun plays them again. After `LOST` of them in a row a
    ServerUnreachableError ends the run; what is finished is kept.
    """
    journal = Journal(path, Episode, "episodes", {one.id: one.asked for one in plan})
    missing = [one for one in plan if one.id not in journal.done]
    run(_play_all(missing, journal, concurrency, len(plan), progress))
    return [journal.rows[one.id] for one in plan]


async def _play_all(
    missing: Sequence[Planned], journal: Journal[Episode], concurrency: int, total: int, progress: Progress | None
) -> None:
    waiting, lost = iter(missing), 0
    if progress is not None:
        progress(total - len(missing), total)

    async def work(pool: ThreadPoolExecutor) -> None:
        nonlocal lost
        for one in waiting:
            episode = await play_one(one, pool)
            journal.append(episode)
            lost = lost + 1 if episode.error else 0
            if lost >= max(LOST, concurrency):
                raise ServerUnreachableError(
                    f"{lost} episodes in a row were broken off, the last one by: {episode.error}; "
                    f"{journal.status()}; start the server and run again"
                )
            if progress is not None:
                progress(len(journal.done), total)

    with ThreadPoolExecutor(concurrency, "environment") as pool:
        workers = [asyncio.ensure_future(work(pool)) for _ in range(min(concurrency, len(missing)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()


async def play_one(one: Planned, pool: ThreadPoolExecutor | None = None) -> Episode:
    """One episode from its beginning to its row of scores: `await play_one(plan[0])`."""
    began, usage = time.monotonic(), Usage()
    environment = one.task.environment(one.item)
    agent = one.make(one.task, one.item, environment, one.seed, usage)
    source = Source(one.task.name, "unknown", converter="xlam_lib.bench.episodes")
    aside = InThreads(environment, pool)
    try:
        episode = await rollout(agent, aside, one.item.task, one.max_steps, seed=one.seed, source=source)
    finally:
        await aside.call(getattr(environment, "close", int))
    # An id that names the agent, as episodes of several may be one data set; and the words that explain the task, so
    # that training on the transcript shows the very prompt that an agent with native calls is given.
    manual = getattr(environment, "manual", None)
    goal = replace(one.item.task, instruction=manual.instruction) if manual else one.item.task
    episode = replace(episode, trajectory_id=one.id, task=goal, tags=(one.task.name, one.agent))
    broken = episode.extra.get("error", "") if episode.outcome.termination == "infra_error" else ""
    row: dict[str, Any] = {}
    if not broken:
        row = {"id": one.item.id, **await aside.call(one.task.score, one.item, episode)}
        if episode.extra.get("error", "").startswith(PromptTooLongError.WORDS):
            row["failure"] = "too_long"
        outcome = replace(episode.outcome, success=bool(row["success"]), reward=float(row["reward"]))
        episode = replace(episode, outcome=outcome)
    return Episode(
        one.id,
        one.asked,
        one.task.name,
        one.agent,
        one.item.id,
        one.seed,
        row,
        episode.to_dict(),
        {key: round(value, 3) for key, value in vars(usage).items()},
        round(time.monotonic() - began, 3),
        broken,
    )


class InThreads:
    """An environment whose plain methods run in threads: `InThreads(environment, pool)`."""

    def __init__(self, environment: Environment, pool: ThreadPoolExecutor | None = None) -> None:
        self.environment, self.pool = environment, pool

    @property
    def tools(self) -> Any:
        """Those of the environment."""
        return self.environment.tools

    async def reset(self, task: Any, seed: int = 0) -> Observation:
        """The environment's first observation."""
        return await self.call(self.environment.reset, task, seed)

    async def step(self, action: Action) -> StepResult:
        """What follows from an action."""
        return await self.call(self.environment.step, action)

    async def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """What a method returns, plain or asynchronous: `await aside.call(task.score, item, episode)`."""
        if asyncio.iscoroutinefunction(method):
            return await method(*arguments)
        found = await asyncio.get_running_loop().run_in_executor(self.pool, method, *arguments)
        return await resolve(found)


def figures(episodes: Iterable[Episode], seed: int = 0) -> dict[str, dict[str, Any]]:
    """The scores of each agent with bootstrap intervals, items drawn whole, and what it took; by the agent's name.

    {"react": {"n": 60, "reward": {"mean": 0.61, "low": 0.52, "high": 0.7, "n": 60}, "success": {...}, "failures":
    {"wrong_answer": 9}, "pass_hat": {"1": 0.6, "2": 0.5}, "broken_off": 0, "steps": 4.2, "read": 5120.0, ...}}
    """
    by_agent: dict[str, list[Episode]] = defaultdict(list)
    for episode in episodes:
        by_agent[episode.agent].append(episode)
    return {agent: _figures(of_agent, seed) for agent, of_agent in by_agent.items()}


def _figures(episodes: Sequence[Episode], seed: int) -> dict[str, Any]:
    ended = [episode for episode in episodes if not episode.error]
    found: dict[str, Any] = {"n": len(ended), "broken_off": len(episodes) - len(ended)}
    if not ended:
        return found
    scores = dict.fromkeys([*SCORES, *(key for key, value in ended[0].row.items() if _is_score(key, value))])
    for score in scores:
        rated = [episode for episode in ended if episode.row.get(score) is not None]
        values, groups = [float(episode.row[score]) for episode in rated], [episode.item for episode in rated]
        if rated:
            found[score] = interval(values, groups=groups, seed=seed).to_dict()
    trials: dict[str, list[float]] = defaultdict(list)
    for episode in ended:
        trials[episode.item].append(float(episode.row["success"]))
    if (most := min(map(len, trials.values()))) > 1:
        found["pass_hat"] = {str(k): pass_hat_k(trials, k) for k in range(1, most + 1)}
    failures = Counter(episode.row.get("failure") for episode in ended if episode.row.get("failure"))
    found["failures"] = dict(failures.most_common())
    found["steps"] = _mean([sum(step["role"] == "assistant" for step in one.transcript["steps"]) for one in ended])
    found["seconds"] = _mean([episode.seconds for episode in ended])
    found |= {key: _mean([episode.usage[key] for episode in ended]) for key in ("requests", "read", "written")}
    return found


def _is_score(key: str, value: Any) -> bool:
    return key not in ("seed", "steps") and isinstance(value, float | bool)


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3)
