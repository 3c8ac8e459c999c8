"""The real thing: a tiny model behind vLLM, started once for all tests here; the last one kills it.

The model has learnt a few answers by heart (tiny.py): two calls, an answer to their results, a v2 list, plain words,
and one that breaks off. What it says to anything else is garbage, which must arrive untouched.
"""

import json
import time

import openai
import psutil
import pytest
import tiny
from seed_example import MESSAGES
from seed_example import TOOLS as SEED_TOOLS

from xlam_lib.chat_template import model_prompt
from xlam_lib.codec import BRIEF_STYLE, history_steps, render_prompt, tools_from_any
from xlam_lib.endpoint import ClientError, RequestRefusedError, UnknownModelError
from xlam_lib.serve.choices import collect_stream
from xlam_lib.serve.client import xLAMChatCompletion, xLAMConfig
from xlam_lib.serve.compare import equal_offline, served_texts
from xlam_lib.serve.engines.base import PortInUseError, ServerDiedError
from xlam_lib.serve.engines.local import get
from xlam_lib.serve.engines.vllm import ServerFlags, VllmServer
from xlam_lib.serve.messages import openai_messages, steps_of
from xlam_lib.serve.streaming import read_message

pytestmark = pytest.mark.slow
KEY = "3f9a-not-to-be-shown"
TOOLS = tools_from_any(tiny.TOOLS)
GARBAGE = [tiny.user(text) for text in ("Hm?", "Weather in Lima?", "Tell a story.", "a b c", "{}", "Grüße 😀")]
CONVERSATIONS = [conversation for conversation, _ in tiny.LEARNT.values()] + GARBAGE


@pytest.fixture(scope="module")
def folder(by_heart):
    return by_heart


@pytest.fixture(scope="module")
def server(folder):
    flags = ServerFlags(max_model_len=4096)  # cut to what the model can
    server = VllmServer(folder, log=folder.parent / "vllm.log", flags=flags, api_key=KEY)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("path", ["/v1/models", "/tokenize", "/generative_scoring", "/metrics", "/docs", "/ping"])
def test_nothing_is_answered_without_the_key(server, path):
    assert get(server.port, path) is None and get(server.port, path, api_key=KEY + "x") is None
    assert get(server.port, "/health") is not None and get(server.port, "/v1/models", api_key=KEY) is not None
    assert KEY not in server.log_file.read_text()


@pytest.fixture(scope="module")
def texts(folder):
    """The model texts of all conversations, as the checkpoint's chat template writes them."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [tiny.prompt_text(tokenizer, conversation) for conversation in CONVERSATIONS]


@pytest.fixture(scope="module")
def served(server, texts):
    return served_texts(server.base_url, server.model, texts, max_tokens=100, api_key=server.api_key)


def ask(server, conversation, **options):
    options = {"tools": tiny.TOOLS, "temperature": 0, "max_tokens": 100, **options}
    return server.openai().chat.completions.create(model=server.model, messages=conversation, **options)


def respond(server, conversation, **options):
    """An answer of /v1/responses."""
    tools = [{"type": "function", **tool["function"]} for tool in tiny.TOOLS]
    options = {"tools": tools, "temperature": 0, "max_output_tokens": 200, "store": False, **options}
    return server.openai().responses.create(model=server.model, input=conversation, **options)


def calls_of(message):
    if not isinstance(message, dict):
        message = message.model_dump()
    return [(call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"] or []]


def llm(server, **config):
    config = {"mode": "tools", "style": BRIEF_STYLE, "max_tokens": 100, "api_key": server.api_key, **config}
    return xLAMChatCompletion.from_config(xLAMConfig(server.base_url, server.model, **config))


def test_served_answers_equal_offline_ones(folder, texts, served):
    found = equal_offline(served, tiny.offline(folder, texts, max_new_tokens=100))
    assert found.share == 1.0, found.differing
    assert served[: len(tiny.LEARNT)] == [answer for _, answer in tiny.LEARNT.values()]


def test_the_server_renders_the_codecs_prompt(server, texts):
    for conversation, text in zip(CONVERSATIONS, texts, strict=True):
        rendered = ask(server, conversation, max_tokens=1, extra_body={"return_prompt_text": True}).prompt_text
        steps = history_steps(steps_of(openai_messages(conversation))[1])
        assert rendered == text == model_prompt(render_prompt(tools_from_any(tiny.TOOLS), *steps, BRIEF_STYLE))


@pytest.mark.parametrize("tools", [True, False])
def test_what_clients_send_back_becomes_the_same_prompt(server, tools):
    """Reasoning, keys that say nothing, several system messages and a late one: as the codec writes them."""
    assistant = {**tiny.RESULTS[1], "reasoning_content": "Hm.", "refusal": None, "annotations": []}
    system = [{"role": role, "content": f"{role} says."} for role in ("system", "developer", "system")]
    conversation = [*system[:2], tiny.RESULTS[0], assistant, system[2], *tiny.RESULTS[2:]]
    options = {"tools": tiny.TOOLS if tools else openai.NOT_GIVEN, "extra_body": {"return_prompt_text": True}}
    rendered = ask(server, conversation, max_tokens=1, **options).prompt_text
    assert rendered == model_prompt(llm(server).prompt(conversation, tiny.TOOLS if tools else None))
    assert "system says.\n\ndeveloper says.\n\nsystem says.\n" in rendered and '"thought": "Hm.\\nTwo' in rendered


FORMAT = {"type": "json_object"}


def test_json_that_the_client_asks_for_comes_back_untouched(server, served):
    for options in ({"response_format": FORMAT}, {"extra_body": {"structured_outputs": {"json_object": True}}}):
        for choice in ("auto", "none"):
            options = {**options, "tool_choice": choice}
            whole = ask(server, tiny.TWO_CALLS, **options).choices[0].message
            assert (whole.content, calls_of(whole)) == (served[0], [])
            added = collect_stream(ask(server, tiny.TWO_CALLS, stream=True, **options))
            assert (added["message"]["content"], calls_of(added["message"])) == (served[0], [])
    assert respond(server, tiny.TWO_CALLS, text={"format": FORMAT}).output_text == served[0]
    events = respond(server, tiny.TWO_CALLS, text={"format": FORMAT}, stream=True)
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == served[0]


def test_responses_make_the_calls_that_are_required(server):
    expected = [(call["name"], call["arguments"]) for call in tiny.CALLS]
    for choice in ("auto", "required"):
        whole = respond(server, tiny.TWO_CALLS, tool_choice=choice)
        made = [(item.name, json.loads(item.arguments)) for item in whole.output if item.type == "function_call"]
        assert made == expected
        events = list(respond(server, tiny.TWO_CALLS, tool_choice=choice, stream=True))
        streamed = [event.item for event in events if event.type == "response.output_item.done"]
        assert [(item.name, json.loads(item.arguments)) for item in streamed if item.type == "function_call"] == made
        assert whole.output_text == "Two cities, two calls."
    named = {"type": "function", "name": "now"}
    made = [item for item in respond(server, GARBAGE[2], tool_choice=named).output if item.type == "function_call"]
    assert [item.name for item in made] == ["now"]
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "now"}]}
    with pytest.raises(openai.BadRequestError, match="can't be enforced"):
        respond(server, tiny.TWO_CALLS, tool_choice=allowed)


def test_a_message_is_gone_on_with(server):
    conversation = [*tiny.TWO_CALLS, {"role": "assistant", "content": "Two cities,"}]
    options = {"extra_body": {"continue_final_message": True, "add_generation_prompt": False}}
    whole = ask(server, conversation, **options).choices[0].message
    assert whole.content == " two calls."
    assert calls_of(whole) == calls_of(ask(server, tiny.TWO_CALLS).choices[0].message)
    added = collect_stream(ask(server, conversation, stream=True, **options))["message"]
    assert (added["content"], calls_of(added)) == (whole.content, calls_of(whole))
    options["extra_body"]["echo"] = True
    assert ask(server, conversation, **options).choices[0].message.content == "Two cities, two calls."
    with pytest.raises(openai.BadRequestError, match="goes on with a message"):
        ask(server, conversation, tool_choice="required", **options)


def test_the_stock_client_gets_tool_calls(server):
    choice = ask(server, tiny.TWO_CALLS).choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content == "Two cities, two calls."
    assert [(name, json.loads(text)) for name, text in calls_of(choice.message)] == [
        (call["name"], call["arguments"]) for call in tiny.CALLS
    ]
    assert len({call.id for call in choice.message.tool_calls}) == 2
    choice = ask(server, tiny.LEARNT["list"][0]).choices[0]
    assert (choice.message.content, calls_of(choice.message)) == (None, [("now", "{}")])


def test_a_conversation_with_results_goes_on(server):
    choice = ask(server, tiny.RESULTS).choices[0]
    assert (choice.finish_reason, choice.message.tool_calls or []) == ("stop", [])
    assert choice.message.content == '4 degrees in Oslo,\n5 in "Malmö". 😀'


def test_nothing_the_model_writes_is_lost(server, served):
    """Learnt or garbage, whole or broken off: content and calls are what the codec reads in the model's own text."""
    for conversation, text in zip(CONVERSATIONS, served, strict=True):
        message, expected = ask(server, conversation).choices[0].message, read_message(text, tools=TOOLS)
        assert (message.content or "") == expected.content
        assert [(name, json.loads(text)) for name, text in calls_of(message)] == [
            (call.name, call.arguments) for call in expected.calls
        ]


@pytest.mark.parametrize("options", [{}, {"tool_choice": "required", "max_tokens": 60}, {"tool_choice": "none"}])
def test_streams_add_up_to_the_same(server, options):
    for conversation in CONVERSATIONS:
        whole = ask(server, conversation, **options).choices[0]
        chunks = list(ask(server, conversation, stream=True, **options))
        added = collect_stream(chunks)
        assert added["message"]["content"] == (whole.message.content or "")
        assert calls_of(added["message"]) == calls_of(whole.message)
        assert added["finish_reason"] == whole.finish_reason


def test_a_stream_comes_piece_by_piece(server):
    """A server that has to wait for the processor sends several pieces as one, so it gets some tries."""
    for _ in range(10):
        deltas = [chunk.choices[0].delta.content for chunk in ask(server, tiny.RESULTS, stream=True) if chunk.choices]
        if len([piece for piece in deltas if piece]) > 5:
            return
    raise AssertionError(f"in ten tries never more than five pieces, at last {deltas}")


def test_a_required_call_is_made(server):
    for conversation in (*GARBAGE, tiny.LEARNT["words"][0]):
        choice = ask(server, conversation, tool_choice="required", max_tokens=200, parallel_tool_calls=False).choices[0]
        assert len(calls_of(choice.message)) == 1 or choice.finish_reason == "length"
        named = {"type": "function", "function": {"name": "now"}}
        choice = ask(server, conversation, tool_choice=named, max_tokens=200).choices[0]
        assert {call[0] for call in calls_of(choice.message)} == {"now"} or choice.finish_reason == "length"
    assert calls_of(ask(server, tiny.TWO_CALLS, tool_choice="required").choices[0].message) == calls_of(
        ask(server, tiny.TWO_CALLS).choices[0].message
    )  # the grammar is that of the model's own format


def test_calls_are_not_made_where_none_may_be(server):
    choice = ask(server, tiny.LEARNT["list"][0], tool_choice="none").choices[0]
    assert (choice.message.content, calls_of(choice.message)) == ('[{"name": "now", "arguments": {}}]', [])


def test_an_answer_cut_off_makes_no_calls_and_says_so(server):
    choice = llm(server).completion(tiny.TWO_CALLS, tiny.TOOLS, max_tokens=25)["choices"][0]
    assert choice["finish_reason"] == "length" and choice["problems"][0].startswith("cut off")
    assert choice["message"]["tool_calls"] == []
    assert choice["message"]["content"] == "Two cities, two calls."  # and no bits of the calls


@pytest.mark.parametrize("mode", ["tools", "completion"])
def test_the_xlam_client(server, mode):
    client = llm(server, mode=mode)
    choice = client.completion(tiny.TWO_CALLS, tiny.TOOLS)["choices"][0]
    assert (choice["finish_reason"], choice["problems"]) == ("tool_calls", [])
    calls = choice["message"]["tool_calls"]
    assert [{"name": call["name"], "arguments": call["arguments"]} for call in calls] == tiny.CALLS
    *pieces, last = client.stream(tiny.TWO_CALLS, tiny.TOOLS)
    for call, other in zip(calls, last["message"]["tool_calls"], strict=True):
        call["id"] = other["id"]  # vLLM makes them up anew
    assert last == choice and "".join(piece["content"] for piece in pieces) == "Two cities, two calls."
    results = [{"role": "tool", "name": "get_weather", "content": {"celsius": celsius}} for celsius in (4, 5)]
    conversation = [*tiny.TWO_CALLS, choice["message"], *results]
    assert client.completion(conversation, tiny.TOOLS)["choices"][0]["message"]["content"].startswith("4 degrees")


def test_the_originals_snippet_is_served(server):
    response = llm(server, max_tokens=8).completion(MESSAGES, tools=SEED_TOOLS)
    assert response["choices"][0]["message"]["role"] == "assistant" and response["usage"]["completion_tokens"] <= 8


def test_bad_requests_are_named(server):
    client = llm(server)
    with pytest.raises(RequestRefusedError, match="status 400.*2048"):
        client.completion(tiny.user("long " * 2000), tiny.TOOLS)
    unclear = json.loads(json.dumps(tiny.TOOLS[1]))
    unclear["function"]["parameters"]["properties"] = {"zone": {"$ref": "#/$defs/Zone"}}
    with pytest.raises(RequestRefusedError, match="refer to '#/.defs/Zone', where nothing is defined"):
        client.completion(tiny.user("Hm"), [unclear], tool_choice="required")
    with pytest.raises(UnknownModelError, match="knows no model 'other'"):
        xLAMChatCompletion(xLAMConfig(server.base_url, "other", api_key=KEY)).completion(tiny.user("Hm"))


def test_its_port_is_in_use(server, folder):
    with pytest.raises(PortInUseError, match=f"port {server.port} on 127.0.0.1 can't be used"):
        VllmServer(folder, port=server.port).start()


def test_it_dies_with_its_engine_and_says_so(server):
    """The last test here: the server is gone afterwards."""
    process = psutil.Process(server.pid)
    children = process.children(recursive=True)
    engine = max(children, key=lambda child: child.memory_info().rss)
    engine.kill()
    with pytest.raises(
        ServerDiedError, match="(?s)the vLLM server for 'by-heart' .*Errors in its log:.*EngineDeadError"
    ):  # noqa: PT012
        for _ in range(300):
            server.check()
            with pytest.raises(ClientError):
                llm(server, max_retries=0).completion(tiny.TWO_CALLS, tiny.TOOLS)
            time.sleep(0.1)
    server.stop()
    left = psutil.wait_procs([process, *children], timeout=5)[1]
    assert all(child.status() == psutil.STATUS_ZOMBIE for child in left)  # ended, though nobody has asked how
