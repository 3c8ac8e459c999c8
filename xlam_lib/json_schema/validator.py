"""The validator of a tool's JSON Schema, which fetches nothing and ends (notebook 01).

    json_validator({"type": "integer"}).fits(3)             -> True
    schema_fault({"type": "text"}).json_path                -> "$.type"

Schemas come with data, so they are a stranger's. `json_validator` is the only way in which the library gives one to
jsonschema: whatever address a reference names, nothing is fetched. How much is applied to one value is counted, so that
it doesn't depend on the machine what fits; only the search for patterns, which has no other end, is timed.

jsonschema's keywords are used in copies of their modules, because only there another search can be put in.
"""

from __future__ import annotations

import functools
import importlib.util
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

APPLIED = 100_000  # keywords, or items compared, that one value may take
SECONDS = 1.0  # of processor time in which all patterns must be searched for in one value
PATTERN, COUNTS = 4_000, 100_000  # characters of a pattern; what the counts in it, {3} and {40}, may multiply to
UNFIT = (TrajectoryError, Unresolvable, re.error, RecursionError, ArithmeticError)  # a schema can't be applied
COUNT = re.compile(r"\{(\d{1,9})")


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
        _spent.reset()
        return list(self._validator.iter_errors(value))

    def fits(self, value: Any) -> bool:
        """Whether nothing is wrong: `json_validator({"type": "integer"}).fits(3)` -> True."""
        _spent.reset()
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


class _Spent(threading.local):
    """What one value has cost so far, in this thread."""

    applied = 0
    seconds = 0.0

    def reset(self) -> None:
        self.applied, self.seconds = 0, 0.0

    def count(self) -> None:
        self.applied += 1
        if self.applied > APPLIED:
            raise SchemaLimit(f"it takes more than {APPLIED:,} keywords to hold a value against it")


_spent = _Spent()


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
    kind = validators.extend(Draft202012Validator, {name: _counted(getattr(keywords, f.__name__)) for name, f in known})
    kind.evolve = attrs.evolve  # theirs changes to another class where a part of the schema names another dialect
    return kind


def _copy_of(name: str) -> Any:
    """A module of its own from the code of another, which stays as it is."""
    spec = importlib.util.find_spec(name)
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*given: Any) -> Any:
        _spent.count()
        return keyword(*given)

    return counted


def _search(pattern: str, text: str) -> Any:
    """`re.search` that ends: a pattern can take years, as "^(a|a)*$" does over a line of "aaa...b"."""
    compiled, began = _compiled(pattern), time.thread_time()
    try:
        return compiled.search(text, timeout=max(0.001, SECONDS - _spent.seconds))
    except TimeoutError as error:
        raise SchemaLimit(f"its pattern {pattern[:60]!r} takes more than {SECONDS:g} s to be searched for") from error
    finally:
        _spent.seconds += time.thread_time() - began


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
        _spent.count()
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
