"""Agent Data Protocol: events in the order of time become turns, calls and results."""

import json

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Drop
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.exchange.agent_data_protocol import assistant_texts, chat_messages, convert, is_standard
from xlam_lib.trajectory import Trajectory

RAW = samples_dir("agent_data_protocol") / "raw" / "demo" / "sample_std.json"
SAMPLES = {record["id"]: record for record in json.loads(RAW.read_text(encoding="utf-8"))}
ASK = {"class_": "text_observation", "content": "Do it.", "source": "user"}


def seen(content: str, source: str = "environment", **more: object) -> dict:
    return {"class_": "text_observation", "content": content, "source": source, **more}


def act(name: str, **more: object) -> dict:
    return {"class_": "api_action", "function": name, "kwargs": {}, **more}


def say(content: str, **more: object) -> dict:
    return {"class_": "message_action", "content": content, **more}


def one(*events: dict, **record: object) -> Trajectory:
    (t,) = convert({"id": "a", "content": [ASK, *events], **record}, "x.jsonl:1")
    assert t.validate("error") == []
    return t


def shape(t: Trajectory) -> list[str]:
    return [f"{s.role[0]}:{','.join(c.name for c in s.tool_calls) or s.content}" for s in t.steps]


def test_code_and_message() -> None:
    (t,) = convert(SAMPLES["shell_1"], "x.json:1")
    assert shape(t) == ["u:How many files are in /tmp/mail?", "a:execute_bash", "t:220", "a:There are 220 files."]
    assert t.steps[1].tool_calls[0].arguments == {"command": "ls -1 /tmp/mail | wc -l"}
    assert (t.steps[1].reasoning, t.steps[1].reasoning_origin) == ("I count them.", "native")
    assert (t.extra["inferred_tools"], t.extra["details"]) == (["execute_bash"], {"split": "train"})
    assert assistant_texts(t) == ["There are 220 files."]


@pytest.mark.parametrize(
    ("language", "call"),
    [
        ("python", ("execute_python", {"code": "x"})),
        ("SQL", ("execute_sql", {"query": "x"})),
        ("c++", ("execute_c__", {"code": "x"})),
    ],
)
def test_languages(language: str, call: tuple) -> None:
    t = one({"class_": "code_action", "language": language, "content": "x"})
    assert (t.steps[1].tool_calls[0].name, t.steps[1].tool_calls[0].arguments) == call


def test_web_observations_are_kept_whole() -> None:
    (t,) = convert(SAMPLES["web_1"], "x.json:1")
    assert [s.role for s in t.steps] == ["user", "user", "assistant", "tool", "assistant"]
    page = json.loads(t.steps[1].content)
    assert page["url"] == "https://example.org/ferries" and "html" not in page


def test_parallel_calls_by_id() -> None:
    (t,) = convert(SAMPLES["api_1"], "x.json:1")
    assert shape(t)[1:4] == ["a:weather,weather", "t:7 degrees", "t:4 degrees"]
    assert [s.tool_call_id for s in t.steps[2:4]] == ["call_1", "call_0"]
    assert (t.steps[4].reward, t.steps[4].reasoning) == (1.0, "4 is less than 7.")
    assert t.tools[0].description == "Weather of a city"
    assert t.extra["raw_call_ids"] == ["a", "b"]


def test_results_by_name_and_by_order() -> None:
    t = one(act("f"), act("g"), seen("of g", name="g"), seen("of f"))
    assert [(s.name, s.content) for s in t.steps[2:]] == [("g", "of g"), ("f", "of f")]
    t = one(act("f"), act("g"), seen("last"), say("Done."))
    assert [(s.name, s.content) for s in t.steps if s.role == "tool"] == [("g", "last"), ("f", "")]
    assert t.extra["repairs"] == ["call_0: no observation follows, so its result is empty"]


def test_who_speaks() -> None:
    t = one(act("f"), seen("42", "user"), say("So?"), seen("Yes.", "user"), say("Good."), seen("Bye.", "agent"))
    assert shape(t)[2:] == ["t:42", "a:So?", "u:Yes.", "a:Good.", "a:Bye."]
    assert (t.extra["results_from_user"], t.steps[-1].trainable) == (1, False)
    t = one(seen("Be kind.", "system"), say("Hello."))
    assert (t.task.instruction, shape(t)) == ("Be kind.", ["u:Do it.", "a:Hello."])


def test_thoughts_of_both_kinds() -> None:
    assert one(say("Hi.", description="One.", reasoning_content="Two.")).steps[1].reasoning == "One.\nTwo."


def test_records_of_messages_are_chats() -> None:
    record = {"content": [ASK, say("Hi.", description="")]}
    assert is_standard(record)
    assert chat_messages(record) == [{"role": "user", "content": "Do it."}, {"role": "assistant", "content": "Hi."}]
    assert chat_messages({"content": [ASK, act("f")]}) == []
    assert not is_standard({"content": "text"})


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "no 'content'"),
        ({"content": "x"}, "'content' is not a list"),
        ({"content": [1]}, "'content' is not a list of objects"),
        ({"content": [ASK]}, "a query without an answer: no trajectory to convert"),
        ({"content": [ASK, {"class_": "dream"}]}, "event of an unknown class"),
        ({"content": [ASK, act("f", kwargs=[1])]}, "arguments are not an object"),
        ({"content": [ASK, {"class_": "api_action"}]}, "no 'function'"),
        ({"content": [ASK, say("", description=None)]}, "empty assistant turn"),
        ({"content": [ASK, say("x", description=3)]}, "'description' is not text"),
        ({"content": [ASK, say("x")], "tools": [{"f": 1}]}, "tools are in no known form"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, "x.json:1")
    assert drop.value.reason == reason


def test_every_turn_renders_and_parses_back() -> None:
    for record in SAMPLES.values():
        (t,) = convert(record, "x.json:1")
        for index, prompt, completion in prompts_of(t):
            assert t.steps[0].content in prompt
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)
