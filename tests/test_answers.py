"""What a text offers as calls, and what is only words: nothing is called that wasn't offered, and no word is lost."""

import itertools
import json
import random
import time

import pytest
from floor_strategies import answers
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xlam_lib.answers import CutOffError, like_call, read_arguments, read_json, string_part
from xlam_lib.codec import Answer, parse_answer, render_answer
from xlam_lib.serve.streaming import AnswerStream, read_message
from xlam_lib.trajectory import Tool, ToolCall

TOOLS = [Tool("now"), Tool("get_time", parameters={"type": "object", "properties": {"city": {"type": "string"}}})]
NOW, OSLO, ROME = ToolCall("now"), ToolCall("get_time", {"city": "Oslo"}), ToolCall("get_time", {"city": "Rome"})
CALL = '{"name": "now", "arguments": {}}'
OSLO_TEXT = '{"name": "get_time", "arguments": {"city": "Oslo"}}'
ROME_TEXT = OSLO_TEXT.replace("Oslo", "Rome")


@pytest.mark.parametrize(
    "text",
    [
        'Our guests are [{"name": "Ada", "age": 36}, {"name": "Bob", "age": 41}]. Is anybody missing?',
        f"I must not run {CALL}, since nobody asked for it.",
        f"I could write:\n```json\n[{CALL}]\n```\nbut I don't.",
        f"Here is how it would look:\n```json\n[{CALL}]\n```",
        f"Sure.\n[{CALL}]",
        f'Sure: {{"thought": "", "tool_calls": [{CALL}]}}',
        f"```python\nclient.send({CALL})\n```",
        f"Never write <tool_call>{CALL}</tool_call> here, please.",
        f"Write this:\n```\n<tool_call>\n{CALL}\n</tool_call>\n```",
        f"The model writes `<tool_call>{CALL}</tool_call>`",
        f"It thinks <think>\n<tool_call>{CALL}</tool_call>",
        '[{"name": "Ada", "age": 36}, {"name": "Bob", "age": 41}]',
        '[{"name": "now", "description": "The time", "parameters": {"zone": {"type": "string"}}}]',
        '{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}',
        "[] is an empty list.",
        f"{CALL[:-1]} oops}}",
    ],
)
def test_words_are_no_calls(text):
    for tools in (None, TOOLS):
        assert parse_answer(text, tools).answer == Answer(text)
        message = read_message(text, tools=tools)
        assert (message.content, message.calls) == (text, ()) and message.parsed.problems


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"<think>\nPerhaps [{OSLO_TEXT}]? Better not.\n</think>\nNothing has to be done.", "Nothing has to be done."),
        (f"<think>{CALL}</think><think>[{CALL}]</think>\n\nDone.", "Done."),
        (f"<think>\n<tool_call>{CALL}</tool_call>\n</think>\nI'd rather not.", "I'd rather not."),
        ("<think>\nA thought, and that is all.\n</think>", "A thought, and that is all."),
        (f"<think>\nI could do [{CALL}]", f"I could do [{CALL}]"),  # and it has no end
        (f"<think>\n<tool_call>{CALL}</tool_call>", f"<tool_call>{CALL}</tool_call>"),
        (f"[{CALL}]? No.\n</think>\nNothing.", f"[{CALL}]? No.\n</think>\nNothing."),  # no tag began it
    ],
)
def test_a_draft_in_a_thought_is_no_call_and_the_words_behind_it_are_the_content(text, words):
    message = read_message(text, tools=TOOLS)
    assert (message.content, message.calls) == (words, ())
    assert message.parsed.answer == Answer(text)  # the whole text is kept where an answer is judged


@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        (f"{OSLO_TEXT}\n{ROME_TEXT}", "", (OSLO, ROME)),
        (f"[{OSLO_TEXT}]\n\n[{ROME_TEXT}, {CALL}]", "", (OSLO, ROME, NOW)),
        (f"{OSLO_TEXT}, {ROME_TEXT}; {CALL}", "", (OSLO, ROME, NOW)),
        (f"```json\n{OSLO_TEXT}\n```\n```json\n{ROME_TEXT}\n```", "", (OSLO, ROME)),
        (f"[TOOL_CALLS] [{OSLO_TEXT}] [TOOL_CALLS] [{ROME_TEXT}]", "", (OSLO, ROME)),
        (f'{{"thought": "A", "tool_calls": [{CALL}]}}{{"thought": "B", "tool_calls": []}}', "A\nB", (NOW,)),
        (f'{{"thought": "", "tool_calls": [{CALL}]}}\n\nAnything else?', "Anything else?", (NOW,)),
        (f'{{"thought": "Look.", "tool_calls": [{CALL}]}} Or [1]?', "Look.\nOr [1]?", (NOW,)),
        (f"```json\n[{CALL}]\n```\nAnything else?", "Anything else?", (NOW,)),
        (f"<think>\nHm.\n</think>\n[{CALL}] Anything else?", "Hm.\nAnything else?", (NOW,)),
        (f"<tool_call>{CALL}</tool_call>", "", (NOW,)),
        (f"<tool_call>\n{OSLO_TEXT}\n</tool_call>\n<tool_call>\n{ROME_TEXT}\n</tool_call>", "", (OSLO, ROME)),
        (f"<tool_call>{OSLO_TEXT}</tool_call>\n<tool_call>{ROME_TEXT}", "", (OSLO, ROME)),
        (f"I look it up.\n<tool_call>\n{CALL}\n</tool_call>\nWait a moment.", "I look it up.\nWait a moment.", (NOW,)),
        (
            f"I look it up. <tool_call>{CALL}</tool_call><tool_call>{ROME_TEXT}</tool_call>",
            "I look it up.",
            (NOW, ROME),
        ),
        (f"I look it up.[TOOL_CALLS] [{CALL}]", "I look it up.", (NOW,)),
        (f"<think>Hm.</think>\n\n<tool_call>\n{CALL}\n</tool_call>", "Hm.", (NOW,)),
        (
            '{"thought": "", "tool_calls": [{"name": "now", "arguments": {}}], "mood": "good"}',
            '{"mood": "good"}',
            (NOW,),
        ),
        (f'{{"role": "assistant", "content": "I look.", "tool_calls": [{CALL}]}}', "I look.", (NOW,)),
    ],
)
def test_what_is_offered_is_called_and_what_stands_beside_it_is_kept(text, content, calls):
    message = read_message(text, tools=TOOLS)
    assert (message.content, message.calls) == (content, calls)
    assert streamed(text, TOOLS) == (content, calls)


@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        ('{"name": "rm", "arguments": {}}', '{"name": "rm", "arguments": {}}', ()),
        (f'[{CALL}, {{"name": "rm", "arguments": {{}}}}]', '{"name": "rm", "arguments": {}}', (NOW,)),
        ('{"thought": "Go.", "tool_calls": [{"name": "rm"}]}', 'Go.\n{"name": "rm"}', ()),
        ('Go.\n<tool_call>{"name": "rm", "arguments": {}}</tool_call>', 'Go.\n{"name": "rm", "arguments": {}}', ()),
    ],
)
def test_a_name_that_was_not_offered_is_never_called(text, content, calls):
    message = read_message(text, tools=TOOLS)
    assert (message.content, message.calls) == (content, calls)
    assert "calls 'rm', which is not among the tools" in message.parsed.problems
    assert read_message(text, calls_allowed=False).calls == ()
    assert "rm" in {call.name for call in parse_answer(text).answer.calls}  # whoever grades sees what was meant


# --- cut off ------------------------------------------------------------------------------------------------------


@given(answers, st.sampled_from(["object", "list", "tags"]), st.data())
@settings(max_examples=60, deadline=None)
def test_wherever_an_answer_is_cut_off_only_its_words_are_content(answer, form, data):
    answer = Answer(answer.thought.strip().replace("</think>", ""), answer.calls or (NOW,))
    text = render_answer(answer, "list" if form == "tags" else form)
    assume("</think>" not in render_answer(Answer("", answer.calls)))
    if form == "tags":
        calls = [
            f"<tool_call>\n{render_answer(Answer('', (call,)), 'list')[1:-1]}\n</tool_call>" for call in answer.calls
        ]
        text = "\n".join(["Look.", *calls])
    end = text.rindex("}") - 1
    message = read_message(text[: data.draw(st.integers(0, end))])
    assert message.content.strip() in ("Look." if form == "tags" else answer.thought)
    assert message.calls == (answer.calls[: len(message.calls)] if form == "tags" else ())  # blocks that were whole
    assert len(message.calls) < len(answer.calls)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('{"thought": "I loo', "I loo"),
        ('{"thought": "Caf\\u00', "Caf"),
        ('{"thought": "Look.", "tool_calls": [{"na', "Look."),
        ('[{"name": "get_time", "argum', ""),
        (f"{OSLO_TEXT}\n{ROME_TEXT[:20]}", ""),
        (f"Look.\n<tool_call>{CALL}</tool_call>\n<tool_call>{OSLO_TEXT[:20]}", "Look."),
        ("Look.\n<tool_call>", "Look."),
        ('{"cities": ["Oslo", "Ro', '{"cities": ["Oslo", "Ro'),  # no call, so it is what was asked for
        ('[{"name": "Ada", "age": 3', '[{"name": "Ada", "age": 3'),
        ('{"name": "Ad', '{"name": "Ad'),
    ],
)
def test_bits_of_a_call_are_no_content_and_nothing_else_is_lost(text, content):
    message = read_message(text, tools=TOOLS)
    assert (message.content, message.calls, message.parsed.form) == (content, (), "text")
    assert message.parsed.answer == Answer(text) and "cut-off" in message.parsed.problems[0]


VALUE = st.recursive(
    st.sampled_from([None, True, -1.5e-7, 12, "é\\\n\ud83d\ude00", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(VALUE, min_size=1), st.booleans(), st.data())
def test_what_is_cut_off_is_known_from_what_is_wrong(value, ascii_only, data):
    text = json.dumps(value, ensure_ascii=ascii_only)
    with pytest.raises(CutOffError):
        read_json(text[: data.draw(st.integers(1, len(text) - 1))])


@pytest.mark.parametrize("text", ['{"a": oops', "[1 2", '{"a" 1', "[tru1", "{'a': 1", '{"a": "b" "c', "[1.x"])
def test_what_is_wrong_before_its_end_is_not_cut_off(text):
    with pytest.raises(ValueError, match="line 1") as error:
        read_json(text)
    assert not isinstance(error.value, CutOffError)


# --- repairs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "arguments", "note"),
    [
        ('[{"name": "now", "arguments": ""}]', {}, "call 0: empty text read as {}"),
        ('[{"name": "now", "arguments": " "}]', {}, "call 0: empty text read as {}"),
        ('[{"name": "now", "arguments": null}]', {}, "call 0 has no arguments"),
        (
            '[{"name": "now", "arguments": {"a": "one\ntwo\tthree"}}]',
            {"a": "one\ntwo\tthree"},
            "raw control characters",
        ),
        ('[{"name": "now", "arguments": "{\\"a\\": \\"one\ntwo\\"}"}]', {"a": "one\ntwo"}, "raw control characters"),
        ('[{"name": "now", "arguments": "{\\"a\\": \\"one\\ntwo\\"}"}]', {"a": "one\ntwo"}, "call 0: raw control"),
    ],
)
def test_the_repairs_of_converters_are_those_of_the_codec(text, arguments, note):
    parsed = parse_answer(text)
    assert parsed.answer == Answer("", (ToolCall("now", arguments),))
    assert any(problem.startswith(note) for problem in parsed.problems)
    assert streamed(text) == ("", parsed.answer.calls)


def test_arguments_are_read_and_not_guessed():
    assert read_arguments({"a": 1}) == ({"a": 1}, "") == read_arguments('{"a": 1}')
    for raw in ("[1]", '"text"', 3, [1]):
        with pytest.raises(TypeError, match="found"):
            read_arguments(raw)
    for raw in ("{'a': 1}", '{"a": 1', '{"a": NaN}', "[" * 100_000):
        with pytest.raises(ValueError, match="."):
            read_arguments(raw)


def test_parts_of_a_string():
    assert string_part('a\nb\\"c", "d"') == ('a\nb"c', 6, True)
    assert string_part("a\\ud83d") == ("a", 1, False) and string_part("a\\ud83dx") == ("a?x", 8, False)
    assert string_part('x: "ab', 4) == ("ab", 6, False) and string_part("a\\q") == ("a", 1, True)


def test_what_is_like_a_call():
    assert like_call({"name": "f", "arguments": {}, "why": "?"}) and like_call({"name": "f", "parameters": {"x": 1}})
    assert like_call({"name": "f"}) and like_call({"function": {"name": "f", "arguments": "{}"}, "id": "c1"})
    assert not any(map(like_call, [{}, 3, {"name": "Ada", "age": 36}, {"arguments": {}}]))


# --- any text -----------------------------------------------------------------------------------------------------

WORDS = (
    "I we could would never call run write the a tool city Oslo time because so maybe note: e.g. (see) don't".split()
)
NAMES = ["now", "get_time", "rm", "delete_all", "Ada"]
MARKS = [
    "<tool_call>",
    "</tool_call>",
    "[TOOL_CALLS]",
    "<think>",
    "</think>",
    "```",
    "```json\n",
    "`",
    "\n",
    "\n\n",
    '"',
]


def some_json(rng: random.Random) -> str:
    """A call, a list, an object of the model's form or any data, whole or broken."""
    name = rng.choice(NAMES)
    call = {"name": name, "arguments": {"city": f"w{rng.randrange(10**6)}"}}
    values = [
        call,
        [call],
        [call, {"name": rng.choice(NAMES), "arguments": {}}],
        {"thought": "w1 w2", "tool_calls": [call]},
    ]
    values += [{"name": name, "age": 3}, [{"name": name}], {"a": [1, 2]}, [], {"thought": "w3", "mood": "w4"}]
    text = json.dumps(rng.choice(values))
    return text if rng.random() < 0.9 else text[: rng.randrange(len(text))]


def some_text(rng: random.Random, marks: bool) -> str:
    """Prose with JSON, code and quoted calls; with `marks` it may also begin with JSON and have any marks within it."""
    parts = [rng.choice(WORDS)] if not marks or rng.random() < 0.7 else []
    for _ in range(rng.randrange(1, 7)):
        kind = rng.random()
        if kind < 0.35:
            parts.append(
                " ".join([rng.choice(WORDS), f"w{rng.randrange(10**6)}", rng.choice(WORDS)]) + rng.choice(" .,\n")
            )
        elif kind < 0.7:
            parts.append(
                rng.choice(["{}", "`{}`", '"{}"', "\n```json\n{}\n```\n", "\n{}\n"]).replace("{}", some_json(rng))
            )
        elif marks:
            parts.append(
                rng.choice(
                    ["<tool_call>{}</tool_call>", "\n<tool_call>\n{}\n</tool_call>\n", "<think>{}</think>"]
                ).replace("{}", some_json(rng))
                if rng.random() < 0.5
                else rng.choice(MARKS)
            )
        else:
            parts.append(
                rng.choice(["\n```python\nx = f({})\n```\n", "f({})\n", "x <- {}\n"]).replace("{}", some_json(rng))
            )
        parts.append(rng.choice([" ", ""]))
    return "".join(parts)


def streamed(text: str, tools=None, rng: random.Random | None = None):
    """(content, calls) of the text in random pieces, or character by character."""
    stream, at, content = AnswerStream(tools=tools), 0, []
    while at < len(text):
        size = rng.randrange(1, 30) if rng else 1
        content.append(stream.feed(text[at : at + size]))
        at += size
    rest = stream.finish()
    return "".join(content) + rest.content, rest.calls


def said(message) -> str:
    """All that a message keeps, without blanks."""
    calls = [json.dumps([call.name, call.arguments]) for call in message.calls]
    return "".join("".join([message.content, message.parsed.answer.thought, *calls]).split())


def test_ten_thousand_texts_call_nothing_that_was_not_offered_and_lose_nothing():
    rng, called, offered = random.Random(12), 0, {tool.name for tool in TOOLS}
    for number in range(10_000):
        text = some_text(rng, marks=number % 2 == 1)
        message = read_message(text, tools=TOOLS)
        assert streamed(text, TOOLS, rng) == (message.content, message.calls), text
        assert {call.name for call in message.calls} <= offered, text
        if number % 2 == 0:  # prose comes first, and no mark: whatever follows is words
            assert (message.content, message.calls) == (text.strip(), ()), text
        else:
            kept = said(message)
            lost = [word for word in text.split() if word[0] == "w" and word[1:].isdigit() and word not in kept]
            assert lost == [], text
        called += bool(message.calls)
    assert called > 200  # what is offered is called


HOSTILE = [
    "[{",
    '{"',
    "</think>",
    "<think>",
    "```",
    "[TOOL_CALLS]",
    "<tool_call>",
    " ",
    "\\",
    '{"thought": "',
    "[[",
    "é ",
]
HOSTILE += [
    '<tool_call>{"',
    '[TOOL_CALLS][{"',
    f"x <tool_call>{CALL}</tool_call> y ",
    f"{CALL}\n",
    f"```\n{CALL}\n```\n",
]
HOSTILE += ['{"thought": "a\\', "` <tool_call>", '<tool_call>[{"name": "now", "arguments": {"a": "', "<tool_call>{} "]


def cost(work, text: str) -> float:
    """Seconds of processor time, the least of three."""
    times = []
    for _ in range(3):
        begun = time.thread_time()
        work(text)
        times.append(time.thread_time() - begun)
    return min(times)


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_the_text_and_no_faster(unit):
    for work, size in ((parse_answer, 20_000), (streamed, 2_000)):
        small = "".join(itertools.islice(itertools.cycle(unit), size))
        assert cost(work, small * 8) < 12 * cost(work, small) + 0.02, work.__name__
