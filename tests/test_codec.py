"""The codec against the published examples, and its promises on anything at all."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from floor_strategies import answers, objects, said, texts, toolsets, trajectories, values
from hypothesis import example, given, settings
from hypothesis import strategies as st

import xlam_lib
from xlam_lib.codec import (
    BLOCK_MARKS,
    BRIEF_STYLE,
    SEED_STYLE,
    Answer,
    PromptStyle,
    answer_of,
    block_of,
    history_steps,
    parse_answer,
    prompts_of,
    query_of,
    render_answer,
    render_prompt,
    render_tools,
    same_calls,
    tools_from_any,
)
from xlam_lib.trajectory import Source, Step, Task, Tool, ToolCall, Trajectory

GOLDEN = Path(__file__).parent / "golden"
settings.register_profile("floor", deadline=None)
settings.load_profile("floor")


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


def sections(prompt: str) -> dict[str, str]:
    """{"QUERY": text, ...} in order; nothing but blank lines may stand between blocks."""
    block = re.compile(r"\[BEGIN OF ([A-Z ]+)\]\n(.*?)\n\[END OF \1\]\n", re.S)
    assert not block.sub("", prompt).strip()
    return dict(block.findall(prompt))


def test_the_marks_of_a_prompt_are_written_out_in_the_codec_alone():
    root = Path(xlam_lib.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for text in texts_of(ast.parse(path.read_text(encoding="utf-8")))
        if re.search(r"(BEGIN|END) OF\b", text)
    }
    assert found == {"codec.py"}


def texts_of(tree: ast.Module) -> Iterator[str]:
    """All texts in the code of a file but its docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented) and ast.get_docstring(node) is not None]
    docstrings = {id(node.body[0].value) for node in nodes}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@given(toolsets, said, st.sampled_from([SEED_STYLE, BRIEF_STYLE]))
def test_blocks_come_back(tools, query, style):
    prompt = render_prompt(tools, query, style=style)
    if not any(mark.format("QUERY") in query for mark in BLOCK_MARKS):
        assert query_of(prompt) == block_of(prompt, "QUERY") == query
    assert block_of(prompt, "TASK INSTRUCTION") == style.task_instruction
    assert block_of(prompt, "HISTORY STEPS") is None and query_of("Hi") == ""
    assert len(tools_from_any(json.loads(block_of(prompt, "AVAILABLE TOOLS")))) == len(tools)


# --- the published examples ---------------------------------------------------------------------------------------

PRINTED = sections(golden("wildfire_prompt.txt"))
WILDFIRE_STYLE = PromptStyle(PRINTED["TASK INSTRUCTION"], PRINTED["FORMAT INSTRUCTION"], True, "decoded")
WILDFIRE_TOOLS = tools_from_any(json.loads(PRINTED["AVAILABLE TOOLS"]))


def wildfire() -> Trajectory:
    """The printed conversation as messages."""
    printed = json.loads(PRINTED["HISTORY STEPS"])
    fires = ToolCall("get_fire_info", {"location": "California", "radius": 50}, "call_0")
    quake = parse_answer(golden("wildfire_answer.txt")).answer.calls[0]
    return Trajectory(
        "wildfire",
        Source("model card", "CC-BY-NC-4.0"),
        tools=tuple(WILDFIRE_TOOLS),
        steps=(
            Step("user", PRINTED["QUERY"]),
            Step("assistant", printed[0]["thought"]),
            Step("user", printed[0]["user_input"]),
            Step("assistant", tool_calls=(fires,)),
            Step("tool", json.dumps(printed[1]["next_observation"]), tool_call_id="call_0", name="get_fire_info"),
            Step("assistant", printed[2]["thought"]),
            Step("user", printed[2]["user_input"]),
            Step("assistant", tool_calls=(replace(quake, id="call_1"),)),
        ),
    )


def test_wildfire_renders_section_by_section_as_printed():
    assert wildfire().validate() == []
    index, prompt, completion = prompts_of(wildfire(), WILDFIRE_STYLE)[-1]
    ours = sections(prompt)
    assert list(ours) == list(PRINTED)
    for name, text in PRINTED.items():
        if name in ("AVAILABLE TOOLS", "HISTORY STEPS"):
            assert json.loads(ours[name]) == json.loads(text), name
        else:
            assert ours[name] == text, name
    assert (index, completion + "\n") == (7, golden("wildfire_answer.txt"))


def test_weather_renders_byte_for_byte():
    given_ = json.loads(golden("weather.json"))
    tools = tools_from_any(given_["tools"])
    assert render_prompt(tools, given_["query"]) == golden("weather_prompt.txt")
    thought, calls = json.loads(golden("weather_answer.txt")).values()
    steps = (
        Step("user", given_["query"]),
        Step("assistant", thought, tool_calls=(ToolCall(calls[0]["name"], calls[0]["arguments"], "call_0"),)),
        Step("tool", '{"error": "", "response": ""}', tool_call_id="call_0"),
        Step("user", "Now, search on the Internet for cute puppies"),
    )
    assert render_prompt(tools, *history_steps(steps, "decoded")) == golden("weather_history_prompt.txt")
    assert render_prompt(tools, *history_steps(steps)) == golden("weather_history_prompt.txt").replace(
        '{"error": "", "response": ""}', json.dumps('{"error": "", "response": ""}')
    )


def test_printed_answers_parse():
    weather, fire = (parse_answer(golden(f"{name}_answer.txt")) for name in ("weather", "wildfire"))
    assert weather.answer == Answer(
        "I need to get the current weather for New York in fahrenheit.",
        (ToolCall("get_weather", {"location": "New York", "unit": "fahrenheit"}),),
    )
    assert fire.answer == Answer("", (ToolCall("get_earthquake_info", {"location": "California"}),))
    assert (weather.problems, weather.form, fire.problems, fire.form) == ((), "object", (), "object")
    assert render_answer(weather.answer) + "\n" == golden("weather_answer.txt")


# --- prompts ------------------------------------------------------------------------------------------------------


@given(toolsets)
def test_tools_come_back_from_every_form(tools):
    marked = render_tools(tools, mark_required=True)
    assert render_tools(tools_from_any(marked), mark_required=True) == marked
    openai = [{"type": "function", "function": tool.to_dict()} for tool in tools]
    assert tools_from_any(openai) == tools_from_any(tool.to_dict() for tool in tools) == list(tools)


@pytest.mark.parametrize("given_", [None, "now", {}, {"function": {}}, {"name": "f", "parameters": ["x"]}])
def test_what_is_no_tool_is_refused(given_):
    with pytest.raises(ValueError, match="tool 1"):
        tools_from_any([{"name": "fine"}, given_])


def test_parallel_results_stand_in_the_order_of_the_calls():
    calls = (ToolCall("a", {}, "call_0"), ToolCall("b", {}, "call_1"))
    steps = (
        Step("user", "one"),
        Step("user", "two"),
        Step("assistant", tool_calls=calls),
        Step("tool", "[2]", tool_call_id="call_1"),
        Step("tool", "1", tool_call_id="call_0", name="a"),
    )
    query, history = history_steps(steps)
    assert query == "one\ntwo"
    assert history == [
        {
            "step_id": 1,
            "thought": "",
            "tool_calls": [{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}],
            "next_observation": [{"name": "a", "content": "1"}, {"name": "b", "content": "[2]"}],
        }
    ]
    assert history_steps(steps, "decoded")[1][0]["next_observation"][1]["content"] == [2]
    with pytest.raises(ValueError, match="step 1: a tool result before"):
        history_steps((Step("user", "Hi"), Step("tool", "x")))


def test_the_task_is_the_system_step_then_the_task_then_the_style():
    steps = (Step("user", "Hi"), Step("assistant", "Ho"))
    base = Trajectory("t", Source("s", "CC0-1.0"), Task("From the task."), steps=steps)
    own = replace(base, steps=(Step("system", "From the system."), *base.steps))
    plain = replace(base, task=Task())
    texts_ = [sections(prompts_of(t, BRIEF_STYLE)[0][1])["TASK INSTRUCTION"] for t in (own, base, plain)]
    assert texts_ == ["From the system.", "From the task.", BRIEF_STYLE.task_instruction]


@given(trajectories())
def test_prompts_are_made_for_trainable_turns_only(trajectory):
    steps = tuple(replace(step, trainable=index % 2 == 0) for index, step in enumerate(trajectory.steps))
    rows = prompts_of(replace(trajectory, steps=steps), SEED_STYLE)
    assert [index for index, _, _ in rows] == [
        index for index, step in enumerate(steps) if step.role == "assistant" and index % 2 == 0
    ]
    assert all(parse_answer(completion).answer == answer_of(steps[index]) for index, _, completion in rows)


# --- answers ------------------------------------------------------------------------------------------------------


@given(answers, st.sampled_from(["object", "list"]))
@settings(max_examples=500)
@example(Answer("</think>[]"), "list")
@example(Answer('["', (ToolCall("</think>[]", {"]": "</think>"}),)), "list")
def test_parse_inverts_render(answer, form):
    parsed = parse_answer(render_answer(answer, form))
    assert parsed == type(parsed)(answer, (), form)


@given(
    answers,
    st.sampled_from(["object", "list"]),
    st.sampled_from(
        [
            "```json\n{}\n```",
            "```\n{}\n```",
            "```{}```",
            "  {}\n",
            "[TOOL_CALLS]{}",
            "[TOOL_CALLS] ```json\n{}```",
            "<think>\n\n</think>\n\n{}",
            "</think>{}",
        ]
    ),
)
def test_known_wrappers_are_clean(answer, form, wrapper):
    if form == "list":
        answer = replace(answer, thought="")
    parsed = parse_answer(wrapper.replace("{}", render_answer(answer, form)))
    assert (parsed.answer, parsed.problems, parsed.form) == (answer, (), form)


@given(
    st.one_of(
        st.text(),
        texts,
        values.map(json.dumps),
        objects.map(json.dumps),
        st.text(alphabet='[]{}",:thougnamel_cs \\0123.e-`<>/|\ud800'),
    )
)
@settings(max_examples=500)
def test_the_parser_never_raises_and_never_empties_a_message(text):
    parsed = parse_answer(text, [Tool("f")])
    assert parsed.form != "text" or parsed.problems
    if parsed.form == "text":
        assert parsed.answer == Answer(text.encode("utf-8", "replace").decode().strip())


@given(answers.filter(lambda answer: answer.calls), st.data())
def test_a_cut_answer_is_text_with_a_problem(answer, data):
    whole = render_answer(answer)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    parsed = parse_answer(cut)
    assert (parsed.form, parsed.answer) == ("text", Answer(cut.strip()))
    assert "cut-off JSON" in parsed.problems[0]


BOMBS = [
    "[" * 200_000,
    '{"a":' * 100_000,
    '[{"name": "f", "arguments": ' + '{"a": ' * 500 + "1" + "}" * 500 + "}]",
    "```" + " " * 200_000,
    "<think>" * 50_000,
    "</think>" * 50_000,
    '{"' * 50_000,
    '[{"name": ```' * 20_000,
    '{"thought": "", "tool_calls": [{"name": "f", "arguments": {"x": ' + "9" * 5000 + "}}]}",
]


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_bombs_are_text(bomb):
    parsed = parse_answer(bomb)
    assert parsed.form == "text" and parsed.answer.thought == bomb.strip() and parsed.problems


NOW, X1 = ToolCall("now"), ToolCall("f", {"x": 1})


@pytest.mark.parametrize(
    ("text", "answer", "form", "problems"),
    [
        ("", Answer(), "text", ["the answer is empty"]),
        ("Hello!", Answer("Hello!"), "text", ["plain text instead of JSON"]),
        ("[1, 2]", Answer("[1, 2]"), "text", ["JSON, but neither an answer nor a list of calls"]),
        ("[NaN]", Answer("[NaN]"), "text", ["malformed or cut-off JSON: NaN is not a JSON number"]),
        ("[]", Answer(), "list", []),
        (
            '{"thought": "Hm", "tool_calls": []} Bye.',
            Answer("Hm\nBye."),
            "object",
            ["text after the JSON: 'Bye.'"],
        ),
        (
            '{"tool_calls": [{"name": "now", "arguments": {}}]}',
            Answer("", (NOW,)),
            "object",
            ["key 'thought' is missing"],
        ),
        ('{"thought": "Hi"}', Answer("Hi"), "object", ["key 'tool_calls' is missing"]),
        (
            '{"thought": 3, "tool_calls": null, "mood": 1}',
            Answer('3\n{"mood": 1}'),
            "object",
            ["unknown key 'mood'", "'thought' is int, expected str", "'tool_calls' is NoneType, expected list"],
        ),
        (
            '{"thought": "", "tool_calls": {"name": "now", "arguments": {}}}',
            Answer("", (NOW,)),
            "object",
            ["a single call, not in a list"],
        ),
        (
            '{"name": "f", "parameters": {"x": 1}}',
            Answer("", (X1,)),
            "list",
            ["a single call, not in a list", "call 0 says 'parameters' for 'arguments'"],
        ),
        (
            '[{"name": "f", "arguments": "{\\"x\\": 1}"}]',
            Answer("", (X1,)),
            "list",
            ["call 0 has its arguments in a string"],
        ),
        (
            '[{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]',
            Answer("", (X1,)),
            "list",
            ["call 0 is nested in 'function'"],
        ),
        (
            '{"x": "</think>[]',
            Answer('{"x": "</think>[]'),
            "text",
            ["malformed or cut-off JSON: Unterminated string starting at: line 1 column 7 (char 6)"],
        ),
        ('[{"name": "now"}]', Answer("", (NOW,)), "list", ["call 0 has no arguments"]),
        (
            '[{"name": "now", "arguments": {}, "id": 1}]',
            Answer("", (NOW,)),
            "list",
            ["call 0 has the unknown key 'id'"],
        ),
        (
            '[{"name": "f", "arguments": {"x": 0, "x": 1}}]',
            Answer("", (X1,)),
            "list",
            ["a key is repeated; the last one counts"],
        ),
        (
            '[{"name": "now", "arguments": {}}, {"name": "f", "arguments": [1]}]',
            Answer('{"name": "f", "arguments": [1]}', (NOW,)),
            "list",
            ["call 1 was left out: its arguments are list, expected object"],
        ),
        (
            '[{"name": 3, "arguments": {}}]',
            Answer('[{"name": 3, "arguments": {}}]'),
            "text",
            ["call 0 was left out: it has no name"],
        ),
        (
            '{"thought": "\\ud83d", "tool_calls": []}',
            Answer("?"),
            "object",
            ["half a surrogate pair was replaced by '?'"],
        ),
        ('<think>\nHm\n</think>\n{"thought": "So", "tool_calls": []}', Answer("Hm\nSo"), "object", []),
    ],
)
def test_what_is_wrong_is_noted(text, answer, form, problems):
    parsed = parse_answer(text)
    assert (parsed.answer, parsed.form, list(parsed.problems)) == (answer, form, problems)


def test_calls_are_held_against_the_tools():
    tool = Tool("f", parameters={"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]})
    text = render_answer(Answer("", (X1, NOW, ToolCall("f", {"y": 1}))))
    assert parse_answer(text, [tool]).problems == (
        "calls 'now', which is not among the tools",
        "f: 'x' is a required property",
        "f: unknown argument 'y'",
    )


def test_unknown_forms_and_roles_are_refused():
    with pytest.raises(ValueError, match="form is 'yaml'"):
        render_answer(Answer(), "yaml")
    with pytest.raises(ValueError, match="only an assistant step"):
        answer_of(Step("user", "Hi"))


# --- equality of calls --------------------------------------------------------------------------------------------


def call(**arguments) -> ToolCall:
    return ToolCall("f", arguments)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ([], [], True),
        ([call(x=1), call(x=2)], [call(x=2.0), call(x=1)], True),
        ([call(x=1), call(x=1)], [call(x=1)], False),
        ([call(x=1)], [call(x=True)], False),
        ([call(x=[0, {"y": 1}])], [call(x=[False, {"y": 1}])], False),
        ([call(x=[1, 2])], [call(x=[2, 1])], False),
        ([call(x={"a": 1, "b": None})], [call(x={"b": None, "a": 1.0})], True),
        ([call(x="1")], [call(x=1)], False),
        ([call(x=[])], [call(x={})], False),
        ([call()], [ToolCall("g")], False),
        ([ToolCall("f", {}, "call_0")], [call()], True),
    ],
)
def test_same_calls(a, b, same):
    assert same_calls(a, b) is same_calls(b, a) is same


@given(answers, st.randoms())
def test_calls_are_the_same_in_any_order(answer, random):
    assert same_calls(answer.calls, random.sample(answer.calls, len(answer.calls)))
