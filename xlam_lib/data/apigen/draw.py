"""Values of a JSON Schema, drawn with a seed: what a query asks for, and what a mock answers.

    draw({"type": "integer", "minimum": 1, "maximum": 6}, random.Random(0))   # 4

An example, an enum or a default of the schema goes before anything made up. What is drawn fits the schema, but for
keywords that can't be aimed at ("pattern", "not"): there the first fitting of some tries is taken, and `CannotDraw` is
raised if none fits. Used by `generator.py` and `openapi.py`.
"""

from __future__ import annotations

import datetime
import math
import random
import uuid
from collections.abc import Callable
from typing import Any

from xlam_lib.data import wordlists
from xlam_lib.errors import XlamError
from xlam_lib.trajectory import Tool
from xlam_lib.validation import argument_problems

TRIES = 20
DEEP = 6  # levels after which optional parts are left out, so that recursive schemas end


class CannotDraw(XlamError, ValueError):
    """No value could be drawn; the message has the schema."""


def draw(schema: Any, rng: random.Random, name: str = "", root: dict[str, Any] | None = None) -> Any:
    """A value that fits; `name` lends it sense ("city"), `root` holds the $defs that references point into."""
    root = root if root is not None else (schema if isinstance(schema, dict) else {})
    for _ in range(TRIES):
        value = _draw(schema, rng, name, root, 0)
        if fits(schema, value, root):
            return value
    raise CannotDraw(f"{name or 'value'}: no value found that fits {str(schema)[:200]}")


def fits(schema: Any, value: Any, root: dict[str, Any] | None = None) -> bool:
    """Whether a value fits a schema: `fits({"type": "integer"}, 3)`."""
    outer = {"type": "object", "properties": {"value": schema}}
    outer |= {key: root[key] for key in ("$defs", "definitions") if root and key in root}
    return not argument_problems(Tool("drawn", "", outer), {"value": value})


def _draw(schema: Any, rng: random.Random, name: str, root: dict[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict):
        return _title(rng)
    schema = _whole(schema, rng, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    given = [*(schema.get("examples") or ()), *([schema["example"]] if "example" in schema else ())]
    if given and rng.random() < 0.8:
        return rng.choice(given)
    kinds = schema.get("type")
    if isinstance(kinds, list):
        kinds = rng.choice([kind for kind in kinds if kind != "null"] or ["null"])
    kind = kinds or ("object" if "properties" in schema else "array" if "items" in schema else "string")
    if kind == "object":
        return _object(schema, rng, root, depth)
    if kind == "array":
        low = max(schema.get("minItems", 0), 0 if depth > DEEP else 1)
        count = rng.randint(low, max(low, min(schema.get("maxItems", 3), 3))) if schema.get("maxItems", 3) else 0
        return [_draw(schema.get("items", {}), rng, name, root, depth + 1) for _ in range(count)]
    return SIMPLE.get(kind, _text)(schema, rng, name)


def _whole(schema: dict[str, Any], rng: random.Random, root: dict[str, Any]) -> dict[str, Any]:
    """The schema with its reference followed, its parts merged and one alternative chosen."""
    for _ in range(20):
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**_found(schema["$ref"], root), **rest}
        elif parts := schema.get("allOf"):
            merged = {key: value for key, value in schema.items() if key != "allOf"}
            for part in parts:
                one = _whole(part, rng, root)
                merged["properties"] = {**merged.get("properties", {}), **one.get("properties", {})}
                merged["required"] = [*merged.get("required", []), *one.get("required", [])]
                merged = {**one, **{key: value for key, value in merged.items() if value not in ({}, [])}}
            schema = merged
        elif options := schema.get("anyOf") or schema.get("oneOf"):
            rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "default")}
            kept = [option for option in options if option.get("type") != "null"]
            schema = {**rest, **rng.choice(kept or options)}
        else:
            return schema
    return {}


def _found(pointer: str, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    for part in pointer.removeprefix("#").strip("/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _object(schema: dict[str, Any], rng: random.Random, root: dict[str, Any], depth: int) -> dict[str, Any]:
    needed = schema.get("required", [])
    made = {}
    for key, part in schema.get("properties", {}).items():
        if key in needed or (depth <= DEEP and rng.random() < 0.7):
            made[key] = _draw(part, rng, key, root, depth + 1)
    return made


def _bounds(schema: dict[str, Any], low: float, high: float) -> tuple[float, float]:
    least = max((schema[key] for key in ("minimum", "exclusiveMinimum") if _is_number(schema.get(key))), default=None)
    most = min((schema[key] for key in ("maximum", "exclusiveMaximum") if _is_number(schema.get(key))), default=None)
    low = low if least is None else least
    high = high if most is None else most
    return (low, high) if low <= high else ((low, low + 100) if most is None else (high - 100, high))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _integer(schema: dict[str, Any], rng: random.Random, name: str) -> int:
    low, high = _bounds(schema, 1, 100)
    step = schema.get("multipleOf")
    if _is_number(step) and step >= 1:
        first, last = math.ceil(low / step), math.floor(high / step)
        return int(rng.randint(first, max(first, last)) * step)
    return rng.randint(math.ceil(low), max(math.ceil(low), math.floor(high)))


def _number(schema: dict[str, Any], rng: random.Random, name: str) -> float:
    low, high = _bounds(schema, 1, 100)
    step = schema.get("multipleOf")
    return float(_integer(schema, rng, name)) if _is_number(step) else round(rng.uniform(low, high), 2)


def _text(schema: dict[str, Any], rng: random.Random, name: str) -> str:
    make = FORMATS.get(schema.get("format", "")) or next(
        (made for word, made in BY_NAME.items() if word in name.lower()), _title
    )
    text = make(rng)
    while len(text) < min(schema.get("minLength", 0), 10_000):
        text += f" {_title(rng)}"
    text = text[: schema.get("maxLength", len(text))]
    return text[:-1] + "s" if text.endswith(" ") else text


def _title(rng: random.Random) -> str:
    return f"{rng.choice(wordlists.ADJECTIVES)} {rng.choice(wordlists.THINGS)}"


def _person(rng: random.Random) -> str:
    return f"{rng.choice(wordlists.FIRST_NAMES)} {rng.choice(wordlists.NAME_STARTS)}{rng.choice(wordlists.NAME_ENDS)}"


def _day(rng: random.Random) -> str:
    return (datetime.date(2025, 1, 1) + datetime.timedelta(days=rng.randrange(1460))).isoformat()


def _clock(rng: random.Random) -> str:
    return f"{rng.randint(6, 22):02d}:{rng.randint(0, 59):02d}:00"


def _address(rng: random.Random) -> str:
    return f"{rng.choice(wordlists.FIRST_NAMES).lower()}.{rng.choice(wordlists.NAME_STARTS).lower()}@example.com"


SIMPLE: dict[str, Callable[[dict[str, Any], random.Random, str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": lambda schema, rng, name: rng.random() < 0.5,
    "null": lambda schema, rng, name: None,
    "string": _text,
}
FORMATS: dict[str, Callable[[random.Random], str]] = {
    "date": _day,
    "time": _clock,
    "date-time": lambda rng: f"{_day(rng)}T{_clock(rng)}Z",
    "email": _address,
    "uuid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "uri": lambda rng: f"https://example.com/{rng.choice(wordlists.THINGS).lower()}",
    "url": lambda rng: f"https://example.com/{rng.choice(wordlists.THINGS).lower()}",
    "hostname": lambda rng: f"{rng.choice(wordlists.THINGS).lower()}.example.com",
    "ipv4": lambda rng: f"192.0.2.{rng.randint(1, 254)}",
    "duration": lambda rng: f"PT{rng.randint(1, 59)}M",
}
BY_NAME: dict[str, Callable[[random.Random], str]] = {
    "email": _address,
    "date": _day,
    "city": lambda rng: rng.choice(wordlists.NAME_STARTS) + rng.choice(wordlists.CITY_ENDS),
    "title": _title,
    "person": _person,
    "author": _person,
    "user": _person,
    "name": _person,
    "color": lambda rng: rng.choice(wordlists.COLORS),
    "topic": lambda rng: rng.choice(wordlists.TOPICS),
}
