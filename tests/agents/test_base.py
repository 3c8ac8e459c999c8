"""A toy game in a few lines, played by the loop: plain and asynchronous, many at once, and all the ways it can end."""

import asyncio
import random

import pytest

from xlam_lib.agents import (
    Action,
    AgentError,
    InfrastructureError,
    Observation,
    SimulatedUser,
    StepResult,
    rollout,
    rollouts,
    run,
    tool_result,
)
from xlam_lib.trajectory import Step, Task, Tool, Trajectory, write_jsonl

GUESS = Tool("guess", "Guess a number.", {"type": "object", "properties": {"n": {"type": "integer"}}})
TASK = Task("Guess my number, 1 to 9.", "guess/1")
TASKS = [Task("Guess my number, 1 to 9.", f"guess/{number}") for number in range(6)]


class Game:
    """Guess a number from 1 to 9."""

    tools = (GUESS,)

    def reset(self, task, seed=0):
        self.number = random.Random(f"{seed}:{task.task_id}").randint(1, 9)
        return Observation((Step("user", task.instruction),))

    def step(self, action):
        (guess,) = action.tool_calls
        found = guess.arguments["n"] == self.number
        answer = tool_result(guess, "yes" if found else "no")
        return StepResult(Observation((answer,)), reward=float(found), done=found, termination="success")


class Counter:
    """Guesses 1, 2, 3, ..., which it reads off the history."""

    name = "counter"

    def act(self, observation, history):
        return Action.call("guess", n=1 + len(history) // 2)


class AsyncGame(Game):
    """The same, and it waits as a server would."""

    async def reset(self, task, seed=0):
        await asyncio.sleep(0)
        return super().reset(task, seed)

    async def step(self, action):
        await asyncio.sleep(0.001)
        return super().step(action)


class AsyncCounter(Counter):
    async def act(self, observation, history):
        await asyncio.sleep(0)
        return super().act(observation, history)


class Scripted:
    """Acts as it is scripted; an exception in the script is raised."""

    name = "scripted"

    def __init__(self, *script):
        self.script = list(script)
        self.observed = []

    def act(self, observation, history):
        self.observed.append((observation.steps, tuple(history)))
        action = self.script.pop(0)
        if isinstance(action, Exception):
            raise action
        return action


def number_of(seed: int, task: Task = TASK) -> int:
    game = Game()
    game.reset(task, seed)
    return game.number


def test_an_agent_plays_an_environment_and_the_episode_is_a_trajectory():
    played = run(rollout(Counter(), Game(), TASK, max_steps=9, seed=3))
    assert isinstance(played, Trajectory) and played.validate() == []
    assert (played.outcome.termination, played.outcome.success, played.outcome.reward) == ("success", True, 1.0)
    assert played.trajectory_id == "rollout/guess/1/3" and played.task == TASK and played.tools == (GUESS,)
    assert played.extra == {"agent": "counter", "seed": 3}
    guesses = [step for step in played.steps if step.tool_calls]
    assert [step.tool_calls[0].arguments["n"] for step in guesses] == list(range(1, number_of(3) + 1))
    assert [step.tool_calls[0].id for step in guesses] == [f"call_{n}" for n in range(number_of(3))]
    assert [step.reward for step in guesses] == [0.0] * (number_of(3) - 1) + [1.0]
    assert played.steps[-1] == Step("tool", "yes", tool_call_id=guesses[-1].tool_calls[0].id, name="guess")


def test_plain_and_asynchronous_ones_play_the_same_episode():
    pairs = [(Counter(), Game()), (AsyncCounter(), AsyncGame()), (Counter(), AsyncGame()), (AsyncCounter(), Game())]
    first, *others = [run(rollout(agent, game, TASK, seed=3)) for agent, game in pairs]
    assert others == [first] * 3


def test_it_runs_where_a_loop_runs_already_as_in_a_notebook():
    async def cell() -> tuple[Trajectory, Trajectory]:
        return run(rollout(Counter(), Game(), TASK)), await rollout(Counter(), Game(), TASK)

    plain, awaited = asyncio.run(cell())
    assert plain == awaited


def test_the_agent_observes_what_is_new_and_what_came_before():
    agent = Scripted(Action.call("guess", n=0), Action.call("guess", n=0))
    played = run(rollout(agent, Game(), TASK, max_steps=2))
    (first, nothing), (second, history) = agent.observed
    assert first == (Step("user", TASK.instruction),) and nothing == ()
    assert (*history, *second) == played.steps[:3] and second[0].role == "tool"


def test_the_number_of_actions_is_bounded():
    seed = next(seed for seed in range(99) if number_of(seed) > 3)
    played = run(rollout(Counter(), Game(), TASK, max_steps=3, seed=seed))
    assert played.outcome.termination == "max_steps" and played.outcome.success is None
    assert played.outcome.reward == 0.0 and played.validate() == []
    assert sum(step.role == "assistant" for step in played.steps) == 3


@pytest.mark.parametrize(
    "failure", [InfrastructureError("server gone"), ConnectionResetError("server gone"), TimeoutError("server gone")]
)
def test_infrastructure_that_fails_is_no_reward(failure):
    played = run(rollout(Scripted(Action.call("guess", n=0), failure), Game(), TASK))
    assert (played.outcome.termination, played.outcome.reward) == ("infra_error", None)
    assert played.outcome.success is None and played.extra["error"] == "server gone"
    assert [step.role for step in played.steps] == ["user", "assistant", "tool"]
    assert all(step.reward is None for step in played.steps) and played.validate() == []


class BrokenGame(Game):
    def step(self, action):
        raise InfrastructureError("the sandbox is gone")


def test_an_environment_that_fails_is_no_reward_either():
    played = run(rollout(Counter(), BrokenGame(), TASK))
    assert (played.outcome.termination, played.outcome.reward) == ("infra_error", None)
    assert played.steps[-1].tool_calls and played.validate() == []


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (AgentError("arguments are not JSON"), "not JSON"),
        (Action(), "neither said nor called"),
        (Action(reasoning="Hm."), "neither"),
    ],
)
def test_what_an_agent_can_not_have_meant_is_its_failure(action, why):
    played = run(rollout(Scripted(Action.call("guess", n=0), action), Game(), TASK))
    assert (played.outcome.termination, played.outcome.success, played.outcome.reward) == ("failure", False, 0.0)
    assert why in played.extra["error"] and played.validate() == []


def test_a_defect_is_raised():
    with pytest.raises(ZeroDivisionError):
        run(rollout(Scripted(ZeroDivisionError()), Game(), TASK))
    with pytest.raises(ZeroDivisionError):
        run(rollouts(lambda task, seed: (Scripted(ZeroDivisionError()), AsyncGame()), TASKS))


def test_an_environment_without_rewards_leaves_it_open():
    class Silent(Game):
        def step(self, action):
            return StepResult(done=True, termination="user_stop")

    played = run(rollout(Scripted(Action("Bye.")), Silent(), TASK))
    assert (played.outcome.termination, played.outcome.success, played.outcome.reward) == ("user_stop", None, None)


def test_reasoning_is_kept():
    class Words(Game):
        def step(self, action):
            return StepResult(done=True)

    played = run(rollout(Scripted(Action("Nine.", reasoning="The largest.")), Words(), TASK))
    assert played.steps[1] == Step("assistant", "Nine.", "The largest.", reasoning_origin="native")
    assert played.validate() == []


def test_many_play_at_once_but_no_more_than_allowed():
    playing, most = 0, 0

    class Watched(AsyncGame):
        async def reset(self, task, seed=0):
            nonlocal playing, most
            playing += 1
            most = max(most, playing)
            return await super().reset(task, seed)

        async def step(self, action):
            nonlocal playing
            result = await super().step(action)
            playing -= result.done
            return result

    played = run(rollouts(lambda task, seed: (AsyncCounter(), Watched()), TASKS, seeds=range(2), concurrency=3))
    assert most == 3 and playing == 0
    assert [one.trajectory_id for one in played] == [f"rollout/guess/{n}/{seed}" for n in range(6) for seed in (0, 1)]
    assert all(one.outcome.success and one.validate() == [] for one in played)


def test_same_seed_same_bytes(tmp_path):
    def play(name: str, seed: int, concurrency: int) -> bytes:
        pair = lambda task, seed: (AsyncCounter(), AsyncGame())  # noqa: E731
        played = run(rollouts(pair, TASKS, seeds=(seed,), concurrency=concurrency))
        write_jsonl(tmp_path / name, played)
        return (tmp_path / name).read_bytes()

    assert play("a", 0, 1) == play("b", 0, 5) != play("c", 1, 5)


# A simulated user


class Shop:
    """Sells; the words of the agent go to a user."""

    tools = ()

    def __init__(self, user):
        self.user = SimulatedUser(user)

    async def reset(self, task, seed=0):
        return await self.user.open()

    async def step(self, action):
        return await self.user.reply(action.content)


def test_an_agent_plays_the_user_with_the_roles_swapped():
    user = Scripted(Action("Apples, please."), Action("Two. "), Action("Thanks! ###STOP###"))
    played = run(rollout(Scripted(Action("How many?"), Action("Here.")), Shop(user), Task("Sell.", "shop/1")))
    assert [(step.role, step.content) for step in played.steps] == [
        ("user", "Apples, please."),
        ("assistant", "How many?"),
        ("user", "Two."),
        ("assistant", "Here."),
        ("user", "Thanks!"),
    ]
    assert played.outcome.termination == "user_stop" and played.validate() == []
    latest, history = user.observed[-1]
    assert [(step.role, step.content) for step in (*history, *latest)] == [
        ("user", "Hello, how can I help you?"),
        ("assistant", "Apples, please."),
        ("user", "How many?"),
        ("assistant", "Two."),
        ("user", "Here."),
    ]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([Action("")], "the user said nothing"),
        ([Action("###STOP###")], "stopped before the agent could act"),
        ([Action("Apples."), AgentError("arguments are not JSON")], "the simulated user: arguments"),
    ],
)
def test_a_user_that_fails_is_no_fault_of_the_agent(script, why):
    played = run(rollout(Scripted(Action("How many?")), Shop(Scripted(*script)), Task("Sell.", "shop/1")))
    assert played.outcome.termination == "infra_error" and why in played.extra["error"]
