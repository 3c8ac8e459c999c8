"""Calls as text in what an assistant says: every dialect, written and read back, and marks that are no calls."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.bracket_calls import render_brackets
from xlam_lib.data.formats.call_forms import typed_arguments
from xlam_lib.data.formats.dialects import split_calls
from xlam_lib.data.formats.dialects.marks import MISTRAL, TAG
from xlam_lib.data.sources.exchange.openai_chat import convert
from xlam_lib.trajectory import Tool, ToolCall, Trajectory

Arguments = dict[str, Any]
Write = Callable[[str, Arguments], str]
BAR, LOW = "｜", "▁"


def named(name: str, arguments: Arguments, key: str = "arguments") -> str:
    return json.dumps({"name": name, key: arguments}, ensure_ascii=False)


def value(item: Any) -> str:
    """As chat templates write a value of a tag: text as it is, all else as JSON."""
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def function(name: str, arguments: Arguments, line: str = "") -> str:
    inner = "".join(f"<parameter={key}>{line}{value(item)}{line}</parameter>\n" for key, item in arguments.items())
    return f"<function={name}>\n{inner}</function>"


def invoke(name: str, arguments: Arguments) -> str:
    inner = "".join(f'<parameter name="{key}">{value(item)}</parameter>\n' for key, item in arguments.items())
    return f'<invoke name="{name}">\n{inner}</invoke>'


def glm(name: str, arguments: Arguments, line: str) -> str:
    pairs = (f"<arg_key>{key}</arg_key>{line}<arg_value>{value(item)}</arg_value>" for key, item in arguments.items())
    return f"<tool_call>{line.join([name, *pairs])}{line}</tool_call>"


def deepseek(kind: str) -> str:
    return f"<{BAR}tool{LOW}{kind}{BAR}>"


JSON: dict[str, Write] = {
    "hermes": lambda n, a: f"<tool_call>\n{named(n, a)}\n</tool_call>",
    "hermes, its end missing": lambda n, a: f"<tool_call>\n{named(n, a)}",
    "in a fence": lambda n, a: f"<tool_call>\n```json\n{named(n, a)}\n```\n</tool_call>",
    "nemotron": lambda n, a: f"<TOOLCALL>[{named(n, a)}]</TOOLCALL>",
    "nemotron, one object": lambda n, a: f"<TOOLCALL>{named(n, a)}</TOOLCALL>",
    "hunyuan": lambda n, a: f"<tool_calls>[{named(n, a)}]</tool_calls>",
    "granite": lambda n, a: f"<|tool_call|> [{named(n, a)}]",
    "phi": lambda n, a: f"<|tool_call|>[{named(n, a)}]<|/tool_call|>",
    "longcat": lambda n, a: f"<longcat_tool_call>{named(n, a)}</longcat_tool_call>",
    "internlm": lambda n, a: f"<|action_start|><|plugin|>{named(n, a, 'parameters')}<|action_end|>",
    "mistral": lambda n, a: f"[TOOL_CALLS] [{named(n, a)}]</s>",
    "mistral, newer": lambda n, a: f"[TOOL_CALLS]{n}[ARGS]{value(a)}",
    "mistral, with an id": lambda n, a: f"[TOOL_CALLS]{n}[CALL_ID]abc123[ARGS]{value(a)}</s>",
    "llama": lambda n, a: f"<|python_tag|>{named(n, a, 'parameters')}<|eom_id|>",
    "llama, custom": lambda n, a: f"<function={n}>{value(a)}</function>",
    "llama, its end missing": lambda n, a: f"<function={n}>{value(a)}<|eom_id|>",
    "kimi": lambda n, a: (
        f"<|tool_calls_section_begin|><|tool_call_begin|>functions.{n}:0<|tool_call_argument_begin|>{value(a)}"
        "<|tool_call_end|><|tool_calls_section_end|>"
    ),
    "deepseek": lambda n, a: (
        f"{deepseek(f'calls{LOW}begin')}{deepseek(f'call{LOW}begin')}{n}{deepseek('sep')}{value(a)}"
        f"{deepseek(f'call{LOW}end')}{deepseek(f'calls{LOW}end')}"
    ),
    "deepseek, older": lambda n, a: (
        f"{deepseek(f'calls{LOW}begin')}{deepseek(f'call{LOW}begin')}function{deepseek('sep')}{n}\n```json\n{value(a)}\n"
        f"```{deepseek(f'call{LOW}end')}{deepseek(f'calls{LOW}end')}"
    ),
    "lfm": lambda n, a: f"<|tool_call_start|>{render_brackets([ToolCall(n, a)])}<|tool_call_end|>",
    "llama 4": lambda n, a: f"<|python_start|>{render_brackets([ToolCall(n, a)])}<|python_end|>",
    "olmo": lambda n, a: f"<function_calls>{render_brackets([ToolCall(n, a)])[1:-1]}\n</function_calls>",
}
XML: dict[str, Write] = {
    "qwen": lambda n, a: f"<tool_call>\n{function(n, a)}\n</tool_call>",
    "qwen, on lines": lambda n, a: f"<tool_call>\n{function(n, a, chr(10))}\n</tool_call>",
    "qwen, without a block": function,
    "seed": lambda n, a: f"<seed:tool_call>{function(n, a)}</seed:tool_call>",
    "minimax": lambda n, a: f"<minimax:tool_call>\n{invoke(n, a)}\n</minimax:tool_call>",
    "glm": lambda n, a: glm(n, a, "\n"),
    "glm, on one line": lambda n, a: glm(n, a, ""),
}
NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True).filter(
    lambda word: word not in ("null", "none", "true", "false", "function")
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
SCALARS = st.one_of(TEXTS, st.integers(-(10**9), 10**9), st.booleans(), st.just(0.5), st.none())
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(NAMES, SCALARS, max_size=2))
KINDS = ((bool, "boolean"), (str, "string"), (int, "integer"), (float, "number"), (list, "array"), (dict, "object"))


def tool(name: str, arguments: Arguments) -> Tool:
    def kind_of(item: Any) -> str:
        return next((word for kind, word in KINDS if isinstance(item, kind)), "null")

    properties = {key: {"type": kind_of(item)} for key, item in arguments.items()}
    return Tool(name, "", {"type": "object", "properties": properties})


@pytest.mark.parametrize("dialect", JSON)
@settings(max_examples=25)
@given(name=NAMES, arguments=st.dictionaries(NAMES, VALUES, max_size=3))
def test_what_is_written_as_json_is_read_back(dialect: str, name: str, arguments: Arguments) -> None:
    words, (call,), texts = split_calls("Let me see.\n" + JSON[dialect](name, arguments))
    assert words == "Let me see."
    assert (call.name, call.arguments) == (name, arguments)
    assert len(texts) == 1


@pytest.mark.parametrize("dialect", XML)
@settings(max_examples=25)
@given(name=NAMES, arguments=st.dictionaries(NAMES, VALUES.filter(lambda item: item != ""), min_size=1, max_size=3))
def test_what_is_written_as_xml_is_read_back_with_the_types_of_the_tool(
    dialect: str, name: str, arguments: Arguments
) -> None:
    words, (call,), _ = split_calls("Let me see.\n" + XML[dialect](name, arguments))
    assert words == "Let me see."
    assert call.name == name and call.as_text
    assert call.arguments == {key: value(item) for key, item in arguments.items()}
    assert typed_arguments(call.arguments, tool(name, arguments)) == arguments


@pytest.mark.parametrize("dialect", [*JSON, *XML])
def test_calls_in_a_row_and_without_arguments(dialect: str) -> None:
    write = {**JSON, **XML}[dialect]
    texts = [write("f", {"a": "x <b> </b> y"}), write("g", {})]
    words, calls, _ = split_calls("\n".join(texts))
    assert (words, [call.name for call in calls]) == ("", ["f", "g"])
    assert calls[0].arguments == {"a": "x <b> </b> y"}
    assert calls[1].arguments == {}


def test_text_around_calls_is_kept() -> None:
    one, two = '<tool_call>{"name": "f", "arguments": {}}</tool_call>', '<tool_call>{"name": "g", "arguments": {}}'
    content, calls, texts = split_calls(f"First f. {one} Then g. {two} Done.")
    assert content == "First f. \n Then g. \n Done."
    assert [call.name for call in calls] == ["f", "g"]
    assert texts == [one, two]


def test_closing_tags_within_values() -> None:
    arguments = {"a": "</tool_call> and </parameter> and </function>", "b": "x"}
    for dialect in ("hermes", "qwen", "minimax", "glm"):
        assert split_calls({**JSON, **XML}[dialect]("f", arguments))[1][0].arguments == arguments


def test_calls_of_several_tools_in_one_section() -> None:
    text = (
        '<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}'
        '<|tool_call_end|>\n<|tool_call_begin|>functions.g:1<|tool_call_argument_begin|>{"b": 2}<|tool_call_end|>'
        "<|tool_calls_section_end|>"
    )
    assert [(call.name, call.id) for call in split_calls(text)[1]] == [("f", "functions.f:0"), ("g", "functions.g:1")]
    text = '<|python_tag|>{"name": "f", "parameters": {"a": 1}}; {"name": "g", "parameters": {}}'
    assert [call.name for call in split_calls(text)[1]] == ["f", "g"]
    text = '[TOOL_CALLS] [{"name": "f", "arguments": {}, "id": "x1"}, {"name": "g", "arguments": {}, "id": "x2"}]'
    assert [call.id for call in split_calls(text)[1]] == ["x1", "x2"]
    text = "<function_calls>f(a=1)\ng(b='x')\n</function_calls>"
    assert [call.arguments for call in split_calls(text)[1]] == [{"a": 1}, {"b": "x"}]


def test_tools_that_llama_brings() -> None:
    (call,) = split_calls('<|python_tag|>brave_search.call(query="rain in Oslo (today)")<|eom_id|>')[1]
    assert (call.name, call.arguments) == ("brave_search", {"query": "rain in Oslo (today)"})


def test_deepseek_says_what_is_text() -> None:
    text = """<DSML function_calls>
<DSML invoke name="f">
<DSML parameter name="a" string="true">5</DSML parameter>
<DSML parameter name="b" string="false">[1]</DSML parameter>
</DSML invoke>
</DSML function_calls>"""
    for written in ("｜DSML｜", "｜DSML｜ "):
        (call,) = split_calls(text.replace("DSML ", written).replace("｜ function_calls", "｜function_calls"))[1]
        assert call.arguments == {"a": "5", "b": [1]}


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("<tool_call>\nf(1)\n</tool_call>", "<tool_call>"),
        ("<tool_call></tool_call>", "<tool_call>"),
        ("<tool_call>", "<tool_call>"),
        ('Sure. <tool_call>{"name": "f", "arguments": {"a": </tool_call>', "<tool_call>"),
        ('<tool_call>{"name": "f", "arguments": {}} and more</tool_call>', "<tool_call>"),
        ("<TOOLCALL>get_weather Oslo</TOOLCALL>", "<TOOLCALL>"),
        ("[TOOL_CALLS]get_weather(city='Oslo')", "[TOOL_CALLS]"),
        ("Sure. [TOOL_CALLS] [{", "[TOOL_CALLS]"),
        ("<|python_tag|>import os\nprint(os.name)", "<|python_tag|>"),
        ("<function=f>a=1</function>", "<function="),
        ("<tool_call><function=f><parameter=a>1</function></tool_call>", "<tool_call>"),
        ("<|tool_calls_section_begin|>f{}", "<|tool_calls_section_begin|>"),
        ("<start_function_call>call:f{a:<escape>x<escape>}<end_function_call>", "<start_function_call>"),
        ('<|channel|>commentary to=functions.f<|message|>{"a": 1}<|call|>', "<|channel|>commentary to="),
    ],
)
def test_a_mark_that_cant_be_read_is_named(text: str, mark: str) -> None:
    with pytest.raises(Drop) as drop:
        split_calls(text)
    assert drop.value.reason == f"call text in {mark} can't be read"


@pytest.mark.parametrize(
    "text",
    [
        "Write your calls in `<tool_call>` tags.",
        'Such as `<tool_call>{"name": "f", "arguments": {}}</tool_call>`, on one line.',
        'The token "[TOOL_CALLS]" comes first.',
        "Models of Mistral begin with [TOOL_CALLS] and then the list.",
        "The model emits <|python_tag|> before code.",
        "Is 3 < 4? Yes, and <b>4 > 3</b>.",
        "std::function<void()> is a type, <function> an element.",
    ],
)
def test_marks_that_are_only_spoken_of_stay_words(text: str) -> None:
    assert split_calls(text) == (text, [], [])


@given(st.text(max_size=80).filter(lambda text: MISTRAL not in text and not TAG.search(text)))
def test_text_without_marks_stays_as_it_is(text: str) -> None:
    assert split_calls(text) == (text, [], [])


PIECES = st.sampled_from(
    ["Go ", "\n", "`", "<tool_call>", "</tool_call>", "{", "}", '"name": "f"', "[TOOL_CALLS]", "[ARGS]", "f(a=1)",
     "<function=f>", "</function>", "<parameter=a>", "</parameter>", "<|python_tag|>", "<TOOLCALL>", "</TOOLCALL>",
     "<|tool_call_begin|>", "<arg_key>a</arg_key>", "<arg_value>", "</arg_value>", "<|eot_id|>"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=10).map("".join))
def test_a_shuffle_of_marks_is_read_or_lost_and_never_fails(text: str) -> None:
    try:
        _, calls, texts = split_calls(text)
    except Drop:
        return
    assert all(one in text for one in texts)
    assert bool(calls) == bool(texts)


WEATHER = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "metric": {"type": "boolean"},
            "place": {"type": "object"},
            "any": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "id": {"type": ["string", "integer"]},
            "free": {},
        },
    },
}


def one(content: str, **more: object) -> Trajectory:
    messages = [{"role": "user", "content": "Go <tool_call>?"}, {"role": "assistant", "content": content}]
    (trajectory,) = convert({"messages": messages, **more}, "x.jsonl:1")
    return trajectory


def test_a_call_in_tags_is_a_call() -> None:
    t = one(JSON["nemotron"]("weather", {"city": "Oslo"}), tools=[json.dumps(WEATHER)])
    assert t.steps[0].content == "Go <tool_call>?"
    assert [(call.name, call.arguments) for call in t.steps[1].tool_calls] == [("weather", {"city": "Oslo"})]
    assert (t.steps[1].content, t.tags) == ("", ("single",))


def test_values_of_xml_have_the_types_of_the_tool() -> None:
    given = {"city": "5", "days": "3", "metric": "True", "place": '{"x": 1.5}', "any": "null", "id": "7", "free": "8"}
    t = one(XML["qwen"]("weather", given), tools=[WEATHER])
    assert t.steps[1].tool_calls[0].arguments == {
        "city": "5", "days": 3, "metric": True, "place": {"x": 1.5}, "any": None, "id": "7", "free": "8"
    }  # fmt: skip
    assert t.validate("warning") == []


def test_values_that_the_tool_doesnt_take_or_doesnt_know_stay_text() -> None:
    t = one(XML["glm"]("weather", {"days": "three", "other": "5"}), tools=[WEATHER])
    assert t.steps[1].tool_calls[0].arguments == {"days": "three", "other": "5"}
    t = one(XML["glm"]("weather", {"days": "3"}))
    assert t.steps[1].tool_calls[0].arguments == {"days": "3"}
    assert t.tools[0].parameters["properties"] == {"days": {"type": "string"}}


def test_json_in_tags_is_left_as_it_is() -> None:
    t = one(JSON["hermes"]("weather", {"days": "3"}), tools=[WEATHER])
    assert t.steps[1].tool_calls[0].arguments == {"days": "3"}


def test_marks_in_messages_and_fields_of_calls() -> None:
    for message in (
        {"role": "tool_call", "content": JSON["mistral"]("weather", {"city": "Oslo"})},
        {"role": "assistant", "tool_calls": JSON["hermes"]("weather", {"city": "Oslo"})},
        {"role": "assistant", "content": [{"type": "tool_call", "text": JSON["kimi"]("weather", {"city": "Oslo"})}]},
    ):
        (t,) = convert({"messages": [{"role": "user", "content": "Go"}, message]}, "x.jsonl:1")
        assert t.steps[1].tool_calls[0].arguments == {"city": "Oslo"}


def test_words_in_a_message_of_calls_are_kept() -> None:
    message = {"from": "function_call", "value": f"I look. {JSON['hermes']('weather', {})}"}
    (t,) = convert({"conversations": [{"from": "human", "value": "Go"}, message]}, "x.jsonl:1")
    assert (t.steps[1].content, len(t.steps[1].tool_calls)) == ("I look.", 1)


@pytest.mark.parametrize(
    "content",
    [
        '[weather(city="Oslo")]',
        '{"name": "weather", "parameters": {"city": "Oslo"}}',
        '[{"name": "weather", "arguments": {"city": "Oslo"}}]\n',
        '{"type": "function", "name": "weather", "parameters": {"city": "Oslo"}}',
    ],
)
@pytest.mark.parametrize("place", ["tools", "system"])
def test_an_answer_that_is_nothing_but_calls_of_listed_tools(content: str, place: str) -> None:
    system = {"role": "system", "content": f"Help. <tools>{json.dumps([WEATHER])}</tools>"}
    before = [system] if place == "system" else []
    record = {"messages": [*before, {"role": "user", "content": "Go"}, {"role": "assistant", "content": content}]}
    (t,) = convert({**record, **({"tools": [WEATHER]} if place == "tools" else {})}, "x.jsonl:1")
    assert [(call.name, call.arguments) for call in t.steps[-1].tool_calls] == [("weather", {"city": "Oslo"})]
    assert t.steps[-1].content == ""


@pytest.mark.parametrize(
    "content",
    [
        '[other(city="Oslo")]',
        'Call [weather(city="Oslo")]',
        '{"name": "Ann", "arguments": {}}',
        '{"name": "weather", "arguments": {}, "score": 3}',
        '{"name": "weather"}',
        "[1, 2]",
        "[weather]",
    ],
)
def test_other_answers_are_words(content: str) -> None:
    assert one(content, tools=[WEATHER]).steps[1].content == content
    assert not one('[weather(city="Oslo")]').steps[1].tool_calls


@pytest.mark.parametrize("mark", ["<tool_call>", "<function=", "[TOOL_CALLS]", "<|python_tag|>", "<invoke name="])
def test_any_number_of_marks_may_be_spoken_of(mark):
    text = f"You see {mark} there. " * 300
    assert split_calls(text) == (text, [], [])


@pytest.mark.parametrize(
    "text",
    [
        "So <function=f><parameter=x>1",
        'So <invoke name="f">\n<parameter name="x">1',
        "So <|tool_call_begin|>f:0<|tool_call_argument_begin|>{}",
        "So <｜tool▁call▁begin｜>f<｜tool▁sep｜>{}",
        "So <|python_tag|>brave_search.call(query=",
    ],
)
def test_a_mark_with_arguments_behind_it_offers_a_call_within_a_sentence_too(text):
    with pytest.raises(Drop, match="can't be read"):
        split_calls(text)
