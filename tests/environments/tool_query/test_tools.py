"""The tools of the three domains: AgentBoard's by name, its rules of dates, and answers of its shape."""

import ast
import datetime
import json
import re

import pytest

from xlam_lib.environments.tool_query import academia_data, movie_data
from xlam_lib.environments.tool_query.language import ACTIONS
from xlam_lib.environments.tool_query.services import TOOLKITS, Services
from xlam_lib.environments.tool_query.toolkit import ToolFailure, shown
from xlam_lib.environments.tool_query.weather import distance
from xlam_lib.environments.tool_query.weather_data import CITIES

SETUP = {"current_date": "2023-05-15", "current_location": "Oslo"}
OSLO = {"latitude": 59.91273, "longitude": 10.74609}
MAY = {"start_date": "2023-05-14", "end_date": "2023-05-14"}


def weather(**setup):
    return Services().toolkit("weather", SETUP | setup)


@pytest.mark.parametrize(
    ("domain", "prompt"),
    [
        ("weather", "VanillaAgent_weather_prompt"),
        ("weather", "ReactAgent_weather_prompt"),
        ("movie", "VanillaAgent_movie_prompt"),
        ("academia", "VanillaAgent_academia_prompt"),
    ],
)
def test_names_arguments_and_types_are_those_of_agentboards_prompts(real_data, domain, prompt):
    text = json.loads((real_data / "agentboard_tool_query/prompts" / f"{prompt}.json").read_text())["instruction"]
    expected = {}
    for block in text.split("\nName: ")[1:] + [text.partition("Name: ")[2].partition("\nName: ")[0]]:
        name, arguments = re.match(r"(\w+)\((.*?)\)", block).groups()
        types = dict(re.findall(r"^- (\w+) \(Type: (\[.*?\]|\w+)", block.partition("Returns:")[0], re.MULTILINE))
        assert list(types) == [one for one in arguments.split(", ") if one]
        expected[name] = {key: ast.literal_eval(one) if one[0] == "[" else one for key, one in types.items()}
    tools = {tool.name: tool.parameters for tool in TOOLKITS[domain].tools}
    assert {n: {k: v["type"] for k, v in p["properties"].items()} for n, p in tools.items()} == expected
    assert all(list(one["properties"]) == one.get("required", []) for one in tools.values())


@pytest.mark.parametrize("domain", ["weather", "movie"])
def test_results_have_the_shape_of_those_in_agentboards_prompts(real_data, domain):
    """The keys of each observation in the solved example; the values come from other services."""
    path = real_data / "agentboard_tool_query/prompts" / f"VanillaAgent_{domain}_prompt.json"
    (example,) = json.loads(path.read_text())["examples"]
    setup = {"current_date": "2023-05-15", "current_location": "Paris"}
    kit = Services().toolkit(domain, setup)
    movie = kit.call("get_search_movie", {"movie_name": "Final Piano"}) if domain == "movie" else {}
    ours = {
        "get_latitude_longitude": {"name": "Paris"},
        "get_historical_temp": {**OSLO, **MAY},
        "get_search_movie": {"movie_name": "Final Piano"},
        "get_movie_details": {"movie_id": movie.get("id")},
    }
    compared = 0
    for action, seen in re.findall(r"^(Action: .*)\nObservation: (.*)$", example, re.MULTILINE):
        name, arguments = ACTIONS.parse(action)
        assert action == f"Action: {ACTIONS.render(name, arguments)}"
        if name in ours:
            assert keys(kit.call(name, ours[name])) == keys(ast.literal_eval(seen))
            compared += 1
    assert compared == 2


def keys(value):
    """A value with types in place of what it holds: {"daily": {"time": ["str"]}}."""
    if isinstance(value, dict):
        return {key: keys(one) for key, one in value.items()}
    return [keys(value[0])] if isinstance(value, list) else type(value).__name__


def test_distance_is_geopys(real_data):
    """The answers that AgentBoard recorded for San Diego to Las Vegas; coordinates are those of its service."""
    lines = (real_data / "agentboard_tool_query/weather.jsonl").read_text().splitlines()
    answers = {record["id"]: record["additional_info"]["answer"] for record in map(json.loads, lines)}
    found = distance((32.71571, -117.16472), (36.17497, -115.13722))
    assert found == pytest.approx(answers[231], abs=1e-6) == pytest.approx(answers[244], abs=1e-6)


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        ((0.0, 0.0), (0.0, 0.0), 0.0),
        ((0.0, 0.0), (0.0, 1.0), 111.31949),  # a degree of the equator: 6378.137 km times pi / 180
        ((0.0, 0.0), (90.0, 0.0), 10001.965729),  # a quarter of a meridian of WGS 84
        ((0.0, 0.0), (0.3, 179.8), 20000.0),  # nearly opposite: by sphere, half a percent off
    ],
)
def test_known_distances(one, other, km):
    assert distance(one, other) == pytest.approx(km, rel=0.005 if km == 20000 else 1e-7)


@pytest.mark.parametrize(
    ("name", "days", "fault"),
    [
        ("get_historical_temp", ("2023-05-14", "2023-05-15"), "end_date must be earlier"),
        ("get_historical_rain", ("2023-05-15", "2023-05-15"), "start_date must be earlier"),
        ("get_historical_snow", ("2023-04-01", "2023-05-02"), "at most 30 days"),
        ("get_historical_air_quality_index", ("2023-05-02", "2023-04-01"), "at most 30 days"),
        ("get_rain_forecast", ("2023-05-15", "2023-05-16"), "start_date must be later"),
        ("get_temp_forecast", ("tomorrow", "2023-05-16"), "no date"),
        ("get_snow_forecast", ("2023-05-16", "2023-02-30"), "no date"),
    ],
)
def test_history_lies_before_today_and_a_forecast_behind_it(name, days, fault):
    with pytest.raises(ToolFailure, match=fault):
        weather().call(name, OSLO | {"start_date": days[0], "end_date": days[1]})


def test_thirty_days_are_not_too_many():
    found = weather().call("get_historical_rain", OSLO | {"start_date": "2023-04-01", "end_date": "2023-05-01"})
    assert len(found["daily"]["time"]) == len(found["daily"]["rain_sum"]) == 31


@pytest.mark.parametrize(
    ("index", "level"),
    [
        (0, "good"),
        (20, "good"),
        (20.5, "fair"),
        (21, "fair"),
        (60, "moderate"),
        (81, "very poor"),
        (101, "extremely poor"),
    ],
)
def test_levels_of_the_air_have_no_gaps(index, level):
    assert weather().call("get_air_quality_level", {"air_quality_index": index}) == level


@pytest.mark.parametrize("name", ["get_historical_temp", "get_elevation"])
@pytest.mark.parametrize("place", [(91.0, 0.0), (0.0, 181.0), (10**400, 0), (0.0, -150.0)])
def test_there_is_no_weather_off_the_earth_or_far_from_cities(name, place):
    days = MAY if name != "get_elevation" else {}
    with pytest.raises(ToolFailure, match="lie between|no data"):
        weather().call(name, {"latitude": place[0], "longitude": place[1], **days})


def test_the_weather_is_possible():
    """Lows below means below highs, no snow in the heat, no rain in the frost, summers warmer than winters."""
    service = Services().weather
    for city in CITIES:
        read = {}
        for variables in (
            ("temperature_2m_min", "temperature_2m_mean", "temperature_2m_max"),
            ("rain_sum", "snowfall_sum"),
        ):
            read |= service.daily(city.latitude, city.longitude, "2022-01-01", "2022-12-31", variables)["daily"]
        assert len(read["time"]) == 365 and read["time"][59] == "2022-03-01"
        means = read["temperature_2m_mean"]
        low, high = read["temperature_2m_min"], read["temperature_2m_max"]
        assert all(a < b < c for a, b, c in zip(low, means, high, strict=True))
        assert all(
            rain >= 0 and (not snow or mean < 1.6)
            for rain, snow, mean in zip(read["rain_sum"], read["snowfall_sum"], means, strict=True)
        )
        wet = sum(rain + snow > 0 for rain, snow in zip(read["rain_sum"], read["snowfall_sum"], strict=True)) / 365
        assert wet == pytest.approx(city.wet, abs=0.09)
        january, july = sum(means[:31]) / 31, sum(means[181:212]) / 31
        assert january == pytest.approx(city.january, abs=2.5) and july == pytest.approx(city.july, abs=2.5)


def test_names_may_belong_to_several_places():
    found = weather().call("get_latitude_longitude", {"name": "paris"})["results"]
    assert [place["country_code"] for place in found] == ["FR", "US"]


def test_movies_and_people_name_one_another():
    data = movie_data.EmbeddedMovies(seed=1)
    assert len(data.movies) == movie_data.MOVIES and len(data.people) == movie_data.PEOPLE
    for movie in data.movies.values():
        for credit in ("cast", "crew"):
            for one in movie["credits"][credit]:
                credits = data.people[one["id"]]["movie_credits"][credit]
                assert any(row["id"] == movie["id"] and row["title"] == movie["title"] for row in credits)


def test_papers_cite_older_ones_and_authors_share_what_they_wrote():
    data = academia_data.EmbeddedAcademia(seed=1)
    for title, cited in data.cited.items():
        assert len(set(cited)) == len(cited) and title not in cited
        assert all(data.papers[one]["year"] <= data.papers[title]["year"] for one in cited)
    for name in data.names:
        for partner in data.neighbours("AuthorNet", name):
            papers = data.author_edge(name, partner)["papers"]
            assert papers and all({name, partner} <= set(data.papers[one]["authors"]) for one in papers)
            assert data.author_edge(partner, name)["papers"] == papers


def test_a_graph_must_be_loaded_first():
    kit = Services().toolkit("academia")
    node = {"node": academia_data.academia().names[0]}
    with pytest.raises(ToolFailure, match="load the AuthorNet first"):
        kit.call("authorNodeCheck", node)
    assert kit.call("loadAuthorNet", {}) == "AuthorNet is loaded."
    assert kit.call("authorNodeCheck", node)["name"] == node["node"]
    with pytest.raises(ToolFailure, match="load the AuthorNet first"):
        Services().toolkit("academia").call("authorNodeCheck", node)  # another episode


def test_an_id_may_be_a_number_as_for_the_web_service():
    kit = Services().toolkit("movie")
    number = kit.call("get_search_movie", {"movie_name": "final piano"})["id"]
    assert kit.call("get_movie_crew", {"movie_id": number}) == kit.call("get_movie_crew", {"movie_id": str(number)})
    for wrong in ("", "-1", "9" * 5000, "١٢٣", True, 1.0):
        with pytest.raises(ToolFailure):
            kit.call("get_movie_crew", {"movie_id": wrong})


def test_a_service_of_the_users_is_asked_in_place_of_ours():
    class Meteo:
        def elevation(self, latitude, longitude):
            return {"elevation": [latitude + longitude]}

    kit = Services(weather=Meteo()).toolkit("weather", SETUP)
    assert kit.call("get_elevation", {"latitude": 1.0, "longitude": 2.0}) == {"elevation": [3.0]}


def test_results_are_shown_as_python_or_as_json():
    value = {"a": None, "b": [True, "é"]}
    assert shown(value, "text") == "{'a': None, 'b': [True, 'é']}"
    assert shown(value, "calls") == '{"a": null, "b": [true, "é"]}'
    assert shown("PaperNet is loaded.", "calls") == "PaperNet is loaded."
    assert datetime.date.fromisoformat(weather().call("get_user_current_date", {}))
