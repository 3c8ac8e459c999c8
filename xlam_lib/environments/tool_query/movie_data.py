"""A movie service made by us: forty movies and the sixty people who made them, answers of TMDB's shape (notebook 05).

Nothing of it is real, so nothing can be answered from memory. `EmbeddedMovies().search_movie("blue desert")` finds
titles that hold all words. The same data for the same seed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from xlam_lib.data import wordlists

MOVIES, PEOPLE, MOST_CAST = 40, 60, 6
GENRES = {28: "Action", 35: "Comedy", 80: "Crime", 18: "Drama", 14: "Fantasy", 9648: "Mystery", 10749: "Romance"}
COMPANIES = tuple(f"{name} Pictures" for name in ("Fenmer", "Harbour Light", "Old Bridge", "Ravenfield", "Tall Pine"))
COUNTRIES = {"DE": "Germany", "ES": "Spain", "FR": "France", "GB": "United Kingdom", "US": "United States of America"}
JOBS = ("Editor", "Director", "Writer", "Producer")
GERMAN, DUTCH = "Ein Film über {}, {} und die Zeit danach.", "Een film over {}, {} en de tijd daarna."
Row = dict[str, Any]


class EmbeddedMovies:
    """The service, e.g. `EmbeddedMovies(seed=0)`; see `movies.MovieService`."""

    def __init__(self, seed: int = 0) -> None:
        rng = random.Random(f"movies:{seed}")
        self.people = {row["id"]: row for row in _people(rng)}
        self.movies = {row["id"]: row for row in _movies(rng, list(self.people.values()))}
        for movie in self.movies.values():
            for credit, key in (("cast", "character"), ("crew", "job")):
                for one in movie["credits"][credit]:
                    row = {"id": movie["id"], "title": movie["title"], key: one[key]}
                    self.people[one["id"]]["movie_credits"][credit].append(row)

    def search_movie(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Movies whose title holds all words, an equal title first."""
        return _matches(name, self.movies.values(), "title")

    def movie(self, movie_id: str) -> Mapping[str, Any] | None:
        """A movie by its id, or None."""
        return self.movies.get(_number(movie_id))

    def search_person(self, name: str) -> Sequence[Mapping[str, Any]]:
        """People whose name holds all words, an equal name first."""
        return _matches(name, self.people.values(), "name")

    def person(self, person_id: str) -> Mapping[str, Any] | None:
        """A person by id, or None."""
        return self.people.get(_number(person_id))


@cache
def movies() -> EmbeddedMovies:
    """The service with seed 0, made once."""
    return EmbeddedMovies()


def _matches(name: str, rows: Any, key: str) -> list[Row]:
    words = name.casefold().split()
    found = [row for row in rows if words and all(word in row[key].casefold().split() for word in words)]
    return sorted(found, key=lambda row: row[key].casefold().split() != words)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


def _names(rng: random.Random, count: int, ends: Sequence[str]) -> list[str]:
    pairs = [(first, start) for first in wordlists.FIRST_NAMES for start in wordlists.NAME_STARTS]
    return [f"{first} {start}{rng.choice(ends)}" for first, start in rng.sample(pairs, count)]


def _people(rng: random.Random) -> list[Row]:
    made = []
    for number, name in zip(rng.sample(range(5000, 9000), PEOPLE), _names(rng, PEOPLE, ("mer", "ford")), strict=True):
        handle = name.lower().replace(" ", "")
        birthday = f"{rng.randint(1940, 1999)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        place = rng.choice(wordlists.REAL_CITIES)
        ids = {f"{site}_id": f"{handle}{rng.randint(1, 99)}" for site in ("facebook", "instagram", "twitter")}
        made.append(
            {
                "id": number,
                "name": name,
                "biography": f"{name} was born in {place} and came to film by way of the stage.",
                "birthday": birthday,
                "place_of_birth": place,
                "movie_credits": {"cast": [], "crew": []},
                "external_ids": {"imdb_id": f"nm{rng.randint(10**6, 10**7 - 1)}", **ids},
            }
        )
    return made


def _movies(rng: random.Random, people: list[Row]) -> list[Row]:
    titles = rng.sample([f"{a} {t}" for a in wordlists.ADJECTIVES for t in wordlists.THINGS], MOVIES)
    characters = iter(_names(rng, MOVIES * MOST_CAST, ("ley", "ova")))
    return [
        _movie(rng, number, title, people, characters)
        for number, title in zip(rng.sample(range(1000, 4000), MOVIES), titles, strict=True)
    ]


def _movie(rng: random.Random, number: int, title: str, people: list[Row], characters: Any) -> Row:
    chosen = rng.sample(people, rng.randint(3, MOST_CAST) + len(JOBS))
    crew, cast = chosen[: len(JOBS)], chosen[len(JOBS) :]
    topics = rng.sample(wordlists.TOPICS, 4)
    budget = rng.randint(2, 150) * 10**6
    overviews = {
        "US": ("en", f"A film about the {topics[0]}, the {topics[1]} and what came after."),
        "DE": ("de", GERMAN.format(*topics)),
        "NL": ("nl", DUTCH.format(*topics)),
        "IT": ("it", f"Un film: {topics[0]}, {topics[1]}."),
    }
    return {
        "id": number,
        "title": title,
        "overview": overviews["US"][1],
        "budget": budget,
        "revenue": round(budget * rng.uniform(0.3, 6)),
        "genres": [{"id": key, "name": GENRES[key]} for key in rng.sample(sorted(GENRES), rng.randint(1, 3))],
        "vote_average": round(rng.uniform(4, 9), 3),
        "release_date": f"{rng.randint(1975, 2023)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        "production_companies": [{"id": COMPANIES.index(one) + 1, "name": one} for one in _sample(rng, COMPANIES)],
        "production_countries": [
            {"iso_3166_1": one, "name": COUNTRIES[one]} for one in _sample(rng, sorted(COUNTRIES))
        ],
        "credits": {
            "cast": [{"id": one["id"], "name": one["name"], "character": next(characters)} for one in cast],
            "crew": [{"id": one["id"], "name": one["name"], "job": job} for one, job in zip(crew, JOBS, strict=True)],
        },
        "keywords": {"keywords": [{"id": wordlists.TOPICS.index(one), "name": one} for one in topics[:3]]},
        "alternative_titles": {
            "titles": [
                {"iso_3166_1": country, "title": f"{title}: {rng.choice(wordlists.THINGS)}", "type": ""}
                for country in _sample(rng, sorted(COUNTRIES))
            ]
        },
        "translations": {
            "translations": [
                {"iso_3166_1": country, "iso_639_1": language, "data": {"overview": text}}
                for country, (language, text) in overviews.items()
            ]
        },
    }


def _sample(rng: random.Random, values: Sequence[str]) -> list[str]:
    return rng.sample(values, rng.randint(1, 3))
