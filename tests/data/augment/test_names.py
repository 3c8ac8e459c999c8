"""Augmentation: consistent, seeded, reversible."""

import random
from dataclasses import replace

import pytest

from xlam_lib.data.augment.names import (
    Names,
    add_distractors,
    augment,
    mask_argument,
    mask_function,
    rename,
    reword,
    shuffle_arguments,
    shuffle_tools,
)
from xlam_lib.trajectory import Source, Step, Tool, ToolCall, Trajectory


def schema(*names: str) -> dict:
    properties = {name: {"type": "string", "description": f"name of the {name}"} for name in names}
    return {"type": "object", "properties": properties, "required": list(names)}


@pytest.fixture
def dialogue() -> Trajectory:
    call = ToolCall("get_time", {"city": "Oslo", "zone": "CET"}, "call_0")
    return Trajectory(
        "demo",
        Source("demo", "CC0-1.0"),
        tools=(
            Tool("get_time", "Get the time of a city", schema("city", "zone")),
            Tool("find_book_by_title", "", schema("book")),
        ),
        steps=(
            Step(role="user", content="What time is it in Oslo, CET?"),
            Step(role="assistant", tool_calls=(call,)),
            Step(role="tool", content='{"time": "12:00"}', tool_call_id="call_0", name="get_time"),
        ),
    )


def test_rename_changes_tools_calls_and_results_and_can_be_undone(dialogue):
    names = Names({"get_time": "vola"}, {"get_time": {"city": "x1"}})
    new = rename(dialogue, names)
    assert new.tools[0].name == new.steps[1].tool_calls[0].name == new.steps[2].name == "vola"
    assert new.steps[1].tool_calls[0].arguments == {"x1": "Oslo", "zone": "CET"}
    assert new.tools[0].parameters["required"] == ["x1", "zone"]
    new.validate()
    assert rename(new, names.inverse()) == dialogue


def test_rename_refuses_two_tools_or_arguments_of_one_name(dialogue):
    with pytest.raises(ValueError, match="two tools one name"):
        rename(dialogue, Names({"get_time": "find_book_by_title"}))
    with pytest.raises(ValueError, match="two arguments"):
        rename(dialogue, Names({}, {"get_time": {"city": "zone"}}))


def test_augment_is_seeded_valid_and_keeps_values(dialogue):
    variants = set()
    for seed in range(200):
        new = augment(dialogue, random.Random(seed))
        assert new == augment(dialogue, random.Random(seed))
        new.validate()
        assert sorted(new.steps[1].tool_calls[0].arguments.values()) == ["CET", "Oslo"]
        assert new.steps[0] == dialogue.steps[0] and new.trajectory_id == dialogue.trajectory_id
        variants.add(str(new.to_dict()))
    assert len(variants) > 100


def test_shuffles_keep_meaning(dialogue):
    rng = random.Random(0)
    orders = set()
    for _ in range(20):
        new = shuffle_arguments(shuffle_tools(dialogue, rng), rng)
        assert {tool.name for tool in new.tools} == {"get_time", "find_book_by_title"}
        tool = next(tool for tool in new.tools if tool.name == "get_time")
        assert list(new.steps[1].tool_calls[0].arguments) == list(tool.parameters["properties"])
        orders.add((new.tools[0].name, *new.steps[1].tool_calls[0].arguments))
        assert new.toolset_id == dialogue.toolset_id or tool.parameters["required"] != ["city", "zone"]
    assert len(orders) == 4


def test_masks_are_identifiers_of_many_forms():
    rng = random.Random(0)
    names = {mask_function("get_local_time", rng) for _ in range(200)}
    assert {"getLocalTime", "local_time_get", "fetch_local_time"} <= names and len(names) > 50
    arguments = {mask_argument("city", "name of the city", rng) for _ in range(200)}
    assert "name_of_city" in arguments and len(arguments) > 40
    assert all(name.isidentifier() for name in names | arguments)


def test_reword_keeps_the_content():
    rng = random.Random(0)
    texts = {reword("Get the time of a city", rng) for _ in range(50)}
    assert "Fetch the time of a city" in texts and "Tool to get the time of a city" in texts
    assert all(text.endswith("the time of a city") for text in texts)
    assert reword("", rng) == ""


def test_distractors_are_added_once_each(dialogue):
    others = [Tool("get_time"), Tool("a"), Tool("b"), Tool("a")]
    new = add_distractors(dialogue, others, random.Random(0), count=5)
    assert sorted(tool.name for tool in new.tools) == ["a", "b", "find_book_by_title", "get_time"]
    assert replace(new, tools=dialogue.tools) == dialogue
