"""Held-out tools: grading, figures with intervals, offline and served runs that go on where they stopped."""

import json

import pytest
from bench_fakes import TOOLS, trajectory, weather

from xlam_lib.bench import evaluate
from xlam_lib.bench.ask import AskError, Reply
from xlam_lib.bench.base import TaskError
from xlam_lib.bench.results import difference, failure_examples, model_figures
from xlam_lib.bench.tasks import heldout
from xlam_lib.bench.tasks.heldout import FAILURES, HeldOutTask, grade, items_of, offline, served
from xlam_lib.codec import BRIEF_STYLE, Answer, render_answer
from xlam_lib.endpoint import Endpoint
from xlam_lib.journal import JournalError
from xlam_lib.trajectory import Step, ToolCall, write_jsonl


def text(*calls, thought=""):
    return render_answer(Answer(thought, calls))


@pytest.mark.parametrize(
    ("answer", "expected", "failure"),
    [
        (text(weather()), [weather()], ""),
        (text(weather("Rome"), weather()), [weather(), weather("Rome")], ""),
        (text(), [], ""),
        (text(weather(days=2)), [weather(days=2.0)], ""),
        (text(weather(days=1)), [weather(days=True)], "wrong_value"),
        (text(weather("Rome")), [weather()], "wrong_value"),
        (text(), [weather()], "no_call"),
        (text(weather()), [], "called_though_irrelevant"),
        (text(weather()), [weather(), weather("Rome")], "missing_call"),
        (text(weather(), weather()), [weather()], "extra_call"),
        (text(ToolCall("get_time", {"city": "Oslo"})), [weather()], "wrong_tool"),
        (text(ToolCall("get_wether", {"city": "Oslo"})), [weather()], "wrong_tool"),
        (text(ToolCall("get_weather", {"town": "Oslo"})), [weather()], "wrong_argument_name"),
        (text(ToolCall("get_weather", {})), [weather()], "missing_argument"),
        (text(weather(days=3)), [weather()], "extra_argument"),
        ("Oslo is cold.", [weather()], "invalid_json"),
        ("Oslo is cold.", [], "invalid_json"),
    ],
)
def test_every_failure_has_its_name(answer, expected, failure):
    found = grade(answer, expected, TOOLS)
    assert (found["failure"], found["exact"]) == (failure, failure == "")
    assert not failure or failure in FAILURES


def test_form_and_meaning_are_graded_apart():
    found = grade("Sure: " + text(weather()), [weather()], TOOLS)
    assert not found["exact"] and not found["parsed"] and found["problems"]
    assert grade(text(weather())[:30], [weather()], TOOLS, cut_off=True)["failure"] == "cut_off"
    assert grade(text(weather(), weather("Rome")), [weather("Bonn"), weather()], TOOLS)["failure"] == "wrong_value"


def test_items_have_ids_kinds_and_prompts():
    call = ToolCall("get_weather", {"city": "Oslo"}, "call_0")
    talk = (
        Step("user", "Oslo?"),
        Step("assistant", tool_calls=(call,)),
        Step("tool", "4", tool_call_id="call_0", name="get_weather"),
    )
    tagged = trajectory("a", weather(), tags=("easy", "weather"))
    items = items_of([tagged, trajectory("b"), trajectory("c", steps=talk)], BRIEF_STYLE)
    assert [(item.id, item.kind) for item in items] == [
        ("a#1", "easy"),
        ("b#1", "no_call"),
        ("c#1", "single"),
        ("c#3", "no_call"),
    ]
    assert all(item.prompt.startswith("[BEGIN OF TASK INSTRUCTION]\nAnswer the request") for item in items)
    with pytest.raises(TaskError, match="two items have the id 'a#1'"):
        offline([trajectory("a", weather())] * 2, model)
    with pytest.raises(TaskError, match="no questions"):
        items_of([])


TEST_SET = [
    trajectory(
        f"t{number}",
        weather(f"City {number}"),
        query=f"Weather in City {number}?",
        tags=("single" if number % 2 else "other",),
    )
    for number in range(10)
]


def model(prompts):
    """Right for City 0 to 6, wrong value for 7 and 8, nonsense for 9."""
    numbers = [int(prompt.split("Weather in City ")[1][0]) for prompt in prompts]
    return ["?" if n == 9 else text(weather(f"City {n}" if n < 7 else "Rome")) for n in numbers]


def test_offline_figures():
    result = offline(TEST_SET, model, BRIEF_STYLE)
    assert (result.exact, result.parse_rate) == (0.7, 0.9)
    assert result.failures() == {"wrong_value": 2, "invalid_json": 1}
    assert result.by_kind()["single"] == {"n": 5, "exact": 0.6, "parsed": 0.8}
    assert result.interval().low < 0.7 < result.interval().high
    summary = result.summary(seed=1)
    assert summary["n"] == 10 and summary["exact_interval"]["mean"] == 0.7 and summary["unanswered"] == {}
    assert json.loads(json.dumps(summary)) == summary
    row = result.rows[7]
    assert row["expected"] == [{"name": "get_weather", "arguments": {"city": "City 7"}}]
    assert (row["id"], row["trajectory"], row["failure"]) == ("t7#1", "t7", "wrong_value")


def test_failures_can_be_looked_at():
    words = failure_examples(offline(TEST_SET, model))
    assert words.startswith("wrong_value (2)\n  asked    Weather in City 7?\n  expected [{")
    assert words.endswith("  answered ?") and "invalid_json (1)" in words
    assert failure_examples(offline(TEST_SET[:3], model)) == "no failure"


def test_figures_of_a_model():
    seen, unseen = offline(TEST_SET, model), offline(TEST_SET[:9], model)
    figures = model_figures(seen, unseen)
    assert (figures["seen_exact"], figures["unseen_exact"], figures["parse_rate"]) == (0.7, 7 / 9, 18 / 19)
    assert figures["intervals"]["seen_exact"]["n"] == 10 and figures["failures"]["unseen"] == {"wrong_value": 2}
    assert json.loads(json.dumps(figures)) == figures


def test_two_models_are_compared_on_the_same_questions():
    before = offline(TEST_SET, model)
    after = offline(TEST_SET[:9], lambda prompts: [text(weather(f"City {p.split('in City ')[1][0]}")) for p in prompts])
    change = difference(before, after)
    assert change.n == 9 and change.mean == pytest.approx(2 / 9)
    with pytest.raises(TaskError, match="share no question"):
        difference(before, offline([trajectory("z", weather())], lambda prompts: [text()]))


def test_an_interrupted_offline_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "CHUNK", 4)
    path, asked = tmp_path / "answers.jsonl", []

    def dies(prompts):
        asked.extend(prompts)
        if len(asked) > 8:
            raise KeyboardInterrupt
        return model(prompts)

    with pytest.raises(KeyboardInterrupt):
        offline(TEST_SET, dies, path=path, model="one")
    asked.clear()
    result = offline(TEST_SET, lambda prompts: asked.extend(prompts) or model(prompts), path=path, model="one")
    assert len(asked) == 2 and result == offline(TEST_SET, model)
    with pytest.raises(JournalError, match="other words, tools, model"):
        offline(TEST_SET, model, path=path, model="two")


def test_offline_answers_must_be_one_a_prompt():
    with pytest.raises(ValueError, match="zip"):
        offline(TEST_SET, lambda prompts: ["x"])


def test_served_like_any_client(server, tmp_path):
    def answer(path, body):
        city = body["messages"][-1]["content"].removeprefix("Weather in ").removesuffix("?")
        if city == "City 4":
            return 500, "oops"
        function = {"name": "get_weather", "arguments": json.dumps({"city": "Rome" if city == "City 5" else city})}
        return 200, {
            "role": "assistant",
            "content": None,
            "finish": "tool_calls",
            "tool_calls": [{"id": "x", "type": "function", "function": function}],
        }

    server.answer = answer
    endpoint = Endpoint(server.url, "sft", attempts=1, concurrency=8)
    result = served(TEST_SET, endpoint, path=tmp_path / "answers.jsonl")
    assert len(result.rows) == 9 and list(result.unanswered) == ["t4#1"]
    assert result.exact == 8 / 9 and result.parse_rate == 1.0
    assert result.summary()["unanswered"] == {"status 500": 1}
    body = server.asked[0][1]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get_weather", "get_time"]
    assert [message["role"] for message in body["messages"]] == ["user"]


def test_served_raw_gets_the_very_prompt(server):
    server.answer = lambda path, body: (200, model([body["prompt"]])[0])
    result = served(TEST_SET, Endpoint(server.url, "sft", attempts=1), BRIEF_STYLE, raw=True)
    assert result.rows == offline(TEST_SET, model, BRIEF_STYLE).rows
    assert server.asked[0][1]["prompt"].startswith("<|user|>\n[BEGIN OF TASK")


def test_a_task_instruction_goes_to_the_server_as_system_message(server):
    from dataclasses import replace

    from xlam_lib.trajectory import Task

    served([replace(TEST_SET[0], task=Task("Be kind."))], Endpoint(server.url, "m", attempts=1))
    assert server.asked[0][1]["messages"][0] == {"role": "system", "content": "Be kind."}


def test_no_answer_at_all_is_an_error_not_a_zero(server):
    server.answer = lambda path, body: (400, "too long")
    with pytest.raises(AskError, match="answered none of 10 questions: status 400"):
        served(TEST_SET, Endpoint(server.url, "m", attempts=1))


def test_answers_cut_off_are_named():
    task = HeldOutTask(TEST_SET[:1])
    result = evaluate.graded(task, task.items(), {"t0#1": Reply("t0#1", '{"thought": "', finish="length")})
    assert result.failures() == {"cut_off": 1}


def test_the_command_line(server, tmp_path, capsys):
    data = tmp_path / "test_seen.jsonl"
    write_jsonl(data, TEST_SET[:3])
    words = ["--data", str(data), "--base-url", server.url, "--model", "org/sft", "--out", str(tmp_path / "out")]
    assert heldout.main(words) == 0
    assert "exact 0.000 [0.000, 0.000] n=3   parsed 1.000   unanswered 0" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "out" / "org_sft.test_seen.rows.jsonl").read_text().splitlines()]
    assert [row["failure"] for row in rows] == ["no_call"] * 3
    assert json.loads((tmp_path / "out" / "org_sft.test_seen.summary.json").read_text())["n"] == 3
    assert heldout.main([*words[:1], str(tmp_path / "none.jsonl"), *words[2:]]) == 2
    assert "none.jsonl" in capsys.readouterr().err
