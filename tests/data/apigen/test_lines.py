"""Lines between processes that don't trust each other: nothing deep, endless or no JSON gets through."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.apigen.sandbox.lines import DEEPEST, LineError, depth, line_of, value_of

TEXTS = st.text() | st.sampled_from(['"', "\\", '\\"[', "]}", "{[" * 60, '\\\\"'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def measured(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(measured, inner), default=0)


@given(VALUES)
def test_depth_is_that_of_lists_and_objects_whatever_texts_hold(value):
    assert depth(json.dumps(value).encode()) == depth(json.dumps(value, ensure_ascii=False).encode()) == measured(value)


@given(VALUES)
def test_values_come_back(value):
    assert value_of(line_of(value)) == value


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper than 100"),
        (b'{"a": ' * 100_000 + b"1" + b"}" * 100_000, "nested deeper than 100"),
        (b'"' + b'\\"' * 50_000 + b"[" * 50_000, "not JSON"),  # a text without an end, read once only
        (b"[NaN]", "NaN is no number"),
        (b"-Infinity", "-Infinity is no number"),
        (b"1e999", "1e999 is too large"),
        (b"9" * 5000, "not JSON"),
        (b'"\\ud800"', "surrogates not allowed"),
        (b'"\xed\xa0\x80"', "can't decode"),
        (b'"\xff"', "can't decode"),
        (b"1\n2", "Extra data"),
        (b"", "not JSON"),
    ],
)
def test_what_is_no_line_is_said(line, why):
    with pytest.raises(LineError, match=why):
        value_of(line)


def test_what_is_no_value_of_json_is_said():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for value, why in ((deep, "not JSON"), (float("nan"), "not JSON"), (object(), "not JSON"), (json, "not JSON")):
        with pytest.raises(LineError, match=why):
            line_of(value)
    for _ in range(100_001 - DEEPEST):
        deep = deep[0]
    assert depth(line_of(deep)) == DEEPEST
    with pytest.raises(LineError, match="nested deeper than 100"):
        line_of([deep])
