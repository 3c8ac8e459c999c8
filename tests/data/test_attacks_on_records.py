"""Records of strangers that were made to stop a run: each costs itself, in bounded time and memory, on a rerun, too."""

import gzip
import json
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xlam_lib.data import streams
from xlam_lib.data.accounting import UNFORESEEN, Drop, Loss
from xlam_lib.data.archives import read_zip
from xlam_lib.data.boundary import TOO_SLOW
from xlam_lib.data.formats.base import ZippedFile, as_reward
from xlam_lib.data.pipeline import shards
from xlam_lib.data.quality.repair import repaired
from xlam_lib.data.reading import Raw, read_lines, read_records, read_text
from xlam_lib.data.unify import LOSSES, TRAJECTORIES, Options, main, unify
from xlam_lib.json_schema import validator
from xlam_lib.trajectory import Tool, read_jsonl

MB = 1 << 20


def deep(depth: int, inner: object, key: str = "a") -> object:
    for _ in range(depth):
        inner = {"type": "object", "properties": {key: inner}} if key == "schema" else {key: inner}
    return inner


def chat(id: str, schema: object = None, arguments: object = None, **more: object) -> dict:
    """A conversation with a call of a tool with one parameter of this schema."""
    parameters = {"type": "object", "properties": {"x": {"type": "string"} if schema is None else schema}}
    function = {"name": "f", "arguments": json.dumps({"x": "y"} if arguments is None else arguments)}
    return {
        "id": id,
        "messages": [
            {"role": "user", "content": f"Do {id}, please."},
            {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": "1", "content": "done"},
            {"role": "assistant", "content": "It is done."},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": "Do it.", "parameters": parameters}}],
        **more,
    }


ATTACKS = {
    "multiple of a huge number": chat("a", {"type": "number", "multipleOf": 0.1}, {"x": 10**400}),
    "huge reward": chat("b", reward=10**400),
    "huge numbers": chat("c", {"type": "integer", "maximum": 1e300}, {"x": [10**400, -(10**4000)]}),
    "deep schema": chat("d", deep(150, {"type": "string"}, "schema")),
    "deep arguments": chat("e", {"type": "object"}, {"x": deep(150, 1)}),
    "deep unknown field": chat("f", unheard_of=deep(400, 1)),
    "deep result": chat("g", metadata=deep(90, 1)),
    "hanging pattern": chat("h", {"type": "string", "pattern": "^(a+)+$"}, {"x": "a" * 60 + "b"}),
    "pattern that takes years": chat("i", {"type": "string", "pattern": "^(a|a)*$"}, {"x": "a" * 60 + "b"}),
    "pattern of names": chat("j", {"type": "object", "patternProperties": {"(a|a)*$": {}}}, {"x": {"a" * 70 + "b": 1}}),
    "huge pattern": chat("k", {"type": "string", "pattern": "((a{999}){999}){999}"}, {"x": "a"}),
    "no pattern": chat("l", {"type": "string", "pattern": "a{99999999999}"}, {"x": "a"}),
    "thousands of unique objects": chat(
        "m", {"type": "array", "uniqueItems": True}, {"x": [{"a": {"b": n}} for n in range(4000)]}
    ),
    "numbers as text": chat("n", {"type": "array", "items": {"type": "integer"}}, {"x": [str(n) for n in range(1500)]}),
    "references without end": chat("o", {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, {"x": {"x": 1}}),
    "references that double": chat(
        "p",
        {"$ref": "#/properties/x/$defs/30", "$defs": {"0": {"type": "string"}} | {
            str(n): {"allOf": [{"$ref": f"#/properties/x/$defs/{n - 1}"}] * 2} for n in range(1, 31)
        }},
    ),
    "digits without end": chat("q", {"type": "integer"}, {"x": "9" * 4000}),
    "infinity": chat("r", score=float("inf")),
}  # fmt: skip
GOOD = [chat(f"good {number}") for number in range(3)]


def lines(*records: dict) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_record_costs_itself_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    monkeypatch.setattr(validator, "SECONDS", 0.1)
    (tmp_path / "rows.jsonl").write_text(lines(GOOD[0], ATTACKS[attack], GOOD[1]))
    books = unify("openai_chat", tmp_path / "rows.jsonl", tmp_path / "out", options=Options(record_seconds=3))
    assert books.records_in == 3 and books.records_converted >= 2
    assert books.dropped.get(UNFORESEEN, 0) == 0
    found = list(read_jsonl(tmp_path / "out" / TRAJECTORIES))
    assert [t.source.raw_id for t in found if t.source.raw_id.startswith("good")] == ["good 0", "good 1"]
    for t in found:
        t.validate("warning")


def test_all_of_them_with_workers_and_on_a_rerun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", 20_000)
    quick = [record for name, record in ATTACKS.items() if "pattern" not in name and "double" not in name]
    (tmp_path / "rows.jsonl").write_text(lines(GOOD[0], *quick, *GOOD[1:]))
    options = Options(dedup="exact", parquet=True, split=(0.8, 0.1, 0.1))
    first = unify("openai_chat", tmp_path / "rows.jsonl", tmp_path / "first", options=options)
    again = unify("openai_chat", tmp_path / "rows.jsonl", tmp_path / "first", options=options)
    second = unify("openai_chat", tmp_path / "rows.jsonl", tmp_path / "second", workers=2, options=options)
    assert first.records_in == len(quick) + 3 and first.records_converted >= 3
    assert first.dropped == again.dropped == second.dropped
    for name in (TRAJECTORIES, LOSSES):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


@pytest.mark.parametrize("reward", [10**400, -(10**400), float("inf"), float("nan")])
def test_a_reward_beyond_all_numbers_is_named(reward: float) -> None:
    with pytest.raises(Drop, match="a reward beyond all numbers"):
        as_reward(reward)
    assert [as_reward(value) for value in (1, 0.5, True, "1", None, 10**300)] == [1.0, 0.5, None, None, None, 1e300]


def test_what_takes_too_long_is_booked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from xlam_lib.data.quality import verify

    def slow(t, policy):
        while t.source.raw_id == "slow":
            pass
        return t, []

    monkeypatch.setattr(verify, "verify", slow)
    (tmp_path / "rows.jsonl").write_text(lines(GOOD[0], chat("slow"), GOOD[1]))
    books = unify("openai_chat", tmp_path / "rows.jsonl", tmp_path / "out", options=Options(record_seconds=0.5))
    assert (books.records_converted, books.dropped) == (2, {TOO_SLOW: 1})


def test_the_command_survives_texts_that_cannot_be_printed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    spoilt = chat("\ud800", **{"\udfff": "\ud800", "unheard \ud800 of": {"\udcff": 1}})
    (tmp_path / "rows.jsonl").write_text(lines(GOOD[0], spoilt))
    assert main(["--source", "openai_chat", "--input", str(tmp_path), "--output", str(tmp_path / "out")]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["records_in"] == 2


@pytest.mark.parametrize("count", [1500, 20_000])
def test_many_numbers_as_text_are_repaired_together(count: int) -> None:
    tool = Tool("f", "", {"type": "object", "properties": {"x": {"type": "array", "items": {"type": "integer"}}}})
    made, notes = repaired(tool, {"x": [str(n) for n in range(count)]})
    assert made == {"x": list(range(count))}
    assert (len(notes), notes[0], notes[-1]) == (
        count,
        "x.0: '0' read as 0",
        f"x.{count - 1}: '{count - 1}' read as {count - 1}",
    )


def test_repairs_that_do_not_help_leave_the_others() -> None:
    whole = {"type": "integer", "maximum": 5}
    tool = Tool("f", "", {"type": "object", "properties": {"x": {"type": "array", "items": whole}}})
    made, notes = repaired(tool, {"x": ["3", "7", "4", "yes", 5.0]})
    assert made == {"x": [3, "7", 4, "yes", 5]}
    assert notes == ["x.0: '3' read as 3", "x.2: '4' read as 4", "x.4: 5.0 read as 5"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of a few kilobytes."""
    for module in ("streams", "reading", "tables", "archives"):
        for name, size in (("LONGEST", 4000), ("WHOLE", 20_000)):
            monkeypatch.setattr(f"xlam_lib.data.{module}.{name}", size, raising=False)
    monkeypatch.setattr(streams, "CHUNK", 1000)
    monkeypatch.setattr(streams, "HEAD", 2000)


def found(path: Path) -> list:
    return [
        record.value.get("a", record.value) if isinstance(record, Raw) else record.reason
        for record in read_records(path)
    ]


LONG = '{"a": "%s"}' % ("x" * 5000)
BAD = {  # an element of a list -> why it is lost
    LONG: streams.TOO_LONG,
    '{"a": }': "Expecting value",
    '{"a": "\x01"}': "Invalid control character",
    '{"a": "\\x"}': "Invalid \\escape",
    '{"a": NaN}': "NaN is not JSON",
    '{"a": 1' + "0" * 4500 + "}": "",
    '{"a": ' + "[" * 1500 + "]" * 1500 + "}": "maximum recursion depth",
    "{'a': \"],}\"}": "Expecting property name",
    '{"a": 1, "b": [1, 2}': "",
    '{"a": "x}': "",
    "nothing": "Expecting value",
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_in_a_list_a_bad_element_costs_itself(tmp_path: Path, small: None, bad: str, zipped: bool) -> None:
    path = tmp_path / ("rows.json.gz" if zipped else "rows.json")
    for between in (",\n", ",\n  "):
        data = ("[\n" + between.join(['{"a": 1}', bad, '{"a": 2}', bad, bad, '{"a": 3}']) + "\n]").encode()
        path.write_bytes(gzip.compress(data) if zipped else data)
        read = found(path)
        assert (len(read), read[0], read[2], read[5]) == (6, 1, 2, 3)
        assert all(isinstance(read[n], str) and BAD[bad] in read[n] for n in (1, 3, 4))


@pytest.mark.parametrize("bad", [bad for bad, why in BAD.items() if why], ids=range(sum(map(bool, BAD.values()))))
def test_also_where_all_stand_on_one_line(tmp_path: Path, small: None, bad: str) -> None:
    (tmp_path / "rows.json").write_text(f'[{bad},{{"a": 1}}, {bad} ,{{"a": 2}}]')
    assert [one for one in found(tmp_path / "rows.json") if isinstance(one, int)] == [1, 2]


def test_lines_within_elements_that_begin_alike_are_no_elements(tmp_path: Path, small: None) -> None:
    """Printed without indentation: behind a broken element nobody can tell a message from a record."""
    record = '{\n"a": [\n{"role": "user"},\n{"role": "tool"}\n]\n}'
    for broken in ('{\n"a": [\n{"role": "user},\n{"role": "tool"}\n]\n}', record.replace("]", "}")):
        (tmp_path / "rows.json").write_text("[\n" + ",\n".join([record, broken, record]) + "\n]")
        values = found(tmp_path / "rows.json")
        assert values[0] == [{"role": "user"}, {"role": "tool"}] and len(values) == 2
        assert "can't be told apart" in values[1]


def test_many_bad_elements_are_told_apart_in_time_that_grows_with_them(tmp_path: Path) -> None:
    for between in (",", ",\n"):
        (tmp_path / "rows.json").write_text("[" + between.join(['{"a": }'] * 20_000 + ['{"a": 1}']) + "]")
        assert Counter(map(type, found(tmp_path / "rows.json"))) == {str: 20_000, int: 1}


def test_a_long_line_costs_itself(tmp_path: Path, small: None) -> None:
    text = f'{{"a": 1}}\n{LONG}\n{{"a": 2}}\n{LONG}'
    (tmp_path / "rows.jsonl").write_text(text)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    expected = [1, streams.TOO_LONG, 2, streams.TOO_LONG]
    assert found(tmp_path / "rows.jsonl") == found(tmp_path / "rows.jsonl.gz") == expected
    parts = list(read_lines(tmp_path / "rows.jsonl", 0, len(text), 1))
    assert [getattr(part, "reason", 0) for part in parts] == [0, streams.TOO_LONG, 0, streams.TOO_LONG]
    assert [part.line for part in parts] == [1, 2, 3, 4]
    (part,), *_ = planned = shards.plan([tmp_path / "rows.jsonl"], size=100)
    assert len(planned) == 2 and part.start == 0


def test_a_large_file_that_is_held_as_a_whole_is_lost(tmp_path: Path, small: None) -> None:
    data = json.dumps({"a": "x" * 30_000}, indent=1).encode()
    for name, content in (("tree.json", data), ("tree.json.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        assert "MB" in found(tmp_path / name)[0]
        (loss,) = read_text(tmp_path / name, lambda text: iter([(1, {"text": text})]))
        assert isinstance(loss, Loss) and "larger than" in loss.reason


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_unpacks_to_much_costs_itself(tmp_path: Path, small: None, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "run.eval", "w", method) as archive:
        for name, value in (("a", 1), ("b", "x" * 30_000), ("c", 2)):
            archive.writestr(f"samples/{name}.json", json.dumps({"a": value}))
    one, two, three = read_zip(tmp_path / "run.eval", ZippedFile("*.eval", "samples/*.json", (), "samples"))
    assert (one.value, three.value) == ({"samples": [{"a": 1}]}, {"samples": [{"a": 2}]})
    assert "can't be unpacked (to more than" in two.reason


def test_rows_of_tables_are_bounded(tmp_path: Path, small: None) -> None:
    column = ["y", "x" * 5000, "z"]
    pq.write_table(pa.table({"a": column}), tmp_path / "rows.parquet", compression="zstd")
    assert found(tmp_path / "rows.parquet") == ["y", streams.TOO_LONG, "z"]
    bomb = pa.table({"a": ["y", "x" * 5_000_000]})
    pq.write_table(bomb, tmp_path / "bomb.parquet", compression="zstd")
    packed = pa.ipc.IpcWriteOptions(compression="zstd")
    for name, writer in (("file.arrow", pa.ipc.new_file), ("stream.arrow", pa.ipc.new_stream)):
        with pa.OSFile(str(tmp_path / name), "wb") as sink, writer(sink, bomb.schema, options=packed) as out:
            out.write_table(bomb)
    for name in ("bomb.parquet", "file.arrow", "stream.arrow"):
        assert "unpacks from" in found(tmp_path / name)[0]


def test_a_row_that_is_no_text_costs_itself(tmp_path: Path) -> None:
    offsets = pa.array([0, 1, 2, 3], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"a\xffb")])
    pq.write_table(pa.table({"a": broken}), tmp_path / "rows.parquet")
    one, two, three = found(tmp_path / "rows.parquet")
    assert (one, three) == ("a", "b") and "can't decode byte 0xff" in two


READ = """
import resource, sys
from xlam_lib.data.reading import read_records
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for record in read_records(sys.argv[1]):
    print(getattr(record, "reason", "read"))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    ("name", "head", "tail", "reasons"),
    [
        ("rows.jsonl.gz", b'{"a": 1}\n{"a": "', b'"}\n{"a": 2}\n', ["read", streams.TOO_LONG, "read"]),
        ("rows.json.gz", b'[{"a": 1}, {"a": "', b'"}, {"a": 2}]', ["read", streams.TOO_LONG, "read"]),
        ("tree.json.gz", b'{"a": "', b'"}', [f"an object of more than {streams.WHOLE // MB} MB"]),
    ],
)
def test_what_a_gzip_stream_unpacks_to_is_never_held(
    tmp_path: Path, name: str, head: bytes, tail: bytes, reasons: list[str]
) -> None:
    """150 kB become 150 MB."""
    with gzip.open(tmp_path / name, "wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(150):
            file.write(b"x" * MB)
        file.write(tail)
    command = [sys.executable, "-c", READ, str(tmp_path / name)]
    *read, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert read == reasons
    assert int(grown) < 280  # MB
