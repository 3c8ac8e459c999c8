"""What the chat-shaped sources share: literals, calls and tools in every spelling, turns that become steps."""

import pytest

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.bracket_calls import bracket_calls, render_brackets
from xlam_lib.data.formats.call_forms import FoundCall, calls_of_text, found_calls
from xlam_lib.data.formats.chat import RawCall
from xlam_lib.data.formats.conversations import Turn, read_turns
from xlam_lib.data.formats.literals import BRACKETS, PYTHON, RAW_BREAKS, decode, decode_all, decode_repaired, literal
from xlam_lib.data.formats.messages import turns_of
from xlam_lib.data.formats.tool_forms import tools_of
from xlam_lib.trajectory import Tool, ToolCall
from xlam_lib.validation import argument_problems


@pytest.mark.parametrize(
    ("text", "value", "note"),
    [
        ('{"a": [1, null]}', {"a": [1, None]}, ""),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}, RAW_BREAKS),
        ("{'a': (1, -2.5, None), 'b': true}", {"a": [1, -2.5, None], "b": True}, PYTHON),
        (r"{'a': 'it\'s \d'}", {"a": r"it's \d"}, PYTHON),
    ],
)
def test_decode(text: str, value: object, note: str) -> None:
    assert decode(text) == (value, note)


@pytest.mark.parametrize(
    "text",
    ["", "f(1)", "{1, 2}", "{1: 2}", "__import__('os')", "NaN", "{'a': NaN}", "b'x'", "[" * 10_000, "1+1"],
)
def test_nothing_is_run(text: str) -> None:
    for read in (literal, decode):
        with pytest.raises(ValueError):
            read(text)


def test_brackets_are_put_right_but_cut_texts_are_not() -> None:
    assert decode_repaired('{"a": {"b": 1}') == ({"a": {"b": 1}}, BRACKETS)
    assert decode_repaired('{"a": {"b": 1}}}') == ({"a": {"b": 1}}, BRACKETS)
    for cut in ('{"a": "b', '{"a": [1,', '{"a": {"b": 1},'):
        with pytest.raises(ValueError):
            decode_repaired(cut)


def test_several_values_in_a_row() -> None:
    assert decode_all('{"a": 1}\n{"b": 2}') == ([{"a": 1}, {"b": 2}], "")
    assert decode_all("{'a': 1}\n{'b': None}") == ([{"a": 1}, {"b": None}], PYTHON)
    assert decode_all("[1, 2]") == ([1, 2], "")


@pytest.mark.parametrize(
    "value",
    [
        {"name": "f", "arguments": {"a": 1}},
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        [{"name": "f", "parameters": {"a": 1}}],
        {"tool_calls": [{"tool_name": "f", "args": {"a": 1}}]},
        '{"name": "f", "arguments": {"a": 1}}',
        '[{"function": "f", "arguments": {"a": 1}}]',
        "{'name': 'f', 'arguments': {'a': 1}}",
        {"type": "tool_use", "id": "x", "name": "f", "input": {"a": 1}},
    ],
)
def test_calls_in_every_spelling(value: object) -> None:
    (call,) = found_calls(value)
    assert (call.name, call.arguments) == ("f", {"a": 1})
    assert isinstance(call, RawCall)


def test_no_calls() -> None:
    assert all(found_calls(nothing) == [] for nothing in (None, "", [], "[]", "null"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([{"arguments": {}}], "call without a name"),
        ("f(1)", "call text can't be read"),
        (7, "calls are not a list"),
    ],
)
def test_calls_that_are_none(value: object, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        found_calls(value)
    assert drop.value.reason == reason


@pytest.mark.parametrize(
    "raw",
    [
        {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"n": {"type": "int"}}}},
        {"name": "f", "description": "d", "input_schema": {"type": "dict", "properties": {"n": {"type": "int"}}}},
        {"name": "f", "description": "d", "parameters": '{"properties": {"n": "int"}}'},
        {"name": "f", "description": "d", "parameters": [{"name": "n", "type": "int, optional"}]},
        '{"name": "f", "description": "d", "parameters": {"n": "int"}}',
    ],
)
def test_tools_in_every_spelling(raw: object) -> None:
    for value in (raw, [raw], str(raw), [str(raw)]):
        (tool,) = tools_of(value, [])
        assert (tool.name, tool.description) == ("f", "d")
        assert tool.parameters["type"] == "object"
        assert tool.parameters["properties"] == {"n": {"type": "integer"}}


def test_a_mapping_of_tools() -> None:
    assert [tool.name for tool in tools_of({"f": {"description": "x"}, "g": {}}, [])] == ["f", "g"]
    assert tools_of({"tools": [{"name": "f"}]}, []) == (Tool("f"),)
    assert tools_of("", []) == tools_of("[]", []) == tools_of(None, []) == ()


def test_schemas_become_legal() -> None:
    notes: list[str] = []
    properties = {
        "a": {"type": "str", "required": True, "minimum": "0", "enum": "x"},
        "b": {"type": "list[int]", "items": [{"type": "int"}, {"type": "float"}]},
        "c": {"type": ["String", "null"], "properties": None},
        "d": {"type": "widget", "default": 3},
        "e": {"anyOf": [], "items": 3, "$ref": 1, "multipleOf": 0, "maxLength": -1},
        "f": "float",
    }
    (tool,) = tools_of([{"name": "f", "parameters": {"type": "dict", "properties": properties}}], notes)
    assert tool.parameters["required"] == ["a"]
    assert tool.parameters["properties"] == {
        "a": {"type": "string"},
        "b": {"type": "array", "items": {"type": "integer"}, "prefixItems": [{"type": "integer"}, {"type": "number"}]},
        "c": {"type": ["string", "null"]},
        "d": {"default": 3},
        "e": {},
        "f": {"type": "number"},
    }
    assert notes == ["f.d: widget"]
    assert argument_problems(tool, {"a": "x", "b": [1, 2.5], "c": None}) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[{", "tools are not JSON"),
        (7, "tools are not a list"),
        ([{"description": "x"}], "tool without a name"),
        ([{"name": "f", "description": 3}], "tool description is not text"),
        ([{"name": "f", "parameters": 3}], "tool parameters are not an object"),
        ([{"name": "f", "parameters": {"x": 3}}], "a parameter is not an object"),
        ([{"name": "f"}, {"name": "f", "description": "x"}], "two different tools of one name"),
    ],
)
def test_tools_that_are_none(value: object, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        tools_of(value, [])
    assert drop.value.reason == reason


CALL_F, CALL_G = FoundCall("f", {}), FoundCall("g", {})
USER = Turn("user", "Go")


def roles(*turns: Turn) -> str:
    return "".join(step.role[0] for step in read_turns(turns).builder.steps)


def test_a_text_and_the_calls_behind_it_are_one_turn() -> None:
    conversation = read_turns([USER, Turn("assistant", "Wait."), Turn("assistant", calls=(CALL_F,), joins=True)])
    assert [(s.content, len(s.tool_calls)) for s in conversation.builder.steps] == [("Go", 0), ("Wait.", 1)]


def test_calls_behind_one_another_are_parallel() -> None:
    both = Turn("assistant", calls=(CALL_F,)), Turn("assistant", calls=(CALL_G,))
    assert roles(USER, *both, Turn("tool", "1"), Turn("tool", "2")) == "uatt"


def test_one_list_of_results_is_taken_apart() -> None:
    calls = Turn("assistant", calls=(CALL_F, CALL_G))
    named = Turn("tool", '[{"name": "g", "results": 2}, {"name": "f", "results": 1}]')
    conversation = read_turns([USER, calls, named, Turn("assistant", "Done")])
    results = [(s.name, s.tool_call_id, s.content) for s in conversation.builder.steps if s.role == "tool"]
    assert results == [("g", "call_1", '{"name": "g", "results": 2}'), ("f", "call_0", '{"name": "f", "results": 1}')]


def test_one_text_for_several_calls_answers_the_first() -> None:
    calls = Turn("assistant", calls=(CALL_F, CALL_G))
    conversation = read_turns([USER, calls, Turn("tool", "both done"), Turn("assistant", "Done")])
    assert [s.content for s in conversation.builder.steps if s.role == "tool"] == ["both done", ""]
    assert conversation.extra == {"joint_results": [2]}
    assert roles(USER, calls, Turn("tool", "both done")) == "uat"


def test_what_is_no_step_is_kept() -> None:
    hello, late = Turn("assistant", "Hello!"), Turn("system", "It is late.")
    conversation = read_turns([Turn("system", "A"), Turn("system", "B"), hello, USER, late, Turn("assistant", "Yes")])
    assert conversation.system == "A\n\nB"
    assert conversation.extra == {"opening": ["Hello!"], "system_notes": [{"before_step": 1, "content": "It is late."}]}


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "no user turn"),
        ([USER], "no assistant turn"),
        ([Turn("user", " "), Turn("assistant", "x")], "empty user turn"),
        ([USER, Turn("assistant", "")], "empty assistant turn"),
        ([Turn("assistant", calls=(CALL_F,)), Turn("tool", "1"), USER], "the assistant acts before the user speaks"),
        ([USER, Turn("tool", "1")], "result without a call"),
        ([USER, Turn("assistant", calls=(CALL_F,)), USER, Turn("assistant", "x")], "call without a result"),
        ([USER, Turn("assistant", calls=(FoundCall("f", "{"),))], "arguments are not JSON"),
        ([USER, Turn("assistant", calls=(FoundCall("f", "[1]"),))], "arguments are not an object"),
    ],
)
def test_broken_conversations(turns: list[Turn], reason: str) -> None:
    with pytest.raises(Drop) as drop:
        read_turns(turns)
    assert drop.value.reason == reason


def test_parts_of_content() -> None:
    used = {"type": "tool_use", "id": "x", "name": "f", "input": {"a": 1}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, "b"]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "c"}, used]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": "1"}]}],
        },
    ]
    user, assistant, result = turns_of(messages)
    assert user == Turn("user", "a\nb")
    assert (assistant.content, assistant.reasoning, assistant.calls) == ("c", "hm", (FoundCall("f", {"a": 1}, "x"),))
    assert result == Turn("tool", "1", raw_id="x")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
            "message content is not text",
        ),
        ({"role": "user", "content": 3}, "message content is not text"),
        ({"role": "critic", "content": "x"}, "message of an unknown role"),
        ({"role": ["user"], "content": "x"}, "message of an unknown role"),
        ({"from": "function_call", "value": ""}, "call without a name"),
    ],
)
def test_messages_that_are_no_turns(message: dict, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        turns_of([message])
    assert drop.value.reason == reason


def test_results_that_look_like_parts_stay_whole() -> None:
    (turn,) = turns_of([{"role": "tool", "content": [{"type": "cafe", "text": "x"}]}])
    assert turn.content == '[{"type": "cafe", "text": "x"}]'


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[f()]", [("f", {})]),
        (' [Get Data (v2)(q="a, (b)]", n=-1.5)] ', [("Get Data (v2)", {"q": "a, (b)]", "n": -1.5})]),
        ("[a/b.c(x=['1', {'k': None}]), g(y=true)]", [("a/b.c", {"x": ["1", {"k": None}]}), ("g", {"y": True})]),
        (r'[f(q="say \"hi\"", m=\'\')]'.replace("\\'", "'"), [("f", {"q": 'say "hi"', "m": ""})]),
        ('[f(text="two\nlines")]', [("f", {"text": "two\nlines"})]),
        ('[f(user-id=1, in="x")]', [("f", {"user-id": 1, "in": "x"})]),
    ],
)
def test_bracket_calls(text: str, calls: list) -> None:
    found = bracket_calls(text, ["Get Data (v2)"])
    assert [(call.name, call.arguments) for call in found] == calls


@pytest.mark.parametrize(
    "text",
    ["f()", "[f]", "[]", "[f(1)]", "[f(a=b)]", "[f(a=1, a=2)]", "[f(a=1]", "[f(a=1) g()]", "[f(a=g())]", "[1, 2]", ""],
)
def test_texts_that_are_no_bracket_calls(text: str) -> None:
    assert bracket_calls(text) is None


def test_brackets_are_rendered() -> None:
    calls = [ToolCall("f", {"a": 'x "y"\n', "b": [True, None, {"k": 1.5}]}), ToolCall("g h")]
    text = render_brackets(calls)
    assert text == r'[f(a="x \"y\"\n", b=[True, None, {"k": 1.5}]), g h()]'
    assert [(call.name, call.arguments) for call in bracket_calls(text)] == [(c.name, c.arguments) for c in calls]


def test_calls_of_text_reads_quotes_within_quotes() -> None:
    (call,) = calls_of_text("""{"name": "f", "arguments": '{"a": "it's \\n so"}'}""")
    assert call.arguments == {"a": "it's \n so"}
