"""The weather tools of Tool-Query, and the service behind them (notebook 05).

A service answers as open-meteo does; `weather_data.py` has one made by us. Give your own to `Services` to ask
open-meteo itself. Rules of dates are AgentBoard's: history lies before the user's current date, a forecast behind it,
and one call spans at most 30 days.
"""

from __future__ import annotations

import datetime
import math
from typing import Any, Protocol

from xlam_lib.environments.tool_query.progress import TEMPERATURES
from xlam_lib.environments.tool_query.toolkit import ToolFailure, Toolkit

LONGEST = 30  # days between the first and the last one
RAIN, SNOW = ("rain_sum",), ("snowfall_sum",)
LEVELS = ((20, "good"), (40, "fair"), (60, "moderate"), (80, "poor"), (100, "very poor"))  # European air quality index


class WeatherService(Protocol):
    """Answers as open-meteo; a ToolFailure says what there is no data for."""

    def daily(
        self, latitude: float, longitude: float, start_date: str, end_date: str, variables: tuple[str, ...]
    ) -> dict[str, Any]:
        """{"latitude": 59.9, "longitude": 10.7, "daily_units": {"time": "iso8601", "rain_sum": "mm"},
        "daily": {"time": ["2023-05-15"], "rain_sum": [0.4]}}"""

    def air_quality(self, latitude: float, longitude: float, start_date: str, end_date: str) -> dict[str, Any]:
        """The same of "european_aqi_pm2_5", one value a day, at noon."""

    def places(self, name: str) -> dict[str, Any]:
        """{"results": [{"name": "Oslo", "latitude": 59.91273, "longitude": 10.74609, "country_code": "NO"}]}"""

    def elevation(self, latitude: float, longitude: float) -> dict[str, Any]:
        """{"elevation": [26.0]}, in meters"""


class WeatherTools(Toolkit):
    """The tools, e.g. `WeatherTools(service, {"current_date": "2023-05-15", "current_location": "Oslo"})`."""

    domain = "weather"
    _service: WeatherService

    def get_user_current_date(self) -> str:
        """Get the user's current date, as YYYY-MM-DD."""
        return self._setup["current_date"]

    def get_user_current_location(self) -> str:
        """Get the city where the user is now."""
        return self._setup["current_location"]

    def get_historical_temp(self, latitude: float, longitude: float, start_date: str, end_date: str) -> dict:
        """Get daily highest, lowest and mean temperature of past days at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        start_date: first day, YYYY-MM-DD
        end_date: last day, YYYY-MM-DD
        """
        return self._past(latitude, longitude, start_date, end_date, TEMPERATURES)

    def get_historical_rain(self, latitude: float, longitude: float, start_date: str, end_date: str) -> dict:
        """Get daily rainfall of past days at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        start_date: first day, YYYY-MM-DD
        end_date: last day, YYYY-MM-DD
        """
        return self._past(latitude, longitude, start_date, end_date, RAIN)

    def get_historical_snow(self, latitude: float, longitude: float, start_date: str, end_date: str) -> dict:
        """Get daily snowfall of past days at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        start_date: first day, YYYY-MM-DD
        end_date: last day, YYYY-MM-DD
        """
        return self._past(latitude, longitude, start_date, end_date, SNOW)

    def get_snow_forecast(self, latitude: float, longitude: float, start_date: str, end_date: str) -> dict:
        """Get daily snowfall expected on coming days at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        start_date: first day, YYYY-MM-DD
        end_date: last day, YYYY-MM-DD
        """
        return self._coming(latitude, longitude, start_date, end_date, SNOW)

    def get_current_snow(self, latitude: float, longitude: float, current_date: str) -> dict:
        """Get the snowfall of today at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        current_date: today, YYYY-MM-DD
        """
        return self._days(latitude, longitude, current_date, current_date, SNOW)

    def get_current_temp(self, latitude: float, longitude: float, current_date: str) -> dict:
        """Get highest, lowest and mean temperature of today at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        current_date: today, YYYY-MM-DD
        """
        return self._days(latitude, longitude, current_date, current_date, TEMPERATURES)

    def get_latitude_longitude(self, name: str) -> dict:
        """Get latitude and longitude of places of a name, the best known one first.

        name: name of the place, such as a city
        """
        return self._service.places(name)

    def get_elevation(self, latitude: float, longitude: float) -> dict:
        """Get the elevation of a place, in meters.

        latitude: latitude of the place
        longitude: longitude of the place
        """
        _on_earth(latitude, longitude)
        return self._service.elevation(latitude, longitude)

    def get_temp_forecast(self, latitude: float, longitude: float, start_date: str, end_date: str) -> dict:
        """Get daily highest, lowest and mean temperature expected on coming days at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        start_date: first day, YYYY-MM-DD
        end_date: last day, YYYY-MM-DD
        """
        return self._coming(latitude, longitude, start_date, end_date, TEMPERATURES)

    def get_rain_forecast(self, latitude: float, longitude: float, start_date: str, end_date: str) -> dict:
        """Get daily rainfall expected on coming days at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        start_date: first day, YYYY-MM-DD
        end_date: last day, YYYY-MM-DD
        """
        return self._coming(latitude, longitude, start_date, end_date, RAIN)

    def get_current_rain(self, latitude: float, longitude: float, current_date: str) -> dict:
        """Get the rainfall of today at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        current_date: today, YYYY-MM-DD
        """
        return self._days(latitude, longitude, current_date, current_date, RAIN)

    def get_distance(self, latitude1: float, longitude1: float, latitude2: float, longitude2: float) -> float:
        """Get the distance between two places, in kilometers.

        latitude1: latitude of the first place
        longitude1: longitude of the first place
        latitude2: latitude of the second place
        longitude2: longitude of the second place
        """
        _on_earth(latitude1, longitude1)
        _on_earth(latitude2, longitude2)
        return distance((latitude1, longitude1), (latitude2, longitude2))

    def get_historical_air_quality_index(
        self, latitude: float, longitude: float, start_date: str, end_date: str
    ) -> dict:
        """Get the daily air quality index (PM2.5) of past days at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        start_date: first day, YYYY-MM-DD
        end_date: last day, YYYY-MM-DD
        """
        return self._air(latitude, longitude, start_date, end_date, -1)

    def get_current_air_quality_index(self, latitude: float, longitude: float, current_date: str) -> dict:
        """Get the air quality index (PM2.5) of today at a place.

        latitude: latitude of the place
        longitude: longitude of the place
        current_date: today, YYYY-MM-DD
        """
        return self._air(latitude, longitude, current_date, current_date)

    def get_air_quality_level(self, air_quality_index: float) -> str:
        """Get the level of an air quality index: good, fair, moderate, poor, very poor or extremely poor.

        air_quality_index: the index
        """
        return next((level for most, level in LEVELS if air_quality_index <= most), "extremely poor")

    def _past(self, latitude: float, longitude: float, start: str, end: str, variables: tuple[str, ...]) -> dict:
        return self._days(latitude, longitude, start, end, variables, -1)

    def _coming(self, latitude: float, longitude: float, start: str, end: str, variables: tuple[str, ...]) -> dict:
        return self._days(latitude, longitude, start, end, variables, 1)

    def _days(
        self, latitude: float, longitude: float, start: str, end: str, variables: tuple[str, ...], side: int = 0
    ) -> dict:
        self._check(start, end, side)
        _on_earth(latitude, longitude)
        return self._service.daily(latitude, longitude, start, end, variables)

    def _air(self, latitude: float, longitude: float, start: str, end: str, side: int = 0) -> dict:
        self._check(start, end, side)
        _on_earth(latitude, longitude)
        return self._service.air_quality(latitude, longitude, start, end)

    def _check(self, start: str, end: str, side: int = 0) -> None:
        """Refuses days that are none, too many, or on the wrong side of today: -1 asks for the past, 1 for later."""
        today = day_of(self._setup["current_date"])
        for name, day in (("start_date", day_of(start)), ("end_date", day_of(end))):
            if side and (day - today).days * side <= 0:
                raise ToolFailure(f"{name} must be {'later' if side > 0 else 'earlier'} than the current date")
        if not 0 <= (day_of(end) - day_of(start)).days <= LONGEST:
            raise ToolFailure(f"end_date must be at most {LONGEST} days behind start_date; ask for fewer at a time")


def _on_earth(latitude: float, longitude: float) -> None:
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise ToolFailure("latitudes lie between -90 and 90, longitudes between -180 and 180")


def day_of(text: str) -> datetime.date:
    """The day of a text, `day_of("2023-05-15")`; a ToolFailure for any other form."""
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise ToolFailure(f"{text[:40]!r} is no date of the form YYYY-MM-DD") from error


def distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Kilometers between two places (latitude, longitude in degrees) along the ellipsoid WGS 84.

    Vincenty's inverse formula (Survey Review 23, 1975, page 88); nearly opposite places, for which it doesn't settle,
    are measured on a sphere. `distance((36.17497, -115.13722), (32.71571, -117.16472))` -> 426.551 (to 1e-6).
    """
    major, flattening = 6378.137, 1 / 298.257223563
    minor = major * (1 - flattening)
    (lat1, lon1), (lat2, lon2) = ((math.radians(a), math.radians(b)) for a, b in (one, other))
    u1, u2 = (math.atan((1 - flattening) * math.tan(lat)) for lat in (lat1, lat2))
    sin1, cos1, sin2, cos2 = math.sin(u1), math.cos(u1), math.sin(u2), math.cos(u2)
    angle = difference = lon2 - lon1
    for _ in range(200):
        sin_sigma = math.hypot(cos2 * math.sin(angle), cos1 * sin2 - sin1 * cos2 * math.cos(angle))
        if sin_sigma == 0:
            return 0.0
        cos_sigma = sin1 * sin2 + cos1 * cos2 * math.cos(angle)
        sigma = math.atan2(sin_sigma, cos_sigma)
        sin_alpha = cos1 * cos2 * math.sin(angle) / sin_sigma
        square = 1 - sin_alpha**2
        middle = cos_sigma - 2 * sin1 * sin2 / square if square else 0.0  # 0 on the equator
        c = flattening / 16 * square * (4 + flattening * (4 - 3 * square))
        series = sigma + c * sin_sigma * (middle + c * cos_sigma * (2 * middle**2 - 1))
        angle, before = difference + (1 - c) * flattening * sin_alpha * series, angle
        if abs(angle - before) < 1e-13:
            break
    else:
        return 6371.0088 * math.acos(
            max(-1.0, math.sin(lat1) * math.sin(lat2) + math.cos(lat1) * math.cos(lat2) * math.cos(difference))
        )
    k = square * (major**2 - minor**2) / minor**2
    a = 1 + k / 16384 * (4096 + k * (-768 + k * (320 - 175 * k)))
    b = k / 1024 * (256 + k * (-128 + k * (74 - 47 * k)))
    inner = cos_sigma * (2 * middle**2 - 1) - b / 6 * middle * (4 * sin_sigma**2 - 3) * (4 * middle**2 - 3)
    return minor * a * (sigma - b * sin_sigma * (middle + b / 4 * inner))
