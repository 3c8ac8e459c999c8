"""What looks like a value in a question: in quotes, with a digit, a name within a sentence."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.apigen.checks import _values

AS_ONE = re.compile(r"\"([^\"]+)\"|(?<!\w)'([^']+)'(?!\w)|(\S*\d\S*)|(?<=[a-z,] )([A-Z][a-z]+)")  # n² on long words


@pytest.mark.parametrize(
    ("asked", "values"),
    [
        ("Weather in Oslo at 'noon' on 5/6?", ["Oslo", "noon", "5/6?"]),
        ('Find "Dune" and "It".', ["Dune", "It"]),
        ("What is the age of Ann?", ["Ann"]),
        ('so (title:"x y")12', ["x y", ")12"]),
    ],
)
def test_values(asked, values):
    assert list(_values(asked)) == values


@given(st.text("ab A1,'\" .-B", max_size=30))
def test_they_are_those_of_one_expression(asked):
    assert list(_values(asked)) == [next(filter(None, found.groups())) for found in AS_ONE.finditer(asked)]
