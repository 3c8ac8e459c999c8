"""Whether a tool's parameters are JSON Schema or a flat table of them: the shapes of the values say it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from xlam_lib.data.formats.schemas import schema_and_table
from xlam_lib.data.formats.tool_forms import parameters_schema

ARGS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ROOTS = [
    {"$ref": "#/$defs/Args", "$defs": {"Args": ARGS}},
    {"$ref": "#/definitions/Args", "definitions": {"Args": ARGS}, "title": "Args"},
    {"anyOf": [ARGS, {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]}]},
    {"oneOf": [ARGS], "description": "Where it is"},
    {"allOf": [{"$ref": "#/$defs/Args"}], "$defs": {"Args": ARGS}},
    {"not": {"required": ["city", "lat"]}, "additionalProperties": {"type": "string"}},
    {"additionalProperties": {"type": "number"}},
    {"additionalProperties": False},
    {"patternProperties": {"^x": {"type": "string"}}, "minProperties": 1},
    {"enum": [{"city": "Oslo"}]},
    {"const": {"city": "Oslo"}},
    {"properties": {"type": {"type": "string"}, "properties": {"type": "array"}}},
    {"properties": {"type": {"type": "string", "description": "d"}}, "title": "Args", "$schema": "https://x.org/s"},
    {"title": "No arguments at all", "description": "None, whatever one might think"},
    {"type": ["object", "null"], "properties": {"city": {"type": "string"}}},
    {"if": {"required": ["city"]}, "then": {"required": ["lat"]}},
    {"type": "object", "properties": {"type": "string", "description": "string"}},
]
NAMES = (
    *("type", "properties", "title", "description", "required", "enum", "items", "default", "const", "format", "not"),
    *("$ref", "$defs", "$filter", "definitions", "anyOf", "allOf", "if", "additionalProperties", "patternProperties"),
    *("examples", "minProperties", "city"),
)
KINDS = st.sampled_from(["string", "int", "list[str]", "number", "bool"])
SPECS = st.one_of(
    st.builds(lambda kind: {"type": kind, "description": "what it is"}, KINDS),
    st.builds(lambda kind: {"type": kind, "description": "d", "default": 1, "required": False}, KINDS),
    st.just({"description": "any", "enum": ["a", "b"]}),
)


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: " ".join(root))
def test_json_schema_stays_what_it_is(root: dict) -> None:
    made = parameters_schema(root, "f", notes := [])
    assert notes == [] and schema_and_table(root) == (root, {})
    kept = {key: value for key, value in root.items() if key not in ("type", "properties")}
    assert {key: made[key] for key in kept} == kept
    assert made["type"] == "object"
    assert made.get("properties", {}).keys() == root.get("properties", {}).keys()
    Draft202012Validator.check_schema(made)


def test_references_bind_their_arguments() -> None:
    validator = Draft202012Validator(parameters_schema(ROOTS[0], "f", []))
    assert validator.is_valid({"city": "Oslo"})
    assert not validator.is_valid({}) and not validator.is_valid({"city": 4})


@given(st.dictionaries(st.sampled_from(NAMES), SPECS, min_size=1))
def test_parameters_may_have_any_name(table: dict) -> None:
    made = parameters_schema(table, "f", [])
    assert made["properties"].keys() == table.keys()
    assert made.keys() <= {"type", "properties", "required"}


@given(st.dictionaries(st.sampled_from(NAMES), KINDS, min_size=1))
def test_types_by_a_word_may_have_any_name(table: dict) -> None:
    assert parameters_schema(table, "f", [])["properties"].keys() == table.keys()


def test_keywords_beside_a_table() -> None:
    table = {"city": {"type": "string"}, "type": {"type": "string"}, "days": {"type": "int"}}
    beside = {"required": ["city"], "description": "Where and how long", "additionalProperties": False}
    made = parameters_schema({**table, **beside}, "f", [])
    assert made["properties"].keys() == table.keys()
    assert {key: made[key] for key in beside} == beside
    typed = {"type": "object", "city": {"type": "string"}, "required": ["city"]}  # "properties" was forgotten
    assert parameters_schema(typed, "f", []) == ARGS
