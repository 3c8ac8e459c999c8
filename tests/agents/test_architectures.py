"""Seven agents in one small shop: what each is shown, what it asks first, and how its answers are read."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.agents import (
    Action,
    AgentError,
    Example,
    InfrastructureError,
    Manual,
    Observation,
    StepResult,
    rollout,
    run,
    tool_result,
)
from xlam_lib.agents.architectures import Function, agents
from xlam_lib.agents.architectures.language import Answer, recent
from xlam_lib.agents.forms import IN_WORDS, NATIVE
from xlam_lib.data.formats.environments import WEBSHOP
from xlam_lib.schema import Step, Task, ToolCall

EXAMPLE = Example(
    (
        Step("user", "i need a blue mug"),
        Step("assistant", "", "Search first.", (ToolCall("search", {"keywords": "blue mug"}, "call_0"),)),
        Step("tool", "[B01] Blue mug", tool_call_id="call_0", name="search"),
        Step("assistant", "", "That is it.", (ToolCall("click", {"element": "B01"}, "call_1"),)),
        Step("tool", "Bought", tool_call_id="call_1", name="click"),
    ),
    plan="Search for the mug, then click it.",
)
SHOP = Manual("You are in a shop.", WEBSHOP, (EXAMPLE,), {"search": ("search",), "click": ("click",)})


class Shop:
    """Search, then click the product that is asked for."""

    def __init__(self, manual=SHOP):
        self.manual, self.tools = manual, manual.actions.tools()

    def reset(self, task, seed=0):
        return Observation((Step("user", task.instruction),))

    def step(self, action):
        if not action.tool_calls:
            return StepResult(Observation((Step("user", "Invalid action!"),)))
        (call,) = action.tool_calls
        bought = call == ToolCall("click", {"element": "B02"}, call.id)
        answer = "Bought" if bought else "[B02] Red lamp"
        return StepResult(Observation((tool_result(call, answer),)), float(bought), bought, "success")


class Model:
    """Answers from a script, and keeps what it was asked."""

    def __init__(self, *script):
        self.script, self.asked = list(script), []

    def __call__(self, messages, tools=()):
        self.asked.append((messages, tools))
        return self.script.pop(0)


def play(name, *script, native=False, manual=SHOP):
    model, shop = Model(*script), Shop(manual)
    agent = agents()[name](Function(model), shop, native=native)
    return run(rollout(agent, shop, Task("i need a red lamp", "shop/1"), max_steps=6)), model


def prompts(model):
    return [messages[-1]["content"] for messages, _ in model.asked]


def test_there_are_the_seven_of_the_published_tables():
    assert {name: agent.title for name, agent in agents().items()} == {
        "zs": "ZS",
        "zst": "ZST",
        "act": "Act",
        "react": "ReAct",
        "plan_act": "PlanAct",
        "plan_react": "PlanReAct",
        "bolaa": "BOLAA",
    }


@pytest.mark.parametrize(
    ("name", "thinks", "example", "plan"),
    [
        ("zs", False, False, False),
        ("zst", True, False, False),
        ("act", False, True, False),
        ("react", True, True, False),
        ("plan_act", False, True, True),
        ("plan_react", True, True, True),
    ],
)
def test_what_each_agent_is_shown_and_does(name, thinks, example, plan):
    acts = ["Thought: A lamp.\nAction: search[red lamp]", "Thought: B02.\nAction: click[B02]\nObservation: Bought"]
    episode, model = play(name, *(["Search, then click."] if plan else []), *acts)
    assert episode.outcome.success and episode.outcome.reward == 1.0
    assert [call.name for step in episode.steps for call in step.tool_calls] == ["search", "click"]
    assert episode.steps[1].reasoning == "A lamp."
    asked = prompts(model)
    assert len(asked) == 2 + plan
    first, last = asked[plan], asked[-1]
    assert ("i need a blue mug" in first) == example and ("Thought: Search first." in first) == (thinks and example)
    assert first.endswith("Task: i need a red lamp\nThought:" if thinks else "Task: i need a red lamp\nAction:")
    assert ("Plan: Search, then click.\nTask: i need a red lamp" in first) == plan
    assert ("Plan: Search for the mug, then click it.\nTask: i need a blue mug" in first) == plan
    assert "Action: search[red lamp]\nObservation: [B02] Red lamp\n" in last
    assert ("Thought: A lamp." in last) == thinks
    assert "search[<keywords>]: Search the shop." in first


def test_bolaa_asks_who_is_next_and_shows_each_only_its_own_actions():
    episode, model = play("bolaa", "The search agent.", "search[red lamp]", "I don't know", "Action: click[B02]")
    assert episode.outcome.success
    route, search, again, click = prompts(model)
    assert "Answer with one name: search, click." in route and "Agent click. Actions:\nclick[<element>]" in route
    assert "search[<keywords>]" in search and "click[<element>]" not in search and "click[B01]" not in search
    assert "[B02] Red lamp" in again  # no name in the reply: the one who didn't act last is next
    assert "click[<element>]" in click and "search[<keywords>]:" not in click and "Action: click[B01]" in click


def test_bolaa_with_one_labour_agent_asks_nobody():
    episode, model = play("bolaa", "click[B02]", manual=Manual("A shop.", WEBSHOP))
    assert episode.outcome.success and len(model.asked) == 1


@pytest.mark.parametrize("name", ["zs", "react", "plan_react"])
def test_native_calls(name):
    call = {"name": "click", "arguments": '{"element": "B02"}'}
    script = ["Just click."] if name == "plan_react" else []
    episode, model = play(name, *script, Answer("B02 it is.", [call]), native=True)
    assert episode.outcome.success and episode.steps[1].reasoning == "B02 it is."
    messages, tools = model.asked[-1]
    assert [tool["function"]["name"] for tool in tools] == ["search", "click"]
    assert ("Plan: Just click." in messages[0]["content"]) == (name == "plan_react")
    turns = [message["role"] for message in messages]
    assert turns == (
        ["system", "user"] if name == "zs" else ["system", "user", "assistant", "tool", "assistant", "tool", "user"]
    )
    ids = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    assert len(set(ids)) == len(ids) and all(m["tool_call_id"] in ids for m in messages if m["role"] == "tool")


def test_words_that_are_no_action_are_answered_by_the_environment_and_count_as_a_step():
    episode, model = play("zs", "I would buy it.", "Action: click[B02]")
    assert [step.content for step in episode.steps[1:3]] == ["I would buy it.", "Invalid action!"]
    assert episode.outcome.success
    assert "Action: I would buy it.\nUser: Invalid action!\nAction:" in prompts(model)[-1]


def test_a_model_that_answers_nothing_fails_and_a_server_that_does_is_no_failure():
    episode, _ = play("zs", "")
    assert episode.outcome.success is False and "answered nothing" in episode.extra["error"]
    episode, _ = play("zs", Answer(error="status 400: maximum context length is 2048 tokens"))
    assert episode.outcome.success is False and "longer than the model reads" in episode.extra["error"]
    episode, _ = play("zs", Answer(error="status 400: use max_completion_tokens in place of max_tokens"))
    assert episode.outcome.termination == "infra_error" and episode.outcome.success is None


def test_a_call_that_is_no_json_is_the_agents_failure():
    with pytest.raises(AgentError):
        NATIVE.read(SHOP, Answer("", [{"name": "click", "arguments": "{broken"}]))


def test_an_asynchronous_function_and_an_error_of_a_server():
    async def answer(messages):
        await asyncio.sleep(0)
        return Answer(error="connection: refused")

    agent = agents()["zs"](Function(answer), Shop())
    with pytest.raises(InfrastructureError):
        run(agent.act(Observation((Step("user", "x"),)), ()))


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("Action: search[a]", ("search", {"keywords": "a"})),
        ("search[a]", ("search", {"keywords": "a"})),
        ("Thought: x\nAction: click[Buy Now]\nObservation: y\nAction: click[z]", ("click", {"element": "Buy Now"})),
        ("Action: click[a]\nI hope so", ("click", {"element": "a"})),
    ],
)
def test_reading_words(text, call):
    action = IN_WORDS.read(SHOP, Answer(text))
    assert [(one.name, one.arguments) for one in action.tool_calls] == [call]


@given(st.text(max_size=300))
def test_any_words_are_an_action_or_words(text):
    action = IN_WORDS.read(SHOP, Answer(text))
    assert bool(action.tool_calls) or action == Action(text.strip())


@given(st.integers(0, 400), st.lists(st.integers(0, 90), max_size=12))
def test_memory_keeps_the_task_and_whole_turns(memory, sizes):
    steps = [Step("user", "the task")]
    for number, size in enumerate(sizes):
        call = ToolCall("search", {"keywords": ""}, f"call_{number}")
        steps += [Step("assistant", tool_calls=(call,)), Step("tool", "x" * size, tool_call_id=call.id)]
    kept = recent(steps, memory)
    assert kept[0] == steps[0] and kept[1:] == steps[len(steps) - len(kept) + 1 :]
    assert [step.role for step in kept[1:]] == ["assistant", "tool"] * ((len(kept) - 1) // 2)
    assert not sizes or len(kept) >= 3  # the last turn is always shown
    assert json.dumps([step.to_dict() for step in kept])
