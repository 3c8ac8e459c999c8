"""The parts of our API that need no model: texts that end answers, requests, prompts of other templates, the paths."""

import asyncio
import json
import threading
import time

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.chat_template import chat_template, model_prompt
from xlam_lib.codec import BRIEF_STYLE, render_prompt
from xlam_lib.serve.api.app import application
from xlam_lib.serve.api.generation import Backend, BackendError, Piece, RefusedError, StopTexts
from xlam_lib.serve.api.requests import LACKING, ChatRequest, ChatTemplate
from xlam_lib.serve.compare import measure, table
from xlam_lib.serve.engines.base import Capabilities, Engine
from xlam_lib.trajectory import Tool

HI = [{"role": "user", "content": "Hi"}]


@given(st.lists(st.text("ab<", max_size=4)), st.lists(st.text("ab<", min_size=1, max_size=3), max_size=3))
def test_stop_texts_are_found_however_the_text_is_cut(pieces, stops):
    text = "".join(pieces)
    reader, sent = StopTexts(tuple(stops)), ""
    for number, piece in enumerate([*pieces, ""]):
        sent += reader.feed(piece, last=number == len(pieces))
        if reader.found:
            break
    ends = [text.index(stop) + len(stop) for stop in stops if stop in text]
    if not ends:
        assert sent == text and not reader.found
        return
    shortest = next(text[:end] for end in sorted(ends))  # up to where the first one is whole
    assert reader.found and sent == text[: min(shortest.find(stop) for stop in stops if stop in shortest)]


@pytest.mark.parametrize("name", sorted(LACKING))
def test_what_these_engines_lack_is_refused_unless_it_says_nothing(name):
    ChatRequest(messages=HI, **{name: LACKING[name]}).check()
    ChatRequest(messages=HI, **{name: None}).check()
    with pytest.raises(RefusedError, match=f"{name} is not supported"):
        ChatRequest(messages=HI, **{name: "something else"}).check()


def test_what_changes_no_answer_may_come_along():
    ChatRequest(messages=HI, user="me", metadata={"a": "b"}, store=False, n=1).check()


def test_our_template_is_not_run_and_others_are():
    tools = [Tool("now")]
    ours = ChatTemplate(chat_template(BRIEF_STYLE)).render(HI, tools)
    assert ours == model_prompt(render_prompt(tools, "Hi", (), BRIEF_STYLE))
    other = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ tools | length }}"
    assert ChatTemplate(other, {"bos_token": "<s>"}).render(HI, tools) == "<s>[user]Hi1"
    with pytest.raises(RefusedError, match="can't write these messages"):
        ChatTemplate("{{ raise_exception('no') }}").render(HI)
    with pytest.raises(RefusedError, match="no chat template"):
        ChatTemplate("").render(HI)


class Fake(Backend):
    """Says what it is told to, a character a token, and notes whether it was followed to its end."""

    context, template, specials = 4096, chat_template(BRIEF_STYLE), {}

    def __init__(self, text="", error=None, after=0):
        self.text, self.error, self.after, self.left, self.closed = text, error, after, False, False

    async def tokens(self, text):
        return list(text.encode())

    async def generate(self, ids, sampling):
        try:
            for number, char in enumerate(self.text[: sampling.max_tokens]):
                if self.error and number == self.after:
                    raise self.error
                yield Piece(char, number + 1)
                await asyncio.sleep(0)
            yield Piece("", len(self.text), "stop")
        finally:
            self.left = True

    def check(self):
        if self.error:
            raise self.error

    def close(self):
        self.closed = True


def post(backend, path="/v1/chat/completions", **body):
    async def send():
        transport = httpx.ASGITransport(application(backend, "m"))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, json={"model": "m", **body})

    return asyncio.run(send())


def test_an_engine_that_fails_says_so():
    """Before the first piece with a status, later as the last event of the stream."""
    for stream in (False, True):
        answer = post(Fake("abc", BackendError("out of memory")), messages=HI, stream=stream)
        assert answer.status_code == 500 and "out of memory" in answer.json()["error"]["message"]
    answer = post(Fake("abc", BackendError("out of memory"), after=2), messages=HI)
    assert answer.status_code == 500
    answer = post(Fake("abc", BackendError("out of memory"), after=2), messages=HI, stream=True)
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert (
        answer.status_code == 200
        and events[-1] == "[DONE]"
        and "out of memory" in json.loads(events[-2])["error"]["message"]
    )
    refused = post(Fake("abc", RefusedError("no such token")), "/v1/completions", prompt=[3], stream=True)
    assert refused.status_code == 400 and refused.json()["error"]["message"] == "no such token"


def test_a_client_that_goes_away_ends_its_generation():
    backend = Fake("a" * 100_000)
    app = application(backend, "m")

    async def leave():
        body = json.dumps({"model": "m", "messages": HI}).encode()
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
        sent = []

        async def receive():
            if messages:
                return messages.pop()
            await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        await app({**scope, "http_version": "1.1", "raw_path": b"", "root_path": ""}, receive, send)
        return sent

    backend.context = 1_000_000
    assert asyncio.run(leave())[0]["status"] == 499 and backend.left


def test_the_engine_is_closed_with_the_server():
    backend = Fake()

    async def live():
        async with application(backend, "m").router.lifespan_context(None):
            assert not backend.closed

    asyncio.run(live())
    assert backend.closed


@pytest.mark.parametrize(
    ("text", "thought"), [("Hm. Hello", "Hm. Hello"), ('{"thought": "Hi", "tool_calls": []}', "Hi")]
)
def test_an_answer_without_tools_is_its_words(text, thought):
    found = post(Fake(text), messages=HI).json()["choices"][0]
    assert found["message"] == {"role": "assistant", "content": thought} and found["finish_reason"] == "stop"


class InThread(Engine):
    """The paths over a backend of a few lines, served for real."""

    capabilities, model = Capabilities(completions=True), "m"

    def __init__(self, backend):
        self.server = uvicorn.Server(uvicorn.Config(application(backend, "m"), port=0, log_level="error"))

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}/v1"

    def start(self):
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self.base_url

    def check(self):
        pass

    def stop(self):
        self.server.should_exit = True
        self.thread.join()


def test_engines_stand_in_one_table():
    rows = [measure(InThread(Fake("yes")), "fake", ["a", "b", "c"], ["yes", "no", "yes"], 8)]
    assert (rows[0].tokens, rows[0].equality.equal, rows[0].equality.differing) == (9, 2, ((1, "yes", "no"),))
    assert rows[0].as_dict()["tokens_per_second"] == round(9 / rows[0].seconds, 1)
    head, _, line = table(rows).splitlines()
    assert head.startswith("| engine |") and "| 2 of 3 (66.7%) |" in line
