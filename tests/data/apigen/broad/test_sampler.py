"""The samples: sound calls whose values are said, shared tool lists, what is held out, and the same ones for a seed."""

import json
import random
import time
from collections import Counter
from itertools import groupby

import pytest

from xlam_lib.data.apigen.broad import answers, read_catalogue
from xlam_lib.data.apigen.broad.lists import World, without_names
from xlam_lib.data.apigen.broad.sampler import KINDS, MIX, broad
from xlam_lib.data.apigen.broad.signatures import FILE, LONGEST, real_tools, sources
from xlam_lib.data.apigen.broad.tools import Leaf
from xlam_lib.data.apigen.broad.values import Choices
from xlam_lib.data.apigen.library.values import split_of
from xlam_lib.serialize import dumps
from xlam_lib.trajectory import Trajectory
from xlam_lib.validation import argument_problems

SPLITS = ("train", "test_seen", "test_unseen")
PER_LIST = 8


@pytest.fixture(scope="module")
def tools():
    return read_catalogue()


@pytest.fixture(scope="module")
def drawn(tools):
    return {split: list(broad(split, 3, 1200, tools=tools)) for split in SPLITS}


def calls_of(trajectory: Trajectory):
    return [call for step in trajectory.steps for call in step.tool_calls]


def texts_in(value):
    if isinstance(value, dict | list):
        return [text for inner in (value.values() if isinstance(value, dict) else value) for text in texts_in(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("split", SPLITS)
def test_every_call_fits_its_schema(drawn, split):
    for trajectory in drawn[split]:
        trajectory.validate()
        shown = {tool.name: tool for tool in trajectory.tools}
        assert [
            problem for call in calls_of(trajectory) for problem in argument_problems(shown[call.name], call.arguments)
        ] == []


def test_open_texts_of_a_call_stand_in_what_the_user_said(drawn):
    """Names, addresses and sentences are copied; dates, codes and choices are said in other words."""
    looked = 0
    for trajectory in drawn["train"]:
        said = "\n".join(step.content for step in trajectory.steps if step.role == "user").casefold()
        for text in (text for call in calls_of(trajectory) for text in texts_in(call.arguments)):
            if "@" in text or text.startswith("https"):
                looked += 1
                assert text.casefold() in said
    assert looked > 10


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tools, drawn):
    again = list(broad("train", 3, 300, tools=tools))
    assert [dumps(one.to_dict()) for one in again] == [dumps(one.to_dict()) for one in drawn["train"][:300]]
    other = [one.steps for one in broad("train", 4, 300, tools=tools)]
    assert sum(one.steps == steps for one, steps in zip(again, other, strict=True)) < 10


def test_ids_are_unique_and_begin_with_the_split(drawn):
    ids = [one.trajectory_id for split in SPLITS for one in drawn[split]]
    assert len(set(ids)) == len(ids)
    assert all(one.split == split == one.source.split for split in SPLITS for one in drawn[split])


@pytest.mark.parametrize("split", SPLITS)
def test_questions_on_a_list_follow_one_another_and_share_its_tools_and_system_text(drawn, split):
    groups = [list(group) for _, group in groupby(drawn[split], key=lambda one: one.trajectory_id.rpartition("-")[0])]
    assert [len(group) for group in groups] == [PER_LIST] * (1200 // PER_LIST)
    for group in groups:
        heads = {dumps([tool.to_dict() for tool in one.tools]) for one in group}
        systems = {tuple(step.content for step in one.steps if step.role == "system") for one in group}
        assert len(heads) == len(systems) == 1
        asked = [next(step.content for step in one.steps if step.role == "user") for one in group]
        assert len(set(asked)) >= PER_LIST - 1
    assert {len(group[0].tools) for group in groups} == set(range(1, 9))
    assert any(group[0].steps[0].role == "system" for group in groups)


def test_one_question_a_list_gives_every_sample_tools_of_its_own(tools):
    drawn = list(broad("train", 0, 60, questions_per_list=1, tools=tools))
    assert len({one.toolset_id for one in drawn}) > 50
    with pytest.raises(ValueError, match="questions_per_list is 0, expected at least 1"):
        next(broad("train", questions_per_list=0, tools=tools))


def test_all_kinds_are_drawn_in_about_their_shares(drawn):
    assert MIX.keys() == KINDS.keys() and sum(MIX.values()) == pytest.approx(1)
    counts = Counter(one.tags[0] for one in drawn["train"])
    assert counts.keys() == MIX.keys()
    assert 0.1 < counts["irrelevant"] / 1200 < 0.25
    assert counts["single"] > counts["parallel"] > 60 and counts["parallel_multiple"] > 40


def test_what_each_kind_looks_like(drawn):
    for trajectory in drawn["train"]:
        steps = [step for step in trajectory.steps if step.role != "system"]
        first, calls = steps[1], steps[1].tool_calls
        match trajectory.tags[0]:
            case "single":
                assert len(calls) == 1 and len(steps) == 2
            case "parallel":
                assert len(calls) > 1 and len({call.name for call in calls}) == 1
                assert len({json.dumps(call.arguments) for call in calls}) == len(calls)
            case "parallel_multiple":
                assert len({call.name for call in calls}) == len(calls) > 1
            case "irrelevant" | "talk":
                assert not calls_of(trajectory) and len(steps) == 2 and len(first.content) < 200
            case "missing":
                assert first.content.endswith(("?", ".")) and not calls
                assert len(steps) in (2, 4) and bool(steps[-1].tool_calls) == (len(steps) == 4)
            case "follow":
                assert len(calls) == 1 and steps[2].role == "tool" and json.loads(steps[2].content)
                assert steps[3].role == "assistant" and len(steps) in (4, 6)


def test_training_knows_no_tool_and_no_value_of_the_tests(tools, drawn):
    """Neither as a tool that is called nor as one that is listed; renamed ones are told by their descriptions."""
    unseen = {tool.description.rstrip(".") for tool in tools.values() if tool.unseen}
    seen = {tool.description.rstrip(".") for tool in tools.values() if not tool.unseen}
    assert not {tool.description.rstrip(".") for one in drawn["train"] for tool in one.tools} & (unseen - seen)
    emails = {
        split: {
            text for one in drawn[split] for call in calls_of(one) for text in texts_in(call.arguments) if "@" in text
        }
        for split in SPLITS
    }
    whole = {text for text in emails["train"] if " " not in text}
    assert all(split_of(text) == "train" for text in whole)
    assert not whole & (emails["test_seen"] | emails["test_unseen"])


def test_the_unseen_test_asks_for_unseen_tools_only(tools, drawn):
    named = {tool.name: tool for tool in tools.values()}
    called = [call.name for one in drawn["test_unseen"] for call in calls_of(one)]
    known = [named[name].unseen for name in called if name in named]
    assert len(known) > len(called) / 2 and all(known)


def test_nothing_listed_can_do_what_an_irrelevant_question_asks(tools):
    world, rng = World.of("train", tools), random.Random(0)
    for _ in range(200):
        chosen = world.draw(rng)
        absent = world.absent(rng, chosen)
        if absent is not None:
            assert absent.name not in {tool.name for tool in chosen.everything}


def test_tools_are_shown_in_varied_form(drawn):
    shown = {}
    for one in drawn["train"]:
        for tool in one.tools:
            shown.setdefault(tool.description.rstrip(".").lower(), set()).add(dumps(tool.to_dict()))
    assert sum(len(forms) > 2 for forms in shown.values()) > 20
    names = {tool.name for one in drawn["train"] for tool in one.tools}
    assert any("." in name for name in names) and any("_" in name for name in names)


@pytest.mark.parametrize(
    ("description", "form", "does"),
    [
        ("Convert a length from one unit into another.", "to", "convert a length from one unit into another"),
        ("Returns the AQI of a city. Uses stations.", "that", "returns the AQI of a city"),
        ("Volume of a sphere.", "the", "volume of a sphere"),
        ("Change in length of a rod.", "the", "change in length of a rod"),
        ("Place an order for a share, e.g. a limit order.", "to", "place an order for a share"),
        ("Area of a triangle from its sides, by Heron's formula.", "the", "area of a triangle from its sides"),
        ("Reorder an article from the supplier.", "to", "reorder an article from the supplier"),
        ("All prime factors of a number.", "", "all prime factors of a number"),
        ("Search for flights between two cities.", "to", "search for flights between two cities"),
        ("Moves and ideas of a chess opening.", "the", "moves and ideas of a chess opening"),
        ("Orders of a customer.", "the", "orders of a customer"),
        ("Who invented something.", "", "Who invented something"),
        ("METAR report of an airport.", "", "METAR report of an airport"),
    ],
)
def test_a_refusal_speaks_of_what_the_tool_does(description, form, does):
    assert answers.deed(description) == (form, does if form else answers.deed(description)[1])


@pytest.mark.parametrize(
    ("slot", "description", "said"),
    [
        ("annual_rate", "Yearly interest in percent.", "annual rate"),
        ("height_cm", "Height of the person in centimeters.", "height"),
        ("n", "The number of trials.", "number of trials"),
        ("side", "Whether shares are bought or sold.", "tell me whether shares are bought or sold"),
    ],
)
def test_a_missing_value_is_asked_for_by_its_name_or_meaning(slot, description, said):
    leaf = Leaf(slot, Choices({"x": ("x",)}), description, required=True)
    asked = {answers.question_for(random.Random(seed), leaf) for seed in range(60)}
    assert any(said in text for text in asked) and not any("the whether" in text or " cm" in text for text in asked)


def test_only_deeds_and_searches_have_results_that_are_made_up(tools):
    rng = random.Random(0)
    for tool in tools.values():
        for result, words in filter(None, (answers.outcome(rng, tool) for _ in range(20))):
            assert result.keys() & {"error", "status", "count"} and words
    told = [answers.outcome(rng, tools["convert_length"]) for _ in range(60)]
    assert {next(iter(one[0])) for one in told if one} == {"error"}


def test_a_tool_with_a_name_of_a_benchmark_is_renamed(tools):
    name = "get_weather_forecast"
    kept, renamed, left_out = without_names(tools, {name})
    assert name not in kept and len(kept) == len(tools) and (renamed, left_out) == (1, 0)
    assert kept["weather_air.get_weather_forecast"].unseen == tools[name].unseen
    taken = {name, "weather_air.get_weather_forecast", "getWeatherForecast"}
    assert without_names(tools, taken)[1:] == (0, 1)


def test_real_signatures_are_short_typed_and_licensed():
    assert FILE.stat().st_size < 400_000 and len(real_tools()) > 500
    assert sum(source["tools"] for source in sources()) == len(real_tools())
    assert all(source["version"] and source["license"] for source in sources())
    for tool in real_tools():
        assert len(tool.description) <= LONGEST and 1 <= len(tool.parameters["properties"]) <= 6
        assert all(isinstance(schema["type"], str) for schema in tool.parameters["properties"].values())


def test_an_unknown_split_is_refused(tools):
    with pytest.raises(ValueError, match="the split is 'val', expected one of train, test_seen, test_unseen"):
        next(broad("val", tools=tools))


def test_it_is_quick(tools):
    """Thousands of samples in a second of a processor; far fewer are asked for, as tests run side by side."""
    sum(1 for _ in broad("train", 8, 200, tools=tools))  # what is remembered from then on
    started = time.process_time()
    assert sum(1 for _ in broad("train", 9, 2000, tools=tools)) == 2000
    assert 2000 / (time.process_time() - started) > 500
