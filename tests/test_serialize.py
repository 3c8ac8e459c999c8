"""msgspec's work equals that of Python's json: values, types, order of keys, errors."""

import ast
import json
import re
import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xlam_lib.data.formats import literals
from xlam_lib.serialize import dumps, loads, plain_bytes, sorted_bytes

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=6) | st.sampled_from(
    ["", "'", '"', "\\", "a"]
)
NUMBERS = st.integers() | st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([1e16, 1e-7, 1e22, -0.0, 5e-324])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
PIECES = st.sampled_from(
    [
        *(
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            " ",
            "\n",
            "\t",
            "\f",
            "\0",
            "'",
            '"',
            "\\",
            "-",
            "+",
            ".",
            "0",
            "12",
            "e",
            "E5",
        ),
        *(
            '"a"',
            "'b'",
            '"a":',
            "'b': ",
            "true",
            "false",
            "null",
            "True",
            "False",
            "None",
            "NaN",
            "Infinity",
            "# x",
            "b'",
        ),
        *(r'"\ud800"', r'"\ude00"', r'"\ud83d\ude00"', r'"\u0041\/\b"', r'"\x41"', '"\x01"', '"\x7f\u2028"', "\ufeff"),
        *(
            "1e400",
            "-1e400",
            "9" * 25,
            "9" * 4400,
            "0.1e-400",
            "1_0",
            "0x1",
            "(",
            ")",
            "[" * 95,
            "]" * 95,
            "é",
            "\ud800",
        ),
    ]
)
BROKEN = st.lists(PIECES, max_size=8).map("".join)


def outcome(read, text):
    """What comes out, as a text that tells 1 from 1.0 and True, or the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return repr(read(text))
    except (ValueError, RecursionError, SyntaxError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"


@settings(max_examples=300, deadline=None)
@given(text=BROKEN | VALUES.map(json.dumps) | VALUES.map(lambda value: json.dumps(value, ensure_ascii=False)))
@example('{"a": 1, "a": 2}')
@example("123456789012345678901234567890")
@example("1.00000000000000011102230246251565404")
def test_it_reads_what_json_reads(text):
    assert outcome(loads, text) == outcome(json.loads, text)


@settings(max_examples=200, deadline=None)
@given(data=BROKEN.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=6))
@example(b'"\xed\xa0\x80"')
@example('["a"]'.encode("utf-16"))
def test_it_reads_what_json_reads_of_bytes(data):
    assert outcome(loads, data) == outcome(json.loads, data)


@settings(max_examples=200, deadline=None)
@given(value=VALUES)
@example([1e16, 1.5e300, 1e-7])
@example(6.103515625e-05)  # written as 0.00006103515625
@example({"a": (1, 2), "b": {3: None}})
@example({"a": {1, 2}})
def test_it_writes_what_json_writes_but_for_the_notation_of_exponents(value):
    def by_python(value):
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()

    try:
        expected = by_python(value)
    except (ValueError, TypeError) as error:
        assert plain_bytes(value) is None
        with pytest.raises(type(error), match=re.escape(str(error))):
            dumps(value)
        return
    line = dumps(value)
    assert line == plain_bytes(value) or json.loads(expected) != value
    assert repr(json.loads(line)) == repr(json.loads(expected))
    if not re.search(rb"\de", expected):
        assert line == expected


@settings(max_examples=300, deadline=None)
@given(value=VALUES)
@example({"b": 1e16, "a": [1e-7, -1e22, 5e-324], "c": "1e5", "\x7f": None})
@example({"b": 2**70, "a": "\x7f"})
@example({"a": float("nan")})
@example([6.103515625e-05, 1e-05, 0.0001, -2.5e-05, 0.00012])
def test_sorted_bytes_are_those_of_json(value):
    assert sorted_bytes(value) == json.dumps(value, sort_keys=True).encode()


@pytest.mark.parametrize(
    "value", [(1, 2), {1: 2}, {"a": {"b": (1,)}}, float("nan"), [float("inf")], "\ud800", {1}, b"x"]
)
def test_what_reads_back_differently_is_not_plain(value):
    assert plain_bytes(value) is None


@settings(max_examples=300, deadline=None)
@given(text=BROKEN | VALUES.map(repr))
@example("{'a': \"it's\", 'b': [True, None, -1.5]}")
@example("['a' 'b']")
@example("'''a'''")
@example("{'True': true}")
def test_a_quick_literal_is_what_python_reads(text):
    value = literals.quick_literal(text)
    if value is not literals.NOT_QUICK:
        tree = ast.parse(text.strip(), mode="eval")
        assert repr(value) == repr(literals._value(tree.body))
    strict = literals.quick_literal(text, names=False)
    if strict is not literals.NOT_QUICK:
        assert repr(strict) == outcome(ast.literal_eval, text.strip())


def test_usual_literals_are_quick():
    assert literals.quick_literal("[{'type': 'int', 'about': \"don't\", 'on': True}]")[0]["about"] == "don't"
