"""Loose messages made strict: ids linked, calls unwrapped, results kept apart, and errors that name the message."""

import json

import pytest
from floor_strategies import trajectories
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessage
from seed_example import MESSAGES, TOOLS

from xlam_lib.codec import tools_from_any
from xlam_lib.serve.messages import MessageError, openai_messages, steps_of
from xlam_lib.views import to_openai, tools_to_openai

USER = {"role": "user", "content": "Hi"}


def assistant(*calls, content=None):
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def test_the_originals_example_is_understood_as_printed():
    before = json.dumps(MESSAGES)
    strict = openai_messages(MESSAGES)
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
    assert openai_messages(strict) == strict


def test_steps_for_the_codec():
    system, steps = steps_of(openai_messages(MESSAGES))
    assert system == "You are a helpful assistant."
    assert steps[1].tool_calls[0].arguments == {"location": "New York", "unit": "fahrenheit"}
    assert (steps[2].tool_call_id, steps[2].name) == ("call_0", "get_weather")
    assert [step.role for step in steps] == ["user", "assistant", "tool", "user"]


@given(trajectories())
@settings(deadline=None)
def test_a_trajectorys_messages_are_strict_already(trajectory):
    messages = to_openai(trajectory.steps)
    assert openai_messages(messages) == messages
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
    strict = openai_messages([USER, assistant(*calls), *results])
    assert [call["id"] for call in strict[1]["tool_calls"]] == ["call_0", "call_1", "call_2"]
    assert [(m["tool_call_id"], m["content"]) for m in strict[2:]] == [
        ("call_2", "o"),
        ("call_0", "first"),
        ("call_1", "second"),
    ]


def test_ids_given_are_kept_and_new_ones_differ():
    calls = [{"id": "call_0", "type": "function", "function": {"name": "a", "arguments": ""}}, {"name": "a"}]
    strict = openai_messages([USER, assistant(*calls), {"role": "tool", "tool_call_id": "call_1", "content": "x"}])
    assert [call["id"] for call in strict[1]["tool_calls"]] == ["call_0", "call_1"]
    assert strict[1]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert strict[2]["name"] == "a"


def test_objects_of_the_openai_package_and_parts_of_text():
    message = ChatCompletionMessage(role="assistant", content="Hello")
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    strict = openai_messages([{"role": "user", "content": parts}, message])
    assert strict == [{"role": "user", "content": "a\nb"}, {"role": "assistant", "content": "Hello"}]


@pytest.mark.parametrize(
    ("result", "text"), [({"celsius": 4}, '{"celsius": 4}'), ([1, "å"], '[1, "å"]'), (None, "null")]
)
def test_results_that_are_data_become_json(result, text):
    strict = openai_messages([USER, assistant({"name": "a"}), {"role": "tool", "content": result}])
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
        openai_messages(messages)


def test_system_messages_stand_together_in_their_order():
    given = [{"role": "system", "content": "A."}, {"role": "developer", "content": ""}, USER]
    late = {"role": "system", "content": [{"type": "text", "text": "B."}]}
    system, steps = steps_of(openai_messages([*given, assistant(content="Hello"), late, USER]))
    assert system == "A.\n\nB." and [step.role for step in steps] == ["user", "assistant", "user"]


# --- dumps of client libraries ------------------------------------------------------------------------------------

FUNCTION = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
TOLD = {"role": "assistant", "content": "Hello"}
CALLED = assistant({"id": "call_9", "type": "function", "function": FUNCTION})
EMPTY = {"annotations": [], "refusal": None, "audio": None, "function_call": None, "tool_calls": None, "x": {"y": [""]}}
LANGCHAIN = {"additional_kwargs": {}, "response_metadata": {"model_name": "m"}, "name": None, "id": "run-1"}
LANGCHAIN_CALL = {"name": "get_weather", "args": {"city": "Oslo"}, "id": "call_9", "type": "tool_call"}


@pytest.mark.parametrize(
    ("dump", "plain"),
    [
        (ChatCompletionMessage(role="assistant", content="Hello", annotations=[]).model_dump(), TOLD),
        ({**TOLD, **EMPTY}, TOLD),
        ({**TOLD, "annotations": [{"type": "url_citation"}], "id": "msg_1", "status": "completed"}, TOLD),
        ({**TOLD, "provider_specific_fields": {"signature": "xyz"}, "parsed": {"greeting": "Hello"}}, TOLD),
        (
            {**TOLD, "reasoning_content": "Hm.", "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]},
            {**TOLD, "reasoning_content": "Hm."},
        ),
        ({"role": "assistant", "content": None, "refusal": "No."}, {"role": "assistant", "content": "No."}),
        (
            {**EMPTY, **CALLED, "tool_calls": [{"index": 0, "id": "call_9", "type": "function", "function": FUNCTION}]},
            CALLED,
        ),
        (
            {"role": "assistant", "content": None, "function_call": FUNCTION, "tool_calls": None},
            assistant({"id": "call_0", "type": "function", "function": FUNCTION}),
        ),
        ({**LANGCHAIN, "type": "ai", "content": "Hello", "tool_calls": [], "example": False}, TOLD),
        (
            {**LANGCHAIN, "type": "ai", "content": "Hello", "additional_kwargs": {"reasoning_content": "Hm."}},
            {**TOLD, "reasoning_content": "Hm."},
        ),
        (
            {
                **LANGCHAIN,
                "type": "ai",
                "content": "",
                "tool_calls": [LANGCHAIN_CALL],
                "invalid_tool_calls": [],
                "additional_kwargs": {"refusal": None, "tool_calls": [{"id": "call_9", "function": FUNCTION}]},
            },
            {**CALLED, "content": ""},
        ),
        ({"type": "ai", "data": {**LANGCHAIN, "type": "ai", "content": "Hello"}}, TOLD),
    ],
)
def test_an_assistant_message_as_a_client_library_dumps_it(dump, plain):
    before = json.dumps(dump)
    assert openai_messages([USER, dump]) == [USER, plain]
    assert json.dumps(dump) == before


def test_a_conversation_of_langchain():
    dumps = [
        {**LANGCHAIN, "type": "system", "content": "Be brief."},
        {**LANGCHAIN, "type": "human", "content": "Hi"},
        {**LANGCHAIN, "type": "ai", "content": "", "tool_calls": [LANGCHAIN_CALL]},
        {**LANGCHAIN, "type": "tool", "content": "", "tool_call_id": "call_9", "artifact": [1], "status": "success"},
    ]
    strict = openai_messages(dumps)
    assert [message["role"] for message in strict] == ["system", "user", "assistant", "tool"]
    assert strict[3] == {"role": "tool", "content": "", "tool_call_id": "call_9", "name": "get_weather"}
    assert openai_messages(strict) == strict


def test_the_old_form_of_calls_and_results():
    messages = [USER, {**TOLD, "function_call": FUNCTION}, {"role": "function", "name": "get_weather", "content": "4"}]
    strict = openai_messages(messages)
    assert strict[1]["tool_calls"][0]["id"] == strict[2]["tool_call_id"]
    assert strict[2]["role"] == "tool"


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({**TOLD, "audio": {"id": "a", "transcript": "Hello"}}, r"message 1 \(assistant\): unknown 'audio'"),
        ({**TOLD, "refusal": "No."}, "unknown 'refusal'"),
        ({**TOLD, "images": [{"type": "image_url"}]}, "unknown 'images'"),
        ({**TOLD, "weight": 0}, "unknown 'weight'"),
        ({**TOLD, "thinking_blocks": [{"thinking": "Hm."}]}, "unknown 'thinking_blocks'"),
        ({**LANGCHAIN, "type": "ai", "content": "", "invalid_tool_calls": [{"name": "f"}]}, "'invalid_tool_calls'"),
        ({**CALLED, "function_call": FUNCTION}, "unknown 'function_call'"),
        ({**TOLD, "reasoning": "Hm.", "reasoning_content": "Ah."}, "reasoning is 'Hm.' and 'Ah.', expected one text"),
        ({**TOLD, "reasoning": {"summary": ["Hm."]}}, "expected one text"),
        ({**USER, "reasoning": "Hm."}, "'reasoning' belongs to assistant messages"),
        (assistant({"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}), "message 1: a call is"),
        ({"type": ["ai"], "content": "Hello"}, "expected an object with a role"),
    ],
)
def test_what_would_be_lost_is_named(message, error):
    with pytest.raises(MessageError, match=error):
        openai_messages([USER, message])


@given(trajectories(), st.dictionaries(st.text(max_size=5), st.sampled_from([None, "", False, [], {}, [None]])))
@settings(deadline=None)
def test_keys_that_say_nothing_change_nothing(trajectory, empty):
    messages = to_openai(trajectory.steps)
    padded = [{**empty, **dict.fromkeys(("refusal", "tool_calls", "name", "reasoning")), **m} for m in messages]
    assert openai_messages(padded) == openai_messages(messages)


def test_half_a_character_is_named():
    call = {"role": "assistant", "tool_calls": [{"name": "search", "arguments": {"query": "\udcff"}}]}
    result = {"role": "tool", "content": {"text": "\ud83d"}}
    answered = {"role": "assistant", "tool_calls": [{"name": "search", "arguments": {}}]}
    for messages in ([{"role": "user", "content": "Hi \ud83d"}], [call], [answered, result]):
        with pytest.raises(MessageError, match="half of one|surrogates not allowed"):
            openai_messages(messages)
