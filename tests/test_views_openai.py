"""OpenAI messages and steps are the same, whatever form a message has: dictionary or object, today's or the old one."""

import json
from types import SimpleNamespace

import pytest
from floor_strategies import answers, calls, texts, trajectories
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessage

from xlam_lib.codec import Answer, answer_of, parse_answer, tools_from_any
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Step, ToolCall
from xlam_lib.views import from_openai, message_text, step_of, to_openai, tools_to_openai


@given(trajectories())
@settings(deadline=None)
def test_openai_messages_come_back(trajectory):
    assert from_openai(to_openai(trajectory.steps)) == trajectory.steps
    assert tools_from_any(tools_to_openai(trajectory.tools)) == list(trajectory.tools)


def as_object(value):
    """A message as an object of the openai package where it has a class for it, else as one of the same attributes."""
    if isinstance(value, dict) and value.get("role") == "assistant" and not isinstance(value["content"], list):
        return ChatCompletionMessage.model_validate(value)
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_object(inner) for key, inner in value.items()})
    return [as_object(inner) for inner in value] if isinstance(value, list) else value


def as_parts(message):
    """The content as parts, one a line."""
    parts = [{"type": "text", "text": line} for line in (message["content"] or "").split("\n")]
    return {**message, "content": parts}


def loose(message):
    """Calls bare, one alone without a list, arguments as objects."""
    listed = [call["function"] | {"id": call["id"]} for call in message.get("tool_calls", ())]
    listed = [{**call, "arguments": json.loads(call["arguments"])} for call in listed]
    return {**message, "tool_calls": listed[0] if len(listed) == 1 else listed} if listed else message


@given(trajectories(), st.sampled_from([as_object, as_parts, loose, lambda message: as_object(as_parts(message))]))
@settings(deadline=None)
def test_every_form_of_a_message_is_the_same(trajectory, form):
    assert from_openai(map(form, to_openai(trajectory.steps))) == trajectory.steps


def old_form(messages):
    """Messages as they were before there were parallel calls: one `function_call`, answered by role "function"."""
    for message in messages:
        if message["role"] == "tool":
            yield {"role": "function", "name": message["name"], "content": message["content"]}
        elif calls := message.get("tool_calls"):
            yield {key: value for key, value in message.items() if key != "tool_calls"} | {
                "function_call": calls[0]["function"]
            }
        else:
            yield message


@st.composite
def single_calls(draw):
    """A conversation in which each call is answered before the next."""
    steps = [Step("user", draw(texts))]
    for number, call in enumerate(draw(st.lists(calls, max_size=3))):
        made = ToolCall(call.name, call.arguments, f"call_{number}")
        steps.append(Step("assistant", draw(texts), draw(texts), (made,)))
        steps.append(Step("tool", draw(texts), tool_call_id=made.id, name=made.name))
    return (*steps, Step("assistant", draw(texts)))


@given(single_calls(), st.booleans())
@settings(deadline=None)
def test_the_old_form_is_the_same(steps, objects):
    old = list(old_form(to_openai(steps)))
    assert from_openai(map(as_object, old) if objects else old) == steps
    assert [step.content for step in map(step_of, old)] == [step.content for step in steps]


@given(answers, texts, st.booleans())
@settings(deadline=None)
def test_a_served_message_is_the_answer_that_it_was_made_of(answer, reasoning, objects):
    step = Step("assistant", answer.thought, reasoning, answer.calls)
    (message,) = to_openai([step])
    parsed = parse_answer(message_text(as_object(message) if objects else message))
    if answer.calls or not answer.thought.lstrip().startswith(("{", "[", "`")):
        assert (parsed.answer, parsed.problems) == (answer_of(step), ())
    else:  # as the model wrote it, for the codec to judge
        assert parsed == parse_answer(answer.thought)


def test_a_message_that_was_cut_off_is_no_answer():
    cut = {"role": "assistant", "content": "Let me"}
    assert message_text(cut, cut_off=True) == "Let me" and parse_answer("Let me").form == "text"
    assert parse_answer(message_text(cut)).answer == Answer("Let me") and not parse_answer(message_text(cut)).problems


def test_the_original_clients_messages_are_understood():
    steps = from_openai(
        [
            {"role": "developer", "content": "You are a helpful assistant."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Weather in"}, {"type": "text", "text": "New York?"}],
            },
            {
                "role": "assistant",
                "content": "Look it up.",
                "tool_calls": {"name": "get_weather", "arguments": '{"unit": "c"}'},
            },
            {"role": "tool", "name": "get_weather", "content": '{"temperature": 72}'},
        ]
    )
    assert steps == (
        Step("system", "You are a helpful assistant."),
        Step("user", "Weather in\nNew York?"),
        Step("assistant", "Look it up.", tool_calls=(ToolCall("get_weather", {"unit": "c"}, "call_0"),)),
        Step("tool", '{"temperature": 72}', tool_call_id="call_0", name="get_weather"),
    )


def test_ids_that_repeat_are_told_apart():
    turn = [
        {
            "role": "assistant",
            "content": None,
            "reasoning": "Hm",
            "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}],
        },
        {"role": "tool", "tool_call_id": "x", "content": "1"},
    ]
    steps = from_openai([{"role": "user", "content": "Hi"}, *turn, *turn])
    assert [step.tool_call_id for step in steps if step.role == "tool"] == ["call_0", "call_1"]
    assert steps[1].reasoning == "Hm" and steps[2].name == "f"


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"role": "robot"}, "message 1: role is 'robot'"),
        ({"role": "user", "content": 3}, "message 1: content is int"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "message 1: content is list"),
        ({"role": "tool", "tool_call_id": "x", "content": ""}, "message 1: a result for 'x', but no such call is open"),
        ({"role": "assistant", "tool_calls": ["f"]}, "message 1, call 0: expected a name"),
        (
            {"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{"}]},
            "message 1, call 0: arguments are not JSON",
        ),
        (
            {"role": "assistant", "tool_calls": [{"name": "f", "arguments": "[1]"}]},
            "message 1, call 0: expected a name",
        ),
    ],
)
def test_odd_messages_are_named(message, error):
    with pytest.raises(TrajectoryError) as raised:
        from_openai([{"role": "user", "content": "Hi"}, message])
    assert str(raised.value).startswith(error)
