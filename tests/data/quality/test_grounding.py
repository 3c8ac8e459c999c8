"""What counts as grounded: numbers, dates, times, words in other spellings; and what does not."""

import time

import pytest

from xlam_lib.data.quality.grounding import Context
from xlam_lib.data.quality.spellings import dates_in, numbers_in, times_in
from xlam_lib.trajectory import Tool

GROUNDED = [
    ("twenty-five guests", 25),
    ("two hundred and fifty rooms", 250),
    ("3.5 million people", 3_500_000),
    ("a rate of 5%", 0.05),
    ("1,200 steps", 1200),
    ("the 3rd one", 3),
    ("a dozen eggs", 12),
    ("half a litre", 0.5),
    ("for 2 hours", 120),
    ("it is 12.3456 long", 12.35),
    ("between 3 and 10", 7),
    ("anything", 1),
    ("anything", True),
    ("anything", None),
    ("anything", "false"),
    ("anything", ""),
    ("room 5", "5"),
    ("on May 5th, 2024", "2024-05-05"),
    ("on 5 May", "2024-05-05"),
    ("on 05/06/2024", "2024-06-05"),
    ("in May 2024", "2024-05-31"),
    ("in 2024", "2024-01-01"),
    ("tomorrow please", "2031-02-03"),
    ("2024年5月15日", "2024-05-15"),
    ("at 5pm", "17:00"),
    ("at 5:30 in the evening", "17:30"),
    ("at noon", "12:00:00"),
    ("on May 5 at 9am", "2024-05-05T09:00:00"),
    ("in OSLO", "Oslo"),
    ("in São Paulo", "Sao Paulo"),
    ("call (415) 555-0123", "4155550123"),
    ("a painting", "paintings"),
    ("in Californa", "California"),
    ("in New York City", "NYC"),
    ("in the USA", "United States America"),
    ("the price of Apple", "AAPL"),
    ("dollars", "USD"),
    ("in French", "fr"),
    ("in San Francisco", "San Francisco, CA"),
    ("天气怎么样", "weather"),
    ("5000元的贷款", 5000),
    ("read the file", "a text of more than six words is written by the model itself"),
]
INVENTED = [
    ("twenty-five guests", 26),
    ("a table", 4),
    ("a table", "4"),
    ("at the coast", 48.8566),
    ("on May 5th, 2024", "2024-05-06"),
    ("on 2026-12-03", "2027-12-17"),
    ("at 5pm", "18:00"),
    ("in Oslo", "Bergen"),
    ("in Castle Street", "Welmark Street"),
    ("I am Olivia Gonzalez", "olivia_gonzalez_2305"),
    ("I am Olivia", "olivia@example.com"),
    ("reservation PEP4E0", "UDMOP1"),
    ("the drawer", "apple 1"),
]


@pytest.mark.parametrize(("text", "value"), GROUNDED)
def test_grounded(text, value):
    context = Context()
    context.add(text)
    assert context.ungrounded({"x": value}) == []


@pytest.mark.parametrize(("text", "value"), INVENTED)
def test_invented(text, value):
    context = Context()
    context.add(text)
    assert context.ungrounded({"street": value}) == [("street", value)]


def test_lists_and_objects_are_taken_apart_and_composed_texts_left_out():
    context = Context()
    context.add("Invite Ann")
    arguments = {
        "people": ["Ann", "Bob"],
        "more": {"city": "Oslo", "message": "Hello"},
        "searchQuery": "party",
        "n": {},
    }
    assert context.ungrounded(arguments) == [("people", "Bob"), ("more", "Oslo")]


def test_what_the_tool_describes_itself_is_no_invention():
    tool = Tool(
        "f", "Default unit: metric", {"type": "object", "properties": {"n": {"type": "integer", "default": 20}}}
    )
    context = Context()
    context.add("Go")
    assert context.ungrounded({"unit": "metric", "n": 20}, tool) == []
    assert context.ungrounded({"unit": "imperial", "n": 40}, tool) == [("unit", "imperial"), ("n", 40)]


def test_what_is_added_later_counts_later():
    context = Context()
    context.add("Find a flight")
    assert not context.grounded("HAT229")
    context.add('{"flight": "HAT229", "seats": 17}')
    assert context.grounded("HAT229") and context.grounded(17)


def test_a_long_history_takes_no_long_time():
    context = Context()
    began = time.process_time()
    for number in range(100):
        context.add(f"row {number}: " + "lorem ipsum dolor " * 200)
        context.ungrounded({"id": f"x{number}", "date": "2024-05-06", "name": "Zebulon Quartz", "n": 10**400 + number})
    assert time.process_time() - began < 2


def test_spellings():
    assert {25, 1200, 3} <= numbers_in("twenty-five of the 1,200, or 3rd")
    assert {3, 3_000_000} <= numbers_in("3 million")
    assert dates_in("on May 5th, 2024") >= {(2024, 5, 5)}
    assert dates_in("no date, 40/50") == set()
    assert times_in("at 5:30 pm") == {(17, 30)}
    assert times_in("at 5") == {(5, 0), (17, 0)}
