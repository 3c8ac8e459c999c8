"""A weather service made by us: twenty cities, every day, answers of open-meteo's shape (notebook 05).

Coordinates and elevations are those of real places, roughly; temperature, rain, snow and air are made up, by rule of
city and date, so that each machine finds the same: `EmbeddedWeather().elevation(59.91273, 10.74609)` ->
{"elevation": [26.0]}. Where no city is near there is no data.
"""

from __future__ import annotations

import datetime
import hashlib
from functools import cache
from typing import Any, NamedTuple

from xlam_lib.environments.tool_query.progress import TEMPERATURES
from xlam_lib.environments.tool_query.toolkit import ToolFailure
from xlam_lib.environments.tool_query.weather import day_of, distance

NEAR = 50.0  # kilometers from a city
MIDSUMMER = 196  # day of the year, in July
UNITS = dict.fromkeys(TEMPERATURES, "°C") | {"rain_sum": "mm", "snowfall_sum": "cm", "european_aqi_pm2_5": "EAQI"}


class City(NamedTuple):
    """A place and its climate: mean °C of January and July, share of wet days, usual air quality index."""

    name: str
    country_code: str
    latitude: float
    longitude: float
    elevation: float  # meters
    january: float
    july: float
    wet: float
    air: int


CITIES = (
    City("Oslo", "NO", 59.91273, 10.74609, 26.0, -5.0, 17.5, 0.4, 12),
    City("Paris", "FR", 48.85341, 2.3488, 42.0, 5.0, 20.5, 0.45, 30),
    City("Paris", "US", 33.66094, -95.55551, 183.0, 5.5, 28.5, 0.3, 20),
    City("Madrid", "ES", 40.4165, -3.70256, 665.0, 6.5, 26.0, 0.2, 28),
    City("Vienna", "AT", 48.20849, 16.37208, 171.0, 1.0, 21.5, 0.4, 26),
    City("Athens", "GR", 37.98376, 23.72784, 70.0, 10.0, 29.5, 0.15, 35),
    City("Athens", "US", 33.96095, -83.37794, 199.0, 6.5, 27.0, 0.35, 18),
    City("Helsinki", "FI", 60.16952, 24.93545, 26.0, -5.5, 18.0, 0.45, 10),
    City("Cairo", "EG", 30.06263, 31.24967, 23.0, 14.0, 29.0, 0.04, 80),
    City("Nairobi", "KE", -1.28333, 36.81667, 1684.0, 19.5, 16.5, 0.35, 40),
    City("Delhi", "IN", 28.65195, 77.23149, 227.0, 14.0, 31.0, 0.25, 95),
    City("Tokyo", "JP", 35.6895, 139.69171, 44.0, 5.5, 26.5, 0.4, 32),
    City("Sydney", "AU", -33.86785, 151.20732, 58.0, 23.5, 13.0, 0.35, 14),
    City("Toronto", "CA", 43.70643, -79.39864, 175.0, -4.5, 22.0, 0.45, 20),
    City("Boston", "US", 42.35843, -71.05977, 14.0, -1.5, 23.5, 0.4, 16),
    City("Chicago", "US", 41.85003, -87.65005, 179.0, -4.0, 24.0, 0.4, 24),
    City("Denver", "US", 39.73915, -104.9847, 1609.0, 0.0, 24.0, 0.25, 22),
    City("Lima", "PE", -12.04318, -77.02824, 154.0, 23.5, 17.0, 0.05, 55),
    City("Quito", "EC", -0.22985, -78.52495, 2854.0, 14.5, 14.5, 0.5, 34),
    City("Havana", "CU", 23.13302, -82.38304, 59.0, 22.0, 28.5, 0.4, 25),
)
NAMES = tuple(dict.fromkeys(city.name for city in CITIES))


class EmbeddedWeather:
    """The service; it keeps nothing of what it is asked."""

    def daily(
        self, latitude: float, longitude: float, start_date: str, end_date: str, variables: tuple[str, ...]
    ) -> dict[str, Any]:
        """As `weather.WeatherService`; a ToolFailure where no city is near."""
        city = _near(latitude, longitude)
        days = _days(start_date, end_date)
        rows = {name: [_value(city, day, name) for day in days] for name in variables}
        return _answer(city, {"time": [day.isoformat() for day in days], **rows})

    def air_quality(self, latitude: float, longitude: float, start_date: str, end_date: str) -> dict[str, Any]:
        """As `weather.WeatherService`."""
        city = _near(latitude, longitude)
        days = _days(start_date, end_date)
        times = [f"{day.isoformat()}T12:00" for day in days]
        return _answer(city, {"time": times, "european_aqi_pm2_5": [_air(city, day) for day in days]})

    def places(self, name: str) -> dict[str, Any]:
        """As `weather.WeatherService`; a ToolFailure for a name that no city has."""
        found = [city for city in CITIES if city.name.casefold() == name.strip().casefold()]
        if not found:
            raise ToolFailure(f"no place is named {name[:80]!r}")
        keys = ("name", "latitude", "longitude", "country_code")
        return {"results": [{key: getattr(city, key) for key in keys} for city in found]}

    def elevation(self, latitude: float, longitude: float) -> dict[str, Any]:
        """As `weather.WeatherService`."""
        return {"elevation": [_near(latitude, longitude).elevation]}


def _near(latitude: float, longitude: float) -> City:
    far, city = min((distance((latitude, longitude), (one.latitude, one.longitude)), one) for one in CITIES)
    if far > NEAR:
        raise ToolFailure(f"there is no data for latitude {latitude}, longitude {longitude}")
    return city


def _days(start: str, end: str) -> list[datetime.date]:
    first = day_of(start)
    return [first + datetime.timedelta(days=n) for n in range((day_of(end) - first).days + 1)]


def _answer(city: City, daily: dict[str, list[Any]]) -> dict[str, Any]:
    units = {name: "iso8601" if name == "time" else UNITS[name] for name in daily}
    return {"latitude": city.latitude, "longitude": city.longitude, "daily_units": units, "daily": daily}


@cache
def _value(city: City, day: datetime.date, variable: str) -> float:
    summer = 1 - abs((day.timetuple().tm_yday - MIDSUMMER + 182) % 365 - 182) / 182
    mean = city.january + (city.july - city.january) * summer + 8 * (_chance(city, day, "warm") - 0.5)
    if variable == "temperature_2m_mean":
        return round(mean, 1)
    if variable == "temperature_2m_max":
        return round(mean + 2 + 4 * _chance(city, day, "highest"), 1)
    if variable == "temperature_2m_min":
        return round(mean - 2 - 4 * _chance(city, day, "lowest"), 1)
    wet = _chance(city, day, "wet") / city.wet  # below 1 on a wet day
    amount = 30 * (1 - wet) ** 2 if wet < 1 else 0.0
    snows = mean < 1.5
    return round(amount * (0.7 if snows else 1), 1) if snows == (variable == "snowfall_sum") else 0.0


def _air(city: City, day: datetime.date) -> int:
    return round(city.air * (0.5 + _chance(city, day, "air")))


def _chance(city: City, day: datetime.date, what: str) -> float:
    """A number from 0 to 1, always the same for the same city, day and thing."""
    key = f"{city.name}/{city.country_code}/{day.isoformat()}/{what}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48
