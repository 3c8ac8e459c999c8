"""The agent over OpenAI tool calls, against a fake endpoint: what it sends, and what becomes of each reply."""

import threading
from dataclasses import dataclass

import pytest

from xlam_lib.agents import Observation, StepResult, ToolCallingAgent, rollout, rollouts, run, tool_result
from xlam_lib.trajectory import Step, Task, Tool

ADD = Tool("add", "Add two numbers.", {"type": "object", "properties": {"a": {"type": "integer"}}})
TASK = Task("Add 1.", "add/1")


@dataclass
class Reply:
    text: str = ""
    calls: tuple = ()
    error: str = ""


class FakeEndpoint:
    """Gives its replies in order, the last one again and again, and keeps what it was asked."""

    model = "M"

    def __init__(self, *replies):
        self.replies, self.requests, self.threads = list(replies), [], set()

    def ask(self, messages, **options):
        self.requests.append((list(messages), options))
        self.threads.add(threading.get_ident())
        return self.replies[min(len(self.requests), len(self.replies)) - 1]


class AsyncEndpoint(FakeEndpoint):
    async def complete(self, messages, **options):
        return self.ask(messages, **options)


class Sums:
    """Adds, and is over at the first words."""

    tools = (ADD,)

    def reset(self, task, seed=0):
        return Observation((Step("user", task.instruction),))

    def step(self, action):
        if not action.tool_calls:
            return StepResult(reward=float("2" in action.content), done=True, termination="success")
        return StepResult(Observation(tuple(tool_result(call, "2") for call in action.tool_calls)))


def calls(*arguments: str) -> Reply:
    return Reply(calls=tuple({"name": "add", "arguments": text} for text in arguments))


@pytest.mark.parametrize("kind", [FakeEndpoint, AsyncEndpoint])
def test_a_model_calls_a_tool_and_says_what_it_found(kind):
    endpoint = kind(calls('{"a": 1}', '{"a": 2}'), Reply("It is 2."))
    played = run(rollout(ToolCallingAgent(endpoint, (ADD,), "Be brief.", seed=7), Sums(), TASK))
    assert played.validate() == [] and played.outcome.reward == 1.0 and played.extra["agent"] == "M"
    assert [step.role for step in played.steps] == ["user", "assistant", "tool", "tool", "assistant"]
    (first, options), (second, _) = endpoint.requests
    assert first == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Add 1."}]
    assert options["seed"] == 7 and options["tools"][0]["function"] == ADD.to_dict()
    assert [message["role"] for message in second] == ["system", "user", "assistant", "tool", "tool"]
    sent = [call["id"] for call in second[2]["tool_calls"]]
    assert sent == [message["tool_call_id"] for message in second[3:]] == ["call_0", "call_1"]
    assert second[2]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}


def test_without_tools_system_prompt_and_seed_none_is_sent():
    endpoint = FakeEndpoint(Reply("2"))
    run(rollout(ToolCallingAgent(endpoint), Sums(), TASK))
    assert endpoint.requests == [([{"role": "user", "content": "Add 1."}], {})]


def test_an_endpoint_that_blocks_is_asked_in_a_thread():
    endpoint = FakeEndpoint(Reply("2"))
    run(rollout(ToolCallingAgent(endpoint), Sums(), TASK))
    assert threading.get_ident() not in endpoint.threads


@pytest.mark.parametrize(
    ("reply", "termination", "reward", "why"),
    [
        (Reply(error="status 500: oops"), "infra_error", None, "status 500"),
        (calls("{"), "failure", None, "the agent's message 0, call 0: arguments are not JSON"),
        (calls("[]"), "failure", None, "an object of arguments"),
        (Reply(""), "failure", None, "neither said nor called"),
    ],
)
def test_what_is_no_reply_ends_the_episode(reply, termination, reward, why):
    played = run(rollout(ToolCallingAgent(FakeEndpoint(reply), (ADD,)), Sums(), TASK))
    assert (played.outcome.termination, played.outcome.reward) == (termination, reward)
    assert why in played.extra["error"] and played.validate() == []


def test_calls_without_arguments_have_none():
    played = run(rollout(ToolCallingAgent(FakeEndpoint(calls(""), Reply("2")), (ADD,)), Sums(), TASK))
    assert played.steps[1].tool_calls[0].arguments == {} and played.outcome.reward == 1.0


def test_one_agent_plays_many_episodes_at_once():
    agent = ToolCallingAgent(AsyncEndpoint(Reply("2")), (ADD,))
    played = run(rollouts(lambda task, seed: (agent, Sums()), [TASK], seeds=range(5)))
    assert [one.outcome.reward for one in played] == [1.0] * 5
