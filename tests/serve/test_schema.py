"""The grammar of a call that must be made: xgrammar compiles it, and lets through the right calls alone."""

import json

import pytest
from xgrammar import Grammar
from xgrammar.testing import _is_grammar_accept_string as accepts

from xlam_lib.serve.schema import answer_schema
from xlam_lib.trajectory import Tool

GUEST = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
NUMBER = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}


def tool(name: str, properties: dict, **more) -> Tool:
    return Tool(name, "", {"type": "object", "properties": properties, "required": list(properties), **more})


def grammar(*tools: Tool) -> Grammar:
    text = json.dumps(answer_schema(tools), ensure_ascii=False)
    return Grammar.from_json_schema(text, any_whitespace=False, separators=(", ", ": "))


def call(name: str, **arguments) -> str:
    return json.dumps({"thought": "", "tool_calls": [{"name": name, "arguments": arguments}]})


@pytest.mark.parametrize(
    "more",
    [
        {"$defs": {"Guest": GUEST}, "ref": "#/$defs/Guest"},
        {"definitions": {"Guest": GUEST}, "ref": "#/definitions/Guest"},
        {"definitions": {"a/b <Guest>": GUEST}, "ref": "#/definitions/a~1b%20%3CGuest%3E"},
        {"$defs": {"Any": {"anyOf": [{"type": "null"}, GUEST]}}, "ref": "#/$defs/Any/anyOf/1"},
    ],
)
def test_references_of_every_kind(more):
    more = dict(more)
    reference = {"$ref": more.pop("ref")}
    made = grammar(tool("book", {"guests": {"type": "array", "items": reference}}, **more))
    assert accepts(made, call("book", guests=[{"name": "Ada"}, {"name": "Bo"}]))
    assert not accepts(made, call("book", guests=["Ada"])) and not accepts(made, call("book", guests=[{"name": 1}]))


def test_a_property_that_another_refers_to():
    made = grammar(tool("move", {"a": GUEST, "b": {"$ref": "#/properties/a"}}))
    assert accepts(made, call("move", a={"name": "x"}, b={"name": "y"}))
    assert not accepts(made, call("move", a={"name": "x"}, b={"name": 3}))


@pytest.mark.parametrize(
    "parameters",
    [
        {
            "type": "object",
            "properties": {"leaf": {"type": "string"}, "kids": {"type": "array", "items": {"$ref": "#"}}},
        },
        {"type": "object", "$ref": "#/$defs/T"},
        {"type": "object", "properties": {"leaf": {"type": "string"}, "kids": {"$ref": "#/$defs/a~1b"}}},
    ],
)
def test_schemas_that_contain_themselves(parameters):
    node = {"leaf": {"type": "string"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/T"}}}
    more = {"T": {"type": "object", "properties": node}, "a/b": {"type": "array", "items": {"$ref": "#/$defs/T"}}}
    made = grammar(Tool("grow", "", {**parameters, "$defs": more}))
    assert accepts(made, call("grow", leaf="a", kids=[{"leaf": "b", "kids": [{"leaf": "c", "kids": []}]}]))
    assert not accepts(made, call("grow", leaf="a", kids=[{"leaf": "b", "kids": [{"leaf": 3, "kids": []}]}]))


def test_two_tools_define_one_name_otherwise():
    item = {"item": {"$ref": "#/$defs/Item"}}
    tools = [tool("invite", item, **{"$defs": {"Item": GUEST}}), tool("count", item, **{"$defs": {"Item": NUMBER}})]
    recursive = {"Item": {"type": "object", "properties": {"inner": {"$ref": "#/$defs/Item"}}}}
    made = grammar(*tools, tool("nest", item, **{"$defs": recursive}), tool("wrap", item, **{"$defs": recursive}))
    assert accepts(made, call("invite", item={"name": "Ada"})) and accepts(made, call("count", item={"count": 3}))
    assert not accepts(made, call("invite", item={"count": 3})) and not accepts(
        made, call("count", item={"name": "Ada"})
    )
    assert accepts(made, call("nest", item={"inner": {"inner": {}}})) and accepts(
        made, call("wrap", item={"inner": {}})
    )


def test_what_refers_to_nothing_is_named():
    with pytest.raises(ValueError, match="tool 'f': its parameters refer to '#/nowhere', where nothing is defined"):
        answer_schema([tool("f", {"a": {"$ref": "#/nowhere"}})])
    with pytest.raises(ValueError, match="no tools"):
        answer_schema([])


def test_names_and_values_are_not_references():
    parameters = {"a": {"enum": ["x"], "default": {"$ref": "#/x"}}, "$ref": {"type": "integer"}}
    made = grammar(tool("f", parameters))
    assert accepts(made, call("f", **{"a": "x", "$ref": 3})) and not accepts(made, call("f", **{"a": "x", "$ref": "y"}))
