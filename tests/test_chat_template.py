"""The chat template against the codec, rendered as transformers and vLLM render it: equal to the byte."""

import json
from dataclasses import replace

import pytest
from floor_strategies import TRICKY, answers, texts, trajectories
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.exceptions import TemplateError
from rendering import EOS, render

from xlam_lib.chat_template import chat_template, model_prompt, model_text, template_style, wrapper_of
from xlam_lib.codec import STYLES, PromptStyle, history_steps, prompts_of, render_answer, render_prompt, style_of
from xlam_lib.serve.messages import steps_of
from xlam_lib.trajectory import Step, ToolCall, Trajectory
from xlam_lib.views import from_xlam_steps, to_openai, tools_to_openai

styles = st.sampled_from(list(STYLES.values())) | st.builds(
    PromptStyle, task_instruction=texts, format_instruction=texts, mark_required=st.booleans()
)


def as_client_sends(trajectory: Trajectory, decoded: bool, bare: bool) -> tuple[list[dict], list[dict]]:
    """(messages, tools) as vLLM hands them to a template (arguments decoded) or as a client holds them."""
    messages = to_openai(trajectory.steps)
    for call in (call["function"] for message in messages for call in message.get("tool_calls", ())):
        call["arguments"] = json.loads(call["arguments"]) if decoded else call["arguments"]
    tools = tools_to_openai(trajectory.tools)
    return messages, [tool["function"] for tool in tools] if bare else tools


@given(trajectories(), styles, st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_template_equals_codec(trajectory, style, decoded, bare):
    messages, tools = as_client_sends(trajectory, decoded, bare)
    style = style_of(replace(trajectory, task=replace(trajectory.task, instruction="")), style)
    prompt = render_prompt(trajectory.tools, *history_steps(trajectory.steps), style)
    assert render(messages, tools, style) == model_prompt(prompt)


@given(trajectories(), styles)
@settings(max_examples=100, deadline=None)
def test_a_last_answer_and_eos_follow_the_prompt(trajectory, style):
    trajectory = replace(trajectory, task=replace(trajectory.task, instruction=""))
    messages, tools = as_client_sends(trajectory, True, False)
    for index, prompt, completion in prompts_of(trajectory, style):
        whole = render(messages[: index + 1], tools, style, generate=False)
        assert whole == model_text(prompt, completion, EOS)
        assert whole.startswith(render(messages[:index], tools, style)) and whole.endswith(completion + EOS)


@given(answers, st.sampled_from(TRICKY).filter(str.strip))
@settings(max_examples=50, deadline=None)
def test_the_wrapper_is_free_and_found_again(answer, mark):
    wrapper = {"before": mark + "user", "after": f"end{mark}\n<|im_start|>assistant"}
    template = chat_template(STYLES["brief"], **wrapper)
    assert wrapper_of(template) == tuple(wrapper.values())
    prompt = render_prompt((), "Hi", style=STYLES["brief"])
    turn = Step("assistant", answer.thought, tool_calls=answer.calls)
    messages = [{"role": "user", "content": "Hi"}, *to_openai([turn])]
    whole = render(messages, style=STYLES["brief"], generate=False, **wrapper)
    assert whole == model_text(prompt, render_answer(answer), EOS, **wrapper)


def test_without_generation_prompt_a_user_message_ends_the_text():
    messages = [{"role": "user", "content": "Hi"}]
    assert render(messages, generate=False) + "<|assistant|>\n" == render(messages)


def test_results_without_ids_and_names_still_stand():
    calls = [{"id": "a", "function": {"name": "f", "arguments": None}}, {"id": "b", "function": {"name": "g"}}]
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": "lost"},
        {"role": "tool", "tool_call_id": "b", "content": None},
    ]
    steps = (
        Step("user", "Hi"),
        Step("assistant", tool_calls=(ToolCall("f", {}, "a"), ToolCall("g", {}, "b"))),
        Step("tool", "lost"),
        Step("tool", tool_call_id="b"),
    )
    assert render(messages) == model_prompt(render_prompt((), *history_steps(steps)))
    assert '"next_observation": [{"name": "g", "content": ""}, {"name": "", "content": "lost"}]' in render(messages)


@pytest.mark.parametrize("results", [[], [1], [0], [1, 0]])
def test_a_result_is_named_wherever_several_calls_were_made(results):
    calls = (ToolCall("get_weather", {"city": "Bergen"}, "a"), ToolCall("get_time", {"city": "Turin"}, "b"))
    steps = [Step("user", "Hi"), Step("assistant", tool_calls=calls)]
    steps += [Step("tool", ("9 degrees", "16:20")[index], tool_call_id=calls[index].id) for index in results]
    named = [{"name": calls[index].name, "content": ("9 degrees", "16:20")[index]} for index in sorted(results)]
    _, history = history_steps(steps)
    assert history[0]["next_observation"] == (named or "")
    assert render(to_openai(steps)) == model_prompt(render_prompt((), *history_steps(steps)))
    assert from_xlam_steps("Hi", history)[2:] == tuple(
        Step("tool", row["content"], tool_call_id=f"call_{index}", name=row["name"])
        for index, row in zip(sorted(results), named, strict=True)
    )


def test_a_developer_message_is_a_system_message():
    user = {"role": "user", "content": "Hi"}
    system, developer = ([{"role": role, "content": "Task."}, user] for role in ("system", "developer"))
    assert render(system) == render(developer) != render([user])
    assert render([{"role": "system", "content": ""}, user]) == render([user])


@given(trajectories(), st.lists(st.tuples(st.integers(0, 9), texts), max_size=3))
@settings(max_examples=100, deadline=None)
def test_system_messages_make_the_task_wherever_they_stand(trajectory, more):
    messages = to_openai(trajectory.steps)
    for place, text in more:
        messages.insert(place, {"role": "system", "content": text})
    task, steps = steps_of(messages)
    assert task == "\n\n".join(m["content"] for m in messages if m["role"] == "system" and m["content"])
    style = replace(STYLES["brief"], task_instruction=task or STYLES["brief"].task_instruction)
    prompt = render_prompt(trajectory.tools, *history_steps(steps), style)
    assert render(messages, tools_to_openai(trajectory.tools), STYLES["brief"]) == model_prompt(prompt)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"role": "tool", "content": "x"}], "message 0 cannot have the role tool"),
        ([{"role": "user", "content": "x"}, {"role": "function", "content": "x"}], "message 1 cannot have the role fu"),
        ([{"role": "user", "content": [{"type": "text", "text": "x"}]}], "the content of a user message must be text"),
    ],
)
def test_what_has_no_place_is_refused(messages, message):
    with pytest.raises(TemplateError, match=message):
        render(messages)


def test_what_a_template_cannot_do_is_refused():
    with pytest.raises(ValueError, match="needs 'text'"):
        chat_template(PromptStyle(observations="decoded"))
    with pytest.raises(ValueError, match="was not made by"):
        wrapper_of("{{ messages }}")


@pytest.mark.parametrize("style", [*STYLES.values(), PromptStyle('Quote " and \n and %}', "{{ x }} -%}\n", True)])
def test_the_style_is_read_from_a_template_of_ours_only(style):
    made = chat_template(style, "<|im_start|>user", "<|im_end|>\n<|im_start|>assistant")
    assert template_style(made) == (style, "<|im_start|>user", "<|im_end|>\n<|im_start|>assistant")
    for other in (made + " ", " " + made, made.replace("thought", "Thought"), "{{ messages }}", ""):
        assert template_style(other) is None
    for value in ("[1]", "nul", "1", '{"a": 1}', '"' + "[" * 9):
        head, mark, rest = made.partition("set task_instruction = ")
        assert template_style(head + mark + value + rest[rest.index(" -%}") :]) is None
