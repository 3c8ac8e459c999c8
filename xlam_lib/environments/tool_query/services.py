"""What the tools of Tool-Query ask: services made by us, or those of the original where you have them (notebook 05).

Services().toolkit("movie").call("get_search_movie", {"movie_name": "final piano"})["title"]     # "Final Piano"
Services(weather=OpenMeteo())        # any object with the functions of `weather.WeatherService`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xlam_lib.environments.tool_query.academia import AcademiaService, AcademiaTools
from xlam_lib.environments.tool_query.academia_data import academia
from xlam_lib.environments.tool_query.movie_data import movies
from xlam_lib.environments.tool_query.movies import MovieService, MovieTools
from xlam_lib.environments.tool_query.toolkit import Toolkit
from xlam_lib.environments.tool_query.weather import WeatherService, WeatherTools
from xlam_lib.environments.tool_query.weather_data import EmbeddedWeather

TOOLKITS: dict[str, type[Toolkit]] = {kit.domain: kit for kit in (WeatherTools, MovieTools, AcademiaTools)}


@dataclass(frozen=True)
class Services:
    """One service a domain: `Services(weather=..., movie=..., academia=...)`; ours where none is given."""

    weather: WeatherService = field(default_factory=EmbeddedWeather)
    movie: MovieService = field(default_factory=movies)
    academia: AcademiaService = field(default_factory=academia)

    def toolkit(self, domain: str, setup: Mapping[str, Any] | None = None) -> Toolkit:
        """The tools of a domain for one episode; `setup` is what the weather tools know of the user."""
        return TOOLKITS[domain](getattr(self, domain), setup or {})
