"""The system text of a conversation: its tools, what it says on how to call, and all that it says besides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.accounting import Drop
from xlam_lib.data.formats.system_tools import SYSTEMS, split_system
from xlam_lib.data.sources.exchange.openai_chat import convert
from xlam_lib.trajectory import Trajectory

MESSAGES = [{"role": "user", "content": "Go"}, {"role": "assistant", "content": "Yes"}]
EXAMPLE = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'


def one(**more: object) -> Trajectory:
    (trajectory,) = convert({"messages": MESSAGES, **more}, "x.json:1")
    return trajectory


def test_tools_in_the_system_text() -> None:
    system = (
        "You call functions. You get signatures within <tools></tools> XML tags. Guess nothing.\n"
        "Here are the available tools:<tools> [{'name': 'f'}] </tools>"
        "Use the following pydantic model json schema for each tool call you will make: {'title': 'x'}\n"
        "For each function call return a json object within <tool_call></tool_call> XML tags:\n"
        "<tool_call>\n{'name': <function-name>}\n</tool_call>\nAnswer in Dutch."
    )
    instruction, tools, how = split_system(system)
    assert (instruction, tools) == ("You call functions. Guess nothing.\nAnswer in Dutch.", "[{'name': 'f'}]")
    assert how == [
        "You get signatures within <tools></tools> XML tags.",
        "Here are the available tools:",
        "Use the following pydantic model json schema for each tool call you will make: {'title': 'x'}",
        "For each function call return a json object within <tool_call></tool_call> XML tags:",
        "<tool_call>\n{'name': <function-name>}\n</tool_call>",
    ]
    assert split_system("No tools. <tools></tools>") == ("No tools.", "", [])
    assert split_system("Nothing special") == ("Nothing special", "", [])


@given(st.lists(st.sampled_from(["Pay at most 1.5 euro!", "Never book without consent.", "Two calls:", "Be {kind}"])))
def test_instructions_between_examples_stay(said: list[str]) -> None:
    text = EXAMPLE.join(f"\n{words}\n" for words in ["", *said, "Answer in French."])
    instruction, tools, how = split_system(f"You serve guests.\n<tools>[{{}}]</tools>{text}")
    assert instruction.splitlines() == ["You serve guests.", *said, "Answer in French."]
    assert (tools, len(how)) == ("[{}]", len(said) + 1)


def test_a_schema_goes_with_the_sentence_before_it() -> None:
    schema = 'Use the following pydantic model json schema:\n{\n "a": {"b. c": 1}\n}'
    text = f"<tools>[{{}}]</tools>{schema}\nDo no harm.\nFor each function call return it. Be kind.{EXAMPLE}"
    instruction, _, how = split_system(text)
    assert instruction == "Do no harm.\nBe kind."
    assert " ".join(how).split() == f"{schema} For each function call return it. {EXAMPLE}".split()


def test_what_explains_the_calls_is_kept() -> None:
    system = f"Be kind.\n<tools>[{{'name': 'f'}}]</tools>\nFor each function call return this:\n{EXAMPLE}"
    t = one(messages=[{"role": "system", "content": system}, *MESSAGES])
    assert (t.steps[0].content, [tool.name for tool in t.tools]) == ("Be kind.", ["f"])
    assert t.extra == {"how_to_call": ["For each function call return this:", EXAMPLE]}


@pytest.mark.parametrize("key", SYSTEMS)
@pytest.mark.parametrize(
    "value",
    [
        "Never speak.",
        ["Never speak."],
        [{"type": "text", "text": "Never speak."}],
        {"type": "text", "text": "Never speak."},
        {"role": "system", "content": "Never speak."},
        {"content": [{"type": "text", "text": "Never speak."}]},
    ],
)
def test_system_prompts_in_any_form(key: str, value: object) -> None:
    t = one(**{key: value})
    assert (t.steps[0].role, t.steps[0].content, t.extra) == ("system", "Never speak.", {})


def test_several_system_prompts() -> None:
    blocks = [{"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "B"}]
    t = one(system=blocks, instructions="C", messages=[{"role": "system", "content": "C"}, *MESSAGES])
    assert t.steps[0].content == "A\nB\n\nC"
    assert t.extra == {"unknown_fields": {"system[0].cache_control": {"type": "ephemeral"}}}


def test_a_system_prompt_that_is_no_text_loses_the_record() -> None:
    for value in ([{"type": "image_url", "image_url": "x"}], [{"type": "thinking", "thinking": "hm"}], {"a": "b"}):
        with pytest.raises(Drop, match="message content is not text"):
            one(system=value)
