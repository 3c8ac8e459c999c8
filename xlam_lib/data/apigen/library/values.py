"""Typed value generators: where the arguments of the embedded data come from, and which split a value belongs to.

Used by notebook 01 (through `xlam_lib.data.apigen`). A pool composes a fresh value at every draw; a hash of the
value's text, and nothing else, says whether the value belongs to training or to test, so the two can never share one.
Try it: `python -c "from xlam_lib.data.apigen import values as v; ..."`.
"""

from __future__ import annotations

import datetime
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from xlam_lib.data import wordlists

MAX_DRAWS = 2000


def split_of(value: Any) -> str:
    """The half a value belongs to, by hash: `split_of("Oslo")` is always the same one of "train" and "test"."""
    digest = hashlib.sha256(str(value).casefold().encode("utf-8")).digest()
    return "test" if digest[0] < 96 else "train"


@dataclass(frozen=True)
class Pool:
    """A generator of values of one kind: `Pool("city", city)`; `schema` is the JSON Schema of its values."""

    kind: str
    make: Callable[[random.Random], Any]
    schema: dict = field(default_factory=lambda: {"type": "string"})

    def draw(self, rng: random.Random, split: str) -> Any:
        """A fresh value of the split ("train" or "test"); lists consist of values of the split."""
        for _ in range(MAX_DRAWS):
            value = self.make(rng)
            items = value if isinstance(value, list) else [value]
            if all(split_of(item) == split for item in items):
                return value
        raise ValueError(f"pool {self.kind!r}: no value of split {split!r} in {MAX_DRAWS} draws; widen the pool")


def _last_name(rng: random.Random) -> str:
    return rng.choice(wordlists.NAME_STARTS) + rng.choice(wordlists.NAME_ENDS)


def person(rng: random.Random) -> str:
    """A full name such as "Mara Holston"."""
    return f"{rng.choice(wordlists.FIRST_NAMES)} {_last_name(rng)}"


def city(rng: random.Random) -> str:
    """A city such as "Oslo", "Kelford" or "Port Torley"."""
    if rng.random() < 0.15:
        return rng.choice(wordlists.REAL_CITIES)
    base = rng.choice(wordlists.NAME_STARTS) + rng.choice(wordlists.CITY_ENDS)
    return f"{rng.choice(wordlists.CITY_PREFIXES)} {base}" if rng.random() < 0.2 else base


def title(rng: random.Random) -> str:
    """A title such as "Silver River" or "The Last Orchard"."""
    name = f"{rng.choice(wordlists.ADJECTIVES)} {rng.choice(wordlists.THINGS)}"
    return f"The {name}" if rng.random() < 0.2 else name


def restaurant(rng: random.Random) -> str:
    """A restaurant such as "Golden Heron" or "Chez Kelano"."""
    if rng.random() < 0.4:
        return f"{rng.choice(('Chez', 'Casa', 'Cafe', 'Bistro', 'Trattoria'))} {_last_name(rng)}"
    return title(rng)


def company(rng: random.Random) -> str:
    """A company such as "Talmont Foods"."""
    return f"{_last_name(rng)} {rng.choice(wordlists.COMPANY_ENDS)}"


def team(rng: random.Random) -> str:
    """A sports team such as "Kelford Tigers"."""
    base = rng.choice(wordlists.NAME_STARTS) + rng.choice(wordlists.CITY_ENDS)
    return f"{base} {rng.choice(wordlists.THINGS)}s"


def street(rng: random.Random) -> str:
    """A street such as "Maple Lane" or "Torley Road"."""
    start = rng.choice(wordlists.THINGS) if rng.random() < 0.5 else _last_name(rng)
    return f"{start} {rng.choice(wordlists.STREET_ENDS)}"


def room(rng: random.Random) -> str:
    """A room such as "maple room"."""
    return f"{rng.choice(wordlists.THINGS + wordlists.ADJECTIVES + wordlists.TOPICS).lower()} room"


def product(rng: random.Random) -> str:
    """A product such as "teal wool blanket"."""
    return f"{rng.choice(wordlists.COLORS)} {rng.choice(wordlists.MATERIALS)} {rng.choice(wordlists.PRODUCTS)}"


def food(rng: random.Random) -> str:
    """Something to eat such as "mango" or "leek soup"."""
    return rng.choice(wordlists.FOODS)


def dish(rng: random.Random) -> str:
    """A dish such as "leek soup" or "salmon and fennel pie"."""
    base = rng.choice(wordlists.FOODS)
    if rng.random() < 0.3:
        base = f"{base} and {rng.choice(wordlists.FOODS)}"
    return f"{base} {rng.choice(wordlists.DISH_ENDS)}"


def sentence(rng: random.Random) -> str:
    """A short free text such as "the printer is broken" or "bring the ladder to the station"."""
    topic, other = rng.choice(wordlists.TOPICS), rng.choice(wordlists.TOPICS)
    shape = rng.randrange(5)
    if shape == 0:
        return f"the {topic} is {rng.choice(wordlists.STATES)}"
    if shape == 1:
        return f"{rng.choice(wordlists.ACTIONS)} the {topic} {rng.choice(wordlists.TIMES)}"
    if shape == 2:
        return f"{rng.choice(wordlists.ACTIONS)} the {topic} at the {rng.choice(wordlists.PLACES)}"
    if shape == 3:
        return f"{topic} and {other} are {rng.choice(wordlists.STATES)}"
    return f"{rng.choice(wordlists.ACTIONS)} the {rng.choice(wordlists.STATES)} {topic}"


def task(rng: random.Random) -> str:
    """Something to do such as "paint the fence"."""
    return f"{rng.choice(wordlists.ACTIONS)} the {rng.choice(wordlists.TOPICS)}"


def meeting(rng: random.Random) -> str:
    """The name of an appointment such as "Budget Review"."""
    return f"{rng.choice(wordlists.TOPICS).capitalize()} {rng.choice(wordlists.MEETINGS)}"


def word(rng: random.Random) -> str:
    """A single lower-case word such as "lantern" or "velora"."""
    if rng.random() < 0.5:
        return rng.choice(wordlists.TOPICS)
    return "".join(rng.choice(wordlists.SYLLABLES) for _ in range(rng.choice((2, 2, 3))))


def date(rng: random.Random) -> str:
    """A day such as "2026-03-14"."""
    return (datetime.date(2025, 1, 1) + datetime.timedelta(days=rng.randrange(1460))).isoformat()


def time(rng: random.Random) -> str:
    """A time of day such as "14:35"."""
    return f"{rng.randrange(6, 23):02d}:{rng.randrange(60):02d}"


def code(rng: random.Random) -> str:
    """A code such as "KX-4821"."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    return f"{rng.choice(letters)}{rng.choice(letters)}-{rng.randrange(100, 9999)}"


def symbol(rng: random.Random) -> str:
    """A ticker symbol such as "VEXO"."""
    return "".join(rng.choice("ABCDEFGHIKLMNOPRSTUVXZ") for _ in range(rng.choice((3, 4))))


def phone(rng: random.Random) -> str:
    """A phone number such as "555-2140"."""
    return f"555-{rng.randrange(1000, 10000)}"


def email(rng: random.Random) -> str:
    """An address such as "mara@kelford.com"."""
    return f"{rng.choice(wordlists.FIRST_NAMES).lower()}@{_last_name(rng).lower()}.{rng.choice(('com', 'org', 'net'))}"


def file(rng: random.Random) -> str:
    """A file name such as "budget_draft.pdf"."""
    return f"{rng.choice(wordlists.TOPICS)}_{rng.choice(wordlists.TOPICS)}.{rng.choice(wordlists.FILE_ENDS)}"


def folder(rng: random.Random) -> str:
    """A folder name such as "invoice_2026"."""
    return f"{rng.choice(wordlists.TOPICS)}_{rng.randrange(1990, 2060)}"


def whole(low: int, high: int) -> Pool:
    """A pool of whole numbers, both ends included: `whole(2, 40)`."""
    return Pool(f"whole {low}..{high}", lambda rng: rng.randint(low, high), {"type": "integer"})


def decimal(low: int, high: int) -> Pool:
    """A pool of numbers, two thirds with one digit after the point: `decimal(1, 900)` draws 12.5 or 340."""

    def make(rng: random.Random) -> float | int:
        base = rng.randint(low, high - 1)
        return base if rng.random() < 0.33 else round(base + rng.randint(1, 9) / 10, 1)

    return Pool(f"decimal {low}..{high}", make, {"type": "number"})


def several(pool: Pool, low: int = 2, high: int = 4) -> Pool:
    """A pool of lists of distinct values of another pool: `several(Pool("food", food))`."""

    def make(rng: random.Random) -> list:
        items: list = []
        wanted = rng.randint(low, high)
        split = split_of(pool.make(rng))
        while len(items) < wanted:
            item = pool.draw(rng, split)
            if item not in items:
                items.append(item)
        return items

    return Pool(f"several {pool.kind}", make, {"type": "array", "items": dict(pool.schema)})


POOLS = {
    make.__name__: Pool(make.__name__, make)
    for make in (
        person, city, title, restaurant, company, team, street, room, product, food, dish, sentence, task, meeting,
        word, date, time, code, symbol, phone, email,
        file, folder,
    )
}  # fmt: skip

Person = Annotated[str, POOLS["person"]]
City = Annotated[str, POOLS["city"]]
Title = Annotated[str, POOLS["title"]]
Restaurant = Annotated[str, POOLS["restaurant"]]
Company = Annotated[str, POOLS["company"]]
Team = Annotated[str, POOLS["team"]]
Street = Annotated[str, POOLS["street"]]
Product = Annotated[str, POOLS["product"]]
Food = Annotated[str, POOLS["food"]]
Dish = Annotated[str, POOLS["dish"]]
Sentence = Annotated[str, POOLS["sentence"]]
Chore = Annotated[str, POOLS["task"]]
Meeting = Annotated[str, POOLS["meeting"]]
Word = Annotated[str, POOLS["word"]]
Date = Annotated[str, POOLS["date"]]
Time = Annotated[str, POOLS["time"]]
Code = Annotated[str, POOLS["code"]]
Symbol = Annotated[str, POOLS["symbol"]]
Phone = Annotated[str, POOLS["phone"]]
Email = Annotated[str, POOLS["email"]]
File = Annotated[str, POOLS["file"]]
Folder = Annotated[str, POOLS["folder"]]
