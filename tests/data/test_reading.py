"""Files of every shape are read, and every fault costs as little as it must and says where it is."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib.data import streams
from xlam_lib.data.accounting import Loss
from xlam_lib.data.reading import Raw, ReadError, data_files, read_records

ROWS = [{"id": i, "text": f"Zeile {i} \u00e4\u4f60\U0001f600"} for i in range(5)]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(path: Path) -> tuple[list[dict], list[Loss]]:
    found = list(read_records(path))
    return [r.value for r in found if isinstance(r, Raw)], [r for r in found if isinstance(r, Loss)]


def write(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    data = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def lines(rows: list) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.jsonl", lines(ROWS)),
        ("rows.jsonl", lines(ROWS).rstrip("\n")),
        ("rows.jsonl", lines(ROWS).replace("\n", "\r\n\r\n")),
        ("lines.json", lines(ROWS)),
        ("compact.json", json.dumps(ROWS, separators=(",", ":"))),
        ("pretty.json", "\n " + json.dumps(ROWS, indent=2, ensure_ascii=False) + "\n"),
        ("list.jsonl", json.dumps(ROWS)),
        ("marked.json", "\ufeff" + json.dumps(ROWS)),
        ("marked.jsonl", "\ufeff" + lines(ROWS)),
    ],
)
def test_shapes(tmp_path: Path, name: str, text: str, zipped: str) -> None:
    assert read(write(tmp_path, name + zipped, text)) == (ROWS, [])


@pytest.mark.parametrize("text", [json.dumps(ROWS[0]), json.dumps(ROWS[0], indent=2), f"\n\n{json.dumps(ROWS[0])}\n"])
def test_one_object_a_file(tmp_path: Path, text: str) -> None:
    assert read(write(tmp_path, "tree.json", text)) == ([ROWS[0]], [])


def test_an_empty_list_has_no_records(tmp_path: Path) -> None:
    assert read(write(tmp_path, "rows.json", " [ ] \n")) == ([], [])


def test_where_is_the_line_the_record_begins_on(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.json", '[\n  {"a": 1},\n  {\n    "a": 2\n  },\n\n  {"a": 3}\n]')
    assert [r.where for r in read_records(path)] == [f"{path}:2", f"{path}:3", f"{path}:7"]
    path = write(tmp_path, "rows.jsonl", '{"a": 1}\n\n{"a": 2}\n')
    assert [r.line for r in read_records(path)] == [1, 3]


def test_a_bad_line_costs_that_line(tmp_path: Path) -> None:
    good = json.dumps(ROWS[0])
    path = write(tmp_path, "rows.jsonl", f'{good}\nnot json\n{good}\n[1, 2]\n{{"x": NaN}}\n{good}\n')
    rows, losses = read(path)
    assert rows == [ROWS[0]] * 3
    assert [(loss.line, loss.kind, loss.file) for loss in losses] == [(n, "quarantined", str(path)) for n in (2, 4, 5)]
    assert losses[0].reason.startswith("not JSON: Expecting value: line 1 column 1")
    assert losses[1].reason == "a record must be a JSON object, found list"
    assert losses[2].reason == "NaN is not JSON"


def test_a_cut_last_line_says_so(tmp_path: Path) -> None:
    rows, losses = read(write(tmp_path, "rows.jsonl", lines(ROWS)[:-20]))
    assert rows == ROWS[:-1]
    assert losses[0].line == 5
    assert "the file ends within this line" in losses[0].reason


def test_mixed_encodings_cost_the_bad_line(tmp_path: Path) -> None:
    data = lines(ROWS[:1]).encode() + '{"name": "Zoë"}\n'.encode("latin-1") + lines(ROWS[1:]).encode()
    rows, losses = read(write(tmp_path, "rows.jsonl", data))
    assert rows == ROWS
    assert losses[0].line == 2
    assert losses[0].reason == "not UTF-8: byte 0xeb at position 13 of the record (Latin-1 or Windows-1252 text?)"


def test_mixed_encodings_cost_the_bad_element_of_a_list(tmp_path: Path) -> None:
    items = [json.dumps(ROWS[0], ensure_ascii=False).encode(), '{"name": "Zoë"}'.encode("latin-1"), b'{"a": "\\udc80"}']
    rows, losses = read(write(tmp_path, "rows.json", b"[\n" + b",\n".join(items) + b"\n]"))
    assert rows == [ROWS[0], {"a": "\udc80"}]
    assert [(loss.line, loss.reason[:20]) for loss in losses] == [(3, "not UTF-8: byte 0xeb")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-16-be"])
def test_wide_encodings_are_named(tmp_path: Path, encoding: str) -> None:
    rows, losses = read(write(tmp_path, "rows.json", json.dumps(ROWS).encode(encoding)))
    assert rows == []
    assert (len(losses), losses[0].line) == (1, 0)
    assert "UTF-" in losses[0].reason and "expected UTF-8" in losses[0].reason


@pytest.mark.parametrize("data", [b"", b"  \n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_one_entry(tmp_path: Path, data: bytes) -> None:
    rows, losses = read(write(tmp_path, "rows.jsonl", data))
    assert rows == []
    assert [(loss.line, loss.reason) for loss in losses] == [(0, "the file is empty")]


@pytest.mark.parametrize("keep", range(0, 200, 9))
def test_a_cut_list_keeps_what_came_whole(tmp_path: Path, keep: int) -> None:
    text = json.dumps(ROWS, indent=1)
    rows, losses = read(write(tmp_path, "rows.json", text[:keep]))
    assert rows == ROWS[: len(rows)]
    assert len(losses) == 1


@pytest.mark.parametrize(
    ("text", "whole", "reason"),
    [
        ('[{"a": 1}, {"a": }, {"a": 3}]', 2, "not JSON: Expecting value at character 7 of the element"),
        ('[{"a": 1}, {"a": [}, {"a": 3}]', 1, "can't be told apart"),
        ('[{"a": 1} {"a": 2}]', 1, "expected ',' or ']'"),
        ('[{"a": 1}, {"a": 2},]', 2, "not JSON: Expecting value at character 1 of the element"),
        ('[{"a": 1}] {"a": 2}', 1, "behind the end of the list"),
        ('[{"a": 1}, 12, {"a": 2}]', 2, "found int"),
        ('[{"a": Infinity}, {"a": 2}]', 1, "Infinity is not JSON"),
    ],
)
def test_broken_lists(tmp_path: Path, text: str, whole: int, reason: str) -> None:
    rows, losses = read(write(tmp_path, "rows.json", text))
    assert (len(rows), len(losses)) == (whole, 1)
    assert reason in losses[0].reason


def test_not_json_at_all(tmp_path: Path) -> None:
    rows, losses = read(write(tmp_path, "page.json", "<html>\n<p>404</p>\n</html>\n"))
    assert (rows, len(losses)) == ([], 1)


def test_nesting_beyond_the_parser_is_one_loss(tmp_path: Path) -> None:
    deep = '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"
    assert [len(part) for part in read(write(tmp_path, "rows.jsonl", f'{deep}\n{{"a": 1}}\n'))] == [1, 1]
    assert [len(part) for part in read(write(tmp_path, "rows.json", f'[{{"a": 1}}, {deep}]'))] == [1, 1]


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.json.gz"])
def test_a_cut_gzip_stream_keeps_what_came_whole(tmp_path: Path, name: str) -> None:
    rows = [{"id": i, "noise": hashlib.sha256(bytes([i % 256, i // 256])).hexdigest()} for i in range(5000)]
    path = write(tmp_path, name, lines(rows) if "jsonl" in name else json.dumps(rows))
    path.write_bytes(path.read_bytes()[:-2000])
    got, losses = read(path)
    assert 100 < len(got) < len(rows)
    assert got == rows[: len(got)]
    assert len(losses) == 1
    assert "gzip stream is broken here" in losses[0].reason


def test_a_damaged_gzip_stream(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.jsonl.gz", lines(ROWS))
    path.write_bytes(path.read_bytes()[:12] + b"\xff" * 30)
    got, losses = read(path)
    assert (got, len(losses)) == ([], 1)


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(gzip.compress(lines(ROWS).encode()))
    assert read(path) == (ROWS, [])


def in_chunks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Nothing is read whole, so lists are read element by element."""
    monkeypatch.setattr(streams, "CHUNK", size)
    monkeypatch.setattr(streams, "HEAD", 1)


@pytest.mark.parametrize("text", [lines(ROWS), json.dumps(ROWS), json.dumps(ROWS, indent=1, ensure_ascii=False)])
@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_chunks_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, chunk: int) -> None:
    in_chunks(monkeypatch, chunk)
    name = "rows.json" if text[0] == "[" else "rows.jsonl"
    assert read(write(tmp_path, name, text)) == (ROWS, [])


def test_a_huge_record_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_chunks(monkeypatch, 1000)
    rows = [{"a": 1}, {"text": "x" * 3_000_000}, {"a": 2}]
    assert read(write(tmp_path, "rows.json", json.dumps(rows))) == (rows, [])
    assert read(write(tmp_path, "rows.jsonl", lines(rows))) == (rows, [])


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=5),
    indent=st.none() | st.integers(0, 2),
    ascii_only=st.booleans(),
)
def test_whatever_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list, indent, ascii_only) -> None:
    folder = tmp_path_factory.mktemp("rows")
    try:
        text = json.dumps(rows, indent=indent, ensure_ascii=ascii_only)
        (folder / "rows.json").write_text(text, encoding="utf-8")
    except UnicodeEncodeError:
        return  # a lone surrogate, which no UTF-8 file can hold unescaped
    assert read(folder / "rows.json") == (rows, [])


PIECES = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\n",
    b"\\",
    b"\xff",
    b"NaN",
    b"0",
    b"\x01",
    b"\\u",
    b"\r\n",
    b'"z":1',
    b"",
]


@settings(max_examples=300, deadline=None)
@given(
    text=st.sampled_from(
        [
            b'[{"a": 1, "b": "\xc3\xa9\\n"},\n {"c": [1, 2.5e3, {"d": null}]}, 3, {"e": "x\\ud800"}\n]\n',
            b'\xef\xbb\xbf  [\n{"a": 1}\n,\n{"b": 1e999}]  \n',
            b" [ ]",
        ]
    ),
    changes=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 3), st.sampled_from(PIECES)), max_size=3),
)
def test_a_list_read_at_once_is_as_one_read_by_element(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    path = tmp_path_factory.mktemp("lists") / "rows.json"
    for at, cut, piece in changes:
        text = text[:at] + piece + text[at + cut :]
    path.write_bytes(text)
    at_once = repr(list(read_records(path)))
    with pytest.MonkeyPatch.context() as monkeypatch:
        in_chunks(monkeypatch, 1 << 20)
        assert repr(list(read_records(path))) == at_once


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=120) | st.text(alphabet='[]{}",:1e. \n\\utrue', max_size=60).map(str.encode),
    name=st.sampled_from(["a.json", "a.jsonl"]),
)
def test_no_bytes_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    path = tmp_path_factory.mktemp("noise") / name
    path.write_bytes(data)
    for found in read_records(path):
        assert isinstance(found, Raw | Loss)


def test_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.json", "a.jsonl.gz", "README.md", ".hidden.json", "deep/c.ndjson", "rows.json.bak"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    files, ignored = data_files(tmp_path)
    assert [f.relative_to(tmp_path).as_posix() for f in files] == ["a.jsonl.gz", "b.json", "deep/c.ndjson"]
    assert [f.name for f in ignored] == ["README.md", "rows.json.bak"]
    assert data_files(tmp_path / "README.md") == ([tmp_path / "README.md"], [])


def test_missing_input_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no/where: no such file or folder; give a .json, .jsonl, .ndjson or .traj"):
        data_files("no/where")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ReadError, match="holds no .json, .jsonl, .ndjson or .traj .* file, only 1 others"):
        data_files(tmp_path)
    with pytest.raises(ReadError, match="cannot be opened"):
        next(read_records(tmp_path / "gone.json"))
