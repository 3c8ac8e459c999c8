"""Our own API over llama.cpp and over transformers: the tiny model behind each, started once for all tests here.

It has learnt a few answers by heart (tiny.py). What an engine sends to the model and what comes back is held against
the codec and against transformers' greedy answers.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import psutil
import pytest
import tiny

from xlam_lib.answers import calls_as_dicts
from xlam_lib.chat_template import chat_template, model_prompt
from xlam_lib.codec import BRIEF_STYLE, history_steps, render_prompt, tools_from_any
from xlam_lib.endpoint import RequestRefusedError
from xlam_lib.errors import CheckpointError
from xlam_lib.files import running
from xlam_lib.serve.api.llama_cpp import LlamaCpp
from xlam_lib.serve.choices import collect_stream
from xlam_lib.serve.client import xLAMChatCompletion, xLAMConfig
from xlam_lib.serve.compare import equal_offline, served_texts
from xlam_lib.serve.engines.api import TransformersServer
from xlam_lib.serve.engines.base import ServerError
from xlam_lib.serve.engines.llama_cpp import LlamaCppServer, converted
from xlam_lib.serve.engines.local import get
from xlam_lib.serve.messages import openai_messages, steps_of
from xlam_lib.serve.server import ENGINES, engine_of
from xlam_lib.serve.streaming import read_message

pytestmark = pytest.mark.slow
KEY = "3f9a-not-to-be-shown"
TOOLS = tools_from_any(tiny.TOOLS)
OURS = [name for name in ENGINES if name not in ("vllm", "fastchat")]  # they have tests of their own beside this file


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where exported files are kept during these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["XLAM_CACHE"])


@pytest.fixture(scope="module", params=OURS)
def server(request, by_heart, cache, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "server.log"
    with engine_of(request.param, str(by_heart), log=log, api_key=KEY, max_model_len=4096) as server:
        yield server


def ask(server, conversation, **options):
    options = {"tools": tiny.TOOLS, "temperature": 0, "max_tokens": 100, **options}
    return server.openai(max_retries=0).chat.completions.create(model=server.model, messages=conversation, **options)


def calls_of(message):
    message = message if isinstance(message, dict) else message.model_dump()
    return [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or []]


def as_pairs(calls):
    return [(call["name"], json.dumps(call["arguments"], ensure_ascii=False)) for call in calls]


def test_served_answers_equal_offline_ones(server, texts, offline):
    served = served_texts(server.base_url, server.model, texts, max_tokens=100, api_key=KEY)
    found = equal_offline(served, offline)
    assert found.share == 1.0, found.differing
    assert served[: len(tiny.LEARNT)] == [answer for _, answer in tiny.LEARNT.values()]


def test_the_model_reads_the_codecs_prompt(server, conversations, texts, by_heart):
    """The text, and as many tokens of it as the checkpoint's tokenizer makes."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(by_heart)
    for conversation, text in zip(conversations, texts, strict=True):
        found = ask(server, conversation, max_tokens=1, extra_body={"return_prompt_text": True})
        steps = history_steps(steps_of(openai_messages(conversation))[1])
        assert found.prompt_text == text == model_prompt(render_prompt(TOOLS, *steps, BRIEF_STYLE))
        assert found.usage.prompt_tokens == len(tokenizer(text)["input_ids"])


def test_nothing_the_model_writes_is_lost(server, conversations, offline):
    for conversation, text in zip(conversations, offline, strict=True):
        choice, expected = ask(server, conversation).choices[0], read_message(text, tools=TOOLS)
        assert (choice.message.content or "") == expected.content
        assert calls_of(choice.message) == as_pairs(calls_as_dicts(expected.calls))
        assert (choice.finish_reason == "tool_calls") is bool(expected.calls)


@pytest.mark.parametrize("options", [{}, {"tool_choice": "none"}, {"tool_choice": "required", "max_tokens": 60}])
def test_streams_add_up_to_the_same(server, conversations, options):
    for conversation in conversations:
        whole = ask(server, conversation, **options)
        chunks = list(ask(server, conversation, stream=True, stream_options={"include_usage": True}, **options))
        added, choice = collect_stream(chunks), whole.choices[0]
        assert added["message"]["content"] == (choice.message.content or "")
        assert calls_of(added["message"]) == calls_of(choice.message)
        assert (added["finish_reason"], chunks[-1].usage) == (choice.finish_reason, whole.usage)


def test_a_stream_comes_piece_by_piece(server):
    deltas = [chunk.choices[0].delta.content for chunk in ask(server, tiny.RESULTS, stream=True)]
    assert len([piece for piece in deltas if piece]) > 5


def test_calls_get_ids_and_none_is_made_where_none_may_be(server):
    message = ask(server, tiny.TWO_CALLS).choices[0].message
    assert calls_of(message) == as_pairs(tiny.CALLS) and len({call.id for call in message.tool_calls}) == 2
    assert len(calls_of(ask(server, tiny.TWO_CALLS, parallel_tool_calls=False).choices[0].message)) == 1
    choice = ask(server, tiny.LEARNT["list"][0], tool_choice="none").choices[0]
    assert (choice.message.content, choice.finish_reason) == ('[{"name": "now", "arguments": {}}]', "stop")
    unoffered = ask(server, tiny.LEARNT["list"][0], tools=tiny.TOOLS[:1]).choices[0].message
    assert "now" not in [name for name, _ in calls_of(unoffered)]


def test_a_required_call_is_made(server, conversations):
    one = {"tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 300}
    named = {"tool_choice": {"type": "function", "function": {"name": "now"}}, "max_tokens": 300}
    for conversation in conversations[2:7]:
        choice = ask(server, conversation, **one).choices[0]
        assert len(calls_of(choice.message)) == 1 or choice.finish_reason == "length"
        choice = ask(server, conversation, **named).choices[0]
        assert {name for name, _ in calls_of(choice.message)} == {"now"} or choice.finish_reason == "length"
    required = ask(server, tiny.TWO_CALLS, tool_choice="required").choices[0].message
    assert calls_of(required) == as_pairs(tiny.CALLS)  # the grammar is that of the model's own format


def test_json_that_the_client_asks_for_comes_back_untouched(server):
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False}
    for form, check in (
        ({"type": "json_object"}, lambda found: isinstance(found, dict)),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}, lambda found: found == {"a": 1}),
    ):
        choice = ask(server, tiny.TWO_CALLS, response_format=form).choices[0]
        assert check(json.loads(choice.message.content)) and not choice.message.tool_calls


def test_how_an_answer_ends(server):
    choice = ask(server, tiny.TWO_CALLS, max_tokens=25).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("length", "Two cities, two calls.")
    text = server.openai().completions.create
    prompt = {"model": server.model, "prompt": model_prompt(render_prompt(TOOLS, "Tell a joke.", (), BRIEF_STYLE))}
    whole = text(**prompt, temperature=0).choices[0]
    assert (whole.text, whole.finish_reason) == ("No joke [today]: sorry 😀.", "stop")
    for stop in ("]: s", ["nowhere", "joke ["]):
        found = text(**prompt, temperature=0, stop=stop).choices[0]
        first = stop if isinstance(stop, str) else stop[1]
        assert (found.text, found.finish_reason) == (whole.text[: whole.text.index(first)], "stop")
        streamed = text(**prompt, temperature=0, stop=stop, stream=True)
        assert "".join(chunk.choices[0].text for chunk in streamed) == found.text


def test_chance_is_the_same_for_the_same_seed(server, conversations):
    def answers(**options):
        return [ask(server, conversations[5], temperature=2.0, max_tokens=20, **options).choices[0].message.content]

    assert answers(seed=1) == answers(seed=1)
    assert len({*answers(seed=2), *answers(seed=3), *answers(seed=4), *answers(seed=5)}) > 1
    assert answers(seed=1, extra_body={"top_k": 1}) == answers(seed=2, top_p=0.0001)  # the likeliest each time


def test_many_clients_get_each_their_own(server, conversations, offline):
    """Of some that ask at once, with limits of their own, one goes away: nobody else notices."""
    order = [(number % len(conversations), 5 + number * 7 % 96) for number in range(40)]

    def one(given):
        number, limit = given
        stream = ask(server, conversations[number], max_tokens=limit, stream=True)
        if number == 1:
            next(iter(stream))
            stream.close()
            return None
        return collect_stream(stream)["message"]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(one, order))
    for (number, limit), message in zip(order, found, strict=True):
        if message:
            expected = ask(server, conversations[number], max_tokens=limit).choices[0].message
            assert (message["content"], calls_of(message)) == (expected.content or "", calls_of(expected))


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/completion", "/docs", "/metrics", "//health"])
def test_nothing_is_answered_without_the_key(server, path):
    for key in ("", KEY + "x"):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = httpx.post(f"http://127.0.0.1:{server.port}{path}", headers=headers, content=b"{", trust_env=False)
        assert answer.status_code == 401
    assert get(server.port, "/health") is not None and get(server.port, "/v1/models", api_key=KEY) is not None


def test_nothing_else_answers_and_the_key_is_shown_nowhere(server):
    """What llama.cpp itself listens at asks for a key of its own."""
    process = psutil.Process(server.pid)
    assert KEY not in " ".join(process.cmdline()) and KEY not in server.log_file.read_text()
    for line in process.net_connections("tcp"):
        if line.status == psutil.CONN_LISTEN:
            assert line.laddr.ip == "127.0.0.1"
            for headers in ({}, {"Authorization": f"Bearer {KEY}"}):
                if line.laddr.port != server.port:
                    url = f"http://127.0.0.1:{line.laddr.port}/completion"
                    body = {"prompt": "a", "n_predict": 1}
                    assert httpx.post(url, json=body, headers=headers, trust_env=False).status_code == 401


HALF = '{"model": "by-heart", "messages": [{"role": "user", "content": "\\ud800"}]}'
BAD = {
    "no JSON": ("{", 400, "no JSON"),
    "deep": ("[" * 200_000, 400, "no JSON"),
    "no object": ("[]", 400, "the request"),
    "no messages": ('{"model": "by-heart", "messages": []}', 400, "messages"),
    "half a character": (HALF, 400, "half of one"),
    "over the limit": ('{"messages": "' + "x" * (5 << 20) + '"}', 413, ""),
    "bad bytes": (b'{"model": "\xff"}', 400, "no JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_body_that_is_no_request(server, name):
    body, status, words = BAD[name]
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = httpx.post(f"{server.base_url}/chat/completions", content=body, headers=headers, trust_env=False)
    assert answer.status_code == status and words in answer.text
    server.check()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"conversation": [{"role": "alien", "content": "x"}]}, "expected an object with a role"),
        ({"conversation": tiny.user("long " * 3000)}, "context is 2048"),
        ({"conversation": tiny.user("x" * 1_000_000)}, "1,000,"),
        ({"conversation": [{"role": "tool", "content": "4"}]}, "not open"),
        ({"conversation": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "expected text"),
        ({"max_tokens": 2048}, "context is 2048"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"extra_body": {"n": 2}}, "n is not supported"),
        ({"logprobs": True}, "logprobs is not supported"),
        ({"tools": [{"nope": 1}]}, "tool 0"),
        ({"tools": [{"name": "f", "parameters": 3}]}, "tool 0"),
        ({"tool_choice": "sometimes"}, "can't be enforced"),
        ({"tool_choice": {"type": "function", "function": {"name": "other"}}}, "no such tool"),
        ({"tools": [], "tool_choice": "required"}, "no such tool"),
        ({"response_format": {"type": "json_schema"}}, "with a schema"),
        (
            {
                "tools": [{"name": "f", "parameters": {"properties": {"a": {"$ref": "#/$defs/none"}}}}],
                "tool_choice": "required",
            },
            "nothing is defined",
        ),
        ({"stream": True, "max_tokens": 2048}, "context is 2048"),
    ],
)
def test_a_request_that_cannot_be_served_is_named(server, options, words):
    with pytest.raises(openai.BadRequestError, match=words):
        ask(server, **{"conversation": tiny.user("Hm"), **options})
    assert ask(server, tiny.LEARNT["list"][0]).choices[0].finish_reason == "tool_calls"  # it is still up


def test_other_models_and_paths_are_not_found(server):
    with pytest.raises(openai.NotFoundError, match="serves|has 'by-heart'"):
        ask(server, tiny.TWO_CALLS, extra_body={"model": "other"})
    headers = {"Authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{server.base_url}/nothing", headers=headers, trust_env=False).status_code == 404
    assert httpx.get(f"{server.base_url}/completions", headers=headers, trust_env=False).status_code == 405


@pytest.mark.parametrize("mode", ["tools", "prompt", "completion"])
def test_the_xlam_client(server, mode):
    config = xLAMConfig(server.base_url, server.model, mode=mode, style=BRIEF_STYLE, max_tokens=100, api_key=KEY)
    client = xLAMChatCompletion.from_config(config)
    if mode == "prompt":  # for models without a template of ours: here the prompt comes to stand in a prompt
        assert client.completion(tiny.TWO_CALLS, tiny.TOOLS)["choices"][0]["message"]["role"] == "assistant"
        return
    choice = client.completion(tiny.TWO_CALLS, tiny.TOOLS)["choices"][0]
    assert (choice["finish_reason"], choice["problems"]) == ("tool_calls", [])
    calls = choice["message"]["tool_calls"]
    assert [{"name": call["name"], "arguments": call["arguments"]} for call in calls] == tiny.CALLS
    *pieces, last = client.stream(tiny.TWO_CALLS, tiny.TOOLS)
    assert last["message"]["content"] == "".join(piece["content"] for piece in pieces) == "Two cities, two calls."
    results = [{"role": "tool", "name": "get_weather", "content": {"celsius": celsius}} for celsius in (4, 5)]
    conversation = [*tiny.TWO_CALLS, choice["message"], *results]
    assert client.completion(conversation, tiny.TOOLS)["choices"][0]["message"]["content"].startswith("4 degrees")
    with pytest.raises(RequestRefusedError, match="status 400.*context is 2048"):
        client.completion(tiny.user("long " * 2000), tiny.TOOLS)


@pytest.mark.parametrize("name", OURS)
def test_it_goes_with_the_process_that_started_it(name, by_heart, cache, tmp_path):
    script = tmp_path / "owner.py"
    script.write_text(
        textwrap.dedent(f"""
        import time
        from xlam_lib.serve.server import engine_of
        server = engine_of({name!r}, {str(by_heart)!r}, log={str(tmp_path / "log")!r})
        server.start()
        print(server.pid, flush=True)
        time.sleep(600)
    """)
    )
    owner = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    pid = int(owner.stdout.readline())
    assert running(pid)
    owner.send_signal(signal.SIGKILL)
    owner.communicate(timeout=20)
    gone = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=15)[1]
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in gone)


def test_llama_cpp_reads_a_file_byte_for_byte(by_heart, texts, tmp_path):
    """With ids of the checkpoint's tokenizer and with its own: what it says that it was given is the codec's prompt."""
    from transformers import AutoTokenizer

    from xlam_lib.models.gguf import export

    tokenizer, file = AutoTokenizer.from_pretrained(by_heart), export(by_heart, tmp_path / "m.gguf", "float32", "gpt-2")

    async def read(backend):
        assert backend.template == tokenizer.chat_template == chat_template(BRIEF_STYLE)
        for text in texts:
            ids = await backend.tokens(text)
            assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]
            asked = {"prompt": ids, "n_predict": 1, "temperature": 0}
            assert (await backend._client.post("/completion", json=asked)).json()["prompt"] == text
        await backend._client.aclose()

    for folder in ("", by_heart):
        backend = LlamaCpp(file, folder, context=2048, slots=1)
        asyncio.run(read(backend))
        backend.close()


def test_a_checkpoint_is_exported_once(by_heart, cache):
    first = converted(by_heart, "q8_0")
    assert first.is_relative_to(cache / "gguf") and first.parent.name.endswith("-q8_0")
    before = first.stat()
    assert converted(by_heart, "q8_0") == first and first.stat().st_mtime_ns == before.st_mtime_ns


def test_what_cannot_be_served_is_named(by_heart, tmp_path, cache):
    file = tmp_path / "no.gguf"
    file.write_bytes(b"no GGUF")
    with pytest.raises(CheckpointError, match="no GGUF file; expected one"):
        LlamaCppServer(file)
    file.write_bytes(b"GGUF")
    with pytest.raises(ServerError, match="(?s)llama.cpp server for 'no' ended with code 1.*no GGUF file that can be"):
        LlamaCppServer(file).start()
    with pytest.raises(ServerError, match="can't serve in 'q4'; expected one of float32, float16, bfloat16, q8_0"):
        LlamaCppServer(by_heart, dtype="q4")
    with pytest.raises(ServerError, match="can't serve in 'q8_0'"):
        TransformersServer(by_heart, dtype="q8_0")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ServerError, match="(?s)can't be exported for llama.cpp:.*'gpt2' can't be exported"):
        LlamaCppServer(broken).start()
    left = [path.name for path in (cache / "gguf").iterdir()]
    assert not any(name.startswith(".") for name in left)  # nothing half written
    with pytest.raises(ServerError, match="no engine is called 'other'"):
        engine_of("other", str(by_heart))
    with pytest.raises(ServerError, match="llamacpp has no tool_parser and no extra: these are options of vLLM"):
        engine_of("llamacpp", str(by_heart), tool_parser="", extra=("--seed", "3"))
