"""Loose messages made strict: ids linked, calls unwrapped, results kept apart, and errors that name the message."""

import json

import pytest
from floor_strategies import trajectories
from hypothesis import given, settings
from openai.types.chat import ChatCompletionMessage
from seed_example import MESSAGES, TOOLS

from xlam_lib.codec import tools_from_any
from xlam_lib.serve.messages import MessageError, steps_of, strict_messages
from xlam_lib.views import to_openai, tools_to_openai

USER = {"role": "user", "content": "Hi"}


def assistant(*calls, content=None):
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def test_the_originals_example_is_understood_as_printed():
    before = json.dumps(MESSAGES)
    strict = strict_messages(MESSAGES)
    assert json.dumps(MESSAGES) == before  # the caller's messages stay as they are
    assert [message["role"] for message in strict] == ["system", "user", "assistant", "tool", "user"]
    arguments = '{"location": "New York", "unit": "fahrenheit"}'
    call = {"id": "call_0", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    assert strict[2]["tool_calls"] == [call]
    assert strict[2]["content"].startswith("To get the weather")
    assert strict[3] == {
        "role": "tool",
        "content": '{"temperature": 72, "description": "Partly cloudy"}',
        "tool_call_id": "call_0",
        "name": "get_weather",
    }
    assert strict_messages(strict) == strict


def test_steps_for_the_codec():
    system, steps = steps_of(strict_messages(MESSAGES))
    assert system == "You are a helpful assistant."
    assert steps[1].tool_calls[0].arguments == {"location": "New York", "unit": "fahrenheit"}
    assert (steps[2].tool_call_id, steps[2].name) == ("call_0", "get_weather")
    assert [step.role for step in steps] == ["user", "assistant", "tool", "user"]


@given(trajectories())
@settings(deadline=None)
def test_a_trajectorys_messages_are_strict_already(trajectory):
    messages = to_openai(trajectory.steps)
    assert strict_messages(messages) == messages
    system, steps = steps_of(messages)
    first = trajectory.steps[0]
    assert (system, (*[first] * (first.role == "system"), *steps)) == (
        first.content if first.role == "system" else "",
        trajectory.steps,
    )


def test_tools_in_every_form():
    bare = {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {"zone": {}}}}
    wrapped = {"type": "function", "function": bare}
    flat = {"name": "now", "description": "The time", "parameters": {"zone": {}}}
    for tool in (bare, wrapped, flat):
        assert tools_to_openai(tools_from_any([tool])) == [wrapped]
    written = tools_to_openai(tools_from_any(TOOLS))
    assert [tool["function"]["parameters"]["required"] for tool in written][0] == ["location"]
    assert tools_to_openai([]) == []


def test_parallel_results_stay_apart_in_whatever_order_they_come():
    calls = [{"name": "get", "arguments": {"n": 1}}, {"name": "get", "arguments": {"n": 2}}, {"name": "other"}]
    results = [
        {"role": "tool", "name": name, "content": text}
        for name, text in (("other", "o"), ("get", "first"), ("get", "second"))
    ]
    strict = strict_messages([USER, assistant(*calls), *results])
    assert [call["id"] for call in strict[1]["tool_calls"]] == ["call_0", "call_1", "call_2"]
    assert [(m["tool_call_id"], m["content"]) for m in strict[2:]] == [
        ("call_2", "o"),
        ("call_0", "first"),
        ("call_1", "second"),
    ]


def test_ids_given_are_kept_and_new_ones_differ():
    calls = [{"id": "call_0", "type": "function", "function": {"name": "a", "arguments": ""}}, {"name": "a"}]
    strict = strict_messages([USER, assistant(*calls), {"role": "tool", "tool_call_id": "call_1", "content": "x"}])
    assert [call["id"] for call in strict[1]["tool_calls"]] == ["call_0", "call_1"]
    assert strict[1]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert strict[2]["name"] == "a"


def test_objects_of_the_openai_package_and_parts_of_text():
    message = ChatCompletionMessage(role="assistant", content="Hello")
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    strict = strict_messages([{"role": "user", "content": parts}, message])
    assert strict == [{"role": "user", "content": "a\nb"}, {"role": "assistant", "content": "Hello"}]


@pytest.mark.parametrize(
    ("result", "text"), [({"celsius": 4}, '{"celsius": 4}'), ([1, "å"], '[1, "å"]'), (None, "null")]
)
def test_results_that_are_data_become_json(result, text):
    strict = strict_messages([USER, assistant({"name": "a"}), {"role": "tool", "content": result}])
    assert strict[2]["content"] == text


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([], "no messages"),
        (["Hi"], "message 0: expected an object"),
        ([{"role": "robot", "content": ""}], "message 0: expected an object with a role"),
        ([USER, {"role": "user", "content": 3}], r"message 1 \(user\): content is 3"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "expected text"),
        ([{**USER, "tool_calls": [{"name": "a"}]}], "'tool_calls' belongs to assistant messages"),
        ([{**USER, "contents": "x"}], "unknown 'contents'"),
        ([USER, assistant({"arguments": {}})], "message 1: a call is"),
        ([USER, assistant({"name": "a", "arguments": "{'b': 1}"})], "message 1: the arguments of 'a' are no JSON"),
        ([USER, assistant({"name": "a", "arguments": [1]})], r"message 1: the arguments of 'a' are \[1\]"),
        ([USER, assistant({"name": "a", "id": "x"}, {"name": "b", "id": "x"})], "same id"),
        ([USER, {"role": "tool", "name": "a", "content": "4"}], "message 1 .tool.: answers a call of 'a'.*: none"),
        ([USER, assistant({"name": "a"}), {"role": "tool", "tool_call_id": "z", "content": ""}], r"call_0 \(a\)"),
        ([USER, assistant({"name": "a"}), {"role": "tool", "content": {1, 2}}], "can't be written as JSON"),
    ],
)
def test_what_cannot_be_understood_is_named(messages, error):
    with pytest.raises(MessageError, match=error):
        strict_messages(messages)


def test_a_system_message_in_the_middle_has_no_place_in_a_prompt():
    with pytest.raises(MessageError, match="message 1: a system message may only come first"):
        steps_of(strict_messages([USER, {"role": "system", "content": "Be brief."}]))
