"""Native calls and calls in words get the same responses, cut as the original's; `Finish` ends an episode."""

import asyncio
import json

import pytest

from xlam_lib.agents.base import Action
from xlam_lib.agents.rollout import rollout, run
from xlam_lib.environments.tooleval import embedded
from xlam_lib.environments.tooleval.answers import of_trajectory, path_of
from xlam_lib.environments.tooleval.apis import Api, Tree
from xlam_lib.environments.tooleval.environment import (
    AFTER_END,
    ANSWERED,
    GIVEN_UP,
    NO_ANSWER,
    NO_CALL,
    NO_CHOICE,
    NO_TYPE,
    CallText,
    ToolEval,
    finished,
)
from xlam_lib.environments.tooleval.queries import Query
from xlam_lib.environments.tooleval.server import Recorded, VirtualServer
from xlam_lib.environments.tooleval.verdicts import verdict
from xlam_lib.schema import Task, ToolCall

ONE = embedded.solved("train")[0]
FUNCTION = ONE.calls[0].name
GOAL = Task(ONE.query.text, ONE.query.id)
LISBON = {"error": "", "response": {"celsius": 19, "sky": "clear", "wind_ms": 3.1}}


def playing(server=None):
    environment = ToolEval(ONE.query, server or embedded.server(), embedded.examples())
    environment.reset(GOAL)
    return environment


def step(environment, action):
    return asyncio.run(environment.step(action))


class Words:
    """Says what an expert calls."""

    name = "words"

    def __init__(self, form):
        self.form, self.calls = form, iter(ONE.calls)

    def act(self, observation, history):
        call = next(self.calls)
        return Action(self.form(call))


def two_lines(call):
    return f"Thought: I need it.\nAction: {call.name}\nAction Input: {json.dumps(call.arguments, indent=2)}"


@pytest.mark.parametrize(
    "form",
    [
        two_lines,
        lambda call: two_lines(call).partition("Action: ")[2],  # as ReAct's prompts leave it
        lambda call: CallText().render(call.name, call.arguments),
    ],
)
def test_calls_in_words_are_calls(form):
    found = run(rollout(Words(form), playing(), GOAL))
    assert found.outcome.success and found.outcome.reward == 1.0
    assert [step.role for step in found.steps] == ["user", "assistant", "user", "assistant", "user"]
    assert json.loads(found.steps[2].content) == LISBON
    record = of_trajectory(found, CallText())
    assert [message["name"] for _, message in path_of(record)[2:]] == [FUNCTION, "Finish"]
    assert verdict(record, ONE.query.facts).passed


def test_native_calls_are_answered_each_by_its_id():
    calls = (ToolCall(FUNCTION, {"city": "Lisbon"}, "a"), ToolCall("nothing", {}, "b"), ToolCall(FUNCTION, {}, "c"))
    result = step(playing(), Action(tool_calls=calls))
    good, unknown, missing = result.observation.steps
    assert (good.tool_call_id, json.loads(good.content), good.is_error) == ("a", LISBON, False)
    assert json.loads(unknown.content)["error"] == "No such function name: nothing" and unknown.is_error
    assert "missing 1 required argument" in missing.content and missing.is_error
    assert not result.done and result.reward is None


def test_words_that_are_no_call():
    for words in ("Let me think.", "Action: f", f"{FUNCTION}[", f"{FUNCTION}[1]", f"{FUNCTION}[[]]"):
        result = step(playing(), Action(words))
        assert [one.content for one in result.observation.steps] == [NO_CALL] and not result.done


def test_long_responses_are_cut_as_in_the_original(real_data):
    recorded = Recorded()
    api = ONE.query.by_function[FUNCTION]
    recorded.add(api.key, {"city": "Lisbon"}, {"error": "", "response": "é" * 2000})
    call = ToolCall(FUNCTION, {"city": "Lisbon"}, "a")
    shown = step(playing(VirtualServer(embedded.tree(), recorded)), Action(tool_calls=(call,)))
    content = shown.observation.steps[0].content
    assert len(content) == 1027 and content.startswith('{"error": "", "response": "\\u00e9') and content.endswith("...")
    run = json.loads((real_data / "toolbench/answer/G1_answer/10_ChatGPT_DFS_woFilter_w2.json").read_text())
    messages = run["answer_generation"]["train_messages"][-1]
    assert max(len(one["content"] or "") for one in messages if one["role"] == "function") <= len(content)


def observed(run):
    """(function, arguments, observation) of each call in a raw run of a search, in its order."""
    stack = [*run["trys"][0]["chain"]] if "trys" in run else [run["tree"]["tree"]]
    name, stack = "", stack[::-1]
    while stack:
        node = stack.pop()
        if node["node_type"] == "Action":
            name = node["description"]
        elif node.get("observation") and name != "Finish":
            yield name, json.loads(node["description"]), node["observation"]
        stack += reversed(node.get("children", []))


def test_recorded_calls_are_shown_as_stabletoolbench_showed_them(real_data):
    """Its observations, recorded in our server, come back letter for letter, those that it cut aside."""
    shown = cut = 0
    for path in sorted(real_data.glob("stabletoolbench/answer/*/*/*.json")):
        calls = list(observed(json.loads(path.read_text())))
        apis = {name: Api("Any", name.partition("_for_")[2], name.partition("_for_")[0]) for name, _, _ in calls}
        recorded = Recorded()
        environment = ToolEval(Query("1", "Hi", tuple(apis.values())), VirtualServer(Tree(apis.values()), recorded))
        for name, arguments, observation in calls:
            if observation.endswith("...") and len(observation) == 1027:
                cut += 1
                continue
            recorded.add(apis[name].key, arguments, json.loads(observation))
            result = step(environment, Action(tool_calls=(ToolCall(name, dict(reversed(arguments.items())), "a"),)))
            assert result.observation.steps[0].content == observation
            shown += 1
    assert (shown, cut) == (32, 3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, NO_TYPE),
        ({"return_type": "other"}, NO_CHOICE),
        ({"return_type": ["give_answer"]}, NO_CHOICE),
        ({"return_type": "give_answer"}, NO_ANSWER),
        ({"return_type": "give_answer", "final_answer": "4"}, ANSWERED),
        ({"return_type": "give_up_and_restart"}, GIVEN_UP),
    ],
)
def test_what_finish_is_answered(arguments, text):
    assert finished(arguments) == text
    result = step(playing(), Action.call("Finish", **arguments))
    assert result.observation.steps[0].content == text
    assert result.done == (text in (ANSWERED, GIVEN_UP)) and result.reward == (0.0 if result.done else None)


def test_recorded_words_of_finish(real_data):
    """The same words stand in ToolBench's trees."""
    text = (
        real_data / "stabletoolbench/answer/virtual_chatgpt_dfs/G1_instruction/588_DFS_woFilter_w2.json"
    ).read_text()
    assert json.dumps(ANSWERED)[1:-1] in text and json.dumps(GIVEN_UP)[1:-1] in text


def test_the_instruction_names_the_tools_as_toolbenchs_prompt_does():
    tools = {"sky_report": "Weather\nof " + "x" * 600}
    found = ToolEval(ONE.query, embedded.server(), descriptions=tools).manual.instruction.splitlines()
    assert found[-2:] == ["The functions belong to these tools:", "1.sky_report: Weatherof " + "x" * 501]
    assert ToolEval(ONE.query, embedded.server()).manual.instruction.endswith("1.sky_report: None")


def test_nothing_is_called_after_the_end():
    final = ToolCall("Finish", {"return_type": "give_up_and_restart"}, "a")
    result = step(playing(), Action(tool_calls=(final, ToolCall(FUNCTION, {"city": "Lisbon"}, "b"))))
    assert result.done and result.observation.steps[1].content == AFTER_END and result.termination == "failure"


def test_an_environment_forgets_the_episode_before():
    environment = playing()
    step(environment, Action(tool_calls=ONE.calls[:1]))
    environment.reset(GOAL)
    result = step(environment, Action(tool_calls=ONE.calls[-1:]))
    assert result.done and result.reward == 0.0  # the call that worked was made in another episode


def test_a_deeply_nested_answer_of_a_model():
    value = []
    for _ in range(100_000):
        value = [value]
    server = VirtualServer(embedded.tree(), answerers=(lambda *_: {"error": "", "response": value},))
    shown = step(playing(server), Action(tool_calls=(ToolCall(FUNCTION, {"city": "Lisbon"}, "a"),)))
    assert "Failed to generate" in shown.observation.steps[0].content
    final = step(playing(), Action.call("Finish", return_type="give_answer", final_answer=value))
    assert final.done and final.reward == 0.0
