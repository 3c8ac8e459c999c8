"""References in a tool's schema: written out in prompt and template alike; what can't be is shown with definitions."""

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rendering import render

from xlam_lib.arguments import argument_problems
from xlam_lib.chat_template import model_prompt
from xlam_lib.codec import STYLES, block_of, read_tools, render_prompt, render_tools, tools_from_any
from xlam_lib.json_schema.references import MAX_WRITTEN, parameters_of, pointed, root_parts, without_references
from xlam_lib.trajectory import Tool

PERSON = {
    "type": "object",
    "properties": {"first": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["first"],
}
TREE = {"type": "object", "properties": {"leaf": {"type": "string"}, "kids": {"type": "array", "items": {"$ref": "#"}}}}


def of(properties: dict, **more) -> dict:
    return {"type": "object", "properties": properties, **more}


@pytest.mark.parametrize(
    ("schema", "properties"),
    [
        (of({"p": {"$ref": "#/$defs/P"}}, **{"$defs": {"P": PERSON}}), {"p": PERSON}),
        (of({"p": {"$ref": "#/definitions/P"}}, definitions={"P": PERSON}), {"p": PERSON}),
        (of({"p": PERSON, "q": {"$ref": "#/properties/p"}}), {"p": PERSON, "q": PERSON}),
        (
            of(
                {"p": {"type": "array", "items": {"$ref": "#/$defs/P"}}},
                **{"$defs": {"P": {"$ref": "#/$defs/Q"}, "Q": PERSON}},
            ),
            {"p": {"type": "array", "items": PERSON}},
        ),
        (
            of(
                {"p": {"description": "who", "$ref": "#/$defs/P"}}, **{"$defs": {"P": {**PERSON, "description": "any"}}}
            ),
            {"p": {**PERSON, "description": "who"}},
        ),
        (
            of({"p": {"anyOf": [{"$ref": "#/$defs/a~1b%3Cc%3E"}]}}, **{"$defs": {"a/b<c>": PERSON}}),
            {"p": {"anyOf": [PERSON]}},
        ),
        (of({"p": {"$ref": "#/$defs/L/anyOf/1"}}, **{"$defs": {"L": {"anyOf": [{}, PERSON]}}}), {"p": PERSON}),
        (of({"p": {"$ref": "#/$defs/P"}}, **{"$defs": {"P": True}}), {"p": True}),
        ({"$ref": "#/$defs/P", "$defs": {"P": PERSON}}, PERSON["properties"]),
        (of({"$ref": {"type": "string"}, "p": {"default": {"$ref": "#/x"}}}), None),  # a name, and a value
    ],
)
def test_references_are_written_out(schema, properties):
    properties = schema["properties"] if properties is None else properties
    assert parameters_of(schema)[0] == properties
    tool = Tool("f", "d", schema)
    assert render_tools([tool]) == [{"name": "f", "description": "d", "parameters": properties}]
    whole = without_references(schema)
    assert whole["properties"] == properties and "$defs" not in whole and "definitions" not in whole
    assert_template_equals_codec(schema)


@pytest.mark.parametrize(
    "schema",
    [
        TREE,
        of({"t": {"$ref": "#/$defs/T"}}, **{"$defs": {"T": of({"t": {"$ref": "#/$defs/T"}})}}),
        of({"a": of({"b": {"$ref": "#/properties/a"}})}),
        of({"a": {"$ref": "#/$defs/A"}}, **{"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}),
        of({"a": {"$ref": "#/nowhere"}}),
        of({"a": {"$ref": "https://example.org/schema.json"}}),
        of({"a": {"$ref": "#Anchor"}}, **{"$defs": {"A": {"$anchor": "Anchor", "type": "string"}}}),
        of(  # 2 ** 30 strings, if it were written out
            {"a": {"$ref": "#/$defs/D0"}},
            **{"$defs": {f"D{n}": {"anyOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 2} for n in range(30)} | {"D30": {}}},
        ),
        {"type": "object", "allOf": [{"$ref": "#/$defs/P"}], "$defs": {"P": PERSON}},
        {"type": "object", "oneOf": [PERSON, of({"id": {"type": "string"}})]},
    ],
)
def test_what_cannot_be_written_out_is_shown_with_its_definitions(schema):
    assert parameters_of(schema) is None
    for mark_required in (False, True):
        rendered = render_tools([Tool("f", "d", schema)], mark_required)
        assert rendered == [{"name": "f", "description": "d", "parameters": schema}]
        assert read_tools(rendered, mark_required) == tools_from_any(rendered) == [Tool("f", "d", schema)]
    assert_template_equals_codec(schema)


def assert_template_equals_codec(schema: dict) -> None:
    bare = {key: value for key, value in schema.items() if key != "type"}
    for given_schema in (schema, bare) if "properties" in schema or "$ref" in schema else (schema,):
        given_tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": given_schema}}
        tools = tools_from_any([given_tool])
        for style in STYLES.values():
            prompt = render_prompt(tools, "Hi", style=style)
            assert render([{"role": "user", "content": "Hi"}], [given_tool], style) == model_prompt(prompt)
            shown = json.loads(block_of(prompt, "AVAILABLE TOOLS"))[0]["parameters"]
            references = [value for value in strings_under("$ref", shown) if value.startswith("#/")]
            assert all(pointed(shown, one) is not None or pointed(schema, one) is None for one in references)


def strings_under(key: str, value) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in strings_under(key, item)]
    if not isinstance(value, dict):
        return []
    own = [value[key]] if isinstance(value.get(key), str) else []
    return own + [found for item in value.values() for found in strings_under(key, item)]


REFERENCES = st.sampled_from(
    ["#", "#/$defs/A", "#/$defs/B", "#/definitions/C", "#/properties/a", "#/$defs/A/properties/a"]
)
PARTS = st.recursive(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer"])}, optional={"description": st.text(max_size=4)}
    )
    | st.fixed_dictionaries({"$ref": REFERENCES}, optional={"description": st.just("here"), "required": st.just(["a"])})
    | st.booleans(),
    lambda inner: st.fixed_dictionaries(
        {
            "type": st.just("object"),
            "properties": st.dictionaries(st.sampled_from(["a", "b", "$ref", "enum"]), inner, max_size=3),
        },
        optional={"required": st.just(["a"]), "items": inner, "anyOf": st.lists(inner, max_size=2)},
    ),
    max_leaves=5,
)
TABLE = st.dictionaries(st.sampled_from(["A", "B", "C"]), PARTS, max_size=3)
SCHEMAS = st.fixed_dictionaries(
    {"type": st.just("object")},
    optional={
        "properties": st.dictionaries(st.sampled_from(["a", "b"]), PARTS, max_size=2),
        "$defs": TABLE,
        "definitions": TABLE,
        "$ref": REFERENCES,
        "required": st.just(["a"]),
    },
)


@given(SCHEMAS)
@settings(max_examples=150, deadline=None)
def test_template_and_codec_write_any_references_alike(schema):
    assert_template_equals_codec(schema)


@given(
    SCHEMAS,
    st.recursive(st.sampled_from(["x", 3]), lambda inner: st.dictionaries(st.sampled_from("ab"), inner), max_leaves=4),
)
@settings(max_examples=150, deadline=None)
def test_what_is_written_out_allows_what_the_schema_allows(schema, value):
    whole = without_references(schema)
    beside = any(isinstance(part.get("$ref"), str) and len(part) > 1 for part in parts_of(schema))
    if whole is not None and not beside:  # what stands beside a reference overrides what it points to
        assert jsonschema.Draft202012Validator(whole).is_valid(value) == jsonschema.Draft202012Validator(
            schema
        ).is_valid(value)


def parts_of(value):
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts_of(item)


def test_few_references_are_enough():
    wide = of({f"p{n}": {"$ref": "#/$defs/P"} for n in range(MAX_WRITTEN + 1)}, **{"$defs": {"P": {}}})
    assert parameters_of(wide) is None
    del wide["properties"]["p0"]
    assert parameters_of(wide) is not None


def test_arguments_that_only_a_reference_lists_are_known():
    for schema in (
        {"type": "object", "$ref": "#/$defs/P", "$defs": {"P": PERSON}},
        {"type": "object", "allOf": [{"$ref": "#/$defs/P"}], "$defs": {"P": PERSON}},
    ):
        assert argument_problems(Tool("f", "", schema), {"first": "Ada", "age": 36}) == []
        assert argument_problems(Tool("f", "", schema), {"first": "Ada", "old": 1}) == ["f: unknown argument 'old'"]
        assert [part for part in root_parts(schema) if part is not schema][-1] == PERSON
