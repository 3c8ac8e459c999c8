"""Names are masked consistently and come back exactly; a request without its tool is answered by no call."""

import json
import random
import re
from dataclasses import replace

import pytest
from floor_strategies import trajectories
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.codec import parse_answer, prompts_of
from xlam_lib.data.augment.masking import REFUSALS, mask, unmask, with_tool, without_tool
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources import SOURCES, load_source
from xlam_lib.trajectory import Outcome, Source, Step, Task, Tool, ToolCall, Trajectory

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "full": {"type": "boolean"}},
    "required": ["city"],
}
RANGE = {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
CALL = ToolCall("get_time", {"city": "Oslo"}, "a")
DIALOGUE = Trajectory(
    "demo",
    Source("demo", "CC0-1.0"),
    Task("Call get_time first."),
    (
        Tool("get_time", "Time of a city; see search[city]", CITY),
        Tool("search", "Search for anything", {"type": "object"}),
        Tool("between", "", RANGE),
        Tool("getTime", "Time of a city, see search", CITY),
    ),
    (
        Step("user", "Use get_time"),
        Step("assistant", "I search with get_time, not getTime.", "`search` it", (CALL,)),
        Step("tool", "get_time: 12:00", tool_call_id="a", name="get_time"),
        Step("assistant", "Noon, says get_times.", "", (ToolCall("between", {"a": 1, "x": 2}, "b"),)),
    ),
    Outcome(True, 1.0, "success"),
    tags=("gold",),
)  # fmt: skip


def test_names_are_replaced_wherever_they_are_names():
    new = mask(DIALOGUE, random.Random(0))
    new.validate("warning")
    time, search, between, other = (tool.name for tool in new.tools)
    assert len({time, search, between, other, *(tool.name for tool in DIALOGUE.tools)}) == 8
    city = list(new.tools[0].parameters["properties"])[0]
    assert new.tools[0].parameters["required"] == [city] and city not in ("city", "full")
    assert new.tools[0].description == f"Time of a city; see {search}[city]"
    assert new.tools[2].parameters == RANGE  # what speaks of its arguments by name keeps them
    assert new.tools[3].description == "Time of a city, see search"
    assert new.task.instruction == f"Call {time} first."
    assistant = new.steps[1]
    assert assistant.content == f"I search with {time}, not {other}." and assistant.reasoning == f"`{search}` it"
    assert assistant.tool_calls == (ToolCall(time, {city: "Oslo"}, "a"),)
    assert new.steps[0] == DIALOGUE.steps[0] and new.steps[2] == replace(DIALOGUE.steps[2], name=time)
    assert new.steps[3].content == "Noon, says get_times."
    assert new.steps[3].tool_calls[0].arguments == {"a": 1, "x": 2}
    assert new.trajectory_id == "demo+masked" and unmask(new) == DIALOGUE
    with pytest.raises(ValueError, match="masked already"):
        mask(new, random.Random(0))


@given(trajectories(), st.integers(0, 99), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0]))
def test_masks_come_off_exactly(t, seed, functions, arguments):
    mentions = " ".join(f"{tool.name} {tool.name}[ `{tool.name}` {tool.name}" for tool in t.tools)
    t = replace(t, steps=(*t.steps, Step("user", "x"), Step("assistant", "ok " + mentions, mentions)))
    new = mask(t, random.Random(seed), functions, arguments)
    assert new == mask(t, random.Random(seed), functions, arguments)
    assert unmask(new) == unmask(Trajectory.from_dict(json.loads(json.dumps(new.to_dict())))) == t
    if functions == 1.0:
        assert not {tool.name for tool in new.tools} & {tool.name for tool in t.tools}
    if arguments == 0.0:
        assert [tool.parameters for tool in new.tools] == [tool.parameters for tool in t.tools]


@given(trajectories(), st.integers(0, 99))
def test_tools_taken_away_come_back(t, seed):
    new = without_tool(t, random.Random(seed))
    if new is None:
        assert not any(step.tool_calls for step in t.steps)
        return
    new.validate()
    assert new.steps[-1].content in REFUSALS and not any(step.tool_calls for step in new.steps)
    assert with_tool(Trajectory.from_dict(json.loads(json.dumps(new.to_dict())))) == t


def test_look_alikes_go_with_the_tool():
    new = without_tool(DIALOGUE, random.Random(1))
    assert [tool.name for tool in new.tools] == ["search", "between"]
    assert new.outcome == Outcome() and new.tags == ("gold", "irrelevance") and len(new.steps) == 2
    assert with_tool(new) == DIALOGUE and with_tool(DIALOGUE) == DIALOGUE and unmask(DIALOGUE) == DIALOGUE
    both = mask(new, random.Random(2))
    assert with_tool(unmask(both)) == DIALOGUE
    (row,) = prompts_of(both)
    assert parse_answer(row[2]).answer.calls == ()


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_samples_of_all_sources(source):
    """Real tools, too: no old name is left in the tools and calls of a prompt, and everything comes back."""
    for number, t in enumerate(load_source(source, samples_dir(source) / "raw")):
        new = mask(t, random.Random(number))
        warnings = new.validate("warning")
        assert len(warnings) == len(t.validate("warning"))
        assert unmask(new) == t
        left = {tool.name for tool in t.tools} & {tool.name for tool in new.tools}
        assert not left and all(re.fullmatch("[a-z]+(_[0-9])*", tool.name) for tool in new.tools)
        nothing = without_tool(t, random.Random(number))
        if nothing is not None:
            nothing.validate("warning")
            assert with_tool(nothing) == t
