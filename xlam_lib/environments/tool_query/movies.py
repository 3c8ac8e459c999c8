"""The movie tools of Tool-Query, and the service behind them (notebook 05).

A service answers as version 3 of The Movie Database does with `append_to_response`; `movie_data.py` has one made by
us. Give your own to `Services` to ask TMDB itself. Lists are cut to ten, as in AgentBoard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from xlam_lib.environments.tool_query.toolkit import ToolFailure, Toolkit

MOST = 10
JOBS = ("Director", "Producer", "Writer")  # these of a crew come first
COUNTRIES = ("NL", "CN", "US", "DE")  # whose translations are shown


class MovieService(Protocol):
    """Answers as TMDB; ids are texts."""

    def search_movie(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Movies with id, title and overview, the best match first."""

    def movie(self, movie_id: str) -> Mapping[str, Any] | None:
        """A movie with credits, keywords, alternative_titles and translations appended; None where there is none."""

    def search_person(self, name: str) -> Sequence[Mapping[str, Any]]:
        """People with id and name, the best match first."""

    def person(self, person_id: str) -> Mapping[str, Any] | None:
        """A person with movie_credits and external_ids appended; None where there is none."""


class MovieTools(Toolkit):
    """The tools, e.g. `MovieTools(service, {})`."""

    domain = "movie"
    _service: MovieService

    def get_search_movie(self, movie_name: str) -> dict:
        """Search for a movie by its name: id, title and overview of the best match.

        movie_name: name of the movie
        """
        found = self._service.search_movie(movie_name)
        return _some(_first(found, f"no movie is named {movie_name[:80]!r}"), "id", "overview", "title")

    def get_movie_details(self, movie_id: str) -> dict:
        """Get budget, genres, revenue, average vote and release date of a movie.

        movie_id: id of the movie
        """
        return _some(self._movie(movie_id), "budget", "genres", "revenue", "vote_average", "release_date")

    def get_movie_production_companies(self, movie_id: str) -> dict:
        """Get the companies that produced a movie.

        movie_id: id of the movie
        """
        return _some(self._movie(movie_id), "production_companies")

    def get_movie_production_countries(self, movie_id: str) -> dict:
        """Get the countries where a movie was produced.

        movie_id: id of the movie
        """
        return _some(self._movie(movie_id), "production_countries")

    def get_movie_cast(self, movie_id: str) -> dict:
        """Get the first ten people of a movie's cast, with the characters they play.

        movie_id: id of the movie
        """
        cast = self._movie(movie_id)["credits"]["cast"][:MOST]
        return {"cast": [_some(one, "id", "name", "character") for one in cast]}

    def get_movie_crew(self, movie_id: str) -> dict:
        """Get up to ten people of a movie's crew with their jobs; directors, producers and writers come first.

        movie_id: id of the movie
        """
        crew = sorted(self._movie(movie_id)["credits"]["crew"], key=lambda one: one["job"] not in JOBS)
        return {"crew": [_some(one, "id", "name", "job") for one in crew[:MOST]]}

    def get_movie_keywords(self, movie_id: str) -> dict:
        """Get the keywords of a movie.

        movie_id: id of the movie
        """
        return {"keywords": [one["name"] for one in self._movie(movie_id)["keywords"]["keywords"]]}

    def get_search_person(self, person_name: str) -> dict:
        """Search for a person by name: id and name of the best match.

        person_name: name of the person
        """
        found = self._service.search_person(person_name)
        return _some(_first(found, f"nobody is named {person_name[:80]!r}"), "id", "name")

    def get_person_details(self, person_id: str) -> dict:
        """Get biography, birthday and place of birth of a person.

        person_id: id of the person
        """
        return _some(self._person(person_id), "biography", "birthday", "place_of_birth")

    def get_person_cast(self, person_id: str) -> dict:
        """Get the first ten movies in which a person played, with the characters.

        person_id: id of the person
        """
        cast = self._person(person_id)["movie_credits"]["cast"][:MOST]
        return {"cast": [_some(one, "id", "title", "character") for one in cast]}

    def get_person_crew(self, person_id: str) -> dict:
        """Get the first ten movies for which a person worked as crew, with the jobs.

        person_id: id of the person
        """
        crew = self._person(person_id)["movie_credits"]["crew"][:MOST]
        return {"crew": [_some(one, "id", "title", "job") for one in crew]}

    def get_person_external_ids(self, person_id: str) -> dict:
        """Get the ids of a person at IMDB, Facebook, Instagram and Twitter.

        person_id: id of the person
        """
        ids = self._person(person_id)["external_ids"]
        return _some(ids, "imdb_id", "facebook_id", "instagram_id", "twitter_id")

    def get_movie_alternative_titles(self, movie_id: str) -> dict:
        """Get the alternative titles of a movie.

        movie_id: id of the movie
        """
        movie = self._movie(movie_id)
        return {"titles": movie["alternative_titles"]["titles"], "id": movie["id"]}

    def get_movie_translation(self, movie_id: str) -> dict:
        """Get translations of a movie's overview.

        movie_id: id of the movie
        """
        movie = self._movie(movie_id)
        shown = [one for one in movie["translations"]["translations"] if one["iso_3166_1"] in COUNTRIES]
        return {"translations": shown, "id": movie["id"]}

    def _movie(self, movie_id: str) -> Mapping[str, Any]:
        return _known(self._service.movie(movie_id), f"there is no movie {movie_id[:80]!r}")

    def _person(self, person_id: str) -> Mapping[str, Any]:
        return _known(self._service.person(person_id), f"there is no person {person_id[:80]!r}")


def _known(found: Mapping[str, Any] | None, otherwise: str) -> Mapping[str, Any]:
    if found is None:
        raise ToolFailure(otherwise)
    return found


def _first(found: Sequence[Mapping[str, Any]], otherwise: str) -> Mapping[str, Any]:
    return _known(found[0] if found else None, otherwise)


def _some(row: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: row[key] for key in keys}
