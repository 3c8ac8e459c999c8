"""How users may ask for a function: every value is in the words, templates are checked, wordings are held out."""

import random
from typing import Literal

import pytest

from xlam_lib.data.apigen.apis import ApigenError, Library
from xlam_lib.data.apigen.openapi import read_openapi
from xlam_lib.data.apigen.phrases import check_template, phrase, said, words_of
from xlam_lib.data.quality.grounding import Context


def rent_bikes(start: str, destination: str, days: int, electric: bool = False, max_price: float = 20.0) -> dict:
    """Rents bikes for a ride from a start to a destination.

    Args:
        days: number of days
        max_price: highest price of a day
    """
    return {}


def weather(city: str, date: str = "", units: Literal["metric", "imperial"] = "metric") -> dict:
    """Get the current weather of a city.

    Questions:
        - Is it cold in {city}[ on {date}]?
        - Do I need a coat in {city}[ on {date}][, in {units} units]?
        What's it like in {city}?
        How warm will {city} be[ on {date}]?
    """
    return {}


LIBRARY = Library.of_functions([rent_bikes, weather])


@pytest.mark.parametrize("name", ["rent_bikes", "weather"])
def test_every_value_is_in_the_words(name: str) -> None:
    rng = random.Random(0)
    for _ in range(300):
        query, arguments = phrase(rng, LIBRARY[name])
        context = Context()
        context.add(query)
        assert not context.ungrounded(arguments, LIBRARY[name].tool), (query, arguments)
        assert query[0].isupper() and query[-1] in ".?" and "{" not in query and "[" not in query
        assert set(LIBRARY[name].tool.parameters["required"]) <= set(arguments)


def test_words_of_the_description_make_room_for_values() -> None:
    rng = random.Random(1)
    queries = [phrase(rng, LIBRARY["rent_bikes"]) for _ in range(200)]
    for query, arguments in queries:
        assert f"ent bikes for a ride from {arguments['start']} to {arguments['destination']}" in query
    assert any(f"for {arguments['days']} days" in query for query, arguments in queries)


def test_the_same_seed_gives_the_same_words() -> None:
    first, second = ([phrase(random.Random(n), LIBRARY["weather"]) for n in range(20)] for _ in range(2))
    assert first == second


def test_wordings_of_tests_are_never_those_of_training() -> None:
    """The fourth of the function's own questions, and every fourth order and question of ours."""
    rng = random.Random(2)
    train = [phrase(rng, LIBRARY["weather"], "train")[0] for _ in range(300)]
    test = [phrase(rng, LIBRARY["weather"], "test")[0] for _ in range(300)]
    assert any(query.startswith("How warm will") for query in test)
    assert not any(query.startswith("How warm will") for query in train)
    assert any(query.startswith("Is it cold in") for query in train)
    assert not any("Is it cold in" in query for query in test)


def test_a_question_that_cannot_be_filled_is_refused() -> None:
    api = LIBRARY["weather"]
    with pytest.raises(
        ApigenError, match=r"weather: the question 'Cold in \{town\}\?' has \{town\}, but the arguments"
    ):
        check_template(api, "Cold in {town}?")
    with pytest.raises(ApigenError, match=r"has no \{city\}, which the function needs"):
        check_template(api, "Is it cold[ in {city}]?")


def test_operations_have_questions_too() -> None:
    operation = {
        "operationId": "showPet",
        "summary": "Info for a specific pet",
        "x-questions": ["Who is pet {petId}?"],
        "parameters": [{"name": "petId", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {"200": {"description": "A pet"}},
    }
    library = read_openapi(
        {"openapi": "3.0.0", "info": {"title": "Pets"}, "paths": {"/pets/{petId}": {"get": operation}}}
    )
    (api,) = library
    assert api.questions == ("Who is pet {petId}?",)
    queries = [phrase(random.Random(n), api) for n in range(50)]
    assert any(query == f"Who is pet {arguments['petId']}?" for query, arguments in queries)


def test_words_and_values() -> None:
    assert [words_of(name) for name in ("max_price", "maxPrice", "geo.point")] == [
        "max price",
        "max price",
        "geo point",
    ]
    assert [said(value) for value in (True, [3], [3, 5, 7], None, {"a": 1})] == [
        "yes",
        "3",
        "3, 5 and 7",
        "none",
        '{"a": 1}',
    ]
