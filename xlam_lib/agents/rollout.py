"""The one loop in which an agent and an environment play; its episodes are trajectories of our format.

    trajectory = run(rollout(agent, environment, Task("Guess a number.", "guess/1"), max_steps=10, seed=0))
    trajectories = run(rollouts(lambda task, seed: (Counter(), Game()), tasks, max_steps=10, seeds=range(4)))

In a notebook `await rollout(...)` does as well. Infrastructure that fails ends an episode with termination
"infra_error" and no reward, so that a crashed server never counts as a wrong answer; any other error is a defect and
is raised. Used by benchmarks, by APIGen-MT (`data/apigen/multi_turn/play.py`) and by reinforcement learning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from xlam_lib.agents.base import (
    Action,
    Agent,
    AgentError,
    Environment,
    InfrastructureError,
    Observation,
    StepResult,
    resolve,
)
from xlam_lib.trajectory import Outcome, Source, Step, Task, Trajectory

T = TypeVar("T")
MAX_STEPS = 30  # actions of the agent
SOURCE = Source("rollout", "unknown", converter="xlam_lib.agents.rollout")
SUCCESS = {"success": True, "failure": False}


async def rollout(
    agent: Agent,
    environment: Environment,
    task: Task,
    max_steps: int = MAX_STEPS,
    *,
    seed: int = 0,
    source: Source = SOURCE,
) -> Trajectory:
    """One episode of at most `max_steps` actions: `(await rollout(agent, game, task)).outcome.reward` -> 1.0.

    A step's reward is what the environment gave for that action, the outcome's is their sum, None where it gave none.
    The trajectory isn't validated: a call of a tool that doesn't exist is a mistake to be counted, too.
    """
    if not task.task_id or not getattr(agent, "name", "") or not hasattr(environment, "tools"):
        raise AgentError(f"a rollout needs task.task_id, agent.name and environment.tools; found task {task.task_id!r}")
    steps: list[Step] = []
    error = ""
    try:
        opening = await resolve(environment.reset(task, seed))
        termination = await play(agent, environment, opening, max_steps, steps)
    except (InfrastructureError, ConnectionError, TimeoutError) as failure:
        termination, error = "infra_error", str(failure) or type(failure).__name__
        steps = [replace(step, reward=None) for step in steps]
    except AgentError as failure:
        termination, error = "failure", str(failure)
    rewards = [step.reward for step in steps if step.reward is not None]
    return Trajectory(
        trajectory_id=f"{source.name}/{task.task_id}/{seed}",
        source=replace(source, raw_id=f"{task.task_id}/{seed}"),
        task=task,
        tools=tuple(environment.tools),
        steps=tuple(steps),
        outcome=Outcome(SUCCESS.get(termination), sum(rewards) if rewards else None, termination),
        extra={"agent": agent.name, "seed": seed} | ({"error": error} if error else {}),
    )


async def play(
    agent: Agent, environment: Environment, observation: Observation, max_steps: int, steps: list[Step]
) -> str:
    """Lets both act from an observation on, after all that is in `steps`; returns how it ended, e.g. "max_steps".

    What happens is appended to `steps` as it comes, so that an error leaves it there. A conversation with a person is
    such a piece after each of their messages (`serve/conversation.py`).
    """
    result = StepResult(observation)
    calls = sum(len(step.tool_calls) for step in steps)
    for _ in range(max_steps):
        history = tuple(steps)
        steps += result.observation.steps
        action = await resolve(agent.act(result.observation, history))
        if not action.content and not action.tool_calls:
            raise AgentError("the agent neither said nor called anything")
        numbered = (replace(call, id=f"call_{calls + n}") for n, call in enumerate(action.tool_calls))
        action = replace(action, tool_calls=tuple(numbered))
        calls += len(action.tool_calls)
        steps.append(_step(action))
        result = await resolve(environment.step(action))
        steps[-1] = replace(steps[-1], reward=result.reward)
        if result.done:
            break
    steps += result.observation.steps
    return result.termination if result.done else "max_steps"


def _step(action: Action) -> Step:
    origin = "native" if action.reasoning else "none"
    return Step("assistant", action.content, action.reasoning, action.tool_calls, reasoning_origin=origin)


async def rollouts(
    pair: Callable[[Task, int], tuple[Agent, Environment]],
    tasks: Iterable[Task],
    max_steps: int = MAX_STEPS,
    *,
    seeds: Iterable[int] = (0,),
    concurrency: int = 8,
    source: Source = SOURCE,
) -> list[Trajectory]:
    """Each task once with each seed, task by task in order, at most `concurrency` at the same time.

    `pair(task, seed)` gives the agent and the environment of one episode. Only what is asynchronous runs at the same
    time: a method that blocks holds up all others. Example: `seeds=range(4)` plays four trials of each task.
    """
    gate, trials = asyncio.Semaphore(concurrency), tuple(seeds)

    async def play(task: Task, seed: int) -> Trajectory:
        async with gate:
            agent, environment = pair(task, seed)
            return await rollout(agent, environment, task, max_steps, seed=seed, source=source)

    playing = [asyncio.ensure_future(play(task, seed)) for task in tasks for seed in trials]
    try:
        return await asyncio.gather(*playing)
    finally:
        for one in playing:  # after an error the others would go on
            one.cancel()


def run(episodes: Coroutine[Any, Any, T]) -> T:
    """The result, for plain code, also in a notebook, where a loop runs already: `run(rollout(agent, game, task))`."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(episodes)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, episodes).result()
