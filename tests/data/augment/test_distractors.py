"""Distractors: seeded, never a second right tool, half of them like the ones called, and out again exactly."""

import random
from dataclasses import replace

import pytest
from floor_strategies import toolsets, trajectories
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.augment.distractors import LOOK_ALIKE, ToolPool, add_from_pool, likeness, without_distractors
from xlam_lib.data.augment.names import SYNONYMS, reword
from xlam_lib.trajectory import Source, Step, Tool, ToolCall, Trajectory

TOOLS = [
    Tool("get_weather", "Weather of a city today"),
    Tool("get_forecast", "Weather of a city in the coming week by the hour"),
    Tool("getWeather", "weather of a city today"),
    Tool("city_population", "How many people live in a city"),
    *(Tool(f"play_{name}", f"Plays {name} for you") for name in ("chess", "go", "cards", "dice", "jazz", "rock")),
]
POOL = ToolPool([*TOOLS, Tool("play_go", "another of that name")])
DIALOGUE = Trajectory(
    "demo",
    Source("demo", "CC0-1.0"),
    tools=(TOOLS[0], Tool("now")),
    steps=(Step("user", "Oslo?"), Step("assistant", tool_calls=(ToolCall("get_weather", {}, "a"),))),
)


def test_likeness():
    assert likeness(TOOLS[0], TOOLS[2]) == 1.0  # the same words, spelled otherwise
    assert likeness(Tool("a", "x"), Tool("a", "y")) == 1.0  # the same name
    assert likeness(TOOLS[0], TOOLS[4]) == 0.0 == likeness(Tool("_"), Tool("-"))
    assert 0 < likeness(TOOLS[0], TOOLS[1]) < LOOK_ALIKE


@given(st.sampled_from(sorted(SYNONYMS)), st.integers(0, 99))
def test_the_same_in_other_words_is_a_look_alike(verb, seed):
    tool = Tool("kelo", f"{verb.capitalize()} the team of a player")
    other = Tool("vamu", reword(reword(tool.description, random.Random(seed)), random.Random(seed + 1)))
    assert likeness(tool, other) == likeness(other, tool) >= LOOK_ALIKE
    assert likeness(tool, Tool("vamu", f"{verb.capitalize()} the color of a roof")) < LOOK_ALIKE


def test_the_pool_keeps_one_of_a_name_and_finds_the_nearest():
    assert len(POOL.tools) == len(TOOLS)
    assert [tool.name for tool in POOL.nearest(TOOLS[0], 3)] == ["get_weather", "getWeather", "get_forecast"]
    assert POOL.nearest(Tool("xyz"), 3) == []


def test_half_of_them_are_like_the_tool_called():
    for seed in range(50):
        found = [tool.name for tool in POOL.distractors(DIALOGUE, random.Random(seed), 4, similar=0.5)]
        assert len(found) == len(set(found)) == 4
        assert {"get_forecast", "city_population"} == set(found[:2])
        assert not {"get_weather", "getWeather", "now"} & set(found)
    assert len(POOL.distractors(DIALOGUE, random.Random(0), 99)) == len(TOOLS) - 2


def test_tools_are_shuffled_by_the_seed():
    new = add_from_pool(DIALOGUE, POOL, random.Random(3), count=3)
    assert new == add_from_pool(DIALOGUE, POOL, random.Random(3), count=3) and len(new.tools) == 5
    new.validate()
    orders = {
        tuple(tool.name for tool in add_from_pool(DIALOGUE, POOL, random.Random(seed)).tools) for seed in range(20)
    }
    assert len(orders) > 15
    with pytest.raises(ValueError, match="distractors already"):
        add_from_pool(new, POOL, random.Random(0))


@given(trajectories(), toolsets, st.integers(0, 9), st.integers(0, 5))
def test_they_come_out_again(t, others, seed, count):
    new = add_from_pool(t, ToolPool(others), random.Random(seed), count)
    assert len(new.tools) <= len(t.tools) + count
    assert without_distractors(new) == t == without_distractors(t)
    assert replace(new, tools=t.tools, extra=t.extra) == t
