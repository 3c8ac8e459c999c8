"""What went wrong in an episode: each failure provoked in a toy game."""

import pytest

from xlam_lib.agents import Action, AgentError, InfrastructureError, Observation, StepResult, rollout, run, tool_result
from xlam_lib.bench.failures import FAILURES, failure_of
from xlam_lib.environments.tool_query.language import ACTIONS
from xlam_lib.schema import Step, Task, Tool

GUESS = Tool("guess", "Guess.", {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
SAYS = "Action: {} with Action Input: {}".format


class Game:
    """A guess of 7 is a success, one of 0 the end."""

    tools = (GUESS,)

    def reset(self, task, seed=0):
        return Observation((Step("user", task.instruction),))

    def step(self, action):
        numbers = [call.arguments.get("n") for call in action.tool_calls]
        steps = [tool_result(call, "?") for call in action.tool_calls] or [Step("user", "?")]
        done = 7 in numbers or 0 in numbers
        return StepResult(
            Observation(tuple(steps)), float(7 in numbers), done, "success" if 7 in numbers else "failure"
        )


class Scripted:
    name = "scripted"

    def __init__(self, actions):
        self.actions = iter(actions)

    def act(self, observation, history):
        action = next(self.actions)
        if isinstance(action, Exception):
            raise action
        return Action(action) if isinstance(action, str) else action


def guess(n):
    return Action.call("guess", n=n)


@pytest.mark.parametrize(
    ("actions", "failure"),
    [
        ([guess(7)], ""),
        ([guess(1), guess(0)], "wrong_answer"),
        ([guess(1), AgentError("no JSON")], "bad_format"),
        ([guess(1), InfrastructureError("the server is gone")], ""),
        ([guess(1), guess(2), guess(3), guess(4)], "max_steps"),
        ([guess(1), guess(2), guess(2), guess(2)], "loop"),
        ([guess(1), guess("1"), guess(3), guess("4")], "wrong_argument"),
        ([guess(1), Action.call("gess", n=1), Action.call("gess", n=2), guess(3)], "wrong_function"),
        (["It is 1.", "It is 2.", guess(3), guess("4")], "bad_format"),
        ([SAYS("guess", '{"n": 1}'), SAYS("guess", '{"n": "a"}'), SAYS("guess", "{}"), guess(3)], "wrong_argument"),
        ([guess(1), guess(2), guess(3), "It is 4."], "max_steps"),
    ],
)
def test_failures(actions, failure):
    episode = run(rollout(Scripted(actions), Game(), Task("Guess!", "guess"), max_steps=4))
    assert failure_of(episode, ACTIONS.parse) == failure
    assert not failure or failure in FAILURES


def test_words_are_no_mistake_where_they_are_no_actions():
    episode = run(rollout(Scripted(["Hi.", "Ho.", "Hm.", "So."]), Game(), Task("Guess!", "guess"), max_steps=4))
    assert failure_of(episode) == "max_steps" and failure_of(episode, ACTIONS.parse) == "bad_format"


def test_who_ends_without_an_answer_gave_up():
    episode = run(rollout(Scripted([guess(0)]), Game(), Task("Guess!", "guess")))
    assert failure_of(episode, answered=False) == "gave_up"


def test_no_action_at_all():
    episode = run(rollout(Scripted([]), Game(), Task("Guess!", "guess"), max_steps=0))
    assert failure_of(episode) == "max_steps"
