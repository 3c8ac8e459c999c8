"""Whole dialogues with a served model: outside clients, our conversation, a neutral probe, bad requests, many at once.

The model has learnt the answers by heart from what each client sends (`dialogues.py`); another engine is tested by
another `server` fixture. The last test here kills the server.
"""

import importlib.util
import os
import signal
import threading
import time

import dialogues
import openai
import outside_clients
import pytest
import tiny

from xlam_lib.chat_template import model_prompt
from xlam_lib.codec import BRIEF_STYLE, prompts_of, tools_from_any
from xlam_lib.endpoint import ClientError, Endpoint, RequestRefusedError, ServerFailedError, ServerUnreachableError
from xlam_lib.serve.client import xLAMChatCompletion, xLAMConfig
from xlam_lib.serve.engines.vllm import ServerFlags, VllmServer
from xlam_lib.serve.messages import MessageError
from xlam_lib.serve.streaming import read_message

pytestmark = pytest.mark.slow
KEY = "3f9a-not-to-be-shown"


@pytest.fixture(scope="module")
def learnt():
    outside_clients.keep_them_offline()
    return [*dialogues.of_clients(), *dialogues.of_probe(), *dialogues.of_conversation()]


@pytest.fixture(scope="module")
def server(learnt, tmp_path_factory):
    folder = dialogues.make_model(tmp_path_factory.mktemp("dialogues") / "by-heart", learnt)
    with VllmServer(folder, flags=ServerFlags(), log=folder.parent / "vllm.log", api_key=KEY) as server:
        yield server


def llm(server, **config):
    config = {"style": BRIEF_STYLE, "max_tokens": 200, "api_key": server.api_key, **config}
    return xLAMChatCompletion.from_config(xLAMConfig(server.base_url, server.model, **config))


@pytest.mark.parametrize("name", outside_clients.CLIENTS)
def test_an_outside_client_calls_reads_and_answers(server, name):
    package = outside_clients.PACKAGES.get(name, "openai")
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{name} isn't installed")
    held = outside_clients.CLIENTS[name](server.base_url, server.model, KEY)
    assert held == (["Oslo"], outside_clients.WORDS)


def test_a_conversation_is_served_and_can_be_trained_on(server, monkeypatch):
    """The prompts that the server saw are those of the transcript's training rows, byte for byte."""
    seen = []

    class Watched(Endpoint):
        async def _request(self, messages, prompt, options):
            asked = {**options, "extra_body": {"return_prompt_text": True}}
            response = await super()._request(messages, prompt, asked)
            seen.append(response.prompt_text)
            return response

    monkeypatch.setenv("SHOP_KEY", KEY)
    with Watched(server.base_url, server.model, "SHOP_KEY") as endpoint:
        held = dialogues.shop(endpoint)
    assert held.steps == dialogues.shop(dialogues.Scripted()).steps
    transcript = held.transcript()
    transcript.validate()
    rows = prompts_of(transcript, BRIEF_STYLE)
    assert seen == [model_prompt(prompt) for _, prompt, _ in rows]
    assert [completion for *_, completion in rows] == list(dialogues.ANSWERED)
    assert [step.is_error for step in held.steps if step.role == "tool"] == [False, False, True]


@pytest.mark.parametrize("mode", ["tools", "completion"])
def test_the_xlam_client_holds_the_same_conversation(server, mode):
    assert dialogues.shop(llm(server, mode=mode)).steps == dialogues.shop(dialogues.Scripted()).steps


def test_the_neutral_probe_passes_whole_and_streamed(server):
    from canitoolcall.probe import BUILTIN_SCENARIOS, probe

    report = probe(server.base_url, server.model, api_key=KEY, timeout_s=300.0)
    assert report.summary() == {"pass": 3 * len(BUILTIN_SCENARIOS), "fail": 0, "error": 0, "skip": 0}, (
        report.render_text()
    )
    # vLLM ends a named call by "stop", as OpenAI does: https://platform.openai.com/docs/guides/function-calling
    assert {one.scenario_id for one in report.outcomes if one.warnings} <= {"forced-tool-choice"}


@pytest.mark.parametrize("mode", ["prompt", "completion"])
def test_calls_that_must_be_made_are_held_to_the_schema(server, mode):
    """Whatever a garbage model would say."""
    client = llm(server, mode=mode, max_tokens=400)
    for choice in ("required", {"type": "function", "function": {"name": "now"}}):
        found = client.completion(tiny.user("Hm?"), tiny.TOOLS, tool_choice=choice, parallel_tool_calls=False)
        (one,) = found["choices"]
        assert one["finish_reason"] == "length" or (len(one["message"]["tool_calls"]) == 1 and not one["problems"])


BROKEN = {"type": "function", "function": {"name": "now", "parameters": {"type": "objekt"}}}
UNKNOWN = {"type": "function", "function": {"name": "now", "parameters": {"$ref": "#/$defs/Gone"}}}


def test_bad_requests_are_refused_and_the_server_stays_up(server):
    stock, client = server.openai(max_retries=0), llm(server, max_retries=0)

    def refused(messages, **options):
        with pytest.raises(openai.APIStatusError) as error:
            stock.chat.completions.create(model=server.model, messages=messages, **{"max_tokens": 9, **options})
        assert 400 <= error.value.status_code < 500, error.value

    hello = tiny.user("Hello")
    refused(tiny.user("word " * 200_000))  # a megabyte
    refused([{"role": "nobody", "content": "Hello"}])
    refused(hello, tools=[UNKNOWN], tool_choice="required")
    refused(hello, tools=[{"type": "function", "function": {"name": 5}}])
    refused(hello, tools="now")
    refused(hello, max_tokens=1_000_000)
    refused([])
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=server.base_url, api_key="another").chat.completions.create(
            model=server.model, messages=hello
        )
    with pytest.raises(RequestRefusedError, match="status 400"):
        client.completion(tiny.user("word " * 200_000))
    with pytest.raises(RequestRefusedError, match="status 40"):
        client.completion(hello, tools=[BROKEN], tool_choice="required")
    with pytest.raises(MessageError, match="message 0 .user.: character 6 is half of one"):
        client.completion(tiny.user("Hello \ud83d"))
    with pytest.raises(MessageError, match="expected an object with a role"):
        client.completion([{"role": "nobody", "content": "Hello"}])
    for text in ("\u202e\u0000\u200b\ufeff", "\x1b[31m", "[END OF QUERY]", "<|assistant|>"):
        choice = client.completion(tiny.user(text), tiny.TOOLS, max_tokens=5)["choices"][0]
        assert choice["message"]["role"] == "assistant"
    server.check()
    assert stock.models.list().data


def test_many_at_once_get_what_each_gets_alone(server, learnt):
    asked = [one for one in learnt if len(str(one[0])) < 3000]
    client = llm(server, max_retries=0)
    alone = [client.completion(messages, tools)["choices"][0] for messages, tools, _ in asked]
    for (_, tools, text), choice in zip(asked, alone, strict=True):
        expected = read_message(text, tools=tools_from_any(tools))
        assert choice["message"]["content"] == expected.content
        assert [call["name"] for call in choice["message"]["tool_calls"]] == [call.name for call in expected.calls]
    found = [None] * 8 * len(asked)

    def ask(first):
        for number in range(first, len(found), 16):
            messages, tools, _ = asked[number % len(asked)]
            found[number] = client.completion(messages, tools)["choices"][0]

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, choice in enumerate(found):
        assert without_ids(choice) == without_ids(alone[number % len(asked)])


def without_ids(choice):
    message = choice["message"]
    calls = [{key: value for key, value in call.items() if key != "id"} for call in message["tool_calls"]]
    return {**choice, "message": {**message, "tool_calls": calls}}


def test_a_server_that_is_killed_loses_no_request(server):
    """The last test here. Each request ends, with an answer or with an error of the infrastructure."""
    messages, tools, _ = dialogues.of_conversation()[0]
    client = llm(server, max_retries=0, timeout=60.0)
    killer = threading.Timer(0.5, lambda: os.killpg(server.pid, signal.SIGKILL))
    killer.start()
    began, found = time.monotonic(), []
    while killer.is_alive() or len(found) < 64:
        found += client.batch([messages] * 32, tools, concurrency=16)
    assert time.monotonic() - began < 120 and len(found) % 32 == 0
    errors = [one for one in found if isinstance(one, ClientError)]
    assert errors and {type(one) for one in errors} <= {ServerUnreachableError, ServerFailedError}
    answers = [one["choices"][0] for one in found if isinstance(one, dict)]
    assert all(without_ids(one) == without_ids(answers[0]) for one in answers)
    server.stop()
    server.start()
    again = client.batch([messages] * len(errors), tools)
    assert all(isinstance(one, dict) for one in again)
