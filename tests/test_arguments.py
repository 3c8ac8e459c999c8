"""The quick test of arguments never accepts what the full validator refuses, and is what answers usual schemas."""

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.arguments import quick_check

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, width=16) | st.sampled_from("abc"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
SCHEMAS = st.recursive(
    st.fixed_dictionaries({}, optional={"type": NAMES, "enum": st.lists(VALUES, max_size=3)})
    | st.fixed_dictionaries({}, optional={"type": st.lists(NAMES, max_size=2), "minimum": st.integers(0, 2)}),
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["object", "array"])},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "required": st.lists(st.sampled_from("abc"), max_size=2),
            "items": inner,
            "additionalProperties": st.booleans() | inner,
            "description": st.just("what it is") | st.just(3),
            "optional": st.booleans(),
            "default": VALUES,
        },
    ),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_what_it_accepts_is_valid(schema: dict, value: object) -> None:
    accepts = quick_check(schema)
    if accepts is not None:
        jsonschema.Draft202012Validator.check_schema(schema)
        if accepts(value):
            assert jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("value", "fits"),
    [({"city": "Oslo", "days": 3}, True), ({"city": "Oslo"}, True), ({"days": 3}, False), ({"city": 1}, False)],
)
def test_the_usual_schema(value: dict, fits: bool) -> None:
    days = {"type": "integer", "default": "1", "optional": True}
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": days}, "required": ["city"]}
    assert quick_check(schema)(value) is fits


@pytest.mark.parametrize("schema", [True, {"type": "text"}, {"$ref": "#/x"}, {"required": None}, {"enum": []}])
def test_other_schemas_are_left_to_the_validator(schema: object) -> None:
    assert quick_check(schema) is None
