"""Tools that are made once: what tells them apart, what is never cached, that the cache is bounded."""

import dataclasses
import json

import pytest

from xlam_lib import serialize
from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats import base
from xlam_lib.data.formats.base import cached_by_value
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import Outcome, Source, Step, Task, Tool, ToolCall, Trajectory
from xlam_lib.validation import KnownTools, check_and_serialize

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@cached_by_value
def listed(notes: list[str], *values):
    if values == ("bad",):
        raise Drop("bad")
    notes.append(f"saw {values}")
    return list(values)


def test_the_same_values_give_the_same_thing_and_its_notes():
    first, second = [], ["before"]
    assert listed(first, {"a": [1, None]}) is listed(second, {"a": [1, None]})
    assert second == ["before", *first] and len(first) == 1


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), ("1", 1), (0.0, -0.0), (["a"], ("a",))])
def test_equal_is_not_the_same(one, other):
    assert listed([], {"x": one}) is not listed([], {"x": other})


def test_the_order_of_keys_counts():
    assert list(listed([], {"a": 1, "b": 2})[0]) != list(listed([], {"b": 2, "a": 1})[0])


def test_a_drop_is_raised_again():
    for _ in range(2):
        with pytest.raises(Drop):
            listed([], "bad")


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(base, "CACHE_SIZE", 2)
    results = [listed([], f"bounded {number}") for number in range(3)]
    assert listed([], "bounded 2") is results[2] and listed([], "bounded 0") is not results[0]
    monkeypatch.setattr(base, "LONGEST_KEY", 10)
    assert listed([], "longer than that") is not listed([], "longer than that")


def test_tools_that_come_again_are_the_same():
    text, notes = json.dumps([{"name": "f", "parameters": {"a": {"type": "frob"}}}]), []
    assert tools_of(text, notes)[0] is tools_of(text, notes)[0]
    assert notes == ["f.a: frob"] * 2


def trajectory(*tools: Tool, **arguments) -> Trajectory:
    call = ToolCall("f", arguments, "call_0")
    steps = (Step("user", "Hi"), Step("assistant", tool_calls=(call,)))
    return Trajectory("t", Source("demo", "CC0-1.0"), tools=tools, steps=steps, tags=("x",))


def test_a_known_tool_is_serialized_and_checked_as_a_new_one():
    known, tools = KnownTools(), (Tool("f", "Does é", SCHEMA), Tool("g"))
    for arguments in ({"a": 1}, {"a": "text"}, {"b": 1}):
        t = trajectory(*tools, **arguments)
        assert check_and_serialize(t, "warning", known) == check_and_serialize(t, "warning")
        assert Trajectory.from_dict(json.loads(check_and_serialize(t, "warning", known)[1])) == t
    assert [one.tool.name for one in known.values()] == ["f", "g"]


def test_faults_of_tools_are_found_each_time():
    known = KnownTools()
    for bad in (Tool("f", "", {"type": "frob"}), Tool("f", "", {"type": "string"}), Tool("f", "", {1: 2}), "f"):
        for _ in range(2):
            with pytest.raises(TrajectoryError):
                check_and_serialize(trajectory(bad), "error", known)
    with pytest.raises(TrajectoryError, match="unique"):
        check_and_serialize(trajectory(*[Tool("f", "", SCHEMA)] * 2), "error", known)


def test_rows_of_tools_take_bounded_memory(monkeypatch):
    monkeypatch.setattr(serialize, "ROWS", 200)
    known, tools = KnownTools(), [Tool(f"f{number}", "", SCHEMA) for number in range(9)]
    for tool in (*tools, *tools):
        t = trajectory(Tool("f", "", SCHEMA), tool, a=1)
        assert check_and_serialize(t, "warning", known) == check_and_serialize(t, "warning")
    assert sum(len(row.line) for row in known.rows.values()) <= 400


@pytest.mark.parametrize(
    ("none", "unknown"), [("none", "unknown"), ("".join(["no", "ne"]), "unknown"), ("none", "".join(["un", "known"]))]
)
def test_what_equals_its_default_is_left_out_whether_it_is_the_same_or_not(none, unknown):
    steps = (Step("user", "Hi", reasoning_origin=none), Step("assistant", "Oh", reasoning_origin=none))
    t = Trajectory("t", Source("demo", "CC0-1.0"), Task(), (), steps, Outcome(True, termination=unknown))
    assert check_and_serialize(t)[1] == json.dumps(t.to_dict()).encode()
    assert list(t.to_dict()["outcome"]) == ["success"] and list(t.to_dict()["steps"][0]) == ["role", "content"]


class Words(dict):
    pass


@pytest.mark.parametrize(
    "change",
    [{"extra": Words()}, {"outcome": Outcome(True, checks=Words())}, {"steps": (Step("user", "Hi", trainable=1),)}],
)
def test_unusual_values_are_serialized_as_python_does(change):
    t = dataclasses.replace(trajectory(Tool("f", "", SCHEMA), a=1), **change)
    try:
        expected = json.dumps(t.to_dict()).encode()
        assert Trajectory.from_dict(json.loads(expected)) == t
    except TrajectoryError:
        with pytest.raises(TrajectoryError):
            check_and_serialize(t)
        return
    assert check_and_serialize(t)[1] == expected
