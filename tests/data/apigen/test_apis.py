"""Any Python function and any OpenAPI document as tools: what a model sees, and what a call gives."""

import importlib
import json
import math
import random
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support import SUPPORT

from xlam_lib.data.apigen import TOOLS
from xlam_lib.data.apigen.apis import ApigenError, Library, read_function, tool_of
from xlam_lib.data.apigen.docstrings import describe
from xlam_lib.data.apigen.draw import CannotDraw, draw, fits
from xlam_lib.data.apigen.openapi import read_openapi
from xlam_lib.data.apigen.sandbox.sandbox import Limits


@pytest.fixture(scope="module")
def functions():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SUPPORT)
        yield importlib.import_module("apigen_functions")


def test_a_function_becomes_a_tool(functions):
    tool = read_function(functions.weather).tool
    assert (tool.name, tool.description) == ("weather", "Get the weather forecast of a city.")
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "name of the city"},
            "unit": {
                "type": "string",
                "enum": ["C", "F"],
                "default": "C",
                "description": "unit of the temperature, Celsius or Fahrenheit",
            },
            "days": {"type": "integer", "minimum": 1, "maximum": 7, "default": 1, "description": "number of days"},
        },
        "required": ["city"],
    }


def test_richer_hints_become_schemas(functions):
    place = read_function(functions.find_place).tool.parameters
    assert place["properties"]["place"] == {"$ref": "#/$defs/Place"}
    assert place["$defs"]["Place"]["properties"].keys() == {"city", "title"}  # "title" the property stays
    assert place["$defs"]["Unit"]["enum"] == ["celsius", "fahrenheit"]
    assert place["properties"]["limit"] == {"type": "integer", "default": 5}  # no hint: of the default's type
    day = read_function(functions.next_day).tool.parameters["properties"]["day"]
    assert day == {"type": "string", "format": "date", "description": "the date before"}
    assert read_function(functions._open_ended).tool.parameters["additionalProperties"] is True
    for function in (functions.find_place, functions.count_letters, functions.slowly, math.hypot, json.loads):
        try:
            Draft202012Validator.check_schema(read_function(function).tool.parameters)
        except ValueError as error:
            assert function is math.hypot, error


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("_positional", "'a' can't be given by name"),
        ("_starred", "'numbers' can't be given by name"),
        ("_unreadable", "hints can't be read"),
    ],
)
def test_what_can_not_be_called_by_name_says_so(functions, name, reason):
    with pytest.raises(ValueError, match=reason):
        read_function(getattr(functions, name))


def test_a_module_gives_its_public_functions_and_one_by_name(functions):
    library = Library.of_module("apigen_functions")
    assert set(library.by_name) == {
        "weather", "convert_money", "next_day", "count_letters", "find_place", "slowly",
    }  # fmt: skip
    assert {api.group for api in library} == {"apigen_functions"}
    assert list(Library.of_module("apigen_functions:slowly").by_name) == ["slowly"]
    with pytest.raises(ValueError, match="two functions are named 'slowly'"):
        library + Library.of_module("apigen_functions:slowly")


def test_calls_run_and_wrong_arguments_are_refused(functions):
    library = Library.of_functions([functions.weather, functions.find_place])
    with library.runner(Limits(seconds=5.0)) as runner:
        calls = [("weather", {"city": "Oslo"}), ("weather", {"town": "Oslo"}), ("snow", {})]
        calls.append(("find_place", {"place": {"city": "Rome"}, "unit": "kelvin"}))
        good, unknown, missing, odd = runner.batch(calls)
        assert good == {"result": {"city": "Oslo", "degrees": 4, "days": 1}}
        assert unknown["error"].startswith("TypeError: weather: ")
        assert missing == {"error": "NameError: no function 'snow'"}
        assert "kelvin" in odd["error"]
        assert runner.fences <= {"seccomp", "audit hook"} and runner.fences


def test_the_embedded_tools_are_a_library_that_runs():
    library = Library.embedded()
    assert len(library) == len(TOOLS) and library["add_numbers"].tool == TOOLS["add_numbers"].schema
    with library.runner() as runner:
        assert runner.run("add_numbers", {"numbers": [1, 2.5]}) == {"result": {"sum": 3.5}}
        assert runner.run("rectangle_area", {"length": -1, "width": 2})["error"].startswith("ValueError: length")


DOCSTRINGS = {
    "Does it.\n\nArgs:\n    a (int): first\n        and more\n    b: second": {"a": "first and more", "b": "second"},
    "Does it.\n\nParameters\n----------\na : int\n    first\nb\n    second\n\nReturns\n-------\nc : int\n    x": {
        "a": "first",
        "b": "second",
    },
    "Does it.\n\n:param a: first\n:param int b: second\n    and more\n:returns: x": {
        "a": "first",
        "b": "second and more",
    },
    "Does it.\n\na: first\nb: second": {"a": "first", "b": "second"},
    "Does it.": {},
}


@pytest.mark.parametrize("text", DOCSTRINGS)
def test_docstrings_of_all_styles_are_read(text):
    assert describe(text, ["a", "b"]) == ("Does it.", DOCSTRINGS[text])


def test_no_docstring_is_no_fault():
    assert describe(None) == ("", {}) and describe("") == ("", {})


PETS = """
openapi: 3.0.3
info: {title: Pet Store}
paths:
  /pets:
    get:
      operationId: listPets
      summary: List all pets
      tags: [pets]
      parameters:
        - {name: limit, in: query, description: how many, schema: {type: integer, minimum: 1, maximum: 50}}
        - {name: Authorization, in: header, schema: {type: string}}
        - {$ref: '#/components/parameters/Kind'}
      responses:
        200:
          content:
            application/json:
              schema: {type: array, items: {$ref: '#/components/schemas/Pet'}, minItems: 1}
    post:
      summary: Add a pet
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}
      responses: {201: {description: made}}
  /pets/{petId}:
    parameters:
      - {name: petId, in: path, required: true, schema: {type: integer}, example: 12}
    get:
      operationId: show_pet
      description: |
        Show a pet
        by its id
      responses:
        '200': {content: {application/json: {example: {id: 3, name: Rex, born: 2020-01-02}}}}
components:
  parameters:
    Kind: {name: kind, in: query, schema: {type: string, nullable: true, enum: [cat, dog]}}
  schemas:
    Pet:
      type: object
      required: [id, name]
      properties:
        id: {type: integer, minimum: 0, exclusiveMinimum: true}
        name: {type: string, example: Mia}
        parent: {$ref: '#/components/schemas/Pet'}
"""


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "pets.yaml"
    path.write_text(PETS)
    return read_openapi(path)


def test_operations_become_tools(pets):
    assert list(pets.by_name) == ["list_pets", "post_pets", "show_pet"]
    listing = pets["list_pets"].tool.parameters
    assert listing["properties"] == {
        "limit": {"type": "integer", "minimum": 1, "maximum": 50, "description": "how many"},
        "kind": {"type": ["string", "null"], "enum": ["cat", "dog", None]},
    }
    assert "required" not in listing
    adding = pets["post_pets"].tool.parameters
    assert adding["required"] == ["id", "name"] and adding["properties"]["id"] == {
        "type": "integer",
        "exclusiveMinimum": 0,
    }
    assert pets["show_pet"].tool.parameters["required"] == ["petId"]
    assert pets["show_pet"].tool.description == "Show a pet by its id"
    assert (pets["list_pets"].group, pets["show_pet"].group) == ("pets", "pet_store")
    for api in pets:
        Draft202012Validator.check_schema(api.tool.parameters)


def test_operations_answer_from_their_document_always_the_same(pets):
    with pets.runner() as runner:
        shown = runner.run("show_pet", {"petId": 7})
        assert shown == {"result": {"id": 7, "name": "Rex", "born": "2020-01-02"}}
        assert runner.run("post_pets", {"id": 1, "name": "Rex"}) == {"result": {"status": "done"}}
        listed = runner.run("list_pets", {"limit": 3})
        assert listed == runner.run("list_pets", {"limit": 3}) and listed["result"][0]["id"] > 0
        assert "error" in runner.run("show_pet", {"petId": "seven"})
        assert runner.sandbox._child is None  # nothing of it needs a process


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"openapi": None, "swagger": "2.0"}, "expected a document of OpenAPI 3, found version Swagger 2.0"),
        ({"openapi": None}, "found version none"),
        ({"paths": {}}, "has no operations"),
        ({"paths": {"/a": {"get": {"parameters": [{"$ref": "other.yaml#/A"}]}}}}, "points out of the document"),
        ({"paths": {"/a": {"get": {"parameters": [{"$ref": "#/no/A"}]}}}}, "points to nothing"),
        ({"paths": {"/a": {"$ref": "#/paths/~1a"}}}, "leads to itself"),
        ({"paths": {"/a": 3}}, "expected an object"),
    ],
)
def test_documents_that_can_not_be_read_say_why(change, reason):
    document = {"openapi": "3.1.0", "info": {}, "paths": {"/a": {"get": {}}}} | change
    with pytest.raises(ValueError, match=reason):
        read_openapi({key: value for key, value in document.items() if value is not None})


def test_a_file_that_is_no_document_says_so(tmp_path):
    (tmp_path / "a.yaml").write_text("[1, 2")
    (tmp_path / "b.yaml").write_text("[1, 2]")
    with pytest.raises(ValueError, match="neither JSON nor YAML"):
        read_openapi(tmp_path / "a.yaml")
    with pytest.raises(ValueError, match="expected an object, found list"):
        read_openapi(tmp_path / "b.yaml")


SCHEMAS = st.recursive(
    st.one_of(
        st.builds(
            lambda low, size: {"type": "integer", "minimum": low, "maximum": low + size},
            st.integers(-99, 99),
            st.integers(0, 50),
        ),
        st.builds(
            lambda low, size: {"type": "number", "minimum": low, "maximum": low + size},
            st.integers(-9, 9),
            st.integers(0, 5),
        ),
        st.builds(
            lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
            st.integers(0, 40),
            st.integers(1, 9),
        ),
        st.sampled_from(["date", "date-time", "email", "uuid", "uri", "time"]).map(
            lambda kind: {"type": "string", "format": kind}
        ),
        st.lists(st.integers() | st.text(max_size=3), min_size=1, max_size=3, unique=True).map(
            lambda values: {"enum": values}
        ),
        st.sampled_from(
            [
                {"type": "boolean"},
                {"type": "null"},
                {"type": ["string", "null"]},
                {"type": "integer", "multipleOf": 5},
                {},
            ]
        ),
    ),
    lambda inner: st.one_of(
        inner.map(lambda one: {"type": "array", "items": one, "minItems": 1, "maxItems": 2}),
        st.dictionaries(st.sampled_from("abcd"), inner, max_size=3).map(
            lambda parts: {"type": "object", "properties": parts, "required": sorted(parts)[:1]}
        ),
        st.lists(inner, min_size=1, max_size=2).map(lambda options: {"anyOf": options}),
    ),
    max_leaves=5,
)


@given(schema=SCHEMAS, seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_what_is_drawn_fits_and_is_the_same_for_the_same_seed(schema, seed):
    value = draw(schema, random.Random(seed))
    assert value == draw(schema, random.Random(seed)) and fits(schema, value)
    Draft202012Validator(schema).validate(value)


def test_recursive_schemas_end_and_impossible_ones_are_refused():
    tree = {
        "$ref": "#/$defs/Tree",
        "$defs": {"Tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Tree"}}}},
    }
    assert isinstance(draw(tree, random.Random(0)), dict)
    with pytest.raises(CannotDraw, match="no value found"):
        draw({"type": "string", "pattern": "^[0-9]{13}$"}, random.Random(0))
    known = {"type": "string", "pattern": "^[0-9]{13}$", "examples": ["9780306406157"]}
    assert draw(known, random.Random(0)) == "9780306406157"


def test_a_hint_that_nothing_can_be_an_instance_of_is_one_clear_error():
    class Sized(Protocol):
        def size(self) -> int: ...

    def measure(thing):
        """Measure a thing."""

    measure.__annotations__ = {"thing": Sized}
    with pytest.raises(ApigenError, match="measure: a type hint has no JSON Schema"):
        tool_of(measure)
