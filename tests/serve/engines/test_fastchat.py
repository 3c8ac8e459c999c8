"""FastChat itself with the tiny model: its controller, its API server and our worker, started once; then a part dies.

The worker computes with llama.cpp here, which loads in a fifth of the time that transformers takes.

What our API does before it is tested with the other backends (test_api.py), the worker's protocol and parts that die
or outlive nobody without a model (tests/serve/api/test_fastchat.py).
"""

import importlib.util
import json
import socket

import httpx
import psutil
import pytest
import tiny

from xlam_lib.answers import calls_as_dicts
from xlam_lib.chat_template import model_prompt
from xlam_lib.codec import BRIEF_STYLE, history_steps, render_prompt, tools_from_any
from xlam_lib.models.gguf import export
from xlam_lib.serve.choices import collect_stream
from xlam_lib.serve.compare import equal_offline, served_texts
from xlam_lib.serve.engines.base import PortInUseError, ServerDiedError, ServerError
from xlam_lib.serve.engines.fastchat import FastChatServer
from xlam_lib.serve.messages import openai_messages, steps_of
from xlam_lib.serve.server import engine_of
from xlam_lib.serve.streaming import read_message

pytestmark = pytest.mark.slow
KEY = "3f9a-not-to-be-shown"
TOOLS = tools_from_any(tiny.TOOLS)


@pytest.fixture(scope="module")
def server(by_heart, tmp_path_factory):
    pytest.importorskip("fastchat")
    folder = tmp_path_factory.mktemp("fastchat")
    file = export(by_heart, folder / "by-heart.gguf", "float32", "gpt-2")
    server = engine_of("fastchat", str(file), log=folder / "fastchat.log", api_key=KEY)
    server.start()
    yield server
    server.stop()


def ask(server, conversation, **options):
    options = {"tools": tiny.TOOLS, "temperature": 0, "max_tokens": 100, **options}
    return server.openai(max_retries=0).chat.completions.create(model=server.model, messages=conversation, **options)


def read(message):
    """(content, calls) of a message."""
    calls = message.get("tool_calls") or []
    return message["content"] or "", [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


def test_continued_texts_equal_offline_ones(server, texts, offline):
    found = equal_offline(served_texts(server.base_url, server.model, texts, 100, api_key=KEY), offline)
    assert found.share == 1.0, found.differing


def test_chat_completions_equal_offline_ones_whole_and_streamed(server, conversations, texts, offline):
    for conversation, prompt, text in zip(conversations, texts, offline, strict=True):
        steps = history_steps(steps_of(openai_messages(conversation))[1])
        assert prompt == model_prompt(render_prompt(TOOLS, *steps, BRIEF_STYLE))
        whole = ask(server, conversation, extra_body={"return_prompt_text": True})
        assert whole.prompt_text == prompt
        told = read_message(text, tools=TOOLS)
        calls = [
            (call["name"], json.dumps(call["arguments"], ensure_ascii=False)) for call in calls_as_dicts(told.calls)
        ]
        assert read(whole.choices[0].message.model_dump()) == (told.content, calls)
        chunks = list(ask(server, conversation, stream=True, stream_options={"include_usage": True}))
        assert read(collect_stream(chunks)["message"]) == (told.content, calls)
        assert chunks[-1].usage == whole.usage


def test_seeds_and_required_calls_reach_the_worker(server, conversations):
    def answer(seed):
        return ask(server, conversations[5], temperature=2.0, max_tokens=12, seed=seed).choices[0].message.content

    assert answer(1) == answer(1) and len({answer(seed) for seed in range(4)}) > 1
    required = ask(server, tiny.TWO_CALLS, tool_choice="required").choices[0].message
    assert [json.loads(call.function.arguments) for call in required.tool_calls] == [
        call["arguments"] for call in tiny.CALLS
    ]


def parts_of(server):
    """The processes of FastChat, by their names."""
    below = psutil.Process(server.pid).children(recursive=True)
    named = [(one, one.cmdline()) for one in below]
    return {line[3]: one for one, line in named if "xlam_lib.serve.api.fastchat" in line}


def test_nothing_answers_without_the_key_and_secrets_are_shown_nowhere(server):
    parts = parts_of(server)
    assert parts.keys() == {"controller", "api", "worker"}
    shown = server.log_file.read_text()
    for one in (psutil.Process(server.pid), *parts.values()):
        shown += " ".join(one.cmdline())
        for line in one.net_connections("tcp"):
            if line.status == psutil.CONN_LISTEN:
                url = f"http://127.0.0.1:{line.laddr.port}"
                assert line.laddr.ip == "127.0.0.1"
                for path in ("/v1/models", "/list_models", "/worker_get_status", "/docs"):
                    assert httpx.post(url + path, json={}, trust_env=False).status_code in (401, 404)
    addresses = json.loads(parts["worker"].environ()["XLAM_FASTCHAT_ADDRESSES"])
    assert KEY not in shown and addresses["worker"].rpartition("/")[2] not in shown
    assert "XLAM_API_KEY" not in parts["worker"].environ()


def test_a_worker_that_is_killed_ends_the_server_with_a_clear_error(server):
    parts = parts_of(server)
    parts["worker"].kill()
    psutil.wait_procs([psutil.Process(server.pid)], timeout=30)
    with pytest.raises(
        ServerDiedError, match="(?s)FastChat server for 'by-heart' .*FastChat's worker was ended by SIGK"
    ):
        server.check()
    assert not psutil.wait_procs(parts.values(), timeout=30)[1]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_a_port_in_use(folder):
    pytest.importorskip("fastchat")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} .*take port=0"):
            FastChatServer(folder, port=port).start()


def test_what_is_declared_and_what_is_missing(folder, monkeypatch):
    declared = FastChatServer.capabilities
    assert declared.tools and declared.streaming and declared.completions
    assert not declared.adapters and not declared.responses and not declared.tensor_parallel
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("fastchat", "shortuuid") else known(name)
    )
    with pytest.raises(ServerError, match="missing: pip install --no-deps fschat shortuuid, or run `make install`"):
        FastChatServer(folder)
