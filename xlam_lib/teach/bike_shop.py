"""Ten tools of a little bike shop, to be taught in notebook 07; your own functions need no more than these have.

    python -m xlam_lib.teach xlam_lib.teach.bike_shop --out runs/bike_shop

A signature, a docstring, examples where values are special, and, where you know them, a few lines of how people ask.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Literal

from pydantic import Field

Kind = Literal["road", "gravel", "city", "mountain", "cargo"]
Town = Annotated[str, Field(examples="Lyon Graz Porto Ghent Bergen Turin Malmo Tartu Split Cork Leipzig Basel".split())]
Model = Annotated[str, Field(examples=["Falcon 3", "Heron 700", "Otter City", "Lynx Pro", "Mule XL", "Swift 28"])]
Problem = Annotated[
    str, Field(examples=["a flat tire", "a loose chain", "worn brakes", "a bent wheel", "a broken spoke"])
]


def find_bikes(kind: Kind, max_price: Annotated[int, Field(ge=200, le=5000)], electric: bool = False) -> list[dict]:
    """Search the bikes for sale by kind and price.

    Args:
        kind: kind of bike
        max_price: highest price in euros
        electric: only bikes with a motor

    Questions:
        Do you have a {kind} bike for at most {max_price} euros?
        I'm looking for a {kind} bike and can spend {max_price} euros.
        Show me {kind} bikes under {max_price} euros.
        What {kind} bikes do you sell up to {max_price} euros?
        My budget is {max_price} euros, which {kind} bikes are there?
        Is there a {kind} bike in your shop that costs {max_price} euros or less?
        I want to buy a {kind} bike, {max_price} euros is my limit.
        Which {kind} bikes cost no more than {max_price} euros?
    """
    return [{"model": f"{kind.title()} {number}", "price": max_price - 50 * number} for number in (1, 2)]


def check_stock(model: Model, size: Literal["S", "M", "L", "XL"]) -> dict:
    """Check whether a bike is in stock in a frame size.

    Args:
        model: model of the bike
        size: size of the frame

    Questions:
        Is the {model} in stock in size {size}?
        Do you have the {model} in {size}?
        I need a {model}, frame size {size}. Is it there?
        Can I get the {model} in size {size} today?
        I ride size {size}. Is a {model} left?
        Could you see if there's still a {model} in {size}?
        {model}, size {size}: is it available?
        Are any {model} bikes of size {size} on hand?
    """
    return {"model": model, "size": size, "there": zlib.crc32(f"{model}{size}".encode()) % 4}


def book_repair(
    model: Model, problem: Problem, date: Annotated[str, Field(json_schema_extra={"format": "date"})]
) -> str:
    """Book a repair of a customer's bike.

    Args:
        model: model of the bike
        problem: what is broken
        date: day of the repair (YYYY-MM-DD)

    Questions:
        My {model} has {problem}. Can you fix it on {date}?
        I'd like to bring in my {model} on {date}, it has {problem}.
        Book a repair for {date}: {model}, {problem}.
        Please repair {problem} on my {model} on {date}.
        Can somebody look at {problem} of my {model} on {date}?
        {problem} on the {model}. I could drop it off on {date}.
        I need an appointment for my {model} on {date} because of {problem}.
        On {date} I'd like to have {problem} on my {model} fixed.
    """
    return f"R-{zlib.crc32(f'{model}{date}{problem}'.encode()) % 10000:04d}"


def repair_status(ticket: Annotated[str, Field(examples=["R-0417", "R-2290", "R-7713", "R-5086", "R-9904"])]) -> dict:
    """Get the status of a repair by its ticket.

    Questions:
        Is my repair {ticket} done?
        What's the status of {ticket}?
        How far are you with repair {ticket}?
        Can I pick up {ticket} yet?
        My ticket is {ticket}. Is the bike ready?
        Have you finished the repair with the number {ticket}?
        When can I fetch my bike? The ticket says {ticket}.
        Any news about {ticket}?
    """
    return {"ticket": ticket, "status": ("waiting", "in work", "done")[zlib.crc32(ticket.encode()) % 3]}


def rental_price(days: Annotated[int, Field(ge=1, le=30)], bikes: Annotated[int, Field(ge=1, le=12)] = 1) -> float:
    """Calculate the price of renting bikes for some days.

    Args:
        days: number of days
        bikes: how many bikes

    Questions:
        What does it cost to rent a bike for {days} days?
        How much are {bikes} bikes for {days} days?
        We want to rent {bikes} bikes for {days} days, what would we pay?
        Price for {days} days[ and {bikes} bikes]?
        How expensive is a rental of {days} days[ for {bikes} bikes]?
        Tell me what you charge for {days} days[ with {bikes} bikes].
        I'd rent for {days} days[, {bikes} bikes]. What is the total?
        What would {days} days[ with {bikes} bikes] come to?
    """
    return 19.5 * days * bikes


def rent_bikes(
    kind: Kind,
    bikes: Annotated[int, Field(ge=1, le=12)],
    start: Annotated[str, Field(json_schema_extra={"format": "date"})],
    days: Annotated[int, Field(ge=1, le=30)],
) -> dict:
    """Reserve bikes for a rental.

    Args:
        kind: kind of bike
        bikes: how many bikes
        start: first day (YYYY-MM-DD)
        days: number of days

    Questions:
        Reserve {bikes} {kind} bikes for {days} days from {start}.
        I want to rent {bikes} {kind} bikes on {start} for {days} days.
        We need {bikes} {kind} bikes, starting {start}, for {days} days.
        From {start} we'd like to have {bikes} {kind} bikes for {days} days.
        Please put {bikes} {kind} bikes aside for us from {start}, {days} days in all.
        Book us {bikes} {kind} bikes: {days} days, first day {start}.
        Could we hire {bikes} {kind} bikes for {days} days as of {start}?
        Our trip begins on {start} and lasts {days} days, please keep {bikes} {kind} bikes for us.
    """
    return {"reserved": bikes, "kind": kind, "from": start, "days": days}


def plan_route(start: Town, destination: Town, avoid_hills: bool = False) -> dict:
    """Plan a bike route from a start to a destination.

    Args:
        start: town where the ride starts
        destination: town where it ends
        avoid_hills: whether to go around hills
    """
    return {"km": 20 + zlib.crc32(f"{start}{destination}".encode()) % 180, "flat": avoid_hills}


def weather(town: Town, day: Literal["today", "tomorrow", "Saturday", "Sunday"] = "today") -> dict:
    """Get the weather forecast for cyclists in a town.

    Questions:
        Will it rain in {town}[ {day}]?
        What's the weather like for a ride in {town}[ {day}]?
        Can I cycle in {town}[ {day}] without getting wet?
        How is the forecast for {town}[ {day}]?
        Should I take a rain jacket for a ride in {town}[ {day}]?
        How warm will it be in {town}[ {day}]?
        Is it dry enough to ride in {town}[ {day}]?
        What does the sky do over {town}[ {day}]?
    """
    return {"celsius": zlib.crc32(f"{town}{day}".encode()) % 30, "rain": zlib.crc32(town.encode()) % 2 == 0}


def opening_hours(day: Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]) -> str:
    """Get the opening hours of the shop on a day of the week.

    Questions:
        When do you open on {day}?
        Are you open on {day}?
        What are your hours on {day}?
        Until when can I come by on {day}?
        What time does the shop close on {day}?
        Is the shop open on {day}, and from when to when?
        I can only come on {day}. When are you there?
        How early can I come to your shop on {day}?
    """
    return {"Sunday": "closed", "Saturday": "9:00 to 14:00"}.get(day, "9:00 to 18:30")


def tire_pressure(
    weight: Annotated[int, Field(ge=45, le=130)], width: Annotated[int, Field(ge=23, le=60)]
) -> dict[str, float]:
    """Calculate the right tire pressure for a rider's weight and the width of the tire.

    Args:
        weight: weight of the rider in kilograms
        width: width of the tire in millimeters

    Questions:
        What tire pressure do I need at {weight} kg with {width} mm tires?
        I weigh {weight} kilos and ride {width} mm tires. How hard should I pump them?
        How many bar for {width} mm and {weight} kg?
        Tires of {width} mm, rider of {weight} kg: which pressure?
        How hard should {width} mm tires be for somebody of {weight} kilos?
        My tires are {width} mm wide and I weigh {weight} kg. What pressure is right?
        Which pressure do you recommend for {weight} kg on {width} mm?
        {weight} kg, {width} mm tires, how much air?
    """
    return {"bar": round(weight / width * 2.2, 1)}
