"""Python types as text become JSON Schema, whatever the text is."""

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.formats.schemas import Annotation, parse_annotation, schema_of_value, tool_of_calls

INT, STR = {"type": "integer"}, {"type": "string"}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("str", STR),
        ("int", INT),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("list", {"type": "array"}),
        ("List", {"type": "array"}),
        ("Dict", {"type": "object"}),
        ("dict", {"type": "object"}),
        ("Tuple", {"type": "array"}),
        ("set", {"type": "array", "uniqueItems": True}),
        ("np.ndarray", {"type": "array"}),
        ("List[int]", {"type": "array", "items": INT}),
        ("typing.List[int]", {"type": "array", "items": INT}),
        ("list of strings", {"type": "array", "items": STR}),
        ("List[List[float]]", {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
        ("Dict[str, int]", {"type": "object", "additionalProperties": INT}),
        ("Dict[str, Any]", {"type": "object"}),
        (
            "List[Dict[str, List[int]]]",
            {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "array", "items": INT}}},
        ),
        ("Tuple[int, str]", {"type": "array", "prefixItems": [INT, STR], "minItems": 2, "maxItems": 2}),
        ("Tuple[int, ...]", {"type": "array", "items": INT}),
        ("Union[int, str]", {"type": ["integer", "string"]}),
        ("Union[int, float]", {"type": "number"}),
        ("Union[int, List[int]]", {"anyOf": [INT, {"type": "array", "items": INT}]}),
        ("Union[str, Any]", {}),
        ("int | str | None", {"type": ["integer", "string", "null"]}),
        ("Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}),
        ("Callable[[float], float]", STR),
        ("Annotated[int, 'years']", INT),
        ("'int'", INT),
        ("Any", {}),
    ],
)
def test_types(text: str, schema: dict) -> None:
    assert parse_annotation(text) == Annotation(schema)


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("str, optional", STR),
        ("int,optional", INT),
        ("List[int], optional", {"type": "array", "items": INT}),
        ("Dict[str, int], optional", {"type": "object", "additionalProperties": INT}),
        ("str (optional)", STR),
        ("int, Optional, default 3", INT),
        ("Optional[int]", {"type": ["integer", "null"]}),
        ("Optional[Union[int, str]]", {"type": ["integer", "string", "null"]}),
    ],
)
def test_optional(text: str, schema: dict) -> None:
    assert parse_annotation(text) == Annotation(schema, optional=True)


@pytest.mark.parametrize(
    "text",
    ["", "Fruit", "int or so", "List[", "__import__('os')", "1 + 1", "x" * 5000, "Literal[open('x')]", "[" * 150],
)
def test_what_is_not_understood_allows_anything_and_says_so(text: str) -> None:
    found = parse_annotation(text)
    assert (found.schema, found.known) == ({}, False)


@given(st.text() | st.text(alphabet="[](),|.'intsrLeUo ", max_size=30))
def test_any_text_gives_a_schema(text: str) -> None:
    jsonschema.Draft202012Validator.check_schema(parse_annotation(text).schema)


def test_results_are_not_shared() -> None:
    parse_annotation("List[int]").schema["items"] = "changed"
    assert parse_annotation("List[int]").schema == {"type": "array", "items": INT}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON), min_size=1, max_size=4))
def test_inferred_tools_accept_the_calls_they_come_from(calls: list[dict]) -> None:
    tool = tool_of_calls("f", calls)
    for call in calls:
        jsonschema.validate(call, tool.parameters)
    assert set(tool.parameters["required"]) == set.intersection(*map(set, calls))


def test_inferred_tool() -> None:
    tool = tool_of_calls("add", [{"a": 1, "b": [1]}, {"a": 2.5}])
    assert tool.parameters == {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "number"}, "b": {"type": "array", "items": INT}},
    }
    assert schema_of_value(True) == {"type": "boolean"}
