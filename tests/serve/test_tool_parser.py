"""What the plugin makes of requests, and what comes back, by vLLM's own classes and without a server or a model.

Every answer is read twice, whole and in pieces, as vLLM reads it for /v1/chat/completions and /v1/responses.
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from floor_strategies import trajectories
from hypothesis import given, settings

from xlam_lib.chat_template import chat_template, model_prompt
from xlam_lib.codec import BRIEF_STYLE, history_steps, render_prompt, tools_from_any
from xlam_lib.serve.messages import openai_messages, steps_of
from xlam_lib.views import to_openai

pytestmark = pytest.mark.slow  # vLLM takes that long to import
USER = {"role": "user", "content": "Weather in Oslo?"}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTIONS = [{"name": "get_weather", "parameters": PARAMETERS}, {"name": "now", "parameters": {"type": "object"}}]
CALLS = [{"name": "get_weather", "arguments": {"city": "Oslo"}}]
ANSWER = json.dumps({"thought": "Look it up.", "tool_calls": CALLS})
JSON = '{"thought": "Cold.", "celsius": 4, "tool_calls": [{"name": "now", "arguments": {}}]}\n'
SCHEMA = {"type": "object", "properties": {"thought": {"type": "string"}, "celsius": {"type": "integer"}}}
CHAT_FORMATS = [
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "found", "schema": SCHEMA}}},
    {"structured_outputs": {"json": SCHEMA}},
    {"structured_outputs": {"regex": ".*"}},
    {"structured_outputs": {"choice": [JSON]}},
]
RESPONSES_FORMATS = [
    {"text": {"format": {"type": "json_object"}}},
    {"text": {"format": {"type": "json_schema", "name": "found", "schema": SCHEMA}}},
    {"structured_outputs": {"json": SCHEMA}},
]


def chat(**options):
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    if options.pop("with_tools", True):
        options["tools"] = [{"type": "function", "function": function} for function in FUNCTIONS]
    return ChatCompletionRequest(model="m", **{"messages": [USER], **json.loads(json.dumps(options))})


def responses(**options):
    from vllm.entrypoints.openai.responses.protocol import ResponsesRequest

    if options.pop("with_tools", True):
        options["tools"] = [{"type": "function", **function} for function in FUNCTIONS]
    return ResponsesRequest(model="m", **{"input": [USER], **json.loads(json.dumps(options))})


def parser(request):
    """The parser that vLLM's server makes for a request."""
    from vllm.parser import ParserManager

    import xlam_lib.serve.tool_parser  # noqa: F401 -- registers it

    return ParserManager.get_parser("xlam_json", enable_auto_tools=True)(None, request.tools)


def adjusted(request):
    """The request as it goes to the engine."""
    return request if request.tool_choice == "none" else parser(request).adjust_request(request)


def answer(request, text):
    """(content, calls) of a text; the same in pieces."""
    request = adjusted(request)
    _, content, calls = parser(request).parse(text, request, enable_auto_tools=True)
    whole = content or "", [(call.name, json.loads(call.arguments)) for call in calls or []]
    for size in (1, 7, len(text)):
        reader, added, made = parser(request), "", []
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            delta = reader.parse_delta(piece, [1], request, prompt_token_ids=[1], finished=last)
            added += (delta and delta.content) or ""
            made += [(c.function.name, json.loads(c.function.arguments)) for c in (delta and delta.tool_calls) or []]
        assert (added, made) == whole
    return whole


MADE = ("Look it up.", [("get_weather", {"city": "Oslo"})])


@pytest.mark.parametrize("make", [chat, responses])
def test_an_answer_is_read(make):
    assert answer(make(), ANSWER) == MADE
    assert answer(make(tool_choice="required"), ANSWER) == MADE
    named = {"name": "get_weather"}
    choice = {"type": "function", **({"function": named} if make is chat else named)}
    assert answer(make(tool_choice=choice), ANSWER) == MADE
    assert answer(make(tool_choice="none"), ANSWER)[1] == []
    assert answer(make(with_tools=False), '{"thought": "Hello", "tool_calls": []}') == ("Hello", [])


@pytest.mark.parametrize("with_tools", [True, False])
@pytest.mark.parametrize(
    ("make", "format"),
    [(chat, format) for format in CHAT_FORMATS] + [(responses, format) for format in RESPONSES_FORMATS],
)
def test_json_that_the_client_asked_for_comes_back_untouched(make, format, with_tools):
    choices = ["auto", "none"] if with_tools else ["none"]
    for choice in choices:
        assert answer(make(with_tools=with_tools, tool_choice=choice, **format), JSON) == (JSON, [])


@pytest.mark.parametrize(
    ("make", "format"), [(chat, {"response_format": {"type": "text"}}), (responses, {"text": {"verbosity": "low"}})]
)
def test_plain_text_is_no_format(make, format):
    assert answer(make(**format), ANSWER) == MADE


@pytest.mark.parametrize("format", [{}, CHAT_FORMATS[0]])
def test_a_required_call_goes_before_a_format(format):
    request = adjusted(chat(tool_choice="required", **format))
    assert request.response_format is None
    assert answer(chat(tool_choice="required", **format), ANSWER) == MADE


def test_responses_require_calls_by_the_same_grammar():
    def grammar(request):
        return adjusted(request).to_sampling_params(16, {}).structured_outputs.grammar

    assert grammar(responses(tool_choice="required")) == grammar(chat(tool_choice="required"))
    named = grammar(responses(tool_choice={"type": "function", "name": "now"}))
    assert named == grammar(chat(tool_choice={"type": "function", "function": {"name": "now"}}))
    assert "now" in named and "get_weather" not in named
    with_format = responses(tool_choice="required", text={"format": {"type": "json_object"}})
    assert grammar(with_format) == grammar(chat(tool_choice="required"))
    single = grammar(responses(tool_choice="required", parallel_tool_calls=False))
    assert single == grammar(chat(tool_choice="required", parallel_tool_calls=False)) != named


def test_a_custom_tool_of_responses_is_required_with_its_text():
    request = responses(
        with_tools=False,
        tools=[{"type": "custom", "name": "run_sql", "description": "SQL"}],
        tool_choice={"type": "custom", "name": "run_sql"},
    )
    assert '\\"input\\"' in adjusted(request).structured_outputs.grammar
    text = '{"thought": "", "tool_calls": [{"name": "run_sql", "arguments": {"input": "select 1"}}]}'
    assert answer(request, text) == ("", [("run_sql", {"input": "select 1"})])


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "now"}]},
        {"type": "web_search_preview"},
        {"type": "mcp", "server_label": "s"},
    ],
)
@pytest.mark.parametrize("with_tools", [True, False])
def test_a_choice_that_cannot_be_enforced_is_refused(choice, with_tools):
    with pytest.raises(ValueError, match=rf"tool_choice is .*{choice['type']}.*can't be enforced"):
        adjusted(responses(tool_choice=choice, with_tools=with_tools))


def continued(make, content, **options):
    """A request whose last message is to be gone on with."""
    if make is chat:
        flags = {"continue_final_message": True, "add_generation_prompt": False}
        return chat(messages=[USER, {"role": "assistant", "content": content}], **flags, **options)
    given = [{"type": "output_text", "text": content, "annotations": []}]
    message = {"type": "message", "id": "m", "role": "assistant", "status": "incomplete", "content": given}
    return responses(input=[USER, message], **options)


@pytest.mark.parametrize("make", [chat, responses])
def test_a_message_that_is_gone_on_with_is_read_as_a_whole(make):
    assert answer(continued(make, "Look "), ANSWER.removeprefix('{"thought": "Look ')) == ("it up.", MADE[1])
    assert answer(continued(make, ""), ANSWER.removeprefix('{"thought": "')) == MADE
    rest = '", "tool_calls": []}'
    assert answer(continued(make, 'Say "hi"\n'), "twice" + rest) == ("twice", [])
    assert answer(continued(make, "Look ", tool_choice="none"), "there" + rest) == ("there", [])
    text = '"tool_calls": no end'  # what is malformed is sent as it was written
    assert text in answer(continued(make, "Look "), f'there", {text}')[0]


def test_the_prompt_ends_with_what_the_parser_takes_for_the_beginning():
    from xlam_lib.views import begun_text

    last = {"role": "assistant", "content": "Ist's kalt? Ja, "}
    for more in ({}, {"reasoning": "Frage:\n?"}, {"reasoning_content": "F"}):
        message = {**last, **more}
        flags = {"continue_final_message": True, "add_generation_prompt": False}
        assert served([USER, message], **flags).endswith(f"<|assistant|>\n{begun_text(message)}")


@pytest.mark.parametrize("make", [chat, responses])
def test_what_cannot_be_gone_on_with_is_refused(make):
    with pytest.raises(ValueError, match="can't be required of an answer that goes on"):
        adjusted(continued(make, "Look ", tool_choice="required"))


def test_a_message_with_calls_cannot_be_gone_on_with():
    call = {"id": "a", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Look ", "tool_calls": [call]}
    request = chat(messages=[USER, message], continue_final_message=True, add_generation_prompt=False)
    with pytest.raises(ValueError, match="has tool calls, so it can't be gone on with"):
        adjusted(request)


def test_words_of_the_user_that_are_gone_on_with_are_no_answer():
    request = chat(continue_final_message=True, add_generation_prompt=False)
    assert answer(request, " And in Bergen? ") == (" And in Bergen? ", [])


# --- the prompt, as vLLM hands messages to the template -----------------------------------------------------------


def served(messages, **options):
    """The prompt that vLLM's server writes."""
    from transformers.utils.chat_template_utils import render_jinja_template
    from vllm.renderers.chat_utils import parse_chat_messages

    request = chat(messages=messages, **options)
    text_only = SimpleNamespace(multimodal_config=None, enable_prompt_embeds=False)
    conversation, _, _ = parse_chat_messages(request.messages, text_only, "string")
    rendered, _ = render_jinja_template(
        [conversation],
        tools=[tool.model_dump() for tool in request.tools],
        chat_template=chat_template(BRIEF_STYLE),
        add_generation_prompt=request.add_generation_prompt,
        continue_final_message=request.continue_final_message,
        eos_token="<|end|>",
    )
    return rendered[0]


def from_codec(messages):
    """The prompt that the codec writes."""
    system, steps = steps_of(openai_messages(messages))
    style = replace(BRIEF_STYLE, task_instruction=system or BRIEF_STYLE.task_instruction)
    return model_prompt(render_prompt(tools_from_any(FUNCTIONS), *history_steps(steps), style))


def said(**more):
    return {"role": "assistant", "content": "Cold.", **more}


CALL = {"id": "a", "type": "function", "function": {"name": "now", "arguments": '{"zone": "Å", "n": 1e2}'}}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "12:00"}


@pytest.mark.parametrize(
    "messages",
    [
        [USER, said(reasoning="Hm."), USER],
        [USER, said(reasoning_content="Hm."), USER],
        [USER, said(reasoning_content="Hm.", reasoning=None), USER],
        [USER, said(reasoning="Hm.", reasoning_content="Hm."), USER],
        [USER, {"role": "assistant", "reasoning_content": "Hm."}, USER],
        [USER, said(content=None, reasoning_content="Hm.", tool_calls=[CALL]), RESULT],
        [USER, said(content="", reasoning_content="Hm.", tool_calls=[{**CALL, "index": 0}]), RESULT],
        [USER, said(refusal=None, annotations=[], audio=None, function_call=None, tool_calls=None), USER],
        [USER, said(provider_specific_fields={"refusal": None}, reasoning_content="Hm.", tool_calls=[]), USER],
        [USER, said(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), USER],
        [{"role": "system", "content": "A."}, {"role": "system", "content": "B."}, USER],
        [{"role": "developer", "content": "A."}, USER, {"role": "system", "content": "B."}],
        [USER, said(), {"role": "system", "content": "B."}, USER],
        [
            {"role": "system", "content": ""},
            USER,
            said(tool_calls=[CALL]),
            {"role": "developer", "content": "B."},
            RESULT,
        ],
    ],
)
def test_server_and_codec_write_the_same_prompt(messages):
    assert served(messages) == from_codec(messages)


@given(trajectories())
@settings(max_examples=50, deadline=None)
def test_server_and_codec_write_the_same_prompt_of_any_trajectory(trajectory):
    messages = to_openai(trajectory.steps)
    assert served(messages) == from_codec(messages)
