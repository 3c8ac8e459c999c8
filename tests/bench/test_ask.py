"""Asking a server: answers kept, reruns that ask only what is missing, errors that are no answers."""

import asyncio
import json

import pytest

from xlam_lib.bench.ask import AskError, Reply, Request, answer_text, ask_all
from xlam_lib.codec import parse_answer
from xlam_lib.endpoint import Completion, Endpoint, ServerUnreachableError, UnknownModelError
from xlam_lib.journal import Journal, JournalError


def requests(count):
    return [Request(f"q{number}", ({"role": "user", "content": f"question {number}"},)) for number in range(count)]


def endpoint(server, **changes):
    return Endpoint(**{"base_url": server.url, "model": "m", "attempts": 1, "concurrency": 4} | changes)


def question_of(body):
    return int(body["messages"][-1]["content"].split()[1])


def test_each_question_gets_its_own_answer_and_is_kept(server, tmp_path):
    server.answer = lambda path, body: (200, f"answer {question_of(body)}")
    path, progress = tmp_path / "deep" / "answers.jsonl", []
    replies = ask_all(requests(20), endpoint(server), path, progress=lambda done, total: progress.append((done, total)))
    assert list(replies) == [f"q{number}" for number in range(20)]
    assert all(parse_answer(replies[f"q{n}"].text).answer.thought == f"answer {n}" for n in range(20))
    assert len(path.read_text().splitlines()) == 20 and max(progress) == (20, 20)
    body = server.asked[0][1]
    assert (body["temperature"], body["max_tokens"], "tools" in body) == (0.0, 256, False)


def test_a_rerun_asks_only_what_is_missing(server, tmp_path):
    path = tmp_path / "answers.jsonl"
    ask_all(requests(6), endpoint(server), path)
    with open(path, "a") as file:
        file.write('{"id": "q7", "text": "cut o')
    server.asked.clear()
    replies = ask_all(requests(10), endpoint(server), path)
    assert len(server.asked) == 4 and len(replies) == 10
    assert all(json.loads(line) for line in path.read_text().splitlines())
    server.asked.clear()
    ask_all(requests(3), endpoint(server), path)
    assert server.asked == []


def test_errors_of_the_server_are_no_answers_and_are_asked_again(server, tmp_path):
    path = tmp_path / "answers.jsonl"
    server.answer = lambda path, body: (500, "out of luck") if question_of(body) in (1, 3) else (200, "fine")
    replies = ask_all(requests(5), endpoint(server), path)
    assert [replies[f"q{n}"].text is None for n in range(5)] == [False, True, False, True, False]
    assert "status 500" in replies["q1"].error and "out of luck" in replies["q1"].error
    server.answer = lambda path, body: (200, "better")
    server.asked.clear()
    replies = ask_all(requests(5), endpoint(server), path)
    assert len(server.asked) == 2 and all(reply.text for reply in replies.values())


def test_a_prompt_that_is_refused_is_reported_in_the_servers_words(server):
    server.answer = lambda path, body: (400, "maximum context length is 64 tokens")
    (reply,) = ask_all(requests(1), endpoint(server)).values()
    assert reply.text is None and "status 400" in reply.error and "maximum context length" in reply.error


def test_a_server_that_dies_is_one_clear_error_and_keeps_what_was_answered(server, tmp_path):
    path = tmp_path / "answers.jsonl"
    server.answer = lambda path, body: (200, "fine") if len(server.asked) <= 7 else (503, "dying")
    with pytest.raises(
        ServerUnreachableError, match=r"stopped answering: status 503.*of 40 are answered \(kept in .*run again"
    ):
        ask_all(requests(40), endpoint(server), path)
    kept = Journal(path, Reply, "answers", {}).rows
    answered = [json.loads(line) for line in path.read_text().splitlines()]
    assert kept == {} and sum(row["text"] is not None for row in answered) == 7
    server.answer = lambda path, body: (200, "back")
    assert len(ask_all(requests(40), endpoint(server), path)) == 40


def test_nobody_listens():
    gone = Endpoint("http://127.0.0.1:9/v1", "m", attempts=1)
    (reply,) = ask_all(requests(1), gone).values()
    assert reply.text is None and reply.error.startswith("connection")
    with pytest.raises(ServerUnreachableError, match="stopped answering: connection"):
        ask_all(requests(30), gone)


def test_a_slow_server_times_out(server):
    import time

    server.answer = lambda path, body: (time.sleep(0.5), (200, "late"))[1]
    (reply,) = ask_all(requests(1), endpoint(server, timeout=0.1)).values()
    assert reply.error == "timeout: no answer within 0.1 s"


def test_an_unknown_model_stops_at_once(server):
    server.answer = lambda path, body: (404, "The model `m` does not exist.")
    with pytest.raises(
        UnknownModelError, match="refused model 'm' with status 404: .*check base_url, model and api_key"
    ):
        ask_all(requests(30), endpoint(server))
    assert len(server.asked) <= 8


def test_answers_to_other_questions_are_refused(server, tmp_path):
    path = tmp_path / "answers.jsonl"
    ask_all(requests(2), endpoint(server), path)
    with pytest.raises(JournalError, match="answers.jsonl:[12]: 'q[01]' was asked with other words, tools, model"):
        ask_all(requests(2), endpoint(server, model="other"), path)
    path.write_text("no json\n")
    with pytest.raises(JournalError, match="answers.jsonl:1: not JSON"):
        ask_all(requests(2), endpoint(server), path)
    path.write_text('{"id": "q0"}\n')
    with pytest.raises(JournalError, match="no line of answers"):
        ask_all(requests(2), endpoint(server), path)


def test_ids_must_be_unique():
    with pytest.raises(AskError, match="same id"):
        ask_all(requests(1) * 2, Endpoint("http://127.0.0.1:9/v1", "m"))


def test_a_file_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="can't be written"):
        ask_all(requests(1), endpoint(server), tmp_path / "file" / "answers.jsonl")


def test_it_works_inside_a_running_loop_as_in_a_notebook(server):
    async def cell():
        return ask_all(requests(2), endpoint(server))

    assert len(asyncio.run(cell())) == 2


def test_text_goes_to_the_completions_endpoint(server):
    server.answer = lambda path, body: (200, {"content": body["prompt"].upper(), "finish": "length"})
    (reply,) = ask_all([Request("q", text="go on")], endpoint(server)).values()
    assert server.asked[0][0] == "/v1/completions"
    assert (reply.text, reply.finish) == ("GO ON", "length")


def completion(content="", calls=(), **more):
    return Completion(content, tuple({"name": name, "arguments": text} for name, text in calls), **more)


@pytest.mark.parametrize(
    ("message", "thought", "calls", "clean"),
    [
        (completion("", [("f", '{"a": 1}'), ("g", "{}")]), "", [("f", {"a": 1}), ("g", {})], True),
        (completion("Let me see.", [("f", '{"a": "é"}')]), "Let me see.", [("f", {"a": "é"})], True),
        (completion("Hello.", reasoning="They greet."), "They greet.\nHello.", [], True),
        (completion(""), "", [], True),
        (completion('[{"name": "f", "arguments": {}}]'), "", [("f", {})], True),
        (completion('{"thought": "x", "tool_ca'), '{"thought": "x", "tool_ca', [], False),
        (completion("", [("f", "not json")]), "", [], False),
    ],
)
def test_messages_become_answers(message, thought, calls, clean):
    read = parse_answer(answer_text(message))
    assert [(call.name, call.arguments) for call in read.answer.calls] == calls
    assert (read.problems == ()) is clean
    if clean or calls:
        assert read.answer.thought == thought


def test_words_that_were_cut_off_are_no_answer(server):
    server.answer = lambda path, body: (200, {"role": "assistant", "content": "Let me", "finish": "length"})
    (reply,) = ask_all(requests(1), endpoint(server)).values()
    assert (reply.text, reply.finish) == ("Let me", "length") and parse_answer(reply.text).form == "text"


def test_a_later_answer_replaces_an_error_in_the_file(tmp_path):
    journal = Journal(tmp_path / "a.jsonl", Reply, "answers", {"q": "1"})
    for reply in (Reply("q", None, error="timeout", asked="1"), Reply("q", "yes", asked="1")):
        journal.append(reply)
    journal.append(Reply("other", "x", asked="2"))
    again = Journal(tmp_path / "a.jsonl", Reply, "answers", {"q": "1"})
    assert again.done == {"q"} and again.rows["q"].text == "yes" and list(again.rows) == ["q"]
