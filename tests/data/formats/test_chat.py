"""Messages become steps: ids, links between calls and results, and what counts as broken."""

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.chat import RawCall, StepBuilder, calls_of, parse_arguments


@pytest.mark.parametrize(
    ("raw", "arguments", "repaired"),
    [
        ({"a": 1}, {"a": 1}, False),
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}, False),
        ("", {}, True),
        (None, {}, True),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}, True),
    ],
)
def test_arguments(raw: object, arguments: dict, repaired: bool) -> None:
    value, repair = parse_arguments(raw, "f")
    assert (value, bool(repair)) == (arguments, repaired)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ('{"a": 1', "arguments are not JSON"),
        ("{'a': 1}", "arguments are not JSON"),
        ('{"a": NaN}', "arguments are not JSON"),
        ("[" * 100_000, "arguments are not JSON"),
        ("[1]", "arguments are not an object"),
        ('"text"', "arguments are not an object"),
        (3, "arguments are not an object"),
    ],
)
def test_arguments_are_not_guessed(raw: object, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        parse_arguments(raw, "get_weather")
    assert drop.value.reason == reason
    assert "get_weather" in drop.value.detail


def test_parallel_calls_are_answered_in_any_order() -> None:
    builder = StepBuilder()
    builder.user("Oslo and Rome?")
    builder.assistant("", [RawCall("weather", '{"city": "Oslo"}', "x"), RawCall("weather", '{"city": "Rome"}', "y")])
    builder.result("20", raw_id="y")
    builder.result("4", raw_id="x")
    assert [(s.tool_call_id, s.content, s.name) for s in builder.steps[2:]] == [
        ("call_1", "20", "weather"),
        ("call_0", "4", "weather"),
    ]
    assert builder.raw_ids == ["x", "y"]


def test_repeated_raw_ids_get_ids_of_their_own() -> None:
    builder = StepBuilder()
    for city in ("Oslo", "Rome"):
        builder.assistant("", [RawCall("weather", {"city": city}, "same")])
        builder.result(city, "weather", "same")
    assert [s.tool_call_id for s in builder.steps if s.role == "tool"] == ["call_0", "call_1"]


def test_results_without_ids_are_linked_by_name_then_order() -> None:
    builder = StepBuilder()
    builder.assistant("", [RawCall("f", {}), RawCall("g", {}), RawCall("f", {})])
    for name in ("g", "f", "f"):
        builder.result("", name)
    assert [s.tool_call_id for s in builder.steps[1:]] == ["call_1", "call_0", "call_2"]


@pytest.mark.parametrize(("name", "raw_id"), [("g", ""), ("f", "other"), ("", "other")])
def test_result_without_a_call(name: str, raw_id: str) -> None:
    builder = StepBuilder()
    builder.assistant("", [RawCall("f", {}, "x")])
    with pytest.raises(Drop, match="result without a call"):
        builder.result("", name, raw_id)


def test_call_without_a_result() -> None:
    builder = StepBuilder()
    builder.assistant("", [RawCall("f", {})])
    with pytest.raises(Drop, match="call without a result: .* 'f'"):
        builder.assistant("done")


def test_empty_turn() -> None:
    with pytest.raises(Drop, match="empty assistant turn"):
        StepBuilder().assistant("", [])


def test_both_forms_of_calls() -> None:
    new = {"tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    old = {"function_call": {"name": "f", "arguments": "{}"}}
    assert calls_of(new) == [RawCall("f", "{}", "x")]
    assert calls_of(old) == [RawCall("f", "{}")]
    assert calls_of({"content": "hi", "tool_calls": None}) == []


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": "f()"},
        {"tool_calls": ["f"]},
        {"tool_calls": [{"function": {"name": 3}}]},
        {"function_call": {"arguments": "{}"}},
    ],
)
def test_calls_of_no_known_form(message: dict) -> None:
    with pytest.raises(Drop):
        calls_of(message)
