"""Fields that no reader knows: found at every level that a source declares, kept, counted by name."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.data.accounting import NAMES, OTHERS, Accounting
from xlam_lib.data.convert import converter
from xlam_lib.data.fields import UNKNOWN_FIELDS, Fields, path_of
from xlam_lib.data.formats import SourceInfo
from xlam_lib.data.unify import unify
from xlam_lib.trajectory import Step, Trajectory, read_jsonl

PATHS = ("id", "messages[].role", "messages[].content", "info.*.name", "grid[][].x", "tools")


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"id": 1, "tools": [{"anything": 1}], "messages": [{"role": "user", "content": "Hi"}]}, {}),
        ({"resolved": False, "id": 1}, {"resolved": False}),
        ({"resolved": None, "messages": None, "info": None}, {}),  # null says nothing
        ({"resolved": ""}, {"resolved": ""}),
        ({"messages": [{"role": "user"}, {"role": "x", "seed": {"a": 7}}]}, {"messages[1].seed": {"a": 7}}),
        ({"info": {"a": {"name": 1, "size": 2}, "b": 3}}, {"info.a.size": 2}),
        ({"grid": [[{"x": 1}], [{"x": 1, "y": 2}]]}, {"grid[1][0].y": 2}),
        ({"messages": {"role": "user", "seed": 7}}, {}),  # not the shape declared: the converter says what it is
        ({"messages": "[]"}, {}),
    ],
)
def test_what_a_record_has_besides(record: dict, found: dict) -> None:
    assert Fields.of(PATHS).unknown(record) == found


def test_a_key_that_is_named_is_not_among_every_key() -> None:
    known = Fields.of(["*.name", "meta"])
    assert known.unknown({"a": {"name": 1, "b": 2}, "meta": {"b": 3}}) == {"a.b": 2}


def test_what_is_left_out_is_known_and_closes_no_level_that_is_taken_as_a_whole() -> None:
    known = Fields.of(["info", "messages[].content", "x.*"], ["info.ids", "messages[].role", "meta.seed", "x.y.z"])
    whole = {"info": {"ids": 1, "b": 2}, "messages": [{"content": 1, "role": 2}], "x": {"y": {"z": 1, "a": 2}}}
    assert known.unknown(whole) == {}
    assert known.unknown({"messages": [{"name": 1}], "meta": {"seed": 1, "b": 2}}) == {
        "messages[0].name": 1,
        "meta.b": 2,
    }


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_value_is_walked_and_found_whole(value: object) -> None:
    found = Fields.of(PATHS).unknown({"messages": [{"other": value}], "new": value})
    assert found == ({} if value is None else {"messages[0].other": value, "new": value})


def test_the_path_of_a_place() -> None:
    assert path_of("messages[3].calls[10].x") == "messages[].calls[].x"


def _source(**more: object) -> SimpleNamespace:
    info = SourceInfo("demo", "CC0-1.0", "https://example.org", ("*.json",), **more)

    def convert(record: dict, where: str) -> list[Trajectory]:
        made = Trajectory("demo/1", info.source("1"), steps=(Step("user", record["ask"]),), extra={"a": 1})
        return [made, made]

    return SimpleNamespace(SOURCE=info, convert=convert)


def test_the_first_trajectory_of_a_record_keeps_them() -> None:
    source = _source(fields=("ask",), left_out={"vector": "numbers"})
    first, second = converter(source)({"ask": "Hi", "vector": [1.0], "score": 3}, "x.json:1")
    assert first.extra == {"a": 1, UNKNOWN_FIELDS: {"score": 3}}
    assert second.extra == {"a": 1}
    assert converter(source)({"ask": "Hi"}, "")[0].extra == {"a": 1}


def test_a_source_without_a_declaration_counts_none() -> None:
    assert converter(_source())({"ask": "Hi", "score": 3}, "")[0].extra == {"a": 1}


@pytest.mark.parametrize("workers", [1, 2])
def test_counted_by_name_in_the_books(tmp_path: Path, workers: int) -> None:
    row = {"id": 1, "query": "How is Oslo?", "tools": "[]", "answers": "[]"}
    rows = [row | {"id": i, "difficulty": "hard" if i else None, f"key{i}": i} for i in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    books = unify("xlam_fc_60k", tmp_path / "rows.jsonl", tmp_path / "out", workers=workers)
    expected = {"unknown field 'difficulty'": 2, **{f"unknown field 'key{i}'": 1 for i in range(3)}}
    assert {kind: n for kind, n in books.warnings.items() if kind.startswith("unknown")} == expected
    assert books.warned["unknown field 'difficulty'"] == "xlam_fc_60k/1: difficulty: hard"
    assert re.search(r"warnings +2 +unknown field .difficulty.", books.table())
    kept = [t.extra[UNKNOWN_FIELDS] for t in read_jsonl(tmp_path / "out" / "trajectories.jsonl")]
    assert kept == [{"key0": 0}, {"difficulty": "hard", "key1": 1}, {"difficulty": "hard", "key2": 2}]


def test_keys_that_are_ids_leave_the_table_readable() -> None:
    books, other = Accounting("demo"), Accounting("demo")
    for number in range(NAMES + 5):
        books.warn(f"unknown field 'id{number}'", "x")
        other.warn(f"unknown field 'of another shard {number}'", "y")
    books.warn("arguments repaired", "x/1")
    books.warn("unknown field 'id0'", "again")
    assert len(books.warnings) == NAMES + 2
    assert (books.warnings[OTHERS], books.warnings["unknown field 'id0'"]) == (5, 2)
    books.add(other)
    assert len(books.warnings) == NAMES + 2
    assert books.warnings[OTHERS] == 5 + NAMES + 5
    assert sum(books.warnings.values()) == 2 * (NAMES + 5) + 2
