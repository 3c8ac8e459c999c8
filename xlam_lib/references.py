"""References within a tool's JSON Schema, and the validator that follows no others.

Written out, because who reads a prompt has nowhere to look them up:

    parameters_of(schema)                the parameters, each reference replaced by what it points to
    without_references(schema)           the whole schema like that
    pointed(schema, "#/$defs/Guest")     what one reference points to

References of every local kind are followed: `#/$defs/Guest`, `#/definitions/Guest`, `#/properties/a/items`, `#`. What
can't be written out, because it contains itself, points out of the schema or would be too long, is None: then the whole
schema is to be shown, definitions and all. `chat_template.py` says the same in Jinja. Used by prompts (`codec.py`), the
check of arguments and the grammar of required calls (`serve/schema.py`); notebooks 01 to 04.

Schemas come with data, so they are a stranger's. `json_validator(schema)` is the only way in which the library gives
one to jsonschema: nothing is fetched, whatever address a reference names, and no value takes longer than SECONDS.
"""

from __future__ import annotations

import functools
import importlib.util
import marshal
import re
import threading
import time
import types
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from referencing.exceptions import Unresolvable

from xlam_lib.errors import TrajectoryError

if TYPE_CHECKING:
    from jsonschema import ValidationError

SECONDS = 1.0  # of processor time in which a value must be held against a schema
EACH = 64  # keywords that are applied before the clock is looked at again
PATTERN, COUNTS = 4_000, 100_000  # characters of a pattern; what the counts in it, {3} and {40}, may multiply to
UNFIT = (TrajectoryError, Unresolvable, re.error, RecursionError, ArithmeticError)  # a schema can't be applied
COUNT = re.compile(r"\{(\d{1,9})")
MAX_WRITTEN = 200  # references of one schema
TABLES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")  # of schemas, by name
DATA = ("enum", "const", "default", "examples", "example")  # values, in which nothing is a reference
DEFINITIONS = ("$defs", "definitions")
BRANCHES = ("allOf", "anyOf", "oneOf")
ESCAPES = (  # in a reference, with what they stand for; they are read in this order
    *(("%24", "$"), ("%3C", "<"), ("%3E", ">"), ("%5B", "["), ("%5D", "]"), ("%2C", ","), ("%20", " "), ("%25", "%")),
    *(("~1", "/"), ("~0", "~")),
)


class _Remains(Exception):
    """A reference can't be written out."""


def pointed(schema: Any, reference: str) -> Any:
    """What a local reference points to, None for nothing: `pointed({"$defs": {"A": {}}}, "#/$defs/A")` -> {}."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    value = schema
    for part in reference.split("/")[1:]:
        for escape, sign in ESCAPES:
            part = part.replace(escape, sign)
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and len(part) < 10 and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def without_references(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema with its references written out, without the definitions that only they need; None: see above.

    Example: `without_references({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}})`
    -> {"type": "object", "properties": {"a": {}}}
    """
    if not _refers(schema):
        return schema
    try:
        return _Writer(schema).write({key: item for key, item in schema.items() if key not in DEFINITIONS})
    except _Remains:
        return None


def parameters_of(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]] | None:
    """(properties, names of the required ones), references written out; None where that isn't what a schema says.

    Example: `parameters_of({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}})` -> ({"a": {}}, [])
    """
    writer = _Writer(schema)
    try:
        root, inside = writer.followed(schema, ())
        root = root if isinstance(root, dict) else {}
        known = root.get("properties") or {}
        if not known and any(map(root.get, BRANCHES)):
            return None
        return (writer.write_table(known, inside) if _refers(schema) else known), root.get("required") or []
    except _Remains:
        return None


def _refers(schema: dict[str, Any]) -> bool:
    """Whether there may be a reference: most tools have none, and are written into many prompts."""
    try:
        return b"$ref" in marshal.dumps(schema, 2)
    except ValueError:
        return True


def root_parts(schema: Any) -> Iterator[dict[str, Any]]:
    """All that a schema says of the object itself: itself, what it refers to, and its branches.

    Example: the schema, and what `{"$ref": "#/$defs/A"}` in its "allOf" points to.
    """
    waiting, seen = [schema], set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict) and id(part) not in seen:
            seen.add(id(part))
            yield part
            if isinstance(part.get("$ref"), str):
                waiting.append(pointed(schema, part["$ref"]))
            for key in BRANCHES:
                waiting += part[key] if isinstance(part.get(key), list) else []


class _Writer:
    """Writes out what one schema refers to."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self.written = 0

    def followed(self, value: Any, inside: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
        """(what stands in the place of a reference, the references within which it stands)."""
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            reference = value["$ref"]
            target = None if reference in inside else pointed(self.schema, reference)
            self.written += 1
            if not isinstance(target, dict | bool) or self.written > MAX_WRITTEN:
                raise _Remains
            beside = {key: item for key, item in value.items() if key != "$ref"}  # it says more, or says it better
            value = {**target, **beside} if isinstance(target, dict) else beside or target
            inside = (*inside, reference)
        return value, inside

    def write(self, value: Any, inside: tuple[str, ...] = ()) -> Any:
        if isinstance(value, list):
            return [self.write(item, inside) for item in value]
        value, inside = self.followed(value, inside)
        if not isinstance(value, dict):
            return value
        return {
            key: item if key in DATA else self.write_table(item, inside) if key in TABLES else self.write(item, inside)
            for key, item in value.items()
        }

    def write_table(self, table: Any, inside: tuple[str, ...]) -> Any:
        if not isinstance(table, dict):
            return table
        return {name: self.write(item, inside) for name, item in table.items()}


class SchemaLimit(TrajectoryError):
    """A schema with which no value can be held against it in bounded time."""


class JsonValidator:
    """Holds values against one schema; see `json_validator`."""

    def __init__(self, schema: Any) -> None:
        from jsonschema_specifications import REGISTRY  # the dialects of JSON Schema; it retrieves nothing

        self._validator = _kind()(schema, registry=REGISTRY)

    def errors(self, value: Any) -> list[ValidationError]:
        """What is wrong with a value: `json_validator({"type": "integer"}).errors("x")[0].validator` -> "type".

        Beside SchemaLimit, a schema that can't be applied raises what jsonschema does: see UNFIT.
        """
        _clock.start()
        return list(self._validator.iter_errors(value))

    def fits(self, value: Any) -> bool:
        """Whether nothing is wrong: `json_validator({"type": "integer"}).fits(3)` -> True."""
        _clock.start()
        return next(self._validator.iter_errors(value), None) is None


def json_validator(schema: Any) -> JsonValidator:
    """The validator of a schema (draft 2020-12, whatever it names): `json_validator({"type": "integer"}).fits(3)`."""
    return JsonValidator(schema)


def schema_fault(schema: Any) -> ValidationError | None:
    """Why something is no JSON Schema, None where it is: `schema_fault({"type": "text"}).json_path` -> "$.type"."""
    from jsonschema import Draft202012Validator, SchemaError  # here, because its format checkers take a while to import

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return error
    return None


class _Clock(threading.local):
    """How long one value has been held against its schema, in this thread."""

    end = 0.0
    calls = 0

    def start(self) -> None:
        self.end, self.calls = time.thread_time() + SECONDS, 0

    def left(self) -> float:
        left = self.end - time.thread_time()
        if left <= 0:
            raise SchemaLimit(f"it takes more than {SECONDS:g} s to hold a value against it")
        return left

    def tick(self) -> None:
        self.calls += 1
        if self.calls % EACH == 0:
            self.left()


_clock = _Clock()


@functools.cache
def _kind() -> Any:
    """jsonschema's validator with limits: its own keywords, in copies that search and compare by what stands below."""
    import attrs
    from jsonschema import Draft202012Validator, validators

    utils, keywords = _copy_of("jsonschema._utils"), _copy_of("jsonschema._keywords")
    utils.re = keywords.re = types.SimpleNamespace(search=_search)
    utils.uniq = _are_unique
    vars(keywords).update({name: one for name, one in vars(utils).items() if name in vars(keywords)})
    keywords.multipleOf = _multiple_of(keywords.multipleOf, keywords.ValidationError)
    known = Draft202012Validator.VALIDATORS.items()
    kind = validators.extend(Draft202012Validator, {name: _timed(getattr(keywords, f.__name__)) for name, f in known})
    kind.evolve = attrs.evolve  # theirs changes to another class where a part of the schema names another dialect
    return kind


def _copy_of(name: str) -> Any:
    """A module of its own from the code of another, which stays as it is."""
    spec = importlib.util.find_spec(name)
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _timed(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*given: Any) -> Any:
        _clock.tick()
        return keyword(*given)

    return timed


def _search(pattern: str, text: str) -> Any:
    """`re.search` that ends: a pattern can take years, as "^(a|a)*$" does over a line of "aaa...b"."""
    left = _clock.left()
    try:
        return _compiled(pattern).search(text, timeout=left)
    except TimeoutError as error:
        raise SchemaLimit(f"its pattern {pattern[:60]!r} takes more than {SECONDS:g} s to be searched for") from error


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    import regex  # like `re`, and it can be told when to give up

    counts = 1
    for count in COUNT.findall(pattern):
        counts *= max(int(count), 1)
    if len(pattern) > PATTERN or counts > COUNTS:
        raise SchemaLimit(f"its pattern {pattern[:60]!r} is too large")
    re.compile(pattern)  # what is a pattern is as it always was
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise re.error(str(error)) from error


def _multiple_of(keyword: Callable[..., Any], fault: type[Exception]) -> Callable[..., Any]:
    def multiple_of(validator: Any, factor: Any, instance: Any, schema: Any) -> Iterator[Any]:
        try:
            yield from keyword(validator, factor, instance, schema)
        except OverflowError:  # no float is so large
            if Fraction(instance) % Fraction(factor):
                yield fault(f"{instance!r} is not a multiple of {factor}")

    return multiple_of


def _are_unique(items: list[Any]) -> bool:
    """Whether no two are equal as JSON; jsonschema compares each with each."""
    seen = set()
    for item in items:
        _clock.tick()
        key = _key(item)
        if key in seen:
            return False
        seen.add(key)
    return True


def _key(value: Any) -> Any:
    """The same for what is equal as JSON, where true is not 1: `_key([1, True])` == `_key([1.0, True])`."""
    if isinstance(value, bool):
        return "bool", "true" if value else "false"
    if isinstance(value, list):
        return "list", *map(_key, value)
    return frozenset((name, _key(item)) for name, item in value.items()) if isinstance(value, dict) else value
