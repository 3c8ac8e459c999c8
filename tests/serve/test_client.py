"""The xLAM client's requests, readings and errors, against a small HTTP server that answers as prepared.

The real server is tested in test_vllm.py; here the point is what goes over the wire.
"""

import asyncio
import json
import threading
import time
import timeit
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from seed_example import MESSAGES, TOOLS

from xlam_lib.codec import BRIEF_STYLE, tools_from_any
from xlam_lib.endpoint import (
    ClientError,
    RequestRefusedError,
    ServerFailedError,
    ServerUnreachableError,
    UnknownModelError,
    openai_client,
)
from xlam_lib.serve.choices import collect_choices, collect_stream
from xlam_lib.serve.client import xLAMChatCompletion, xLAMConfig
from xlam_lib.serve.compare import equal_offline, served_texts
from xlam_lib.serve.messages import MessageError, openai_messages
from xlam_lib.views import tools_to_openai

ANSWER = '{"thought": "Look.", "tool_calls": [{"name": "search", "arguments": {"query": "weather"}}]}'
CALL = {"name": "search", "arguments": {"query": "weather"}}


class Wire:
    """What was asked, and what is answered."""

    def __init__(self, url):
        self.url, self.asked, self.answers, self.keys = url, [], [], []
        self.reply = None  # makes the answer of the request, in place of `answers`
        self.lock, self.now, self.most = threading.Lock(), 0, 0  # how many requests are answered at once

    def client(self, **config):
        return xLAMChatCompletion.from_config(xLAMConfig(self.url, "m", max_retries=0, **config))


@pytest.fixture
def wire():
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # a connection is kept, as real servers do
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body go out together

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            wire.asked.append((self.path, body))
            wire.keys.append(self.headers["Authorization"])
            with wire.lock:
                wire.now += 1
                wire.most = max(wire.most, wire.now)
            status, answer = wire.reply(body) if wire.reply else wire.answers.pop(0)
            with wire.lock:
                wire.now -= 1
            stream = isinstance(answer, list)
            data = "".join(f"data: {json.dumps(part)}\n\n" for part in answer) + "data: [DONE]\n\n" if stream else ""
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
            content = (data or json.dumps(answer)).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wire = Wire(f"http://127.0.0.1:{server.server_port}/v1/")
    yield wire
    server.shutdown()
    server.server_close()


def chat(content, calls=(), finish="stop"):
    listed = [{"id": f"x{i}", "type": "function", "function": call} for i, call in enumerate(calls)]
    message = {"role": "assistant", "content": content, "tool_calls": listed}
    return 200, {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }


def text(answer, finish="stop"):
    return 200, {
        "id": "1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": answer, "finish_reason": finish}],
    }


def chunks(*deltas, finish="stop"):
    parts = [*({"index": 0, "delta": delta} for delta in deltas), {"index": 0, "delta": {}, "finish_reason": finish}]
    return 200, [
        {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [part]} for part in parts
    ]


def test_the_originals_snippet_by_the_servers_tools(wire):
    wire.answers = [chat("Look.", [{"name": "search", "arguments": '{"query": "weather"}'}], "tool_calls")]
    response = wire.client().completion(MESSAGES, tools=TOOLS)
    path, body = wire.asked[0]
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "m",
        "temperature": 0.0,
        "max_tokens": 512,
        "messages": openai_messages(MESSAGES),
        "tools": tools_to_openai(tools_from_any(TOOLS)),
    }
    choice = response["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "Look.", "tool_calls": [{"id": "x0", **CALL}]}
    assert (choice["finish_reason"], choice["problems"], response["model"]) == ("tool_calls", [], "m")
    again = [*MESSAGES, choice["message"], {"role": "tool", "content": "sunny"}]  # the answer goes back as it is
    assert openai_messages(again)[-1]["tool_call_id"] == "x0"


@pytest.mark.parametrize("mode", ["prompt", "completion"])
def test_the_originals_snippet_rendered_by_us(wire, mode):
    wire.answers = [chat(ANSWER) if mode == "prompt" else text(ANSWER)]
    llm = wire.client(mode=mode, style=BRIEF_STYLE)
    choice = llm.completion(MESSAGES, tools=TOOLS, seed=7)["choices"][0]
    path, body = wire.asked[0]
    prompt = llm.prompt(MESSAGES, TOOLS)
    assert "tools" not in body and body["seed"] == 7
    if mode == "prompt":
        assert path == "/v1/chat/completions" and body["messages"] == [{"role": "user", "content": prompt}]
    else:
        assert path == "/v1/completions" and body["prompt"] == f"<|user|>\n{prompt}<|assistant|>\n"
    assert prompt.startswith("[BEGIN OF TASK INSTRUCTION]\nYou are a helpful assistant.\n[END OF TASK INSTRUCTION]\n\n")
    assert "[BEGIN OF QUERY]\nWhat's the weather like in New York?\n[END OF QUERY]" in prompt
    history = json.loads(prompt.split("[BEGIN OF HISTORY STEPS]\n")[1].split("\n[END OF")[0])
    assert history == [
        {
            "step_id": 1,
            "thought": MESSAGES[2]["content"],
            "tool_calls": [{"name": "get_weather", "arguments": {"location": "New York", "unit": "fahrenheit"}}],
            "next_observation": MESSAGES[3]["content"],
            "user_input": MESSAGES[4]["content"],
        }
    ]
    assert choice["message"] == {"role": "assistant", "content": "Look.", "tool_calls": [{"id": "call_1", **CALL}]}
    assert (choice["finish_reason"], choice["problems"]) == ("tool_calls", [])


def test_streams_end_with_the_same_choice(wire):
    function = {"name": "search", "arguments": '{"query": '}
    wire.answers = [
        chunks(
            {"role": "assistant", "content": ""},
            {"content": "Lo"},
            {"content": "ok."},
            {"tool_calls": [{"index": 0, "id": "x0", "type": "function", "function": function}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '"weather"}'}}]},
            finish="tool_calls",
        ),
        chunks(*({"content": ANSWER[i : i + 7]} for i in range(0, len(ANSWER), 7))),
    ]
    calls = list(wire.client().stream(MESSAGES, TOOLS))
    read = list(wire.client(mode="prompt").stream(MESSAGES, TOOLS))
    for pieces, call_id in ((calls, "x0"), (read, "call_1")):
        assert "".join(piece["content"] for piece in pieces[:-1]) == "Look." and len(pieces) >= 3
        message = {"role": "assistant", "content": "Look.", "tool_calls": [{"id": call_id, **CALL}]}
        assert pieces[-1] == {"index": 0, "message": message, "finish_reason": "tool_calls", "problems": []}
    assert wire.asked[0][1]["stream"] is True


def several(*parts):
    """A stream whose chunks belong to several choices: (index, delta or text, finish reason)."""
    listed = [
        {"index": index, **({"delta": piece} if isinstance(piece, dict) else {"text": piece}), "finish_reason": finish}
        for index, piece, finish in parts
    ]
    return 200, [{"id": "1", "object": "chunk", "created": 1, "model": "m", "choices": [one]} for one in listed]


def call_piece(name, arguments):
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": 0, "id": f"id-{name}", "type": "function", "function": function}]}


@pytest.mark.parametrize("mode", ["tools", "prompt", "completion"])
def test_the_choices_of_a_stream_are_kept_apart(wire, mode):
    if mode == "tools":
        parts = [(1, {"content": "It "}, None), (0, {"content": "Lo"}, None), (0, {"content": "ok."}, None)]
        parts += [(0, call_piece("search", '{"query": "weather"}'), None), (1, {"content": "rains."}, None)]
        parts += [(1, {}, "stop"), (0, {}, "tool_calls")]
    else:
        texts = [
            (index, answer[at : at + 9]) for at in range(0, 99, 9) for index, answer in ((1, "It rains."), (0, ANSWER))
        ]
        parts = [
            (index, piece if mode == "completion" else {"content": piece}, None) for index, piece in texts if piece
        ]
        parts += [(index, "" if mode == "completion" else {}, "stop") for index in (0, 1)]
    wire.answers = [several(*parts)]
    *pieces, first, second = wire.client(mode=mode).stream(MESSAGES, TOOLS, n=2)
    said = {index: "".join(piece["content"] for piece in pieces if piece["index"] == index) for index in (0, 1)}
    assert said == {0: "Look.", 1: "It rains."}
    assert (first["index"], first["message"]["content"], first["finish_reason"]) == (0, "Look.", "tool_calls")
    assert [{"name": call["name"], "arguments": call["arguments"]} for call in first["message"]["tool_calls"]] == [CALL]
    message = {"role": "assistant", "content": "It rains.", "tool_calls": []}
    assert (second["index"], second["message"], second["finish_reason"]) == (1, message, "stop")


def test_one_choice_of_a_stream_is_collected(wire):
    wire.answers = [
        several((0, {"content": "a"}, None), (1, {"content": "b", "reasoning": "c"}, None), (1, {}, "stop"))
    ] * 2
    client = openai_client(wire.url)
    ask = {"model": "m", "messages": MESSAGES[:2], "stream": True}
    message = {"role": "assistant", "content": "b", "tool_calls": [], "reasoning": "c"}
    chunks = list(client.chat.completions.create(**ask))
    assert collect_stream(chunks, 1) == {"message": message, "finish_reason": "stop"}
    assert collect_stream(chunks)["message"]["content"] == "a" and list(collect_choices(chunks)) == [0, 1]
    assert collect_stream([]) == {
        "message": {"role": "assistant", "content": "", "tool_calls": []},
        "finish_reason": None,
    }


@pytest.mark.parametrize("mode", ["prompt", "completion"])
def test_the_form_that_a_client_asks_for_comes_back_untouched(wire, mode):
    own = '{"thought": "It will rain.", "answer": 42}'
    wishes = [{"extra_body": {"response_format": {"type": "json_object"}}}]
    wishes += [{"extra_body": {"structured_outputs": {"json": {}}}}]
    wishes += [{"response_format": {"type": "json_object"}}] if mode == "prompt" else []
    for options in wishes:
        part = (lambda text: text) if mode == "completion" else (lambda text: {"content": text})
        wire.answers = [
            text(own) if mode == "completion" else chat(own),
            several((0, part(own), None), (0, part(""), "stop")),
        ]
        choice = wire.client(mode=mode).completion(MESSAGES, TOOLS, **options)["choices"][0]
        assert (choice["message"]["content"], choice["problems"]) == (own, [])
        *pieces, last = wire.client(mode=mode).stream(MESSAGES, TOOLS, **options)
        assert "".join(piece["content"] for piece in pieces) == own and last == choice
    wire.answers = [text(ANSWER) if mode == "completion" else chat(ANSWER)]
    choice = wire.client(mode=mode).completion(MESSAGES, TOOLS, extra_body={"response_format": {"type": "text"}})[
        "choices"
    ][0]
    assert choice["message"]["content"] == "Look."


def test_what_was_not_offered_is_not_called_and_repairs_are_reported(wire):
    other = ANSWER.replace("search", "erase")
    wire.answers = [chat(other), chat("", [{"name": "search", "arguments": '{"query": "two\nlines"}'}])]
    wire.answers += [chat(ANSWER[:60], finish="length")]
    choice = wire.client(mode="prompt").completion(MESSAGES, TOOLS)["choices"][0]
    assert choice["message"]["tool_calls"] == [] and choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == 'Look.\n{"name": "erase", "arguments": {"query": "weather"}}'
    assert choice["problems"] == ["calls 'erase', which is not among the tools"]
    choice = wire.client().completion(MESSAGES, TOOLS)["choices"][0]
    assert choice["message"]["tool_calls"][0]["arguments"] == {"query": "two\nlines"}
    assert choice["problems"] == ["call of 'search': raw control characters in a string accepted"]
    choice = wire.client(mode="prompt").completion(MESSAGES, TOOLS)["choices"][0]
    assert (choice["message"]["content"], choice["message"]["tool_calls"]) == ("Look.", [])
    assert [problem[:7] for problem in choice["problems"]] == ["cut off", "malform"]


def test_problems_are_reported(wire):
    wire.answers = [
        chat("Look", finish="length"),
        chat(ANSWER),
        chat("", [{"name": "search", "arguments": '{"query'}, {"name": "search", "arguments": '{"town": 1}'}]),
        chat("It is sunny."),
    ]
    cut, as_text, broken, words = (wire.client().completion(MESSAGES, tools=TOOLS)["choices"][0] for _ in range(4))
    assert cut["problems"] == ["cut off: the answer reached max_tokens"] and cut["finish_reason"] == "length"
    assert "start the server with the tool parser xlam_json" in as_text["problems"][0]
    assert as_text["message"]["content"] == ANSWER
    assert [call["arguments"] for call in broken["message"]["tool_calls"]] == [{"town": 1}]
    assert "was left out" in broken["problems"][0] and "'query' is a required property" in broken["problems"][1]
    assert words["problems"] == [] and words["message"]["content"] == "It is sunny."


def test_without_tools_none_are_sent_and_calls_stay_text(wire):
    wire.answers = [chat("Hello"), chat(ANSWER)]
    assert wire.client().completion(MESSAGES[:2])["choices"][0]["message"]["content"] == "Hello"
    assert "tools" not in wire.asked[0][1]
    choice = wire.client(mode="prompt").completion(MESSAGES[:2])["choices"][0]
    assert choice["message"]["tool_calls"] == [] and "search" in choice["message"]["content"]


def test_the_key_comes_from_the_environment_and_is_not_shown(wire, monkeypatch):
    wire.answers = [chat("a"), chat("b"), chat("c")]
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    wire.client().completion(MESSAGES)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    wire.client().completion(MESSAGES)
    wire.client(api_key="sk-2").completion(MESSAGES)
    assert wire.keys == ["Bearer EMPTY", "Bearer sk-1", "Bearer sk-2"]
    assert "sk-2" not in repr(xLAMConfig(wire.url, "m", api_key="sk-2"))


def test_a_proxy_is_not_asked_for_this_machine(wire, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    wire.answers = [chat("a")]
    assert wire.client().completion(MESSAGES)["choices"][0]["message"]["content"] == "a"


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, RequestRefusedError, "status 400: too long"),
        (401, RequestRefusedError, "status 401"),
        (404, UnknownModelError, "knows no model 'm': too long"),
        (500, ServerFailedError, "failed with status 500"),
    ],
)
def test_refusals_are_named(wire, status, kind, message):
    wire.answers = [(status, {"error": {"message": "too long", "code": status}})] * 2
    with pytest.raises(kind, match=message) as error:
        wire.client().completion(MESSAGES, tools=TOOLS)
    assert isinstance(error.value, ClientError) and wire.url in str(error.value)
    with pytest.raises(kind, match=message):
        list(wire.client().stream(MESSAGES, TOOLS))


def test_nobody_there():
    llm = xLAMChatCompletion(xLAMConfig("http://127.0.0.1:9/v1", "m", max_retries=0))
    with pytest.raises(ServerUnreachableError, match="no server answers at http://127.0.0.1:9/v1.*xlam_lib.serve"):
        llm.completion(MESSAGES)


def test_in_an_event_loop_it_is_the_same(wire):
    wire.answers = [
        chat("Look.", [{"name": "search", "arguments": '{"query": "weather"}'}], "tool_calls"),
        chunks(
            {"content": "Lo"}, {"content": "ok."}, call_piece("search", '{"query": "weather"}'), finish="tool_calls"
        ),
        (500, {"error": {"message": "oops", "code": 500}}),
    ] * 2

    async def asked():
        llm = wire.client()
        whole = await llm.acompletion(MESSAGES, tools=TOOLS, seed=3)
        pieces = [piece async for piece in llm.astream(MESSAGES, TOOLS)]
        with pytest.raises(ServerFailedError, match="oops"):
            await llm.acompletion(MESSAGES)
        await llm.aclose()
        return whole, pieces

    first = asyncio.run(asked())
    assert first == asyncio.run(asked())  # another loop
    whole, pieces = first
    assert whole["choices"][0]["message"]["tool_calls"] == [{"id": "x0", **CALL}]
    assert [piece["content"] for piece in pieces[:-1]] == ["Lo", "ok."]
    assert pieces[-1]["message"]["tool_calls"][0]["arguments"] == CALL["arguments"]
    assert wire.asked[0][1]["seed"] == 3 and wire.asked[1][1]["stream"] is True


def test_a_batch_keeps_its_order_and_every_error(wire):
    def reply(body):
        content = body["messages"][0]["content"]
        time.sleep(0.01)
        return (503, {"error": {"message": "busy"}}) if content == "7" else chat(content)

    wire.reply = reply
    asked = [[{"role": "user", "content": str(number)}] for number in range(40)] + [[{"role": "nobody"}]]
    found = wire.client().batch(asked, concurrency=8)
    assert isinstance(found[7], ServerFailedError) and isinstance(found[40], MessageError)
    texts = [one["choices"][0]["message"]["content"] for one in found if isinstance(one, dict)]
    assert texts == [str(number) for number in range(40) if number != 7]
    assert 1 < wire.most <= 8 and len(wire.asked) == 40


def test_what_may_pass_is_tried_again_and_a_time_out_is_named(wire):
    wire.answers = [(503, {"error": {"message": "busy"}}), (429, {"error": {"message": "slowly"}}), chat("a")]
    llm = xLAMChatCompletion(xLAMConfig(wire.url, "m", max_retries=2))
    assert llm.completion(MESSAGES)["choices"][0]["message"]["content"] == "a" and len(wire.asked) == 3
    wire.reply = lambda body: time.sleep(1) or chat("late")
    with pytest.raises(ServerUnreachableError, match="did not answer in time"):
        wire.client(timeout=0.2).completion(MESSAGES)


def test_usage_is_reported_whole_and_streamed(wire):
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    status, whole = chat("a")
    _, parts = chunks({"content": "a"})
    wire.answers = [
        (status, {**whole, "usage": usage}),
        (status, [*parts, {**parts[0], "choices": [], "usage": usage}]),
    ]
    assert wire.client().completion(MESSAGES)["usage"] == usage
    pieces = list(wire.client().stream(MESSAGES, stream_options={"include_usage": True}))
    assert pieces[-1] == {"usage": usage} and wire.asked[1][1]["stream_options"] == {"include_usage": True}
    wire.answers = [(status, {**whole, "usage": usage})]
    assert wire.client().ask(MESSAGES, tools=TOOLS).prompt_tokens == 9
    assert (
        "no server answers"
        in xLAMChatCompletion(xLAMConfig("http://127.0.0.1:9/v1", "m", max_retries=0)).ask(MESSAGES).error
    )


@pytest.mark.parametrize("mode", ["prompt", "completion"])
def test_calls_are_held_to_the_schema_of_the_tools(wire, mode):
    named = {"type": "function", "function": {"name": "search"}}
    cases = [  # config, tool_choice -> tools in the schema, least and most calls
        (False, "required", ["get_weather", "search", "respond"], 1, None),
        (False, named, ["search"], 1, 1),
        (True, "auto", ["get_weather", "search", "respond"], 0, None),
        (True, "none", None, None, None),
        (False, "auto", None, None, None),
    ]
    for structured, choice, names, least, most in cases:
        wire.answers, wire.asked = [chat(ANSWER) if mode == "prompt" else text(ANSWER)], []
        found = wire.client(mode=mode, structured=structured).completion(MESSAGES, TOOLS, tool_choice=choice)
        body = wire.asked[0][1]
        assert "tool_choice" not in body
        made = found["choices"][0]["message"]["tool_calls"]
        assert [call["name"] for call in made] == ([] if choice == "none" else ["search"])
        if names is None:
            assert "response_format" not in body
            continue
        array = body["response_format"]["json_schema"]["schema"]["properties"]["tool_calls"]
        calls = array["items"].get("anyOf") or [array["items"]]
        assert [call["properties"]["name"]["const"] for call in calls] == names
        assert (array["minItems"], array.get("maxItems")) == (least, most)
    with pytest.raises(MessageError, match="no such tool"):
        wire.client(mode=mode).completion(
            MESSAGES, TOOLS, tool_choice={"type": "function", "function": {"name": "erase"}}
        )
    with pytest.raises(MessageError, match="expected 'auto'"):
        wire.client(mode=mode).completion(MESSAGES, TOOLS, tool_choice="always")
    with pytest.raises(ValueError, match="tool_choice='required'"):
        wire.client(structured=True)


def test_a_request_costs_the_client_under_two_milliseconds(wire):
    """Of its own processor time, with all of the openai package: what others do on the machine is no part of it."""
    wire.reply = lambda body: chat("Look.", [{"name": "search", "arguments": '{"query": "weather"}'}], "tool_calls")
    llm = wire.client()
    llm.completion(MESSAGES, tools=TOOLS)
    times = timeit.repeat(lambda: llm.completion(MESSAGES, tools=TOOLS), timer=time.thread_time, number=20, repeat=10)
    assert min(times) / 20 < 0.002, f"{50 * min(times):.2f} ms a request"


def test_an_unknown_mode():
    with pytest.raises(ValueError, match="mode is 'chat', expected 'tools', 'prompt' or 'completion'"):
        xLAMConfig("http://localhost:8000/v1", "m", mode="chat")


def test_served_texts_keep_their_order(wire):
    wire.answers = [text("same")] * 5
    assert served_texts(wire.url, "m", ["a", "b", "c", "d", "e"], max_tokens=3, concurrency=2) == ["same"] * 5
    assert sorted(body["prompt"] for _, body in wire.asked) == ["a", "b", "c", "d", "e"]
    assert {body["temperature"] for _, body in wire.asked} == {0.0}


def test_equality():
    found = equal_offline(["a", "b", "c", "d"], ["a", "b", "x", "d"])
    assert (found.share, found.differing) == (0.75, ((2, "c", "x"),))
    assert str(found) == "3 of 4 served answers equal the offline ones (75.0%)"
    for served, offline in (([], []), (["a"], ["a", "b"])):
        with pytest.raises(ValueError, match="offline answers"):
            equal_offline(served, offline)


def test_the_stock_client_is_an_openai_client():
    assert str(openai_client("http://localhost:8000/v1").base_url) == "http://localhost:8000/v1/"
