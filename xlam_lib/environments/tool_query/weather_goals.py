"""Kinds of questions about the weather, each with the calls that answer it (notebook 05; see `embedded.py`).

A kind is a function of a `Solver` and a source of random numbers; it asks tools as a person would who doesn't know the
data, and returns the question with the answer that it found, or None where the answer would be a matter of luck.
"""

from __future__ import annotations

import datetime
import random
from typing import Any

from xlam_lib.environments.tool_query.goals import Question, Solver
from xlam_lib.environments.tool_query.weather_data import NAMES

NUMBER = "Please provide the answer as a number."
YES_NO = "Please answer with 'Yes' or 'No'."


def setup(rng: random.Random) -> dict[str, str]:
    """Where and when the user asks: {"current_date": "2023-05-15", "current_location": "Oslo"}."""
    day = datetime.date(2023, 1, 20) + datetime.timedelta(days=rng.randrange(320))
    return {"current_date": day.isoformat(), "current_location": rng.choice(NAMES)}


def forecast_mean(ask: Solver, rng: random.Random) -> Question:
    """How warm it will be on average where the user is."""
    ahead = rng.randint(1, 6)
    day = _day(ask, ahead)
    here = _here(ask)
    found = ask("Now the forecast of that day.", "get_temp_forecast", **here, start_date=day, end_date=day)
    when = "tomorrow" if ahead == 1 else f"in {ahead} days"
    return Question(
        f"What is the average temperature expected {when} where I am? {NUMBER}",
        found["daily"]["temperature_2m_mean"][0],
        "Find date, place and coordinates of the user, then read the mean of the forecast of that day.",
    )


def past_highest(ask: Solver, rng: random.Random) -> Question:
    """The highest temperature of the days before today."""
    days = rng.randint(2, 9)
    end = _day(ask, -1)
    here = _here(ask)
    found = ask(
        f"The last {days} days end yesterday.",
        "get_historical_temp",
        **here,
        start_date=_later(end, 1 - days),
        end_date=end,
    )
    return Question(
        f"What was the highest temperature of the last {days} days here, today not counted? {NUMBER}",
        max(found["daily"]["temperature_2m_max"]),
        "Find date, place and coordinates of the user, then take the largest daily maximum of those days.",
    )


def warmer_city(ask: Solver, rng: random.Random) -> Question | None:
    """Which of two cities will be warmer tomorrow."""
    cities, day, means = rng.sample(NAMES, 2), _day(ask, 1), []
    for city in cities:
        place = _place(ask, city)
        found = ask(f"How warm will it be in {city}?", "get_temp_forecast", **place, start_date=day, end_date=day)
        means.append(found["daily"]["temperature_2m_mean"][0])
    if means[0] == means[1]:
        return None
    one, other = cities
    return Question(
        f"Which city will have the higher average temperature tomorrow, {one} or {other}? "
        f"Please answer with '{one}' or '{other}'.",
        cities[means[1] > means[0]],
        "Find tomorrow's date, ask for the forecast of both cities, and compare their means.",
    )


def total_rain(ask: Solver, rng: random.Random) -> Question:
    """How much rain fell in the days before today."""
    days = rng.randint(3, 12)
    end = _day(ask, -1)
    here = _here(ask)
    found = ask(
        f"The past {days} days end yesterday.",
        "get_historical_rain",
        **here,
        start_date=_later(end, 1 - days),
        end_date=end,
    )
    return Question(
        f"How much rain fell here in the past {days} days in total, today not counted? "
        "Please provide the answer in millimeters as a number, rounded to one decimal.",
        round(sum(found["daily"]["rain_sum"]), 1),
        "Find date, place and coordinates of the user, then sum up the daily rain of those days.",
    )


def snow_today(ask: Solver, rng: random.Random) -> Question | None:
    """Whether it snows in a city today, asked in winter only."""
    city = rng.choice(("Oslo", "Helsinki", "Toronto", "Chicago", "Denver"))
    today = ask("I need the date of today.", "get_user_current_date")
    if today[5:7] not in ("01", "02", "03", "11", "12"):  # the answer would be known
        return None
    found = ask(f"Did it snow in {city}?", "get_current_snow", **_place(ask, city), current_date=today)
    answer = "Yes" if found["daily"]["snowfall_sum"][0] > 0 else "No"
    if answer == "No" and rng.random() < 0.7:  # most days are dry, and a guess shouldn't do
        return None
    return Question(
        f"Is there any snowfall in {city} today? {YES_NO}",
        answer,
        "Find today's date and the coordinates of the city, then look whether snow falls.",
    )


def higher_by(ask: Solver, rng: random.Random) -> Question:
    """How much higher one city lies than another."""
    one, other = rng.sample(NAMES, 2)
    heights = []
    for city in (one, other):
        place = _place(ask, city)
        heights.append(ask(f"How high does {city} lie?", "get_elevation", **place)["elevation"][0])
    return Question(
        f"How large is the difference in elevation between {one} and {other}? Please provide it in meters as a number.",
        abs(heights[0] - heights[1]),
        "Find the coordinates of both cities, then their elevations, and subtract.",
    )


def how_far(ask: Solver, rng: random.Random) -> Question | None:
    """How far a city is from the user's."""
    city = rng.choice(NAMES)
    if city == ask.toolkit.call("get_user_current_location", {}):
        return None
    here, there = _here(ask), _place(ask, city)
    found = ask(
        "Both places are known, so their distance is next.",
        "get_distance",
        latitude1=here["latitude"],
        longitude1=here["longitude"],
        latitude2=there["latitude"],
        longitude2=there["longitude"],
    )
    return Question(
        f"How far is it from where I am to {city}? Please provide the distance in kilometers as a whole number.",
        round(found),
        "Find the coordinates of the user's city and of the other one, then their distance, and round it.",
    )


def air_level(ask: Solver, rng: random.Random) -> Question:
    """How good the air of a city was."""
    city, days = rng.choice(NAMES), rng.randint(1, 5)
    day = _day(ask, -days)
    place = _place(ask, city)
    found = ask(
        f"How was the air of {city} on {day}?",
        "get_historical_air_quality_index",
        **place,
        start_date=day,
        end_date=day,
    )
    index = found["daily"]["european_aqi_pm2_5"][0]
    level = ask(f"The index is {index}; which level is that?", "get_air_quality_level", air_quality_index=index)
    when = "yesterday" if days == 1 else f"{days} days ago"
    return Question(
        f"How good was the air in {city} {when}? Please provide the air quality level as a string.",
        level,
        "Find the date and the coordinates of the city, then the index of that day, and its level.",
    )


KINDS = (forecast_mean, past_highest, warmer_city, total_rain, snow_today, higher_by, how_far, air_level)


def _day(ask: Solver, later: int) -> str:
    today = ask("I need the user's date.", "get_user_current_date")
    return _later(today, later)


def _later(day: str, days: int) -> str:
    return (datetime.date.fromisoformat(day) + datetime.timedelta(days=days)).isoformat()


def _here(ask: Solver) -> dict[str, Any]:
    return _place(ask, ask("I need the city where the user is.", "get_user_current_location"))


def _place(ask: Solver, city: str) -> dict[str, Any]:
    found = ask(f"I need the coordinates of {city}.", "get_latitude_longitude", name=city)["results"][0]
    return {key: found[key] for key in ("latitude", "longitude")}
