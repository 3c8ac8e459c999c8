"""Recorded answers are found whatever the order of arguments, then answerers asked; hostile requests end quickly."""

import asyncio
import itertools
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_server import JudgeServer

from xlam_lib.agents.base import InfrastructureError
from xlam_lib.endpoint import Endpoint
from xlam_lib.environments.tooleval import embedded
from xlam_lib.environments.tooleval.apis import Api, ToolEvalError, Tree, key_of
from xlam_lib.environments.tooleval.server import (
    FAILED,
    NOT_WORKING,
    UNREADABLE,
    Recorded,
    Simulator,
    VirtualServer,
    read_answer,
)

WEATHER = ("Weather", "Sky Report", "Current weather")
PLAIN = st.booleans() | st.integers() | st.text(max_size=5)
VALUES = PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(st.text(max_size=3), PLAIN, max_size=2)


def reply(server, *request):
    return asyncio.run(server.reply(*request))


def answer_of(number):
    return {"error": "", "response": {"number": number}}


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.randoms())
def test_a_recorded_answer_is_found_whatever_the_order(arguments, random):
    recorded = Recorded()
    recorded.add(key_of(*WEATHER), arguments, answer_of(1))
    names = list(arguments)
    random.shuffle(names)
    shuffled = {name: arguments[name] for name in names}
    server = VirtualServer(embedded.tree(), recorded)
    assert reply(server, *WEATHER, shuffled) == reply(server, *WEATHER, json.dumps(shuffled)) == answer_of(1)
    assert reply(server, *WEATHER, {**shuffled, "more": 1, "": 2}) != answer_of(1)


def test_files_as_stabletoolbench_records_them(tmp_path, caplog):
    folder = tmp_path / "Weather/sky_report_for_Weather"
    folder.mkdir(parents=True)
    recorded = {"{'b': 1, 'a': 'x'}": answer_of(1), "{}": answer_of(2), "f()": answer_of(3), "{'c': 1}": "no answer"}
    (folder / "current_weather.json").write_text(json.dumps(recorded))
    found = Recorded.read(tmp_path)
    assert "left out" not in caplog.text  # nothing is read yet
    assert len(found) == 2 and "2 recorded answers left out" in caplog.text
    server = VirtualServer(embedded.tree(), found)
    for order in itertools.permutations([("a", "x"), ("b", 1)]):
        assert reply(server, *WEATHER, dict(order)) == answer_of(1)
    assert reply(server, *WEATHER, "") == answer_of(2)
    assert reply(server, *WEATHER, {"a": "x", "b": "1"}) == NOT_WORKING
    found.write(tmp_path / "again")
    again = json.loads((tmp_path / "again/Weather/sky_report_for_Weather/current_weather.json").read_text())
    assert again == {"{'b': 1, 'a': 'x'}": answer_of(1), "{}": answer_of(2)}


def test_keys_that_are_code_are_not_run(tmp_path):
    folder = tmp_path / "Food/t_for_Food"
    folder.mkdir(parents=True)
    mark = tmp_path / "mark"
    keys = [f"{{'a': open({str(mark)!r}, 'w')}}", "[" * 5000 + "]" * 5000, "{[]: 1}", "{(1, 2): 3}"]
    (folder / "a.json").write_text(json.dumps(dict.fromkeys(keys, answer_of(1))))
    assert len(Recorded.read(tmp_path)) == 0 and not mark.exists()


def test_a_category_may_not_lead_out_of_the_folder(tmp_path):
    recorded = Recorded()
    recorded.add(("..", "t", "a"), {}, answer_of(1))
    with pytest.raises(ToolEvalError, match="can't be a folder's name"):
        recorded.write(tmp_path / "in")
    assert list(tmp_path.iterdir()) == []


def test_names_of_requests():
    assert key_of("Media", "newapi_for_media", "url") == ("Media", "newapi", "url")
    assert key_of("News, Media", "My Tool_for_News_Media", "id") == ("News_Media", "my_tool", "is_id")
    assert key_of("Food", "cafe", "List_for_cafe") == ("Food", "cafe", "list")
    odd = Api("Food", "Tools for Food", "List for tools")
    assert odd.function.name == "list_for_tools_for_tools_for_food"
    server = VirtualServer(Tree([odd]), answerers=(lambda *_: answer_of(1),))
    assert reply(server, *odd.key, {}) == reply(server, odd.category, odd.tool, odd.name, {}) == answer_of(1)


def test_recorded_answers_come_before_others_and_answers_are_recorded():
    asked = []

    def answerer(api, arguments, examples):
        asked.append((api.name, dict(arguments), len(examples)))
        return None if arguments.get("city") == "?" else answer_of(len(asked))

    server = VirtualServer(embedded.tree(), answerers=(lambda *_: None, answerer))
    assert [reply(server, *WEATHER, {"city": city}) for city in "aab"] == [answer_of(1), answer_of(1), answer_of(2)]
    assert reply(server, *WEATHER, {"city": "?"}) == NOT_WORKING
    assert [number for *_, number in asked] == [0, 1, 2] and len(server.recorded) == 2


def test_an_unknown_api_and_unreadable_input():
    server = embedded.server()
    assert reply(server, "Weather", "Sky Report", "Nothing", {}) == NOT_WORKING
    for text in ("{", "[1]", '"a"', "{'city': 'Oslo'}", "[" * 100_000):
        assert reply(server, *WEATHER, text) == UNREADABLE


def nested(depth):
    value = "deep"
    for _ in range(depth):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize(
    "arguments",
    [
        {"city": "x" * (1 << 20)},
        {"x" * (1 << 20): "Oslo"},
        {"city": nested(300)},
        {"city": nested(100_000)},
        {"city": 10**6000},
        {"city": float("nan")},
        {"city": [0] * 300_000},
        {str(number): number for number in range(100_000)},
        {"city": "\ud800"},
        {"city": "__import__('os')"},
    ],
    ids=lambda value: str(type(next(iter(value.values()))))[:20],
)
def test_hostile_arguments_are_answered_quickly(arguments):
    began = time.process_time()
    answer = reply(embedded.server(), *WEATHER, arguments)
    assert answer["error"] and len(json.dumps(answer)) < 1000
    assert time.process_time() - began < 2


def test_a_model_simulates_and_is_shown_documentation_and_examples():
    def speak(body, number):
        return 200, "no JSON" if number == 1 else '```json\n{"error": "", "response": {"celsius": 5}}\n```'

    with JudgeServer(speak) as model, Endpoint(model.url, "m") as endpoint:
        server = VirtualServer(embedded.tree(), answerers=(Simulator(endpoint),))
        server.recorded.add(key_of(*WEATHER), {"city": "Rome"}, answer_of(17))
        for _ in range(2):  # the second time it is recorded
            assert reply(server, *WEATHER, {"city": "Bonn"}) == {"error": "", "response": {"celsius": 5}}
        assert len(model.asked) == 2
        shown = model.asked[0]["messages"][1]["content"]
        assert all(words in shown for words in ("Current weather", '"city": "Bonn"', '"Rome"', '"number": 17'))
        assert [body["seed"] for body in model.asked] == [0, 1]


def test_a_model_without_json_fails_and_one_that_is_gone_is_nobodys_fault():
    with JudgeServer(lambda body, number: (200, "Sorry")) as model, Endpoint(model.url, "m") as endpoint:
        server = VirtualServer(embedded.tree(), answerers=(Simulator(endpoint),))
        assert reply(server, *WEATHER, {"city": "Bonn"}) == FAILED
        assert len(model.asked) == 3 and len(server.recorded) == 0
    with Endpoint("http://127.0.0.1:9/v1", "m", attempts=1) as endpoint:
        server = VirtualServer(embedded.tree(), answerers=(Simulator(endpoint),))
        with pytest.raises(InfrastructureError, match="simulator"):
            reply(server, *WEATHER, {"city": "Bonn"})


@pytest.mark.parametrize("text", ["", "[]", '{"error": ""}', "4", "{" * 99_999])
def test_what_is_no_simulated_answer(text):
    assert read_answer(text) is None
