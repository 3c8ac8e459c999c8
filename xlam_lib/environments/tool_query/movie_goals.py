"""Kinds of questions about movies, each with the calls that answer it (notebook 05; see `embedded.py`).

A kind is a function of a `Solver` and a source of random numbers; it knows titles and names to ask about, finds the
answer through the tools, and returns None where the answer would be a matter of luck.
"""

from __future__ import annotations

import random
from typing import Any

from xlam_lib.environments.tool_query.goals import Question, Solver
from xlam_lib.environments.tool_query.movie_data import movies

TITLE = "Please answer me with the film name as a string."
YES_NO = "Please answer me with 'Yes' or 'No'."


def released_first(ask: Solver, rng: random.Random) -> Question | None:
    """Which of two movies is older."""
    titles = _titles(rng, 2)
    dates = [_details(ask, title)["release_date"] for title in titles]
    if dates[0] == dates[1]:
        return None
    return Question(
        f"Which movie was released earlier, '{titles[0]}' or '{titles[1]}'? {TITLE}",
        titles[dates[1] < dates[0]],
        "Search for both movies, read their release dates, and compare.",
    )


def earned_more(ask: Solver, rng: random.Random) -> Question | None:
    """Which of two movies had the higher revenue."""
    titles = _titles(rng, 2)
    earned = [_details(ask, title)["revenue"] for title in titles]
    if earned[0] == earned[1]:
        return None
    return Question(
        f"Which of the movies '{titles[0]}' and '{titles[1]}' had the higher revenue? {TITLE}",
        titles[earned[1] > earned[0]],
        "Search for both movies, read their revenues, and compare.",
    )


def common_genre(ask: Solver, rng: random.Random) -> Question:
    """Whether two movies share a genre."""
    titles = _titles(rng, 2)
    one, other = ({genre["name"] for genre in _details(ask, title)["genres"]} for title in titles)
    return Question(
        f"Do '{titles[0]}' and '{titles[1]}' share a genre? {YES_NO}",
        "Yes" if one & other else "No",
        "Search for both movies, read their genres, and look for one that both have.",
    )


def directed(ask: Solver, rng: random.Random) -> Question:
    """Who directed a movie."""
    (title,) = _titles(rng, 1)
    return Question(
        f"Who directed the movie '{title}'? Please answer me with the director's name as a string.",
        _director(ask, title)["name"],
        "Search for the movie and look for the director among its crew.",
    )


def director_id(ask: Solver, rng: random.Random) -> Question:
    """An id of the person who directed a movie."""
    (title,) = _titles(rng, 1)
    director = _director(ask, title)
    ids = ask(f"{director['name']} directed it; now the ids.", "get_person_external_ids", person_id=str(director["id"]))
    return Question(
        f"What is the Instagram id of the person who directed '{title}'? Please provide it as a string.",
        ids["instagram_id"],
        "Search for the movie, find the director among its crew, then read the director's external ids.",
    )


def role(ask: Solver, rng: random.Random) -> Question:
    """Whom a person played in a movie."""
    movie = rng.choice(list(movies().movies.values()))
    actor = rng.choice(movie["credits"]["cast"])["name"]
    found = ask(f"I need the id of {actor}.", "get_search_person", person_name=actor)
    cast = ask(f"Which characters did {actor} play?", "get_person_cast", person_id=str(found["id"]))["cast"]
    return Question(
        f"What role did {actor} play in '{movie['title']}'? Please answer me with the character's name as a string.",
        next(one["character"] for one in cast if one["title"] == movie["title"]),
        "Search for the person, then look for the movie among the person's roles.",
    )


def birthday_of_role(ask: Solver, rng: random.Random) -> Question:
    """The birthday of the person who played a character."""
    movie = rng.choice(list(movies().movies.values()))
    character = rng.choice(movie["credits"]["cast"])["character"]
    found = _search(ask, movie["title"])
    cast = ask(f"Who played {character}?", "get_movie_cast", movie_id=str(found["id"]))["cast"]
    actor = next(one for one in cast if one["character"] == character)
    person = ask(f"{actor['name']} played {character}.", "get_person_details", person_id=str(actor["id"]))
    return Question(
        f"When was the person born who played {character} in '{movie['title']}'? "
        "Please provide the date in the format YYYY-MM-DD.",
        person["birthday"],
        "Search for the movie, find who played the character, then read the details of that person.",
    )


def companies(ask: Solver, rng: random.Random) -> Question:
    """Who produced a movie, as a list."""
    (title,) = _titles(rng, 1)
    found = ask("Now its companies.", "get_movie_production_companies", movie_id=str(_search(ask, title)["id"]))
    return Question(
        f"Which companies produced the movie '{title}'? Please provide their names as an array.",
        [one["name"] for one in found["production_companies"]],
        "Search for the movie and read its production companies.",
    )


KINDS = (released_first, earned_more, common_genre, directed, director_id, role, birthday_of_role, companies)


def _titles(rng: random.Random, count: int) -> list[str]:
    return [movie["title"] for movie in rng.sample(list(movies().movies.values()), count)]


def _search(ask: Solver, title: str) -> dict[str, Any]:
    return ask(f"I need the id of '{title}'.", "get_search_movie", movie_name=title)


def _details(ask: Solver, title: str) -> dict[str, Any]:
    found = _search(ask, title)
    return ask(f"Now the details of '{title}'.", "get_movie_details", movie_id=str(found["id"]))


def _director(ask: Solver, title: str) -> dict[str, Any]:
    found = _search(ask, title)
    crew = ask("The director is one of the crew.", "get_movie_crew", movie_id=str(found["id"]))["crew"]
    return next(one for one in crew if one["job"] == "Director")
