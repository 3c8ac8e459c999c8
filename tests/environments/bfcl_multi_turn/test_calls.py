"""Calls as source: only literals of a sane size under a known name, and back to the same call."""

import ast
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.environments.bfcl_multi_turn.calls import DEEPEST, LONGEST, CallError, PythonCalls, call_text
from xlam_lib.schema import ToolCall

NAMES = {"cd", "ls"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), VALUES, max_size=4)


@settings(max_examples=40)
@given(st.text(), st.dictionaries(st.text(), VALUES, max_size=4))
def test_whatever_is_called_the_source_is_one_call_with_literals(name, arguments):
    try:
        text = call_text(ToolCall(name, arguments), {name, *NAMES})
    except CallError:
        return
    tree = ast.parse(text, mode="eval").body
    assert isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.args == []
    found = {keyword.arg: ast.literal_eval(keyword.value) for keyword in tree.keywords}
    assert json.dumps(list(found.values())) == json.dumps(list(arguments.values()))


@settings(max_examples=40)
@given(ARGUMENTS)
def test_words_and_calls_say_the_same(arguments):
    grammar = PythonCalls()
    text = grammar.render("cd", arguments)
    assert grammar.parse(text) == ("cd", arguments) == grammar.parse(f" [{text}] ")


@pytest.mark.parametrize("text", ["", "cd", "[cd(), ls()]", "I would call cd().", "cd(folder=open('x'))", "cd(1)"])
def test_what_is_no_single_call_is_none(text):
    assert PythonCalls().parse(text) is None


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (ToolCall("rm", {}), "name 'rm' is not defined"),
        (ToolCall("__import__('os').system", {}), "is not defined"),
        (ToolCall("cd", {"folder=exit()#": 1}), "'folder=exit()#' is no name of an argument"),
        (ToolCall("cd", {"lambda": 1}), "'lambda' is no name"),
        (ToolCall("cd", {"ﬁle": 1}), "'ﬁle' is no name"),  # Python would read it as "file"
        (ToolCall("cd", {"folder": float("nan")}), "nan is no number"),
        (ToolCall("cd", {"folder": object()}), "a value of type object"),
        (ToolCall("cd", {"folder": "x" * (LONGEST + 1)}), "longer than 100000 characters"),
        (ToolCall("cd", {"folder": [0] * LONGEST}), "longer than 100000 characters"),
        (ToolCall("cd", {"folder": 10**5000}), "Exceeds the limit"),
    ],
)
def test_a_call_that_is_not_executed_says_why(call, said):
    with pytest.raises(CallError) as found:
        call_text(call, NAMES)
    assert said in str(found.value) and len(str(found.value)) < 300


def test_depth_is_limited_without_recursion():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CallError, match=f"nested deeper than {DEEPEST}"):
        call_text(ToolCall("cd", {"folder": deep}), NAMES)
