"""Parameters: what a notebook declares, and every wrong value ends in one error that says how to mend it."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.batch import params
from xlam_lib.batch.params import ParameterError, misfit, parse_cell, resolve

CELL = """out_dir: str = ""  # where to write; empty: runs/notebooks
seed: int = 0  # of everything random
lr: float = 1e-3  # learning rate # of SFT
smoke: bool = True  # small
kinds: list[str] = [
    "single",
    "a # b",
]  # kinds of trajectories
limit: int | None = None  # at most so many
weights: dict[str, float] = {}  # of the sources
mode: Literal["fast", "slow"] = "fast"  # how
"""


def notebook(path, *cells):
    made = [
        {"cell_type": "code", "metadata": {"tags": tags}, "source": source, "outputs": [], "execution_count": None}
        for tags, source in cells
    ]
    path.write_text(json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_a_cell_is_read_with_types_defaults_and_comments():
    found = parse_cell(CELL)
    assert list(found) == ["out_dir", "seed", "lr", "smoke", "kinds", "limit", "weights", "mode"]
    assert found["lr"] == params.Parameter("lr", "float", 0.001, "learning rate # of SFT")
    assert found["kinds"].default == ["single", "a # b"]
    assert found["kinds"].help == "kinds of trajectories"
    assert found["limit"].annotation == "int | None"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "line 1: expected `name: type = literal  # comment`, found `x = 1`"),
        ("a: int = 1\nx: int", "line 2: expected"),
        ("import os", "found `import os`"),
        ("x: str = os.getcwd()", r"`os.getcwd\(\)` is no literal; derive values in the next cell"),
        ("x: int = 1\nx: int = 2", "x is declared twice"),
        ("x: int = '1'", "default of x: is the string '1': expected int"),
        ("x: float = True", "default of x: is the boolean True: expected float"),
        ("x: Path = 1", "annotation `Path` is not understood"),
        ("x: int = (", "line 1: '\\(' was never closed"),
    ],
)
def test_a_bad_cell_names_line_and_remedy(source, message):
    with pytest.raises(ParameterError, match=message):
        parse_cell(source, "nb.ipynb")


def test_read_parameters_needs_exactly_one_tagged_cell(tmp_path):
    path = notebook(tmp_path / "a.ipynb", ([], "import os"), (["parameters"], "n: int = 3  # how many"))
    assert params.read_parameters(path)["n"].default == 3
    with pytest.raises(ParameterError, match=r"b\.ipynb: 0 cells tagged"):
        params.read_parameters(notebook(tmp_path / "b.ipynb", ([], "n: int = 3")))
    with pytest.raises(ParameterError, match="no such notebook"):
        params.read_parameters(tmp_path / "c.ipynb")
    (tmp_path / "d.ipynb").write_text('{"cells": [')
    with pytest.raises(ParameterError, match=r"d\.ipynb: not a notebook"):
        params.read_parameters(tmp_path / "d.ipynb")


def test_defaults_are_overlaid_and_an_int_becomes_a_float():
    values = resolve(parse_cell(CELL), {"lr": 1, "limit": 5, "weights": {"a": 1}, "mode": "slow"})
    assert values["lr"] == 1.0 and isinstance(values["lr"], float)
    assert values["limit"] == 5 and values["seed"] == 0 and values["mode"] == "slow"


def test_all_faults_are_told_at_once_with_near_misses():
    with pytest.raises(ParameterError) as caught:
        resolve(parse_cell(CELL), {"sede": 1, "lr": "1e-5", "zzz": 0}, "experiments/x/02_sft.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("experiments/x/02_sft.yaml: unknown parameter 'sede'; did you mean 'seed'? known: kinds")
    assert lines[1] == (
        "experiments/x/02_sft.yaml: lr is the string '1e-5': expected float. "
        "YAML reads 1e-5 as a string since it has no decimal point; write 1.0e-5"
    )
    assert "did you mean" not in lines[2]


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        (True, "int", "is the boolean True: expected int"),
        (1, "bool", "is the integer 1: expected bool"),
        ("false", "bool", "Write true or false without quotes"),
        ("8", "int", "Write it without quotes: 8"),
        (8.0, "int", "Write 8"),
        (True, "str", "between quotes"),
        (None, "str", r"is empty \(null\): expected str"),
        ([1, 2], "int", "put it under `grid:`"),
        (["a", 1], "list[str]", r"expected list\[str\]"),
        ("quick", "Literal['fast', 'slow']", "expected Literal"),
        (float("nan"), "float", "the number nan"),
        ({"a": "x"}, "dict[str, float]", "the dict"),
    ],
)
def test_ill_types_say_what_was_expected(value, annotation, message):
    fault = misfit(value, annotation)
    assert fault
    with pytest.raises(ParameterError, match=message):
        resolve({"x": params.Parameter("x", annotation, None)}, {"x": value})


@given(st.text(max_size=60))
def test_reading_arbitrary_text_ends_in_a_result_or_one_error(source):
    with contextlib.suppress(ParameterError):
        parse_cell(source)


@given(st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.none()))
def test_exactly_the_declared_type_fits(value):
    fits = {name for name in ("bool", "int", "float", "str", "None") if not misfit(value, name)}
    exact = type(value).__name__ if value is not None else "None"
    assert fits == ({"int", "float"} if exact == "int" else {exact})
