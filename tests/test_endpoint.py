"""The one client of OpenAI-compatible servers against real HTTP servers, well and badly behaved; and its journal."""

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import judge_server
import openai
import pytest
from bench_fakes import FakeServer
from filelock import FileLock

from xlam_lib.bench.ask import Reply, Request, ask_all
from xlam_lib.data.quality.judge import Judgement, read_judgements
from xlam_lib.endpoint import (
    ClientError,
    Completion,
    Endpoint,
    RequestRefusedError,
    ServerUnreachableError,
    UnknownModelError,
    client_error,
    openai_client,
)
from xlam_lib.errors import XlamError
from xlam_lib.journal import Journal, JournalError, fingerprint, read_rows
from xlam_lib.paths import root
from xlam_lib.serve.client import xLAMConfig

JudgeServer, answer = judge_server.JudgeServer, judge_server.answer
HELLO = [{"role": "user", "content": "Hello"}]


def endpoint(url: str, **options) -> Endpoint:
    return Endpoint(url, "M", **{"longest_pause": 0.02, "timeout": 5.0, "concurrency": 3} | options)


def chat(number: int) -> list[dict]:
    return [{"role": "user", "content": f"question {number}"}]


def echo(body: dict, number: int):
    return 200, body["messages"][-1]["content"].replace("question", "answer")


# One answer


def test_an_answer_has_all_that_the_server_returned():
    body = answer("<think>Hm, {}</think> Hi ")
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    body["choices"][0] |= {"finish_reason": "tool_calls"}
    body["choices"][0]["message"] |= {"tool_calls": [call], "reasoning_content": "They greet."}
    with JudgeServer(lambda *_: (200, body)) as server, endpoint(server.url) as model:
        found = model.ask(HELLO, tools=[{"type": "function", "function": {"name": "f"}}], seed=7)
    assert dataclasses.replace(found, seconds=0.0) == Completion(
        "<think>Hm, {}</think> Hi ", ({"name": "f", "arguments": '{"a": 1}'},), "They greet.", "tool_calls", "", 100, 10
    )
    assert found.text == "Hi" and found.seconds > 0
    (asked,) = server.asked
    assert asked["seed"] == 7 and asked["messages"] == HELLO and asked["tools"][0]["function"] == {"name": "f"}
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("M", 0.0, 256)


def test_settings_that_an_endpoint_may_refuse_can_be_left_out_or_set_for_one_request():
    with JudgeServer(echo) as server, endpoint(server.url, temperature=-1.0, max_tokens=0) as model:
        model.ask(HELLO)
        model.ask(HELLO, max_tokens=3)
    assert server.asked[0].keys() == {"model", "messages"} and server.asked[1]["max_tokens"] == 3


def test_a_prompt_goes_to_the_completions_endpoint():
    fake = FakeServer()
    fake.answer = lambda path, body: (200, {"content": body["prompt"].upper(), "finish": "length"})
    with endpoint(fake.url) as model:
        found = model.ask(prompt="go on")
    fake.close()
    assert (fake.asked[0][0], found.content, found.finish_reason) == ("/v1/completions", "GO ON", "length")


def test_it_can_be_awaited_in_any_event_loop_and_asked_from_within_one():
    async def several(model: Endpoint) -> list[str]:
        first = model.ask(chat(0))  # blocks, as in a cell of a notebook
        return [first.text, *(one.text for one in await asyncio.gather(*(model.complete(chat(n)) for n in (1, 2))))]

    with JudgeServer(echo) as server, endpoint(server.url) as model:
        for _ in range(2):
            assert asyncio.run(several(model)) == ["answer 0", "answer 1", "answer 2"]


def test_it_can_be_opened_again_and_within_itself():
    model = endpoint("")
    with JudgeServer(echo) as server:
        model.base_url = server.url
        with model, model:
            model.ask(HELLO)
        with model:
            model.ask(HELLO)
    assert model.tokens == (200, 20)


# Failures


def test_what_may_pass_is_tried_again():
    replies = [(429, {"error": "slow down"}), (500, {"error": "oops"}), (0, ""), (408, {}), (409, {}), (200, "Hi")]
    with JudgeServer(lambda _, n: replies[n - 1]) as server, endpoint(server.url, attempts=6) as model:
        assert model.ask(HELLO).text == "Hi"
    assert len(server.asked) == 6 and model.tokens == (100, 10)


@pytest.mark.parametrize(("asked", "longest", "least"), [("0.8", 60.0, 0.8), ("60", 0.01, 0.0)])
def test_a_rate_limit_is_waited_for_as_the_server_asks_but_not_for_ever(asked, longest, least):
    replies = [(429, {"error": "slow down"}), (200, "Hi")]
    with JudgeServer(lambda _, n: replies[n - 1]) as server, endpoint(server.url, longest_pause=longest) as model:
        server.retry_after = asked
        assert model.ask(HELLO).text == "Hi"
    assert least <= server.times[1] - server.times[0] < 30


@pytest.mark.parametrize(
    ("reply", "error", "asked"),
    [
        ((500, {"error": "oops"}), "status 500: ", 2),
        ((0, ""), "connection: ", 2),
        ((400, {"error": {"message": "too long"}}), "status 400: ", 1),
        ((200, b"<html>"), "broken answer: ", 1),
        ((200, {"choices": []}), "broken answer: no choices in it", 1),
    ],
)
def test_what_can_not_be_had_is_an_answer_with_an_error(reply, error, asked):
    with JudgeServer(lambda *_: reply) as server, endpoint(server.url, attempts=2) as model:
        found = model.ask(HELLO)
    assert found.error.startswith(error) and not found.content and len(server.asked) == asked


def test_an_answer_that_takes_too_long():
    with JudgeServer(echo, pause=1.0) as server, endpoint(server.url, timeout=0.3, attempts=2) as model:
        assert model.ask(HELLO).error == "timeout: no answer within 0.3 s"
    assert len(server.asked) <= 2


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, RequestRefusedError, "refused model 'M' with status 401: no; check base_url, model and api_key .*MY_KEY"),
        (403, RequestRefusedError, "refused model 'M' with status 403: no; check base_url, model and api_key .*MY_KEY"),
        (404, UnknownModelError, "refused model 'M' with status 404: it knows no model 'M': no; check base_url"),
    ],
)
def test_a_wrong_key_model_or_address_is_an_error_at_once(status, kind, words, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-123")
    with (
        JudgeServer(lambda *_: (status, {"error": {"message": "no"}})) as server,
        endpoint(server.url, api_key_env="MY_KEY") as model,
        pytest.raises(kind, match=words) as error,
    ):
        model.ask_all([chat(n) for n in range(20)])
    assert isinstance(error.value, ClientError) and isinstance(error.value, XlamError)
    assert "secret-123" not in str(error.value) and set(server.keys) == {"Bearer secret-123"}
    assert len(server.asked) <= 3


def test_the_key_comes_from_the_environment_alone(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with JudgeServer(echo) as server:
        with endpoint(server.url) as model:
            model.ask(HELLO)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
        with endpoint(server.url) as model:
            model.ask(HELLO)
    assert server.keys == ["Bearer EMPTY", "Bearer sk-1"]
    assert "api_key" not in {field.name for field in dataclasses.fields(Endpoint)}


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_no_proxy_is_asked_for_this_machine(name, monkeypatch):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    with JudgeServer(echo) as server, endpoint(server.url, attempts=1) as model:
        assert model.ask(HELLO).text == "Hello"
        client = openai_client(server.url, max_retries=0)
        assert client.chat.completions.create(model="M", messages=HELLO).choices[0].message.content == "Hello"


# Many


def test_answers_keep_their_order_and_progress_and_cost_are_counted():
    seen = []
    with JudgeServer(echo, pause=0.01) as server, endpoint(server.url, price_in=2.0, price_out=5.0) as model:
        found = model.ask_all([chat(n) for n in range(10)], range(10), lambda *one: seen.append(one))
    assert [one.text for one in found] == [f"answer {n}" for n in range(10)]
    assert {(body["messages"][0]["content"], body["seed"]) for body in server.asked} == {
        (f"question {n}", n) for n in range(10)
    }
    assert seen == [(n, 10) for n in range(1, 11)]
    assert model.tokens == (1000, 100) and model.cost() == pytest.approx(2.5e-3)
    assert model.cost((1_000_000, 1)) == pytest.approx(2.000005)


def test_concurrency_is_bounded_over_all_threads_that_use_it():
    with JudgeServer(echo, pause=0.03) as server, endpoint(server.url) as model, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: model.ask_all([chat(n)] * 5), range(4)))
    assert [[one.text for one in some] for some in found] == [[f"answer {n}"] * 5 for n in range(4)]
    assert 2 <= server.busiest <= 3 and model.tokens == (2000, 200)


def test_items_are_taken_as_requests_come_back():
    taken = []

    def items():
        for number in range(12):
            taken.append(number)
            yield number

    with JudgeServer(echo, pause=0.01) as server, endpoint(server.url) as model:
        for done, _ in enumerate(model.each(items(), lambda n: model.complete(chat(n)))):
            assert len(taken) <= done + 3
    assert len(taken) == 12


@pytest.mark.parametrize("end", [OSError("the file is gone"), KeyboardInterrupt()], ids=["items", "keyboard"])
def test_what_is_on_its_way_is_not_lost(end):
    def items():
        yield from (0, 1)
        raise end

    found = []
    with JudgeServer(echo, pause=0.1) as server, endpoint(server.url) as model, pytest.raises(type(end)):
        for one in model.each(items(), lambda n: model.complete(chat(n))):
            found.append(one.text)
    assert sorted(found) == ["answer 0", "answer 1"]


def test_after_a_refusal_nothing_new_is_asked_and_what_is_there_is_returned():
    def reply(body, number):
        if "question 0" in str(body):
            return 401, {"error": {"message": "no"}}
        time.sleep(0.1)
        return echo(body, number)

    found = []
    with JudgeServer(reply) as server, endpoint(server.url) as model, pytest.raises(RequestRefusedError):
        for one in model.each(range(9), lambda n: model.complete(chat(n))):
            found.append(one.text)
    assert sorted(found) == ["answer 1", "answer 2"] and len(server.asked) == 3


# The journal


def question(number: int) -> Request:
    return Request(f"q{number}", tuple(chat(number)))


def ask(url: str, count: int, path, **options):
    return ask_all([question(n) for n in range(count)], endpoint(url, attempts=1, **options), path)


def test_a_server_that_is_gone_ends_the_run_and_what_was_answered_is_kept(tmp_path):
    path = tmp_path / "answers.jsonl"
    dying = JudgeServer(lambda body, n: echo(body, n) if n <= 5 else (503, {"error": "dying"}))
    gone = r"stopped answering: status 503.*; 5 of 40 are answered \(kept in .*start the server and run again"
    with dying as server, pytest.raises(ServerUnreachableError, match=gone):
        ask(server.url, 40, path)
    assert len(server.asked) <= 5 + 4 + 3
    with JudgeServer(echo) as server:
        assert len(ask(server.url, 40, path)) == 40 and len(server.asked) == 35


def test_a_run_killed_in_the_middle_is_taken_up_where_it_was(tmp_path):
    path = tmp_path / "answers.jsonl"
    code = "import sys, test_endpoint as t; t.ask(sys.argv[1], 30, sys.argv[2], concurrency=2)"
    with JudgeServer(echo, pause=0.05) as server:
        environment = {**os.environ, "PYTHONPATH": f"{root()}:{root()}/tests:{root()}/tests/support"}
        child = subprocess.Popen([sys.executable, "-c", code, server.url, str(path)], env=environment)
        try:
            while child.poll() is None and (not path.is_file() or path.read_bytes().count(b"\n") < 5):
                time.sleep(0.01)
        finally:
            child.kill()
            child.wait()
        there = path.read_bytes().count(b"\n")
        assert 5 <= there < 30
        before = len(server.asked)
        found = ask(server.url, 30, path)
    assert len(server.asked) - before == 30 - there
    assert [row.id for row in found.values()] == [f"q{n}" for n in range(30)]
    assert sorted(row.id for row in read_rows(path, Reply)) == sorted(found)


def test_a_torn_line_is_cut_away_on_reading_and_before_a_line_is_added(tmp_path, caplog):
    path = tmp_path / "answers.jsonl"
    journal = Journal(path, Reply, "answers", {"a": "1", "b": "2"})
    journal.append(Reply("a", "é \ud800", asked="1"))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": "b", "te')
    assert Journal(path, Reply, "answers", {"a": "1"}).rows["a"].text == "é \ud800" and path.read_bytes() == whole
    assert "the last line is cut off (15 bytes); it is removed and asked again" in caplog.text
    path.write_bytes(whole + b'{"id": "b", "te')  # of a run that was killed while this one goes on
    journal.append(Reply("b", "yes", asked="2"))
    assert [row.id for row in read_rows(path, Reply)] == ["a", "b"] and path.read_bytes().startswith(whole)
    path.write_bytes(b"torn from the start")
    assert Journal(path, Reply).done == set() and path.read_bytes() == b""


def test_a_changed_request_is_noticed(tmp_path):
    path = tmp_path / "answers.jsonl"
    with JudgeServer(echo) as server:
        ask(server.url, 2, path)
        for change in ({"max_tokens": 9}, {"temperature": 0.5}):
            with pytest.raises(
                JournalError, match=r"answers.jsonl:[12]: 'q[01]' was asked with other words, tools, mod"
            ):
                ask(server.url, 2, path, **change)
        with pytest.raises(JournalError, match="'q0' was asked with other words"):
            ask_all([Request("q0", tuple(chat(5)))], endpoint(server.url), path)
        assert len(server.asked) == 2
        ask_all([Request("q7", tuple(chat(5)))], endpoint(server.url), path)  # rows of other requests are left alone
    assert {row.id for row in read_rows(path, Reply)} == {"q0", "q1", "q7"}


WRITER = """
import sys
from xlam_lib.bench.ask import Reply
from xlam_lib.journal import Journal
journal = Journal(sys.argv[1], Reply)
for number in range(150):
    journal.append(Reply(f"{sys.argv[2]}-{number}", sys.argv[2] * 5000))
"""


def test_two_writers_keep_their_lines_whole(tmp_path):
    path = tmp_path / "deep" / "answers.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(root())}
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, name], env=environment) for name in "ab"]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    rows = list(read_rows(path, Reply))
    assert len(rows) == 300 and {row.id for row in rows} == {f"{name}-{n}" for name in "ab" for n in range(150)}
    assert all(row.text == row.id[0] * 5000 for row in rows)
    assert len(Journal(path, Reply).done) == 300


def test_a_writer_waits_for_the_other(tmp_path):
    journal = Journal(tmp_path / "answers.jsonl", Reply)
    waiting = threading.Thread(target=journal.append, args=(Reply("a", "yes"),))
    with FileLock(tmp_path / ".answers.jsonl.lock"):
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive() and journal.done == set()
    waiting.join(10)
    assert journal.done == {"a"}


def test_an_error_is_no_result_and_never_takes_the_place_of_one(tmp_path):
    path = tmp_path / "answers.jsonl"
    journal = Journal(path, Reply, "answers", {"a": "1"})
    failed = Reply("a", None, error="timeout", asked="1")
    rows = [failed, Reply("a", "yes", asked="1"), dataclasses.replace(failed, error="status 500")]
    for row, done in zip(rows, (set(), {"a"}, {"a"}), strict=True):
        journal.append(row)
        assert journal.done == done
    assert journal.rows["a"] == rows[1] == Journal(path, Reply, "answers", {"a": "1"}).rows["a"]
    assert journal.status() == f"1 of 1 are answered (kept in {path})"
    assert Journal(None, Reply).status() == "0 are answered"


OLD_ANSWERS = (
    b'{"id": "q0", "text": "{\\"thought\\": \\"\\u00e9\\", \\"tool_calls\\": []}", "finish": "stop", "error": "", '
    b'"seconds": 0.41, "asked": "%s"}\n{"id": "q1", "text": null, "finish": "", "error": "status 500: oops", '
    b'"seconds": 0.1, "asked": "%s"}\n'
)
OLD_RATINGS = (
    '{"trajectory_id": "t-0", "rubric": "5f0c2a9be1d4", "model": "M", "content": "9c0f", "score": 4, "criteria": '
    '{"tools": 5}, "rationale": "Gut – ja.", "error": "", "asked": 2, "prompt_tokens": 100, "completion_tokens": 10, '
    '"seconds": 0.5}\n'
).encode()


def test_files_of_earlier_versions_are_read_and_lines_have_the_same_bytes(tmp_path):
    answers, ratings = tmp_path / "answers.jsonl", tmp_path / "ratings.jsonl"
    prints = (b"50d5f7b7e5b3c5b1", b"50d5f7b7e5b3c5b2")
    answers.write_bytes(OLD_ANSWERS % prints)
    journal = Journal(answers, Reply, "answers", {"q0": prints[0].decode(), "q1": prints[1].decode()})
    assert journal.done == {"q0"} and journal.rows["q1"].error == "status 500: oops"
    assert journal.rows["q0"].text == '{"thought": "é", "tool_calls": []}'
    ratings.write_bytes(OLD_RATINGS)
    (one,) = read_judgements(ratings)
    assert (one.score, one.asked, one.key) == (4, 2, ("t-0", "5f0c2a9be1d4", "M", "9c0f"))
    again = tmp_path / "again.jsonl"
    Journal(again, Judgement, "ratings").append(one)
    assert again.read_bytes() == OLD_RATINGS


def test_fingerprints_stay_those_of_earlier_versions(tmp_path):
    with JudgeServer(echo) as server:
        path = tmp_path / "answers.jsonl"
        ask_all([Request("q", tuple(chat(1)), tools=({"type": "function"},))], endpoint(server.url), path)
    what = {
        "messages": chat(1), "tools": [{"type": "function"}], "text": "", "model": "M", "max_tokens": 256,
        "temperature": 0.0,
    }  # fmt: skip
    assert next(read_rows(path, Reply)).asked == fingerprint(json.dumps(what, sort_keys=True))
    assert fingerprint("Hi") == "3639efcd08abb273"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json\n", "answers.jsonl:1: not JSON"),
        ('{"id": "q"}\n', "answers.jsonl:1: no line of answers"),
        ("[]\n", "no line of answers"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, text, words):
    (tmp_path / "answers.jsonl").write_text(text)
    with pytest.raises(JournalError, match=words):
        Journal(tmp_path / "answers.jsonl", Reply)


def test_a_journal_that_can_not_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="can't be written .*make room and run again"):
        Journal(tmp_path / "file" / "answers.jsonl", Reply).append(Reply("q", "yes"))


def test_nothing_shows_a_key_or_a_password():
    url = "http://me:pa55@127.0.0.1:9/v1?key=k3y"
    with pytest.raises(ClientError, match="name of an environment variable") as raised:
        Endpoint(url, "m", api_key_env="sk-k3y")
    failure = openai.APIConnectionError(request=httpx.Request("GET", url))
    shown = [str(raised.value), str(client_error(failure, url, "m"))]
    shown += [repr(Endpoint(url, "m")), repr(xLAMConfig(url, "m", api_key="k3y"))]
    assert all("http://***@127.0.0.1:9/v1" in text for text in shown[1:])
    assert not any(word in text for text in shown for word in ("pa55", "k3y"))
