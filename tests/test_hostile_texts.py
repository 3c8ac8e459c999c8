"""No expression and no parser of ours is slow: eight times the text costs at most twelve times the processor time.

`HOSTILE_TEXTS=all` tries the parsers on many more texts, for some minutes.
"""

import ast
import gc
import inspect
import os
import re
import signal
from types import SimpleNamespace

import pytest
from expressions import LIBRARY, METHODS, expressions
from hostile_parsers import NO_PARSERS, PARSERS, TOOL, refusing, shapes_of_words
from hostile_texts import LARGE, Shape, growth, shapes_of, stop

from xlam_lib.data.quality.repair import repaired
from xlam_lib.paths import root
from xlam_lib.serve.choices import collect_stream
from xlam_lib.serve.streaming import AnswerStream

FIRST = ("text", "content", "prompt", "page", "system", "solution", "line", "template")  # what parsers call their text


@pytest.fixture(autouse=True)
def in_time():
    """What runs too long is ended; no garbage is collected, which would take its time from whoever comes along."""
    before = signal.signal(signal.SIGVTALRM, stop)
    gc.disable()
    yield
    gc.enable()
    signal.signal(signal.SIGVTALRM, before)


def slow(pattern, methods):
    """How an expression is slow, and on which text; "" if it isn't."""
    shapes = shapes_of(pattern)
    for method in sorted(methods):
        for shape in shapes:

            def run(text, method=method):
                return METHODS[method](pattern, text if isinstance(pattern.pattern, str) else text.encode())

            if found := growth(run, shape):
                return f"{method}: {found}"
    return ""


def test_no_expression_is_slow():
    found = expressions()
    assert len(found) > 300
    suspects = [(place, pattern, methods) for pattern, (place, methods) in found.items() if slow(pattern, methods)]
    faults = [f"{place} {fault}" for place, *expression in suspects if (fault := slow(*expression))]  # a second look
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r"\s*```(?:json)?\s*(.*?)\s*```\s*", "fullmatch"),  # n³
        (r"[-+]?[\d,]*\.?\d+\s?%?", "fullmatch"),
        (r"<a>(.*?)</a>", "finditer"),
        (r"\s*You should", "search"),
        (r"(?:\w+,?)+;", "match"),  # 2ⁿ
    ],
)
def test_a_slow_expression_is_noticed(pattern, method):
    assert slow(re.compile(pattern, re.DOTALL), {method})


def test_no_parser_is_slow():
    repaired(TOOL, {"a": "x"})  # imports what it needs
    much = (1000, " a\n\"[{<1'") if os.environ.get("HOSTILE_TEXTS") == "all" else (8, " a")
    suspects = []
    for number, (function, parser) in enumerate(PARSERS):
        shapes = shapes_of_words(inspect.getmodule(function), *much)
        shape = next((shape for shape in shapes if growth(refusing(parser), shape)), None)
        suspects += [(f"{number}: {function.__module__}.{function.__qualname__}", parser, shape)] if shape else []
    faults = [f"{place}: {fault}" for place, parser, shape in suspects if (fault := growth(refusing(parser), shape))]
    assert not faults, "\n".join(faults)


def test_a_slow_parser_is_noticed():
    def last_lines(text):
        return [text[at:].count("\n") for at in range(len(text))]

    assert growth(last_lines, Shape("", "a\n"))
    assert not growth(str.splitlines, Shape("", "a\n"))


def streamed(text):
    """An answer that comes one character at a time."""
    stream = AnswerStream(tools=[TOOL])
    for char in text:
        stream.feed(char)
    stream.finish()


@pytest.mark.parametrize("begin", ["", '{"thought": "', "<think>\n", "[", "```json\n"])
def test_an_answer_that_comes_by_characters_is_read_once(begin):
    assert not growth(streamed, Shape(begin, "Let me see. "))


@pytest.mark.parametrize("unit", [" ", "<", "</thin", "[TOOL", "\\u00e9"])
def test_it_is_read_once_whatever_it_may_become(unit):
    assert not growth(streamed, Shape("", unit)) and not growth(streamed, Shape('{"thought": "', unit))


def test_a_call_that_comes_by_characters_is_put_together_once():
    def chunk(char):
        piece = SimpleNamespace(index=0, id="x", function=SimpleNamespace(name="", arguments=char))
        delta = SimpleNamespace(content="", tool_calls=[piece])
        return SimpleNamespace(choices=[SimpleNamespace(index=0, finish_reason=None, delta=delta)])

    def collected(text):
        call = collect_stream(map(chunk, text))["message"]["tool_calls"][0]
        assert call == {"id": "x", "type": "function", "function": {"name": "", "arguments": text}}

    assert not growth(collected, Shape("", "a"))


@pytest.mark.parametrize("item", ["1", "x", 1.0])
def test_as_many_repairs_as_there_are_items_take_their_time_only(item):
    assert not growth(lambda text: repaired(TOOL, {"a": [item] * len(text)}), Shape("", "a"), LARGE // 8)


def public_parsers():
    """Public functions and methods that are given a text first: "data.formats.literals.decode"."""
    for path in sorted(LIBRARY.rglob("*.py")):
        module = ".".join(path.relative_to(root()).with_suffix("").parts)
        body = ast.parse(path.read_text(encoding="utf-8")).body
        named = [("", body), *((f"{node.name}.", node.body) for node in body if isinstance(node, ast.ClassDef))]
        for owner, nodes in named:
            for node in nodes:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not owner.startswith("_"):
                    given = [one for one in node.args.args if one.arg not in ("self", "cls")]
                    if given and given[0].arg in FIRST and ast.unparse(given[0].annotation) in ("str", "str | None"):
                        yield f"{module}.{owner}{node.name}"


def test_no_parser_is_forgotten():
    tried = {f"{function.__module__}.{function.__qualname__}" for function, _ in PARSERS}
    found = set(public_parsers())
    assert len(found) > 70
    assert sorted(found - tried - NO_PARSERS.keys()) == []
    assert sorted(NO_PARSERS.keys() - found) == [] and not tried & NO_PARSERS.keys()
