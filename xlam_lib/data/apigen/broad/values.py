"""Kinds of values of the catalogue: what a parameter may hold, and how people say it.

    read_kind({"from": 2, "to": 30, "say": ["{} years", "{}-year"]}, {}).draw(rng, "train")   # Said(12, "12 years")

In YAML a kind is one of

* `{from: 5, to: 90, step: 5, say: ["{} km"]}`           numbers,
* `{date: "%Y-%m-%d", say: ["%B %d, %Y"], from: 2024, to: 2030}`   days of these years, or of 1950 to 2035,
* `{time: "%H:%M", say: ["%I:%M %p", "%H:%M"]}`           times of day,
* `[violin, cello]`                                       texts (or numbers) that are said as they are,
* `{low: ["low risk", "little risk"], high: [...]}`       values, each with ways to say it,
* `{make: ["{first} {last}"], first: [...], last: KIND}`  texts made of parts, a list or kind each; `lower: true`,
* `{words: FIRST_NAMES}`                                  a list of `xlam_lib.data.wordlists`,
* `{of: KIND, min: 2, max: 5, join: ", "}`                arrays, said as "3, 5 and 7",
* the name of another kind.

A hash says whether a value belongs to training or to test (`library/values.py`); kinds of few values are known to both.
"""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from xlam_lib.data import wordlists
from xlam_lib.data.apigen.library.values import MAX_DRAWS, split_of

CLOSED = 30  # kinds of fewer values are not divided
YEARS = (1950, 2035)
MANY = 3000  # sayings that are compared with one another


class Said(NamedTuple):
    """A value and how it is said: `Said(5000, "$5,000")`."""

    value: Any
    text: str


@dataclass(frozen=True)
class Kind:
    """Base of the kinds: what they make, and which half it belongs to."""

    def make(self, rng: random.Random) -> Said:
        """Any value with one of its sayings."""
        raise NotImplementedError

    def every(self) -> Iterator[Said]:
        """Values with all their sayings, so many as are needed to find two values that are said alike."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether training and test share the values, since they are few."""
        return False

    def draw(self, rng: random.Random, half: str) -> Said:
        """A value of a half ("train" or "test") with one of its sayings."""
        for _ in range(MAX_DRAWS):
            said = self.make(rng)
            if self.closed or split_of(said.value) == half:
                return said
        raise ValueError(f"no value of the half {half!r} in {MAX_DRAWS} draws; the kind needs more values")

    def ambiguity(self) -> str:
        """Two values that are said alike, in words; "" if there are none."""
        known: dict[str, Any] = {}
        for value, text in islice(self.every(), MANY):
            if known.setdefault(text.casefold(), value) != value:
                return f"{text!r} is said of {known[text.casefold()]!r} and of {value!r}"
        return ""


@dataclass(frozen=True)
class Numbers(Kind):
    """Numbers of a grid: `Numbers(150, 1200, 25, 2, ("{}%",))` are 1.5, 1.75, ... 12."""

    low: int
    high: int
    step: int
    digits: int
    says: tuple[str, ...] = ("{}",)

    @property
    def count(self) -> int:
        """How many there are."""
        return (self.high - self.low) // self.step + 1

    @property
    def closed(self) -> bool:
        """Whether they are few."""
        return self.count < CLOSED

    def value(self, number: int) -> int | float:
        """The number at a place of the grid; whole ones are integers."""
        scaled = self.low + number * self.step
        whole, rest = divmod(scaled, 10**self.digits)
        return scaled / 10**self.digits if rest else whole

    def make(self, rng: random.Random) -> Said:
        """Any of them."""
        value = self.value(int(rng.random() * self.count))
        return Said(value, rng.choice(self.says).format(value))

    def every(self) -> Iterator[Said]:
        """Neighbours at both ends of the grid: formats that round show there."""
        for number in dict.fromkeys([*range(min(self.count, 400)), *range(max(0, self.count - 400), self.count)]):
            value = self.value(number)
            yield from (Said(value, say.format(value)) for say in self.says)


@dataclass(frozen=True)
class Moments(Kind):
    """Days, or times of day: `Moments("%H:%M", ("%I:%M %p",), time=True)`."""

    form: str
    says: tuple[str, ...]
    time: bool = False
    years: tuple[int, int] = YEARS

    @cached_property
    def first(self) -> int:
        """The first day, as a number."""
        return datetime.date(self.years[0], 1, 1).toordinal()

    @cached_property
    def days(self) -> int:
        """How many days there are."""
        return datetime.date(self.years[1], 12, 31).toordinal() - self.first + 1

    def _written(self, moment: datetime.date | datetime.time, say: str) -> Said:
        text = moment.strftime(say)
        if "%B" in say or "%b" in say or "%I" in say:  # "March 5" and "9:30 PM", as people write
            text = re.sub(r"(?<![\d:./-])0(?=\d)", "", text)
        return Said(moment.strftime(self.form), text)

    def _moment(self, number: int) -> datetime.date | datetime.time:
        return datetime.time(*divmod(number, 60)) if self.time else datetime.date.fromordinal(self.first + number)

    def make(self, rng: random.Random) -> Said:
        """Any day, three quarters of them recent; any time, most by day and at full quarters."""
        if self.time:
            number = rng.randrange(7 * 4, 22 * 4) * 15 if rng.random() < 0.7 else rng.randrange(24 * 60)
        else:
            number = rng.randrange(0 if rng.random() < 0.25 else max(0, self.days - 6000), self.days)
        return self._written(self._moment(number), rng.choice(self.says))

    def every(self) -> Iterator[Said]:
        """All days of a year and some of all years; all times that matter."""
        numbers = range(0, 24 * 60, 2) if self.time else [*range(min(self.days, 370)), *range(0, self.days, 97)]
        yield from (self._written(self._moment(number), say) for number in numbers for say in self.says)


class Choices(Kind):
    """Values that are listed, each with its sayings: `Choices({"low": ("low risk",), "high": ("high risk",)})`."""

    def __init__(self, options: Mapping[Any, tuple[str, ...]]) -> None:
        self.options = dict(options)
        self.halves: dict[str, list[Any]] = {"train": [], "test": []}
        for value in self.options:
            self.halves[split_of(value)].append(value)
        self.few = len(self.options) < CLOSED
        if self.few:
            self.halves = dict.fromkeys(self.halves, list(self.options))

    @property
    def closed(self) -> bool:
        """Whether they are few."""
        return self.few

    def make(self, rng: random.Random) -> Said:
        """Any of them."""
        value = rng.choice(list(self.options))
        return Said(value, rng.choice(self.options[value]))

    def draw(self, rng: random.Random, half: str) -> Said:
        """One of the half."""
        value = rng.choice(self.halves[half])
        return Said(value, rng.choice(self.options[value]))

    def every(self) -> Iterator[Said]:
        """All."""
        yield from (Said(value, text) for value, texts in self.options.items() for text in texts)


class Made(Kind):
    """Texts made of parts: `Made(("{first} {last}",), {"first": kind, "last": other})`."""

    def __init__(self, forms: tuple[str, ...], parts: Mapping[str, Kind], lower: bool = False) -> None:
        self.forms, self.parts, self.lower = forms, dict(parts), lower
        self.needed = {form: [name for name in self.parts if f"{{{name}}}" in form] for form in forms}

    def make(self, rng: random.Random) -> Said:
        """A fresh one."""
        form = rng.choice(self.forms)
        text = form.format_map({name: self.parts[name].make(rng).text for name in self.needed[form]})
        text = text.lower() if self.lower else text
        return Said(text, text)

    def every(self) -> Iterator[Said]:
        """Said as they are: never two alike."""
        yield from ()


@dataclass(frozen=True)
class Several(Kind):
    """Arrays of distinct values: `Several(kind, 2, 4)`, said as "red, green and blue"."""

    of: Kind
    low: int
    high: int
    join: str = ", "
    last: str = " and "

    @property
    def closed(self) -> bool:
        """Whether the values inside are few."""
        return self.of.closed

    def draw(self, rng: random.Random, half: str) -> Said:
        """An array of values of the half."""
        found: dict[Any, str] = {}
        wanted = rng.randint(self.low, self.high)
        for _ in range(20 * wanted):
            said = self.of.draw(rng, half)
            found.setdefault(said.value, said.text)
            if len(found) == wanted:
                break
        return Said(list(found), joined(list(found.values()), self.join, self.last))

    def make(self, rng: random.Random) -> Said:
        """An array of values of either half."""
        return self.draw(rng, rng.choice(("train", "test")))

    def every(self) -> Iterator[Said]:
        """The values inside."""
        return self.of.every()

    def ambiguity(self) -> str:
        """Two values that are said alike, or one whose saying would fall apart in the list."""
        rng = random.Random(0)
        for said in [*islice(self.of.every(), MANY), *(self.of.make(rng) for _ in range(200))]:
            for mark in (self.join, self.last):
                if self.high > 1 and mark.strip() and mark in said.text:
                    return f"{said.text!r} holds {mark!r}, which stands between the values of the array"
        return self.of.ambiguity()


def joined(texts: list[str], join: str = ", ", last: str = " and ") -> str:
    """A list in words: `joined(["3", "5", "7"])` -> "3, 5 and 7"."""
    return last.join([join.join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def read_kind(spec: Any, known: Mapping[str, Any], deep: int = 0) -> Kind:
    """The kind that YAML describes; `known` are the kinds by name, as YAML or read. A ValueError says what is wrong."""
    if isinstance(spec, Kind):
        return spec
    if deep > 20:
        raise ValueError(f"the kind {str(spec)[:80]} is made of itself")
    if isinstance(spec, str):
        if spec not in known:
            raise ValueError(f"there is no kind of values {spec!r}; known are {', '.join(sorted(known))}")
        return read_kind(known[spec], known, deep + 1)
    if isinstance(spec, list):
        return Choices({_listed(value): (str(value),) for value in _distinct(spec)})
    if not isinstance(spec, dict) or not spec:
        raise ValueError(f"values are {spec!r}, expected a list, a mapping or the name of a kind")
    for key, (read, needed, allowed) in FORMS.items():
        if key in spec:
            missing, unknown = needed - spec.keys(), spec.keys() - needed - allowed
            if missing or (unknown and key != "make"):
                found = (
                    f"lack {sorted(missing)}" if missing else f"have the unknown key {sorted(map(str, unknown))[0]!r}"
                )
                raise ValueError(f"values with {key!r} {found}; expected {sorted(needed | allowed)}")
            return read(spec, known, deep)
    return _choices(spec)


def _listed(value: Any) -> Any:
    if not isinstance(value, str | int | float) or isinstance(value, bool) or value == "":
        raise ValueError(f"the value {value!r} in a list is {type(value).__name__}, expected a text or a number")
    return value


def _distinct(values: list[Any]) -> list[Any]:
    if not values:
        raise ValueError("the list of values is empty")
    for at, value in enumerate(values):
        if isinstance(value, str) and value in values[:at]:
            raise ValueError(f"the value {value!r} stands twice in its list")
    return values


def _numbers(spec: dict[str, Any], known: Mapping[str, Any], deep: int) -> Kind:
    low, high, step = spec["from"], spec["to"], spec.get("step", 1)
    for name, number in (("from", low), ("to", high), ("step", step)):
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise ValueError(f"{name!r} is {number!r}, expected a number")
    if step <= 0 or high < low:
        raise ValueError(f"from {low!r} to {high!r} in steps of {step!r} there are no values")
    digits = max(len(f"{number:.9f}".rstrip("0").partition(".")[2]) for number in (low, step))
    scaled = [round(number * 10**digits) for number in (low, high, step)]
    return Numbers(*scaled, digits, _says(spec, ("{}",), lambda say: say.format(1) == say))


def _moments(time: bool) -> Callable[[dict[str, Any], Mapping[str, Any], int], Kind]:
    def read(spec: dict[str, Any], known: Mapping[str, Any], deep: int) -> Kind:
        form = spec["time" if time else "date"]
        if not isinstance(form, str) or "%" not in form:
            raise ValueError(f"the form {form!r} of a {'time' if time else 'date'} has no code such as %H or %Y")
        years = (spec.get("from", YEARS[0]), spec.get("to", YEARS[1]))
        if not all(isinstance(year, int) and 1 <= year <= 9999 for year in years) or years[0] > years[1]:
            raise ValueError(f"days from {years[0]!r} to {years[1]!r}: expected two years")
        return Moments(form, _says(spec, (form,), lambda say: "%" not in say), time, years)

    return read


def _says(spec: dict[str, Any], default: tuple[str, ...], plain: Callable[[str], bool]) -> tuple[str, ...]:
    says = spec.get("say", default)
    says = [says] if isinstance(says, str) else says
    for say in says if isinstance(says, list | tuple) and says else [None]:
        try:
            if not isinstance(say, str) or plain(say):
                raise ValueError(f"the saying {say!r} doesn't say the value")
        except (IndexError, KeyError) as error:
            raise ValueError(f"the saying {say!r} has a slot of its own ({error}); expected one {{}}") from error
    return tuple(says)


def _choices(spec: dict[Any, Any]) -> Kind:
    options: dict[Any, tuple[str, ...]] = {}
    for value, texts in spec.items():
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise ValueError(f"the sayings of the value {value!r} are {texts!r}, expected a list of texts")
        options[value] = tuple(texts)
    return Choices(options)


def _made(spec: dict[str, Any], known: Mapping[str, Any], deep: int) -> Kind:
    forms = [spec["make"]] if isinstance(spec["make"], str) else spec["make"]
    own = {name: part for name, part in spec.items() if name not in ("make", "lower")}
    names = [name for form in forms for name in re.findall(r"\{(\w+)\}", form)]
    if lost := [name for name in own if name not in names]:
        raise ValueError(f"the part {lost[0]!r} stands in no text of 'make'")
    parts = {name: read_kind(own.get(name, name), known, deep + 1) for name in names}
    return Made(tuple(forms), parts, spec.get("lower", False))


def _words(spec: dict[str, Any], known: Mapping[str, Any], deep: int) -> Kind:
    found = getattr(wordlists, str(spec["words"]), None)
    if not isinstance(found, tuple):
        raise ValueError(f"xlam_lib.data.wordlists has no list {spec['words']!r}")
    return Choices({word: (word,) for word in found})


def _several(spec: dict[str, Any], known: Mapping[str, Any], deep: int) -> Kind:
    low, high = spec.get("min", 2), spec.get("max", 4)
    if not isinstance(low, int) or not isinstance(high, int) or not 1 <= low <= high:
        raise ValueError(f"an array of {low!r} to {high!r} values: expected 1 <= min <= max")
    return Several(read_kind(spec["of"], known, deep + 1), low, high, spec.get("join", ", "), spec.get("last", " and "))


FORMS: dict[str, tuple[Callable[[dict[str, Any], Mapping[str, Any], int], Kind], set[str], set[str]]] = {
    "date": (_moments(False), {"date"}, {"say", "from", "to"}),
    "time": (_moments(True), {"time"}, {"say"}),
    "from": (_numbers, {"from", "to"}, {"step", "say"}),
    "make": (_made, {"make"}, {"lower"}),
    "words": (_words, {"words"}, set()),
    "of": (_several, {"of"}, {"min", "max", "join", "last"}),
}
