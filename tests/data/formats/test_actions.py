"""Text actions become calls and the very same text again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.formats.actions import Action, Grammar

HOUSE = Grammar(
    (
        Action("look", "look"),
        Action("go to {place}", "go_to", "Walk", {"place": "where"}),
        Action("put {thing} in/on {place}", "put", narrow={"thing": r"[^/]*?"}),
        Action("wait {turns}", "wait", types={"turns": "integer"}),
        Action("search[{keywords}]", "search"),
    )
)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("look", ("look", {})),
        ("go to drawer 1", ("go_to", {"place": "drawer 1"})),
        ("put pen 2 in/on desk 1", ("put", {"thing": "pen 2", "place": "desk 1"})),
        ("wait 12", ("wait", {"turns": 12})),
        ("wait 012", None),
        ("search[a [new] lamp]\n]", ("search", {"keywords": "a [new] lamp]\n"})),
        ("Look", None),
        ("look ", None),
    ],
)
def test_known_actions(text, call):
    assert HOUSE.parse(text) == call
    if call:
        assert HOUSE.render(*call) == text


@given(st.sampled_from(["go to {}", "put {} in/on {}", "search[{}]", "wait {}", "{}"]), st.text(), st.text())
def test_whatever_parses_renders_back(template, a, b):
    text = template.format(*(a, b)[: template.count("{}")])
    call = HOUSE.parse(text)
    assert call is None or HOUSE.render(*call) == text


def test_schemas_say_what_is_needed():
    tool = HOUSE.tools()[1]
    assert tool.parameters == {
        "type": "object",
        "properties": {"place": {"type": "string", "description": "where"}},
        "required": ["place"],
    }
    assert HOUSE.tools()[3].parameters["properties"]["turns"] == {"type": "integer"}


def test_a_name_stands_for_one_template():
    with pytest.raises(ValueError, match="two actions of one name"):
        Grammar((Action("look", "look"), Action("look around", "look")))
