"""A library of callable things: Python functions, the embedded tools, and operations of an OpenAPI document.

    apis = Library.of_functions([math.hypot, my_module.weather]) + read_openapi("petstore.yaml")
    with apis.runner() as run:
        run.batch([("weather", {"city": "Oslo"})])    # [{"result": {"celsius": 4}}]

The tool that a model sees is read from signature, type hints (any that pydantic knows: dates, enums, dataclasses,
Annotated, ...) and docstring. Functions run in a sandbox (`sandbox.py`); operations are answered from their document
(`openapi.py`), for there is no network. First part of the pipeline of `run.py` (notebook 01).
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, get_type_hints

from xlam_lib.data.apigen.docstrings import describe, questions
from xlam_lib.data.apigen.sandbox.sandbox import Limits, Reference, Sandbox, reference
from xlam_lib.errors import XlamError
from xlam_lib.trajectory import Tool
from xlam_lib.validation import argument_problems

Call = tuple[str, dict[str, Any]]  # name and arguments


class ApigenError(XlamError, ValueError):
    """Functions, a document or settings that nothing can be made of; the message says which and why."""


class Answerer(Protocol):
    """Answers calls without running foreign code, as an operation of an OpenAPI document does."""

    def answer(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """{"result": ...} or {"error": "..."}."""


@dataclass(frozen=True)
class Api:
    """One callable thing: the tool that a model sees, the group it belongs to, and how it is run."""

    tool: Tool
    group: str
    runs: Reference | Answerer
    questions: tuple[str, ...] = ()  # how users ask, as templates: "Is it cold in {city}?" (`phrases.py`)

    @property
    def name(self) -> str:
        """Its name, unique in a library."""
        return self.tool.name


class Library:
    """Apis by name, in order: `Library.of_functions([math.hypot])["hypot"]`; two libraries can be added."""

    def __init__(self, apis: Iterable[Api]) -> None:
        self.by_name: dict[str, Api] = {}
        for api in apis:
            if api.name in self.by_name:
                raise ApigenError(f"two functions are named {api.name!r}; leave one out or rename it")
            self.by_name[api.name] = api

    @classmethod
    def of_functions(cls, functions: Iterable[Callable[..., Any]], group: str = "") -> Library:
        """The library of some functions; a group is the module's name unless given."""
        return cls(read_function(function, group) for function in functions)

    @classmethod
    def of_module(cls, name: str) -> Library:
        """All public functions that a module defines, or the one named: "my_module" or "my_module:weather"."""
        module_name, _, function = name.partition(":")
        try:
            module = importlib.import_module(module_name)
            chosen = getattr(module, function) if function else None
        except (ImportError, AttributeError) as error:
            raise ApigenError(f"{name}: can't be imported: {error}") from error
        if function:
            return cls.of_functions([chosen])
        listed = getattr(module, "__all__", None) or [one for one in vars(module) if not one.startswith("_")]
        own = [getattr(module, one) for one in listed]
        found = [one for one in own if inspect.isfunction(one) and one.__module__ == module.__name__]
        if not found:
            raise ApigenError(f"{module_name}: defines no public function")
        return cls.of_functions(found)

    @classmethod
    def embedded(cls) -> Library:
        """The executable tools of the embedded data."""
        from xlam_lib.data.apigen.library.registry import TOOLS

        specs = [(spec, spec.function) for spec in TOOLS.values()]
        return cls(Api(spec.schema, spec.domain, reference(function)) for spec, function in specs if function)

    def __add__(self, other: Library) -> Library:
        return Library([*self, *other])

    def __iter__(self) -> Iterator[Api]:
        return iter(self.by_name.values())

    def __len__(self) -> int:
        return len(self.by_name)

    def __getitem__(self, name: str) -> Api:
        return self.by_name[name]

    def runner(self, limits: Limits | None = None) -> Runner:
        """What runs calls of this library; a context manager."""
        return Runner(self, limits)


class Runner:
    """Runs calls: functions in a sandbox, the others by their document. Arguments against the schema are an error."""

    def __init__(self, library: Library, limits: Limits | None = None) -> None:
        self.library, self.sandbox = library, Sandbox(limits)
        self.fences: set[str] = set()  # what held the network back, as far as functions ran

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sandbox.__exit__(kind, error, trace)

    def run(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """One call: {"result": ...} or {"error": "ValueError: ..."}."""
        if name not in self.library.by_name:
            return {"error": f"NameError: no function {name!r}"}
        api = self.library[name]
        if problems := argument_problems(api.tool, arguments):
            return {"error": f"TypeError: {problems[0]}"}
        if not isinstance(api.runs, Reference):
            return api.runs.answer(arguments)
        answer = self.sandbox.run(api.runs, arguments)
        if fence := answer.pop("network", ""):
            self.fences.add(fence)
        return answer

    def batch(self, calls: Sequence[Call]) -> list[dict[str, Any]]:
        """Some calls in order, each as in `run`."""
        return [self.run(name, arguments) for name, arguments in calls]


def read_function(function: Callable[..., Any], group: str = "") -> Api:
    """The Api of a function, of signature, hints and docstring; an ApigenError says what can't be called by name.

    Example: `read_function(weather).tool.parameters["required"]` -> ["city"]
    """
    try:
        runs = reference(function)
    except ValueError as error:
        raise ApigenError(str(error)) from error
    return Api(tool_of(function), group or function.__module__, runs, questions(function.__doc__))


def tool_of(function: Callable[..., Any], without: Sequence[str] = ()) -> Tool:
    """The tool of a function, some arguments left out, e.g. `tool_of(Desk.find_member, without=["self"])`."""
    name = getattr(function, "__name__", "?")
    try:
        listed = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise ApigenError(f"{name}: has no signature to read ({error}); wrap it in a function of your own") from error
    arguments = {key: parameter for key, parameter in listed.items() if key not in without}
    text, meanings = describe(function.__doc__, arguments.keys())
    return Tool(name, text or name.replace("_", " "), _parameters(function, arguments, meanings, name))


def _parameters(
    function: Callable[..., Any], arguments: Mapping[str, inspect.Parameter], meanings: dict[str, str], name: str
) -> dict[str, Any]:
    from pydantic import ConfigDict, Field, create_model
    from pydantic.errors import PydanticUserError
    from pydantic_core import SchemaError

    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:  # such as a name for type checkers alone
        raise ApigenError(f"{name}: its type hints can't be read ({error})") from error
    fields: dict[str, Any] = {}
    more: Any = None
    for key, parameter in arguments.items():
        hint = hints.get(key, Any if parameter.default in (parameter.empty, None) else type(parameter.default))
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise ApigenError(f"{name}: argument {key!r} can't be given by name, and a tool call names its arguments")
        if parameter.kind is parameter.VAR_KEYWORD:
            more = hint
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[f"field_{len(fields)}"] = (hint, Field(default, alias=key, description=meanings.get(key)))
    try:
        model = create_model(name, __config__=ConfigDict(arbitrary_types_allowed=True), **fields)
        schema = model.model_json_schema()
    except (PydanticUserError, SchemaError, TypeError) as error:
        raise ApigenError(f"{name}: a type hint has no JSON Schema ({str(error).splitlines()[0]})") from error
    schema = _without_titles(schema)
    schema = {"type": "object", "properties": schema.pop("properties", {}), **schema}
    for key in ("title", "description"):
        schema.pop(key, None)
    if more is not None:
        schema["additionalProperties"] = True
    return json.loads(json.dumps(schema))


def _without_titles(schema: Any, inside: str = "") -> Any:
    """The schema without the titles that pydantic makes of names; a property may well be called "title"."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    named = inside in ("properties", "$defs")
    return {
        key: value if key in ("default", "const", "enum", "examples") and not named else _without_titles(value, key)
        for key, value in schema.items()
        if named or not (key == "title" and isinstance(value, str))
    }
