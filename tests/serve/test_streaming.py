"""Streamed in pieces or read at once, an answer makes the same message, and the message is what the codec reads."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.codec import Answer, ToolCall, parse_answer, render_answer
from xlam_lib.serve.streaming import AnswerStream, read_message

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CALLS = st.builds(ToolCall, st.text(min_size=1, max_size=10), st.dictionaries(st.text(max_size=6), VALUES, max_size=3))
THOUGHTS = st.text(max_size=60) | st.sampled_from(["", " a ", 'say "hi"\n\\', "😀 Malmö", "\ud83d alone", "\x00\x7f"])
ANSWERS = st.builds(Answer, THOUGHTS, st.lists(CALLS, max_size=3).map(tuple))
SCRAPS = st.sampled_from(
    ['{"thought": "', "Let me see", '", "tool_calls": [', '{"name": "f", "arguments": {}}', "]}", "[", "]", "{", "}"]
    + ['"', "\\", "\\u", "d83d", "\\ude00", "\\n", "\n", " ", "```json\n", "```", "<think>", "</think>", "</thi"]
    + ["[TOOL_CALLS]", "[TOOL", "é😀", "42", '"thought"', ":", '{"thought": "a", "thought": "b", "tool_calls": []}']
)
TEXTS = st.lists(SCRAPS | st.text(max_size=4), max_size=12).map("".join)


def cut(text, sizes):
    """The text in pieces of these sizes, the rest as the last piece."""
    for size in sizes:
        yield text[:size]
        text = text[size:]
    yield text


def streamed(pieces, calls_allowed=True):
    """(content, calls) as a client adds them up."""
    stream = AnswerStream(calls_allowed)
    content = "".join(stream.feed(piece) for piece in pieces)
    rest = stream.finish()
    return content + rest.content, rest.calls


def generated(answer, form):
    """The answer as a model writes it: with escapes as models may choose them, fenced, or behind a mark."""
    text = render_answer(answer, "list" if form == "list" else "object")
    if form == "escaped":
        text = json.dumps(json.loads(text))  # \uXXXX for all but ASCII
    if form == "fenced":
        text = f"```json\n{text}\n```"
    if form == "spaced":
        text = "\n " + json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
    return f"[TOOL_CALLS] {text}" if form == "marked" else text


FORMS = st.sampled_from(["object", "list", "escaped", "fenced", "spaced", "marked"])


@settings(max_examples=400, deadline=None)
@given(ANSWERS, FORMS, st.lists(st.integers(0, 12), max_size=60))
def test_answers_in_any_form_and_any_pieces(answer, form, sizes):
    text = generated(answer, form).encode("utf-8", "replace").decode()
    parsed, message = parse_answer(text), read_message(text)
    assert message.calls == parsed.answer.calls
    assert message.content == parsed.answer.thought
    assert streamed(cut(text, sizes)) == (message.content, message.calls)
    assert streamed(text) == (message.content, message.calls)  # character by character


@settings(max_examples=1500, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 9), max_size=40), st.booleans())
def test_any_text_in_any_pieces(text, sizes, calls_allowed):
    message = read_message(text, calls_allowed)
    assert streamed(cut(text, sizes), calls_allowed) == (message.content, message.calls)
    assert streamed(text, calls_allowed) == (message.content, message.calls)
    parsed = parse_answer(text)
    if calls_allowed:
        assert message.calls == parsed.answer.calls
    if calls_allowed and not parsed.problems:
        assert message.content == parsed.answer.thought
    if message.content == "" and not message.calls:  # no text turns into an empty message, unless it was cut off
        assert not text.strip() or message.parsed.form != "text" or "cut-off" in message.parsed.problems[0]


@settings(max_examples=300, deadline=None)
@given(ANSWERS, st.data())
def test_nobody_acts_on_an_answer_that_was_cut_off(answer, data):
    text = render_answer(answer).encode("utf-8", "replace").decode()
    part = text[: data.draw(st.integers(0, len(text) - 1))]
    message = read_message(part)
    assert message.calls == ()
    assert answer.thought.encode("utf-8", "replace").decode().startswith(message.content)  # its words, no bits of JSON
    assert message.parsed.answer.thought == part.strip() and message.parsed.problems


@pytest.mark.parametrize(
    ("text", "early"),
    [
        ('{"thought": "Let me look.", "tool_calls": []}', ["Le", "t me ", "look."]),
        ("It is sunny today.", ["It is", " sunn", "y tod", "ay."]),
        ('{"thought": "", "tool_calls": [{"name": "now", "arguments": {}}]}', []),
    ],
)
def test_what_can_be_sent_early_is_sent_early(text, early):
    stream = AnswerStream()
    assert [content for piece in cut(text, [5] * 40) if (content := stream.feed(piece))] == early
    assert stream.finish().content == ""


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('{"thought": "The weather is', "The weather is"),
        ('{"thought": "Look.", "tool_calls": [{"na', "Look."),
        ('{"thought": "", "tool_calls": [{"na', ""),
        ('{"thought": "Look.", "tool_calls": [{na]}', 'Look.\n, "tool_calls": [{na]}'),
        ('{"thought": "line\nbreak", "tool_calls": []}', "line\nbreak"),
        ('Sure: {"thought": "Now.", "tool_calls": []}', 'Sure: {"thought": "Now.", "tool_calls": []}'),
        ("Take [1] or {2}, `x` < y.", "Take [1] or {2}, `x` < y."),
        ("[]", ""),
        ("  ", ""),
    ],
)
def test_what_is_cut_or_malformed_is_sent_once_and_whole(text, content):
    assert read_message(text) == read_message(text)
    assert (read_message(text).content, read_message(text).calls) == (content, ())
    assert streamed(text) == (content, ())


def test_calls_that_are_not_asked_for_stay_text():
    text = '{"thought": "Look.", "tool_calls": [{"name": "now", "arguments": {}}]}'
    assert streamed(text, calls_allowed=False) == ('Look.\n{"name": "now", "arguments": {}}', ())
    listed = '[{"name": "now", "arguments": {}}]'
    assert streamed(listed, calls_allowed=False) == (listed, ())
    assert streamed('{"thought": "Hello", "tool_calls": []}', calls_allowed=False) == ("Hello", ())


def test_half_a_surrogate_pair_is_sent_as_the_codec_reads_it():
    text = '{"thought": "a\\ud83d\\ude00b\\ud83dc\\ud83d", "tool_calls": []}'
    assert streamed(text) == ("a😀b?c?", ()) and parse_answer(text).answer.thought == "a😀b?c?"
