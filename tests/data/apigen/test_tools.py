"""The library of tools, its value pools and its query frames."""

import random

import pytest
from jsonschema import Draft202012Validator

from xlam_lib.data.apigen import LINKS, TOOLS, UNSEEN, ask
from xlam_lib.data.apigen.library.frames import Frame
from xlam_lib.data.apigen.library.registry import links_of, tools_of
from xlam_lib.data.apigen.library.spec import Domain
from xlam_lib.data.apigen.library.twins import forbidden_words, twins
from xlam_lib.data.apigen.library.values import POOLS, City, decimal, several, split_of, whole


def phrasings(spec, draws: int = 300) -> set[str]:
    rng = random.Random(0)
    found = set()
    for _ in range(draws):
        one = ask.clause(rng, spec, "train")
        slots = {name: text if isinstance(text, bool) else f"{{{name}}}" for name, text in one.texts.items()}
        found.add(one.frame.render(rng, slots))
    return found


def test_library_is_large_and_varied():
    assert len(TOOLS) >= 60
    assert len({spec.domain for spec in TOOLS.values()}) >= 12
    assert len(UNSEEN) >= 12 and set(UNSEEN) <= set(TOOLS)
    assert len({TOOLS[name].domain for name in UNSEEN}) >= 8
    assert len(links_of("train")) >= 5 and len(links_of("test_unseen")) >= 5


def test_schemas_show_every_type_and_some_optional_arguments():
    params = [param for spec in TOOLS.values() for param in spec.params]
    assert {param.schema["type"] for param in params} == {"string", "integer", "number", "boolean", "array"}
    assert any("enum" in param.schema for param in params)
    assert any(not param.required for param in params)


@pytest.mark.parametrize("name", TOOLS)
def test_tool_is_well_described_and_can_be_asked_for_in_many_ways(name):
    spec = TOOLS[name]
    Draft202012Validator.check_schema(spec.schema.parameters)
    assert 3 <= len(spec.description.split()) <= 10
    assert all(1 <= len(param.description.split()) <= 6 for param in spec.params)
    assert len(phrasings(spec)) >= 8


def test_links_name_real_results_and_arguments():
    for link in LINKS:
        assert link.argument in {param.name for param in TOOLS[link.second].params}
        assert any(link.argument in frame.slots for frame in ask.requests(TOOLS[link.second]))
        assert (link.first in UNSEEN) == (link.second in UNSEEN)


def test_tools_of_splits_are_disjoint_and_complete():
    seen, unseen = {s.name for s in tools_of("train")}, {s.name for s in tools_of("test_unseen")}
    assert seen == {s.name for s in tools_of("test_seen")}
    assert not seen & unseen and seen | unseen == set(TOOLS)


@pytest.mark.parametrize("name", POOLS)
def test_pool_draws_fresh_values_of_both_halves(name):
    rng = random.Random(1)
    for half in ("train", "test"):
        values = {POOLS[name].draw(rng, half) for _ in range(500)}
        assert all(split_of(value) == half for value in values)
        assert len(values) > (10 if name == "food" else 100)


def test_numbers_and_lists_keep_to_their_half():
    rng = random.Random(2)
    for pool in (whole(2, 60), decimal(2, 90), several(POOLS["food"])):
        for half in ("train", "test"):
            for _ in range(50):
                value = pool.draw(rng, half)
                items = value if isinstance(value, list) else [value]
                assert all(split_of(item) == half for item in items)
                assert len(set(map(str, items))) == len(items)


def test_a_pool_without_values_of_a_half_says_so():
    with pytest.raises(ValueError, match="widen the pool"):
        pool = whole(7, 7)
        pool.draw(random.Random(0), "train" if split_of(7) == "test" else "test")


def test_split_ignores_case_and_kind():
    assert split_of("Oslo") == split_of("oslo") and split_of(12) == split_of("12")


def test_frame_renders_choices_options_and_segments():
    frame = Frame.parse("(get|show) it[ now]< for {city}>< on {date}>< {tea?with tea|without tea}>")
    assert frame.is_request and frame.slots == ("city", "date", "tea") and frame.firm == ()
    rng = random.Random(0)
    texts = {frame.render(rng, {"city": "Oslo", "date": "2026-01-02", "tea": False}) for _ in range(300)}
    assert "get it now for Oslo on 2026-01-02 without tea" in texts
    assert "show it on 2026-01-02 for Oslo without tea" in texts
    assert frame.render(rng, {"city": "Oslo"}).endswith("for Oslo")
    assert frame.segment(rng, "city", {"city": "Oslo"}) == " for Oslo"


def test_frame_repeats_itself_by_its_tail_only_where_the_head_holds_no_value():
    assert Frame.parse("get it< for {city}>").has_tail
    assert not Frame.parse("get {thing}< for {city}>").has_tail
    assert not Frame.parse("Is it cold< in {city}>?").has_tail


def test_frame_uses_the_right_article():
    assert Frame.parse("buy a {thing}").render(random.Random(0), {"thing": "amber lamp"}) == "buy an amber lamp"


@pytest.mark.parametrize("text", ["get (a|b", "get {a", "get [a", "get a]"])
def test_broken_frame_is_refused(text):
    with pytest.raises(ValueError):
        Frame.parse(text)


def test_a_tool_must_explain_its_arguments_and_frames_must_fit_it():
    domain = Domain("demo")
    with pytest.raises(TypeError, match="docstring lacks a line 'city: ...'"):

        @domain.tool("get< for {city}>")
        def undocumented(city: City) -> dict:
            """Get something of a city."""
            return {}

    with pytest.raises(TypeError, match="has slots"):

        @domain.tool("get< for {town}>")
        def mismatched(city: City) -> dict:
            """Get something of a city.

            city: name of the city
            """
            return {}


def test_twins_are_many_and_touch_no_tool_of_the_tests():
    made = twins(800, seed=0)
    names = [spec.name for spec in made]
    assert len(set(names)) == 800 and not set(names) & set(TOOLS)
    banned = forbidden_words()
    assert {"stadium", "seat", "museum", "calories", "cipher", "ticket"} <= banned
    for spec in made:
        words = set(spec.name.replace("_", " ").lower().split()) | {spec.noun}
        assert not words & banned, spec.name
        Draft202012Validator.check_schema(spec.schema.parameters)
    assert [spec.schema for spec in twins(50, seed=0)] == [spec.schema for spec in twins(50, seed=0)]
