"""Written forms of an answer beside the codec's two, each with its exact inverse. Used by `layouts.py` (notebook 02).

    object   {"thought": "...", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]}      as in the codec
    list     <think>...</think> and [{"name": "f", "arguments": {"x": 1}}]                 as in the codec
    fenced   the object in a code fence
    openai   {"content": "...", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "..."}}]}
    tags     the thought, then <tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call> for each call
    python   <think>...</think> and [f(x=1)]

`read_answer(write_answer(answer, form), form) == answer`, whatever its text. The codec's `parse_answer` is the
lenient reader for what a model wrote; this one refuses all that `write_answer` would not have written.
"""

from __future__ import annotations

import ast
import json
import keyword
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from xlam_lib.answers import Answer, calls_as_dicts, json_text, parse_answer, render_answer
from xlam_lib.codec import SEED_FORMAT_INSTRUCTION
from xlam_lib.trajectory import ToolCall
from xlam_lib.views import function_to_openai, read_calls

THINK = ("<think>", "</think>")
TAGS = ("<tool_call>", "</tool_call>")
FORMATS = (  # {form}: an example of the form, {empty}: what a turn without calls looks like
    "Write your output exactly in this form, with correct types of all parameters:\n{form}\n"
    "If no function call is needed, write: {empty}",
    "Answer in the following format and with nothing else around it.\n{form}\nA turn that calls nothing is {empty}.",
    "The expected output looks like this; names and arguments are examples:\n{form}\n"
    "Leave the calls out where none is needed: {empty}",
    "{form}\n\nThis is the format of every answer. Each call needs a name from the list of tools and its arguments. "
    "Without calls: {empty}",
)
EMPTY = {
    "object": '{"thought": "...", "tool_calls": []}',
    "list": "[]",
    "fenced": '```json\n{"thought": "...", "tool_calls": []}\n```',
    "openai": '{"content": "...", "tool_calls": []}',
    "tags": "text without tags",
    "python": "[]",
}


class AnswerForm(NamedTuple):
    """One form: `FORMS["list"].write(Answer())` -> "[]"."""

    write: Callable[[Answer], str]
    read: Callable[[str], Answer]
    example: str  # of two calls, for format instructions


def write_answer(answer: Answer, form: str = "object") -> str:
    """The text of an answer: `write_answer(Answer("", (ToolCall("f", {"x": 1}),)), "python")` -> '[f(x=1)]'."""
    return _form(form).write(answer)


def read_answer(text: str, form: str = "object") -> Answer:
    """The answer of a text in that form; a ValueError when it is not exactly in it."""
    try:
        answer = _form(form).read(text)
        same = write_answer(answer, form) == text
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError, RecursionError) as error:
        raise ValueError(f"not an answer in the form {form!r} ({error}): {text[:120]!r}") from error
    if not same:
        raise ValueError(f"an answer, but not as the form {form!r} spells it: {text[:120]!r}")
    return answer


def _form(name: str) -> AnswerForm:
    if name not in FORMS:
        raise ValueError(f"form is {name!r}, expected one of {', '.join(FORMS)}")
    return FORMS[name]


def escaped(text: str, markers: Sequence[str]) -> str:
    """The text with a backslash before each line that is a marker, so that no line of it is taken for one.

    Example: `escaped("a\\n</think>", ["</think>"])` -> 'a\\n\\\\</think>'
    """
    return _marker_lines(tuple(markers), "").sub(r"\\\g<0>", text)


def unescaped(text: str, markers: Sequence[str]) -> str:
    """The text that `escaped` was given."""
    return _marker_lines(tuple(markers), r"\\").sub(lambda found: found[0][1:], text)


def _marker_lines(markers: tuple[str, ...], before: str) -> re.Pattern[str]:
    return re.compile(rf"^{before}\\*(?:{'|'.join(map(re.escape, markers))})$", re.MULTILINE)


def _read_by_codec(text: str) -> Answer:
    parsed = parse_answer(text)
    if parsed.problems:
        raise ValueError(parsed.problems[0])
    return parsed.answer


def _thought_before(thought: str) -> str:
    return f"{THINK[0]}\n{escaped(thought, THINK)}\n{THINK[1]}\n" if thought else ""


def _split_thought(text: str) -> tuple[str, str]:
    """(thought, the rest) of a text that may begin with <think>."""
    if not text.startswith(f"{THINK[0]}\n"):
        return "", text
    thought, found, rest = text[len(THINK[0]) + 1 :].partition(f"\n{THINK[1]}\n")
    if not found:
        raise ValueError(f"no line {THINK[1]}")
    return unescaped(thought, THINK), rest


def _write_openai(answer: Answer) -> str:
    calls = [{"type": "function", "function": function_to_openai(call)} for call in answer.calls]
    return json_text({"content": answer.thought, "tool_calls": calls})


def _read_openai(text: str) -> Answer:
    value = json.loads(text)
    return Answer(value["content"], tuple(read_calls(value["tool_calls"], "answer")))


def _write_tags(answer: Answer) -> str:
    calls = [f"{TAGS[0]}\n{json_text(call)}\n{TAGS[1]}" for call in calls_as_dicts(answer.calls)]
    thought = escaped(answer.thought, TAGS)
    return "\n".join([*([thought] if thought or not calls else []), *calls])


def _read_tags(text: str) -> Answer:
    found = re.search(rf"^{TAGS[0]}$", text, re.MULTILINE)
    if not found:
        return Answer(unescaped(text, TAGS))
    lines = text[found.start() :].split("\n")
    if len(lines) % 3:
        raise ValueError(f"a call is three lines, found {len(lines)} lines behind the thought")
    calls = [json.loads(line) for line in lines[1::3]]
    thought = unescaped(text[: max(0, found.start() - 1)], TAGS)
    return Answer(thought, tuple(ToolCall(call["name"], call["arguments"]) for call in calls))


def _write_python(answer: Answer) -> str:
    return _thought_before(answer.thought) + f"[{', '.join(_python_call(call) for call in answer.calls)}]"


def _python_call(call: ToolCall) -> str:
    if not all(map(_is_name, call.name.split("."))):
        raise ValueError(f"{call.name!r} can't be written as a Python call")
    arguments = [
        f"{key}={value!r}" if _is_name(key) else f"**{{{key!r}: {value!r}}}" for key, value in call.arguments.items()
    ]
    return f"{call.name}({', '.join(arguments)})"


def _is_name(text: str) -> bool:
    return text.isascii() and text.isidentifier() and not keyword.iskeyword(text)


def _read_python(text: str) -> Answer:
    thought, rest = _split_thought(text)
    tree = ast.parse(rest, mode="eval").body
    if not isinstance(tree, ast.List):
        raise ValueError("no list of calls")
    return Answer(thought, tuple(_call_of(item) for item in tree.elts))


def _call_of(item: Any) -> ToolCall:
    arguments: dict[str, Any] = {}
    for one in item.keywords:
        value = ast.literal_eval(one.value)
        arguments |= value if one.arg is None else {one.arg: value}
    return ToolCall(ast.unparse(item.func), arguments)


def python_can_express(names: Sequence[str]) -> bool:
    """Whether tools of these names can be called in the form "python": `python_can_say(["a.b", "c-d"])` -> False."""
    return all(_is_name(part) for name in names for part in name.split("."))


FORMS: dict[str, AnswerForm] = {
    "object": AnswerForm(
        render_answer,
        _read_by_codec,
        '{"thought": "the thought process, or an empty string", "tool_calls": [{"name": "api_name1", "arguments": '
        '{"argument1": "value1", "argument2": "value2"}}]}',
    ),
    "list": AnswerForm(
        lambda answer: render_answer(answer, "list"),
        _read_by_codec,
        '<think>\nthe thought process\n</think>\n[{"name": "api_name1", "arguments": {"argument1": "value1"}}]',
    ),
    "fenced": AnswerForm(
        lambda answer: f"```json\n{render_answer(answer)}\n```",
        _read_by_codec,
        '```json\n{"thought": "the thought process, or an empty string", "tool_calls": [{"name": "api_name1", '
        '"arguments": {"argument1": "value1"}}]}\n```',
    ),
    "openai": AnswerForm(
        _write_openai,
        _read_openai,
        '{"content": "what you say, or an empty string", "tool_calls": [{"type": "function", "function": '
        '{"name": "api_name1", "arguments": "{\\"argument1\\": \\"value1\\"}"}}]}',
    ),
    "tags": AnswerForm(
        _write_tags,
        _read_tags,
        'the thought process\n<tool_call>\n{"name": "api_name1", "arguments": {"argument1": "value1"}}\n</tool_call>',
    ),
    "python": AnswerForm(
        _write_python,
        _read_python,
        "<think>\nthe thought process\n</think>\n[api_name1(argument1='value1', argument2=2), api_name2()]",
    ),
}


def format_instructions(form: str) -> tuple[str, ...]:
    """All format instructions for a form of answers; the seeds' is among them where the form is theirs."""
    own = (SEED_FORMAT_INSTRUCTION,) if form == "object" else ()
    texts = (text.replace("{form}", FORMS[form].example).replace("{empty}", EMPTY[form]) for text in FORMATS)
    return (*own, *texts)


def format_instruction(form: str, rng: random.Random) -> str:
    """One of them: `format_instruction("python", random.Random(0))`."""
    return rng.choice(format_instructions(form))
