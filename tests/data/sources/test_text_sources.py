"""Sources of plain text: whatever a file holds, each text is a record, a loss with a reason, or a part of a record."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.data.accounting import UNFORESEEN, Accounting, Drop
from xlam_lib.data.reading import NO_RECORD, read_text
from xlam_lib.data.sources import SOURCES, load_source
from xlam_lib.errors import TrajectoryError

TEXTS = sorted(name for name, source in SOURCES.items() if source.SOURCE.text_files)
PARTS = (
    *("Question: ", "Context: ", "Relevant Context: ", "Claim: ", "Thought: ", "Thought 1: ", "Action: ", "Action 2: "),
    *("Observation: ", "Observation 1: ", "Correct answer: ", "Reflections:", "Answer is CORRECT", "Finish[x]", "go"),
    *("You have attempted to answer following question before and failed.", "(END PREVIOUS TRIAL)", "#######"),
    *("Below is the last trial you attempted to answer the question.", "------------- BEGIN CORRECT AGENTS"),
    *("Environment #0:", "Environment #1:\n", "Here is the task:\n", "STATUS: OK", "> go", ">", "Your task is to: x"),
    *("Task:", "Action:Think[{}]", "Assistant:\n<execute>\n", "</execute>", "-----------------\n1\n", "reset", "OK."),
    *(
        '{"page": "index", "url": "/x", "goal": {}}',
        '{"role": "User", "text": "Hi"}',
        "[",
        "]",
        "{",
        '["a"]',
        "F(a='1')",
    ),
    *("First Utterance: ", "API Calls:", "Key Info:", "\n", "\n", "\n\n", " ", "words", "é"),
)


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=150, deadline=None)
@given(text=st.lists(st.sampled_from(PARTS), max_size=24).map("".join))
def test_any_text_is_split_and_converted_or_dropped(name: str, text: str) -> None:
    source = SOURCES[name]
    try:
        records = list(source.split(text))
    except json.JSONDecodeError:  # of a source whose texts are JSON: the file is quarantined
        return
    for line, record in records:
        assert 1 <= line <= 1 + text.count("\n")
        if isinstance(record, str):  # what is wrong with one of several
            assert record
            continue
        try:
            made = source.convert(record, f"/data/log.txt:{line}")
        except (Drop, TrajectoryError):
            continue
        assert made


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_something_else_is_a_counted_loss_and_the_run_goes_on(name: str, tmp_path: Path) -> None:
    file = tmp_path / SOURCES[name].SOURCE.text_files[0].replace("*", "x")
    file.write_text("Nothing of the kind.\nIndeed.", encoding="utf-8")
    books = Accounting(name)
    assert list(load_source(name, file, books)) == []
    books.check()
    assert books.records_in == 1
    assert UNFORESEEN not in books.dropped


def test_a_split_that_fails_costs_the_rest_of_its_file(tmp_path: Path) -> None:
    def split(text: str):
        yield 1, {"text": text}
        raise KeyError("of all things")

    def drops(text: str):
        raise Drop("a text of two kinds", text[:3])
        yield

    (tmp_path / "a.txt").write_text("abc")
    first, loss = read_text(tmp_path / "a.txt", split)
    assert (first.value, loss.kind, loss.reason, loss.line) == ({"text": "abc"}, "dropped", UNFORESEEN, 1)
    (loss,) = read_text(tmp_path / "a.txt", drops)
    assert (loss.reason, loss.detail) == ("a text of two kinds", "abc")
    (loss,) = read_text(tmp_path / "a.txt", lambda text: iter(()))
    assert (loss.kind, loss.reason, loss.detail) == ("dropped", NO_RECORD, "it begins 'abc'")
