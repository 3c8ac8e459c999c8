"""Executable tools for weather, travel and maps.

Each one runs, always with the same result for the same arguments. Notebook 01 shows some; `registry.py` lists all.
"""

from __future__ import annotations

from typing import Annotated, Literal

from xlam_lib.data.apigen.library import facts
from xlam_lib.data.apigen.library.spec import Domain
from xlam_lib.data.apigen.library.values import City, Code, Date, Street, whole

weather, travel, maps = Domain("weather"), Domain("travel"), Domain("maps")


@weather.tool(
    "(get|show me|check|look up) the weather forecast< for {city}>< on {date}>",
    "(What is|What will be) the weather forecast< for {city}>< on {date}>?",
    "(How is|How will be) the weather< in {city}>< on {date}>?",
    answer="The forecast for {city} is {sky}, {degrees} degrees.",
)
def get_weather_forecast(city: City, date: Date) -> dict:
    """Get the weather forecast of a city.

    city: name of the city
    date: date of the forecast
    """
    facts.day(date)
    sky = facts.pick(("sunny", "cloudy", "rainy", "windy", "foggy"), city, date)
    return {"sky": sky, "degrees": facts.number(-5, 34, city, date)}


@weather.tool(
    "(check|measure|report|give me) the air quality< in {city}>[ right now]",
    "How (good|bad) is the air quality< in {city}>[ today]?",
    "(What is|How high is) the air quality index< in {city}>[ today]?",
    answer="The air quality index in {city} is {index}.",
)
def air_quality(city: City) -> dict:
    """Check the air quality of a city.

    city: name of the city
    """
    return {"index": facts.number(10, 180, city)}


@weather.tool(
    "(show|get|check) the {plant} pollen level< in {city}>",
    "(What is|How high is) the {plant} pollen level< in {city}>[ today]?",
    "(tell me|report) how much {plant} pollen is in the air< in {city}>",
    answer="The {plant} pollen level is {level}.",
)
def pollen_level(city: City, plant: Literal["birch", "grass", "ragweed", "hazel"]) -> dict:
    """Report the pollen level of a plant.

    city: name of the city
    plant: kind of plant
    """
    return {"level": facts.number(0, 10, city, plant)}


@weather.tool(
    "(tell me|look up|show me|find) the sunrise time< in {city}>< on {date}>",
    "(When|At what time) is sunrise< in {city}>< on {date}>?",
    "I want to see the sunrise< in {city}>< on {date}>, (when is it?|at what time is it?)",
    answer="The sun rises at {time}.",
)
def sunrise_time(city: City, date: Date) -> dict:
    """Find the time of sunrise in a city.

    city: name of the city
    date: date of the sunrise
    """
    facts.day(date)
    return {"time": f"{facts.number(4, 8, city, date):02d}:{facts.number(0, 59, city, date):02d}"}


@travel.tool(
    "(find|search for|look for|show me) (a flight|flights)< from {from_city}>< to {to_city}>< on {date}>",
    "(Is there a|Which) flight (goes |)< from {from_city}>< to {to_city}>?",
    "I want to fly< from {from_city}>< to {to_city}>< on {date}>, (which flight is there?|find me a flight.)",
    answer="Flight {flight} costs {price} dollars.",
)
def search_flights(from_city: City, to_city: City, date: Date = "") -> dict:
    """Search flights from one city to another.

    from_city: city to fly from
    to_city: city to fly to
    date: date of the flight
    """
    facts.different(from_city, to_city, "cities")
    key = (from_city, to_city, date)
    return {"flight": facts.code("flight", *key), "price": facts.number(60, 900, *key)}


@travel.tool(
    "(check|get|show|tell me) the status of flight {flight}",
    "(What is|Do you know) the [current ]status of flight {flight}?",
    "Is flight {flight} (on time|delayed|late), what is its status?",
    "(check|find out) if flight {flight} is (late|on time|delayed)",
    answer="Flight {flight} is {status}.",
)
def flight_status(flight: Code) -> dict:
    """Get the status of a flight.

    flight: number of the flight
    """
    return {"status": facts.pick(("on time", "delayed", "boarding", "cancelled"), flight)}


@travel.tool(
    "(book|reserve|get) (a hotel room|a room in a hotel|a hotel)< in {city}>< for {nights} nights>"
    "< {breakfast?with breakfast|without breakfast}>",
    "I need a hotel< in {city}>< for {nights} nights>< {breakfast?with breakfast|without breakfast}>"
    "(, please book it.|.)",
    answer="The hotel {hotel} is booked.",
)
def book_hotel_room(city: City, nights: Annotated[int, whole(2, 60)], breakfast: bool = False) -> dict:
    """Book a hotel room in a city.

    city: name of the city
    nights: number of nights
    breakfast: with breakfast or not
    """
    return {"hotel": f"{facts.title(city)} Hotel", "price": facts.number(40, 200, city) * nights + 10 * breakfast}


@travel.tool(
    "(find|search for|look for|show me) (a train|trains)< from {from_city}>< to {to_city}>< on {date}>",
    "(Is there a|Which) train (goes |runs |)< from {from_city}>< to {to_city}>?",
    "I am going by train< from {from_city}>< to {to_city}>< on {date}>, (which one can I take?|please find one.)",
    answer="Take train {train} at {time}.",
)
def find_train_ride(from_city: City, to_city: City, date: Date = "") -> dict:
    """Find a train from one city to another.

    from_city: city to start from
    to_city: city to go to
    date: date of the trip
    """
    facts.different(from_city, to_city, "cities")
    key = (from_city, to_city, date)
    return {"train": facts.code("train", *key), "time": facts.clock(*key)}


@travel.tool(
    "(reserve|book) (a seat|one seat)< on train {train}>< in wagon {wagon}>[ for me]",
    "I (need|want|would like) a seat< on train {train}>< in wagon {wagon}>(.|, please.)",
    answer="Seat {seat} in wagon {wagon} is reserved.",
)
def reserve_train_seat(train: Code, wagon: Annotated[int, whole(2, 60)]) -> dict:
    """Reserve a seat on a train.

    train: number of the train
    wagon: number of the wagon
    """
    facts.positive(wagon, "wagon")
    return {"seat": facts.number(10, 90, train, wagon)}


@maps.tool(
    "(measure|compute|find|tell me) the distance< from {start}>< to {end}>",
    "(What is|How long is) the distance< from {start}>< to {end}>[ by road]?",
    "How (far|great a distance) is it< from {start}>< to {end}>?",
    answer="The distance is {kilometers} kilometers.",
)
def measure_city_distance(start: City, end: City) -> dict:
    """Measure how far one city is from another.

    start: city to start from
    end: city to go to
    """
    facts.different(start, end, "cities")
    return {"kilometers": facts.number(30, 2500, *sorted((start, end)))}


@maps.tool(
    "(find|look for|show me) a {kind} nearby< in {city}>< on {street}>",
    "(Is there a|Where is a) {kind} nearby< in {city}>< on {street}>?",
    "I am< on {street}>< in {city}>, find (me |)a nearby {kind}.",
    answer="The nearest {kind} is {place}.",
)
def find_nearby(kind: Literal["restaurant", "pharmacy", "bank", "bakery"], city: City, street: Street = "") -> dict:
    """Find a place nearby in a city.

    kind: kind of place
    city: name of the city
    street: name of the street
    """
    return {"place": facts.title(kind, city, street)}


@maps.tool(
    "(report|show|check|give me) the traffic< on {street}>< in {city}>[ right now]",
    "(How heavy|How bad|How) is (the |)traffic< on {street}>< in {city}>[ at the moment]?",
    answer="The traffic is {traffic}.",
)
def traffic_report(street: Street, city: City) -> dict:
    """Report the traffic on a street.

    street: name of the street
    city: name of the city
    """
    return {"traffic": facts.pick(("light", "heavy", "blocked", "normal"), street, city)}


@maps.tool(
    "(find|show me|recommend|look up) a museum< in {city}>< on {subject}>",
    "(Which|What) museum (can I visit|is worth a visit)< in {city}>?",
    answer="Visit the museum {museum}.",
)
def find_museum(city: City, subject: Literal["history", "art", "science", "trains"] = "history") -> dict:
    """Find a museum in a city.

    city: name of the city
    subject: subject of the museum
    """
    return {"museum": facts.title("museum", city, subject)}
