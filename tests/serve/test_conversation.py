"""The conversation loop against endpoints that answer as prepared; against a real server it is in test_dialogues.py."""

import json
from pathlib import Path

import pytest

from xlam_lib.agents import AgentError, InfrastructureError, run
from xlam_lib.codec import prompts_of
from xlam_lib.endpoint import Completion
from xlam_lib.serve.conversation import Conversation
from xlam_lib.serve.toolbox import Functions, Toolbox
from xlam_lib.trajectory import read_jsonl, write_jsonl

made: list[str] = []


def in_stock(model: str) -> int:
    """How many bicycles of a model there are."""
    made.append(model)
    return {"Falcon 3": 2, "Swift": 0}[model]


class Endpoint:
    """Gives its replies in order and keeps what it was asked; an exception among them is raised."""

    model = "M"

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    async def complete(self, messages, **options):
        self.asked.append([dict(message) for message in messages])
        reply = self.replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply


def calls(*models):
    return Completion(calls=tuple({"name": "in_stock", "arguments": json.dumps({"model": one})} for one in models))


@pytest.fixture(autouse=True)
def nothing_was_made():
    made.clear()


def conversation(*replies, **options):
    return Conversation(Endpoint(*replies), Toolbox(Functions([in_stock])), "Be brief.", **options)


def test_a_conversation_of_two_turns(tmp_path: Path):
    one = conversation(calls("Falcon 3", "Swift"), Completion("Two Falcons."), calls("None"), Completion("No such."))
    first = one.step("What is there?")
    assert (first.words, [call.arguments["model"] for call in first.calls]) == ("Two Falcons.", ["Falcon 3", "Swift"])
    assert [(step.tool_call_id, step.content) for step in first.results] == [("call_0", "2"), ("call_1", "0")]
    second = one.step("And the other?")
    assert second.words == "No such." and second.results[0].is_error and second.results[0].tool_call_id == "call_2"
    assert second.results[0].content == '{"error": "KeyError: \'None\'"}'
    *_, last = one.agent.endpoint.asked
    assert [message["role"] for message in last] == (
        ["system", "user", "assistant", "tool", "tool", "assistant", "user", "assistant", "tool"]
    )
    transcript = one.transcript()
    transcript.validate()
    write_jsonl(tmp_path / "served.jsonl", [transcript])
    assert list(read_jsonl(tmp_path / "served.jsonl")) == [transcript]
    assert transcript.trajectory_id == one.transcript().trajectory_id != conversation().transcript().trajectory_id
    assert len(prompts_of(transcript)) == 4
    assert one.history == [
        {
            "step_id": 1,
            "thought": "",
            "tool_calls": [{"name": "in_stock", "arguments": {"model": model}} for model in ("Falcon 3", "Swift")],
            "next_observation": [{"name": "in_stock", "content": "2"}, {"name": "in_stock", "content": "0"}],
        },
        {
            "step_id": 2,
            "thought": "Two Falcons.",
            "tool_calls": [],
            "next_observation": "",
            "user_input": "And the other?",
        },
        {
            "step_id": 3,
            "thought": "",
            "tool_calls": [{"name": "in_stock", "arguments": {"model": "None"}}],
            "next_observation": '{"error": "KeyError: \'None\'"}',
        },
        {"step_id": 4, "thought": "No such.", "tool_calls": [], "next_observation": ""},
    ]


def update_conversation_history(conversation_history, agent_action, environment_response, user_input):
    """As the original's model page has it, but for numbering the steps twice."""
    parsed = json.loads(agent_action)
    conversation_history.append(
        {
            "step_id": len(conversation_history) + 1,
            "thought": parsed.get("thought", ""),
            "tool_calls": parsed.get("tool_calls", []),
            "next_observation": environment_response,
            "user_input": user_input,
        }
    )


def test_the_history_is_that_of_the_originals_page():
    one = conversation(calls("Falcon 3"), Completion("Two."), calls("Swift"), Completion("None."), max_steps=1)
    one.step("The Falcon 3?")
    one.step("And the Swift?")  # a call's result and the user's words come together, as on that page
    expected = []
    action = '{"thought": "", "tool_calls": [{"name": "in_stock", "arguments": {"model": "Falcon 3"}}]}'
    update_conversation_history(expected, action, "2", "And the Swift?")
    assert one.history[:1] == expected


def test_max_steps_end_a_turn_and_it_can_go_on():
    one = conversation(*[calls("Swift")] * 3, Completion("None."), max_steps=2)
    cut = one.step("The Swift?")
    assert (cut.whole, len(cut.calls), len(cut.results)) == (False, 2, 2)
    assert one.transcript().outcome.termination == "max_steps"
    rest = one.step()
    assert (rest.whole, rest.words, len(rest.calls)) == (True, "None.", 1)
    transcript = one.transcript()
    transcript.validate()
    assert len({call.id for step in transcript.steps for call in step.tool_calls}) == 3
    with pytest.raises(ValueError, match="nothing to go on with"):
        one.step()


def test_a_message_that_got_no_answer_can_be_sent_again():
    one = conversation(Completion(error="connection: refused"), Completion("Hello."))
    with pytest.raises(InfrastructureError, match="refused"):
        one.step("Hi")
    assert one.steps == []
    assert one.step("Hi").words == "Hello."
    assert [step.content for step in one.steps] == ["Hi", "Hello."]


def test_calls_that_were_made_are_not_made_again():
    one = conversation(
        calls("Swift"),
        Completion(error="status 500"),
        Completion("", ({"name": "in_stock", "arguments": "{"},)),
        Completion("None."),
    )
    for kind in (InfrastructureError, AgentError):
        with pytest.raises(kind):
            one.step("The Swift?" if not one.steps else "")
        assert [step.role for step in one.steps] == ["user", "assistant", "tool"]
    assert one.step().words == "None." and made == ["Swift"]
    one.transcript().validate()


def test_without_tools_it_talks_and_in_a_loop_it_is_awaited():
    async def talk():
        one = Conversation(Endpoint(Completion("Hello."), Completion("Bye.")))
        return [(await one.astep("Hi")).words, (await one.astep("Bye")).words], one.transcript()

    words, transcript = run(talk())
    assert words == ["Hello.", "Bye."] and transcript.tools == ()
    transcript.validate()
