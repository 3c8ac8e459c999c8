"""Glaive's native text and its ShareGPT form; calls in quotes, broken ones among them."""

import json
import re
from pathlib import Path

import pytest

from xlam_lib.codec import parse_answer, prompts_of, same_calls
from xlam_lib.data.accounting import Accounting, Drop
from xlam_lib.data.formats.call_forms import QUOTES, calls_of_text
from xlam_lib.data.sources import load_source
from xlam_lib.data.sources.calls.glaive import convert, native, turns_of_chat
from xlam_lib.trajectory import Trajectory

FUNCTION = (
    '{\n    "name": "f",\n    "description": "",\n    "parameters": {"type": "object", "properties": {"a": {}}}\n}'
)
SYSTEM = (
    f"SYSTEM: You are a helpful assistant with access to the following functions. Use them if required -\n{FUNCTION}\n"
)
END = " <|endoftext|>"
CALL = '<functioncall> {"name": "f", "arguments": \'{"a": 1}\'}'


def one(record: dict) -> Trajectory:
    (trajectory,) = convert(record, "/data/glaive.json:3")
    trajectory.validate("warning")
    return trajectory


def chat(call: str, answer: str = "Done.") -> dict:
    text = (
        f'USER: Go\n\n\nASSISTANT: {call}{END}\n\n\nFUNCTION RESPONSE: {{"b": 1}}\n\n\nASSISTANT: {answer}{END}\n\n\n'
    )
    return {"system": SYSTEM, "chat": text}


def test_a_native_record() -> None:
    t = one(chat(f"Let me see. {CALL}"))
    assert t.task.instruction == (
        "You are a helpful assistant with access to the following functions. Use them if required"
    )
    assert [tool.name for tool in t.tools] == ["f"]
    assert [(step.role, step.content) for step in t.steps] == [
        ("user", "Go"),
        ("assistant", "Let me see."),
        ("tool", '{"b": 1}'),
        ("assistant", "Done."),
    ]
    assert t.steps[1].tool_calls[0].arguments == {"a": 1}
    assert native(t) == [CALL + " "]
    assert "native_calls" not in t.extra
    assert t.extra["repairs"] == [f"call_0: {QUOTES}"]


@pytest.mark.parametrize(
    ("arguments", "value", "repair"),
    [
        ('\'{"a": "x"}\'', {"a": "x"}, QUOTES),
        ('\'{\n  "a": "it\'s"\n}\'', {"a": "it's"}, QUOTES),
        (r"""'{"a": "it\'s"}'""", {"a": "it's"}, f"{QUOTES}; Python literal read as JSON"),
        (r"""'{"a": "two\nlines, \"quoted\""}'""", {"a": 'two\nlines, "quoted"'}, QUOTES),
        ('\'{"a": "raw\nline"}\'', {"a": "raw\nline"}, f"{QUOTES}; raw control characters in a string accepted"),
        ("'{\"a\": True}'", {"a": True}, f"{QUOTES}; Python literal read as JSON"),
        ('"{"a": 1}"', {"a": 1}, QUOTES),
        (r'"{\"a\": 1}"', {"a": 1}, ""),
        ('{"a": 1}', {"a": 1}, ""),
        ("{}", {}, ""),
        ("'{}'", {}, QUOTES),
        ("{'a': None}", {"a": None}, "Python literal read as JSON"),
        ("[]", {}, "empty list read as {}"),
    ],
)
def test_forms_of_arguments(arguments: str, value: dict, repair: str) -> None:
    text = f' {{"name": "f", "arguments": {arguments}}}'
    t = one(chat(f"<functioncall>{text}"))
    assert t.steps[1].tool_calls[0].arguments == value
    assert t.extra.get("repairs", []) == ([f"call_0: {repair}"] if repair else [])
    assert native(t) == [f"<functioncall>{text} "]


@pytest.mark.parametrize(
    "call",
    [
        '{"name": "f", "arguments": \'{"a": 1 + 2}\'}',
        '{"name": "f", "arguments": \'{"a": "cut off}\'}',
        '{"name": "f", "arguments": \'{"a": 1',
        "f(1)",
    ],
)
def test_broken_calls_are_accounted(call: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(chat(f"<functioncall> {call}"), "x.json:1")
    assert drop.value.reason in ("call text in <functioncall> can't be read", "arguments are not JSON")


def test_a_missing_last_bracket_is_put_there() -> None:
    assert calls_of_text('{"name": "f", "arguments": \'{"a": 1}\'')[0].arguments == {"a": 1}
    assert calls_of_text('{"name": "f", "arguments": {"a": 1}')[0].arguments == {"a": 1}


def test_speakers() -> None:
    text = f"USER: One\n\nASSISTANT: a{END}\n\nUSER: Two\nASSISTANT: no speaker{END}\n\n\nA: b{END} USER: Three"
    turns = turns_of_chat(text)
    assert [(turn.role[0], turn.content) for turn in turns] == [
        ("u", "One"),
        ("a", "a"),
        ("u", "Two\nASSISTANT: no speaker"),
        ("a", "b"),
        ("u", "Three"),
    ]


def test_several_functions_and_none() -> None:
    both = one(
        {
            **chat('<functioncall> {"name": "f", "arguments": {}}'),
            "system": SYSTEM + "\n" + FUNCTION.replace('"f"', '"g"'),
        }
    )
    assert [tool.name for tool in both.tools] == ["f", "g"]
    none = one({"system": "SYSTEM: You have no functions.\n\n", "chat": "USER: Hi\n\nASSISTANT: Hello <|endoftext|>"})
    assert (none.tools, none.tags, none.task.instruction) == ((), ("no_call",), "You have no functions.")


def test_functions_in_the_system_text_of_sharegpt_rows() -> None:
    call = '<functioncall> {"name": "f", "arguments": \'{"a": 1}\'} <|endoftext|>'
    rows = [
        ("system", SYSTEM.removeprefix("SYSTEM: ")),
        ("human", "Go"),
        ("gpt", call),
        ("tool", "1"),
        ("gpt", "Done"),
    ]
    t = one({"conversations": [{"from": who, "value": value} for who, value in rows]})
    assert [tool.name for tool in t.tools] == ["f"] and t.task.instruction.endswith("if required")
    assert native(t) == [call.removesuffix("<|endoftext|>")]
    plain = one({"system": "SYSTEM: Write {braces} kindly.", "chat": "USER: Hi\n\n\nASSISTANT: {Hi}"})
    assert plain.task.instruction == "Write {braces} kindly."


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"row": 1, "call": "{}", "expect": "ok"}, "a call without its conversation: no trajectory to convert"),
        ({"chat": "Hello"}, "chat doesn't begin with a speaker"),
        ({"chat": 3}, "'chat' is not text"),
        ({**chat(CALL), "system": 3}, "'system' is not text"),
        ({"chat": "USER: Go"}, "no assistant turn"),
        ({**chat('<functioncall> {"name": "g", "arguments": {}}')}, "call of an undeclared tool"),
        ({**chat("Hm.")}, "result without a call"),
        ({**chat(CALL), "system": 'SYSTEM: Use them -\n{"name'}, "tools are not JSON"),
        ({}, "no messages"),
    ],
)
def test_drops(record: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        convert(record, "x.json:1")
    assert drop.value.reason == reason


def test_real_records(real_data: Path) -> None:
    folder, books = real_data / "glaive", Accounting("glaive")
    trajectories = list(load_source("glaive", folder, books))
    books.check()
    files = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    forms = [record for records in files.values() for record in records if "call" in record]
    assert books.records_in == sum(map(len, files.values()))
    reason = "a call without its conversation: no trajectory to convert"
    assert books.dropped == {reason: len(forms)}
    assert books.quarantined == 0 and len(trajectories) == books.records_in - len(forms)
    for t in trajectories:
        for index, _, completion in prompts_of(t):
            assert same_calls(parse_answer(completion, t.tools).answer.calls, t.steps[index].tool_calls)


def test_real_call_texts_come_back(real_data: Path) -> None:
    """Against the calls that plain search finds in the files."""
    texts = []
    for path in sorted((real_data / "glaive").glob("*.json")):
        for record in json.loads(path.read_text(encoding="utf-8")):
            messages = record.get("conversations") or []
            texts += [turn["value"] for turn in messages if turn["from"] == "function_call"]
            texts += re.findall(r"<functioncall>.*?(?=<\|endoftext\|>)", record.get("chat", ""), re.DOTALL)
    assert [text for t in load_source("glaive", real_data / "glaive") for text in native(t)] == texts
    assert len(texts) > 50


def test_real_call_forms(real_data: Path) -> None:
    path = real_data / "glaive" / "glaive_v2_call_forms_transcribed.json"
    for form in json.loads(path.read_text(encoding="utf-8")):
        if form["expect"].startswith("ok"):
            (call,) = calls_of_text(form["call"])
            name = re.search(r'"name": "(\w+)"', form["call"])[1]
            keys = re.findall(r'"(\w+)":', form["call"].partition('"arguments"')[2][1:])
            assert (call.name, list(call.arguments)) == (name, keys)
        else:
            with pytest.raises(Drop):
                calls_of_text(form["call"])
    sms = '{"name": "send_sms", "arguments": \'{"phone_number": "1", "message": "Hey, let\'s meet"}\'}'
    assert calls_of_text(sms)[0].arguments["message"] == "Hey, let's meet"
