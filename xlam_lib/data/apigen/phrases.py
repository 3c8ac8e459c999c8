"""How a user may ask for a function: by its own example questions, else in words made of its descriptions.

    phrase(random.Random(0), Library.of_functions([weather])["weather"])
        -> ("Could you get the current weather for Kelford, in metric units?", {"city": "Kelford", "units": "metric"})

A function has example questions where its docstring has a section "Questions:", with a line each ("Is it cold in
{city}[ on {date}]?": a part in brackets is there when the optional argument in it is given), or an operation of an
OpenAPI document a list "x-questions". They teach best, as users know how they ask. Without them, the description's
first sentence becomes an order or a question, values take the place of the words that name them ("a city"), and the
other arguments stand behind it. Used by `generator.py` (notebooks 01 and 07).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from xlam_lib.data.apigen import ask
from xlam_lib.data.apigen.apis import Api, ApigenError
from xlam_lib.data.apigen.draw import draw

Half = Literal["train", "test"]
OWN = 0.8  # how often a function's own questions are taken where it has some
OPTIONAL = 0.4  # how often an optional argument is given
DRAWS = 5  # of a value that another argument has already
HELD_OUT = 4  # every fourth wording is kept for tests, where there are so many
SLOT = re.compile(r"\{(\w+)\}")
PART = re.compile(r"\[([^\[\]]*)\]")
ORDERS = (
    "{}.", "Please {}.", "Could you {}?", "I'd like you to {}.",
    "{}, please.", "Can you {}?", "I need you to {}.", "Would you please {}?",
    "Help me: {}.", "Kindly {}.", "Go ahead and {}.", "Are you able to {}?",
)  # fmt: skip
ASKED = (
    "What is {}?", "Tell me {}.", "I'd like to know {}.", "Can you tell me {}?",
    "I need {}.", "Show me {}.", "Give me {}.", "Please tell me {}.",
    "What's {}?", "Find out {} for me.", "Could you look up {}?", "Do you know {}?",
)  # fmt: skip
VERBS = frozenset(
    """add adjust analyze apply approve archive ask assign avoid book build buy calculate call cancel change charge
    check choose clear close combine compare compute convert copy count create debit decode delete deliver describe
    detect determine disable display divide download draw edit enable encode encrypt estimate evaluate execute export
    extract fetch fill filter find fix format forward generate get give import insert install invite join launch list
    load locate lock log look make mark match measure merge move multiply normalize notify open order parse pay perform
    pick place plan play plot post predict print process produce provide publish purchase query rank rate read
    recommend record refund register reject remind remove rename render rent repeat replace reply report request reserve
    reset resize resolve restart retrieve return reverse review round run sample save schedule score search select sell
    send set share show simulate solve sort split start stop store submit subscribe subtract suggest sum summarize swap
    take tell test tokenize track train transfer translate trim turn unlock update upload validate verify watch weigh
    write""".split()
)
GETTING = ("calculate", "compute", "determine", "estimate", "fetch", "find", "get", "give", "look up", "retrieve",
           "return", "show", "tell")  # fmt: skip
ARTICLE = (
    r"(?:(?:a|an|the|some|this|your|each|any) )?(?:(?:given|certain|specific|specified|particular|named) )?"
    r"(?:number of )?"
)
BEFORE_VALUE = {
    "on": ("date", "day"),
    "at": ("time", "hour"),
    "from": ("from", "start", "origin", "source", "departure"),
    "to": ("to", "destination", "recipient", "end", "target", "until"),
    "in": ("city", "location", "place", "country", "region", "language", "currency", "unit", "units", "town", "room"),
    "for": ("person", "name", "customer", "user", "guest", "year", "month"),
    "about": ("topic", "subject"),
}
OTHERWISE = ("with {words} {value}", "with {value} as the {words}", "({words}: {value})", "using {words} {value}")


def phrase(rng: random.Random, api: Api, half: Half = "train") -> tuple[str, dict[str, Any]]:
    """A request and its arguments; wordings of the half "test" are never those of "train", where there are enough."""
    templates = _of_half(api.questions, half)
    if templates and rng.random() < OWN:
        return _by_template(rng, api, rng.choice(templates))
    schema = api.tool.parameters
    needed = schema.get("required", ())
    names = [key for key in schema.get("properties") or {} if key in needed or rng.random() < OPTIONAL]
    arguments = _draw(rng, api, names)
    return _described(rng, api, arguments, half), arguments


def check_template(api: Api, template: str) -> None:
    """An ApigenError for a question that can't be filled: an unknown slot, or a required argument left out."""
    properties, needed = api.tool.parameters.get("properties") or {}, api.tool.parameters.get("required", ())
    always, slots = set(SLOT.findall(PART.sub("", template))), set(SLOT.findall(template))
    where = f"{api.name}: the question {template!r}"
    if unknown := sorted(slots - set(properties)):
        raise ApigenError(f"{where} has {{{unknown[0]}}}, but the arguments are: {', '.join(properties) or 'none'}")
    if missing := [name for name in needed if name not in always]:
        raise ApigenError(f"{where} has no {{{missing[0]}}}, which the function needs; put it in, outside of [ ]")


def _by_template(rng: random.Random, api: Api, template: str) -> tuple[str, dict[str, Any]]:
    text = PART.sub(lambda part: part[1] if rng.random() < 0.5 else "", template)
    arguments = _draw(rng, api, list(dict.fromkeys(SLOT.findall(text))))
    return SLOT.sub(lambda slot: said(arguments[slot[1]]), text), arguments


def _draw(rng: random.Random, api: Api, names: Sequence[str]) -> dict[str, Any]:
    """Values for arguments; two texts are the same only where there is no choice, as a way leads elsewhere."""
    schema, drawn = api.tool.parameters, {}
    for name in names:
        for _ in range(DRAWS):
            value = drawn[name] = draw(schema["properties"][name], rng, name, root=schema)
            if not isinstance(value, str) or list(drawn.values()).count(value) == 1:
                break
    return drawn


def _of_half(wordings: Sequence[str], half: Half) -> Sequence[str]:
    if len(wordings) < HELD_OUT:
        return wordings
    return [one for n, one in enumerate(wordings) if (n % HELD_OUT == HELD_OUT - 1) is (half == "test")]


def said(value: Any) -> str:
    """A value as a user writes it: `said([3, 5])` -> "3 and 5"; `said(True)` -> "yes"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and value and all(isinstance(item, str | int | float) for item in value):
        *first, last = map(str, value)
        return f"{', '.join(first)} and {last}" if first else last
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return "none" if value is None else str(value)


def _described(rng: random.Random, api: Api, arguments: dict[str, Any], half: Half) -> str:
    """The query, made of the description's first sentence and what the arguments are called."""
    purpose, is_order = _purpose(api)
    rest = {}
    for name, value in arguments.items():
        placed = _in_place(purpose, name, value)
        purpose, rest = (placed, rest) if placed else (purpose, {**rest, name: value})
    own_sentences = len(rest) > 3 or rng.random() < 0.25
    tails = list(_tails(rng, rest)) if rest and not own_sentences else []
    clause = " ".join([purpose, *tails])
    getting = next((verb for verb in GETTING if is_order and clause.startswith(f"{verb} the ")), "")
    if getting and rng.random() < 0.5:
        clause, is_order = clause[len(getting) + 1 :], False
    query = ask.capital(rng.choice(_of_half(ORDERS if is_order else ASKED, half)).format(clause))
    facts = [_fact(rng, name, value) for name, value in rest.items()] if own_sentences else []
    if rng.random() < 0.2:
        query = f"{rng.choice(ask.BEFORE).replace(',', '.')} {query}"
    return " ".join([query, *facts])


def _purpose(api: Api) -> tuple[str, bool]:
    """(what the function does, whether that is an order): ("get the weather of a city", True)."""
    text = api.tool.description.split(". ")[0].rstrip(".").strip() or words_of(api.name)
    first, _, rest = text.partition(" ")
    verb = _verb(first.lower())
    if verb:
        return f"{verb} {rest}".strip(), True
    if text[1:2].islower() or len(text) == 1:
        text = text[0].lower() + text[1:]
    return text if re.match(r"(?:the|a|an|your|all|how|what|which|whether)\b", text) else f"the {text}", False


def _verb(word: str) -> str:
    """The verb in its plain form: "returns" -> "return", "searches" -> "search"; "" for a word that is none."""
    forms = (word, word.removesuffix("s"), word.removesuffix("es"), re.sub("ies$", "y", word))
    return next((form for form in forms if form in VERBS), "")


def _in_place(purpose: str, name: str, value: Any) -> str:
    """The purpose with the value in place of the words that name it; "" where it has no such place."""
    if isinstance(value, bool | dict) or value is None:
        return ""
    words = words_of(name)
    match = re.search(rf"\b{ARTICLE}{re.escape(words)}\b(?! (?:of|for|and|or)\b)", purpose, re.IGNORECASE)
    if not match or not match.start():
        return ""
    counted = _is_count(words, value)
    named = isinstance(value, list | float | int)
    text = f"{value} {words}" if counted else f"the {words} {said(value)}" if named else said(value)
    return f"{purpose[: match.start()]}{text}{purpose[match.end() :]}"


def _tails(rng: random.Random, rest: dict[str, Any]) -> Iterator[str]:
    """How the other arguments follow: "on 2026-05-01", "for 4 guests", "with color red"."""
    used: set[str] = set()
    for name, value in rest.items():
        words = words_of(name)
        last = words.split()[-1]
        before = next((before for before, lasts in BEFORE_VALUE.items() if last in lasts), "")
        if isinstance(value, bool) and _verb(words.split()[0]) and " " in words:
            yield f"and {words}" if value else f"but don't {words}"
        elif isinstance(value, bool):
            yield f"{'with' if value else 'without'} {re.sub('^(?:is|with|include|use|has) ', '', words)}"
        elif _is_count(words, value):
            yield f"for {value} {words}"
        elif before and before not in used and isinstance(value, str):
            used.add(before)
            yield f"{before} {value}"
        else:
            yield rng.choice(OTHERWISE).format(words=words, value=said(value))


def _is_count(words: str, value: Any) -> bool:
    """Whether a number counts what its name says in the plural, as in "4 guests"."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(re.search("[^s]s$", words))


def _fact(rng: random.Random, name: str, value: Any) -> str:
    words = words_of(name)
    return ask.capital(rng.choice(("{}: {}.", "The {} is {}.", "{} should be {}.")).format(words, said(value)))


def words_of(name: str) -> str:
    """A name as words: `words_of("maxPrice")` -> "max price"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_.\W]+", " ", name).strip().lower()
