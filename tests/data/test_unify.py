"""The command and the loop: whole output or none, skipped when done, nothing lost and nothing doubled."""

import dataclasses
import errno
import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlam_lib import files
from xlam_lib.data import convert
from xlam_lib.data import unify as module
from xlam_lib.data.accounting import UNFORESEEN, Accounting, Drop
from xlam_lib.data.convert import DUPLICATE, convert_records, raw_records, unpacked
from xlam_lib.data.golden import samples_dir
from xlam_lib.data.reading import Raw, ReadError, read_records
from xlam_lib.data.sources import SOURCES, load_source, native
from xlam_lib.data.unify import BOOKS, LOSSES, TRAJECTORIES, Options, main, unify
from xlam_lib.errors import TrajectoryError
from xlam_lib.trajectory import read_jsonl

RAW = samples_dir("xlam_fc_60k") / "raw"
ROWS = json.loads((RAW / "transcribed_rows.json").read_text(encoding="utf-8"))


def numbered(count: int) -> list[dict]:
    return [{**ROWS[i % 3], "id": i} for i in range(count)]


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def ids(folder: Path) -> list[str]:
    return [t.trajectory_id for t in read_jsonl(folder / TRAJECTORIES)]


@pytest.mark.parametrize("source", SOURCES)
def test_samples_become_a_folder(tmp_path: Path, source: str) -> None:
    accounting = unify(source, samples_dir(source) / "raw", tmp_path / "out")
    accounting.check()
    trajectories = list(read_jsonl(tmp_path / "out" / TRAJECTORIES))
    assert len(trajectories) == accounting.trajectories >= accounting.records_in > 0
    assert sum(len(t.steps) for t in trajectories) == accounting.steps
    assert len(set(ids(tmp_path / "out"))) == len(trajectories)
    assert all(t.source.name == source and t.source.license and t.source.url for t in trajectories)
    assert files.is_complete(tmp_path / "out")


def test_a_rerun_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = unify("xlam_fc_60k", RAW, tmp_path / "out")
    monkeypatch.setattr(module, "phases", lambda *_: pytest.fail("converted again"))
    assert unify("xlam_fc_60k", RAW, tmp_path / "out") == first


def test_changed_input_is_converted_again(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", numbered(3))
    unify("xlam_fc_60k", path, tmp_path / "out")
    write(path, numbered(5))
    assert unify("xlam_fc_60k", path, tmp_path / "out").trajectories == 5


def test_force_converts_again(tmp_path: Path) -> None:
    unify("xlam_fc_60k", RAW, tmp_path / "out")
    (tmp_path / "out" / TRAJECTORIES).write_text("")
    unify("xlam_fc_60k", RAW, tmp_path / "out", force=True)
    assert len(ids(tmp_path / "out")) == 6


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "final.tex").write_text("years of work")
    with pytest.raises(ReadError, match="thesis: exists, but was not made by this command"):
        unify("xlam_fc_60k", RAW, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "final.tex").read_text() == "years of work"
    unify("xlam_fc_60k", RAW, tmp_path / "out")
    with pytest.raises(ReadError, match="holds xlam_fc_60k from .*; give another --output"):
        unify("tau_bench", samples_dir("tau_bench") / "raw", tmp_path / "out")


def test_force_doesnt_replace_what_isnt_ours(tmp_path: Path) -> None:
    (tmp_path / "final.tex").write_text("years of work")
    with pytest.raises(ReadError, match="not made by this command"):
        unify("xlam_fc_60k", RAW, tmp_path, force=True)


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_sync", full_disk)
    with pytest.raises(OSError, match="the disk is full: .*out was not written"):
        unify("xlam_fc_60k", RAW, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_losses_are_written_down(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps(ROWS[0]), "{", json.dumps({**ROWS[1], "query": ""}), json.dumps(ROWS[2])]
    path.write_text("\n".join(lines), encoding="utf-8")
    accounting = unify("xlam_fc_60k", path, tmp_path / "out")
    assert (accounting.records_in, accounting.records_converted, accounting.quarantined) == (4, 2, 1)
    assert accounting.dropped == {"empty query": 1}
    losses = [json.loads(line) for line in (tmp_path / "out" / LOSSES).read_text(encoding="utf-8").splitlines()]
    assert [(loss["kind"], loss["line"], loss["file"]) for loss in losses] == [
        ("quarantined", 2, str(path)),
        ("dropped", 3, str(path)),
    ]
    books = json.loads((tmp_path / "out" / BOOKS).read_text(encoding="utf-8"))
    assert books["records_in"] == 4


def test_duplicates(tmp_path: Path) -> None:
    other = {**ROWS[1], "id": 0}
    path = write(tmp_path / "rows.jsonl", [ROWS[0], ROWS[0], other, other, {**ROWS[2], "id": 0}, ROWS[1]])
    accounting = unify("xlam_fc_60k", path, tmp_path / "out")
    assert accounting.dropped == {DUPLICATE: 2}
    assert ids(tmp_path / "out") == ["xlam_fc_60k/0", "xlam_fc_60k/0~2", "xlam_fc_60k/0~3", "xlam_fc_60k/1"]
    assert accounting.warnings["id given twice, renamed"] == 2


def test_many_records_of_one_id_are_named_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them, and each of their duplicates, costs the same, however many there are."""
    names, asked = convert.Names(), []
    digest = convert.small_digest
    monkeypatch.setattr(convert, "small_digest", lambda data: asked.append(1) or digest(data))
    records = [digest(str(number).encode()) for number in range(500)]
    assert [names.give(["x"], record) for record in records] == [["x"], *([f"x~{n}"] for n in range(2, 501))]
    for number, record in enumerate(records, start=1):
        with pytest.raises(Drop, match=f"x~{number}$" if number > 1 else "x$"):
            names.give(["x"], record)
    assert len(asked) < 8 * 1000
    assert names.give(["x~7", "x"], b"new") == ["x~7~2", "x~501"]


def test_duplicates_across_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        write(tmp_path / "in" / name, numbered(3))
    accounting = unify("xlam_fc_60k", tmp_path / "in", tmp_path / "out")
    assert (accounting.records_converted, accounting.dropped, accounting.files) == (3, {DUPLICATE: 3}, 2)


def test_a_schema_that_is_none_is_mended_and_counted(tmp_path: Path) -> None:
    tools = json.dumps([{"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "number of"}}}}])
    path = write(tmp_path / "rows.jsonl", [{**ROWS[0], "tools": tools, "answers": "[]"}, ROWS[1]])
    accounting = unify("xlam_fc_60k", path, tmp_path / "out")
    kind = "parameter type or keyword not understood"
    assert (accounting.records_converted, accounting.warnings) == (2, {kind: 1})
    assert "number of" in accounting.warned[kind]


def test_warnings_are_counted(tmp_path: Path) -> None:
    row = {**ROWS[0], "answers": '[{"name": "live_giveaways_by_type", "arguments": {"type": 3}}]'}
    path = write(tmp_path / "rows.jsonl", [row])
    accounting = unify("xlam_fc_60k", path, tmp_path / "out", options=Options(verify=False))
    assert accounting.warnings == {"argument against its schema": 1}
    assert "3 is not of type 'string'" in accounting.warned["argument against its schema"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", b"", "no record could be read; first: .*empty.jsonl: the file is empty"),
        ("none.json", b"[]", "1 file.s., but no record in them"),
        ("wide.json", json.dumps(ROWS).encode("utf-16"), "the file is UTF-16"),
        ("text.json", b"hello", "no record could be read; first: .*text.json:1: not JSON"),
    ],
)
def test_input_without_a_record_is_one_clear_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=message):
        unify("xlam_fc_60k", tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), zipped=st.booleans(), cut=st.integers(0, 400))
def test_faults_lose_and_double_nothing(tmp_path_factory, seed: int, zipped: bool, cut: int) -> None:
    """Good rows among bad lines, duplicates and wrong bytes, and the file cut somewhere."""
    folder = tmp_path_factory.mktemp("faults")
    rng = random.Random(seed)
    lines, good, bad = [], 0, 0
    for i in range(30):
        kind = rng.choice(["good", "good", "good", "half", "latin", "list", "twice", "blank"])
        line = json.dumps({**ROWS[i % 3], "id": i}).encode()
        good += kind in ("good", "twice")
        bad += kind in ("half", "latin", "list", "twice")
        lines += {
            "good": [line],
            "half": [line[: len(line) // 2]],
            "latin": [line.replace(b"id", b"\xe9d")],
            "list": [b"[%s]" % line],
            "twice": [line, line],
            "blank": [b"  "],
        }[kind]
    data = b"\n".join([*lines, json.dumps({**ROWS[0], "id": 99}).encode()[:cut]])
    path = folder / ("rows.jsonl.gz" if zipped else "rows.jsonl")
    path.write_bytes(gzip.compress(data) if zipped else data)
    accounting = unify("xlam_fc_60k", path, folder / "out")
    accounting.check()
    ending = min(cut, 1)
    assert accounting.records_in == good + bad + ending
    assert good <= accounting.records_converted <= good + ending
    assert len(set(ids(folder / "out"))) == len(ids(folder / "out")) == accounting.trajectories


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
MUTATIONS = st.lists(st.tuples(st.integers(0, 10**6), JSON), min_size=1, max_size=3)


@pytest.mark.parametrize("source", SOURCES)
@settings(max_examples=60, deadline=None)
@given(mutations=MUTATIONS)
def test_damaged_records_are_converted_or_accounted(source: str, mutations: list) -> None:
    """Any value anywhere in a real record may be replaced by anything: no exception but the two that are accounted."""
    files = sorted(path for path in (samples_dir(source) / "raw").rglob("*") if path.is_file())
    records = [raw.value for raw in raw_records(SOURCES[source], files[mutations[0][0] % len(files)])]
    record = records[mutations[0][0] % len(records)]
    for at, value in mutations:
        _replace(record, at, value)
    accounting = Accounting(source)
    list(convert_records(SOURCES[source].convert, [Raw(record, "x.json", 1)], accounting))
    accounting.check()
    assert UNFORESEEN not in accounting.dropped


@pytest.mark.parametrize("source", [name for name, module in SOURCES.items() if hasattr(module, "unpack")])
@settings(max_examples=60, deadline=None)
@given(mutations=MUTATIONS, anything=st.dictionaries(st.text(max_size=8), JSON))
def test_damaged_objects_are_taken_apart_or_left_whole(source: str, mutations: list, anything: dict) -> None:
    """Objects that hold several records, before they are taken apart: none vanishes, none is an exception."""
    files = sorted(path for path in (samples_dir(source) / "raw").rglob("*.json"))
    objects = [raw.value for raw in read_records(files[mutations[0][0] % len(files)])]
    record = objects[mutations[0][0] % len(objects)]
    for at, value in mutations:
        _replace(record, at, value)
    for value in (record, anything, {}):
        found = list(unpacked(SOURCES[source], [Raw(value, "x.json", 1)]))
        assert found and all(isinstance(one, Raw) and isinstance(one.value, dict) for one in found)


def test_a_record_that_no_one_foresaw_is_reported_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    def convert(record: dict, where: str) -> list:
        return [record["nested"]["key"]] if record["id"] == 2 else SOURCES["xlam_fc_60k"].convert(record, where)

    raws = [Raw({**ROWS[0], "id": i}, "x.jsonl", i) for i in (1, 2, 3)]
    accounting = Accounting("xlam_fc_60k")
    assert len(list(convert_records(convert, raws, accounting))) == 2
    accounting.check()
    (loss,) = accounting.losses
    assert (loss.where, loss.reason, loss.detail) == ("x.jsonl:2", UNFORESEEN, "KeyError: 'nested'")
    assert "Traceback" in caplog.text
    with pytest.raises(OSError):  # what no data provoke is nobody's loss
        list(convert_records(_full_disk, raws, Accounting("xlam_fc_60k")))


def _full_disk(record: dict, where: str) -> list:
    raise OSError(errno.ENOSPC, "the disk is full")


def _replace(record: dict, at: int, value: object) -> None:
    """Puts `value` at one of all places in the record, chosen by `at`."""
    places, todo = [], [record]
    while todo:
        holder = todo.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            places.append((holder, key))
            todo += [holder[key]] if isinstance(holder[key], dict | list) else []
    if places:
        holder, key = places[at % len(places)]
        holder[key] = value


@pytest.mark.parametrize("source", SOURCES)
@given(record=st.dictionaries(st.text(max_size=8), JSON))
def test_any_object_is_accounted(source: str, record: dict) -> None:
    with pytest.raises((Drop, TrajectoryError)):
        for t in SOURCES[source].convert(record, "x.json:1"):
            t.validate()


def test_load_source_streams_and_accounts(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [*numbered(4), {"id": 9}])
    accounting = Accounting("xlam_fc_60k")
    stream = load_source("xlam_fc_60k", path, accounting)
    assert next(stream).trajectory_id == "xlam_fc_60k/0"
    assert accounting.records_in == 1
    assert len(list(stream)) == 3
    assert accounting.dropped == {"no 'query'": 1}


def test_unknown_source_lists_the_known() -> None:
    with pytest.raises(
        ValueError,
        match=r"no source 'toolbank'; did you mean 'toolbench'\? There are .*tau_bench, .*toolbench, .*xlam_fc_60k",
    ):
        load_source("toolbank", ".")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--source", "xlam_fc_60k", "--input", str(RAW), "--output", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "source  xlam_fc_60k"
    assert lines[2].split()[:4] == ["converted", "6", "100.0", "%"]
    last = json.loads(lines[-1])
    assert {key: last[key] for key in ("records_in", "records_converted", "trajectories", "steps", "quarantined")} == {
        "records_in": 6,
        "records_converted": 6,
        "trajectories": 6,
        "steps": 12,
        "quarantined": 0,
    }
    assert last["dropped"] == {} and last["seconds"] > 0


def test_the_command_lists_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(SOURCES)
    assert ["tau_bench", "MIT"] in [line.split()[:2] for line in lines]
    assert len({line.index("http") for line in lines}) == 1  # the columns stand under one another
    assert any(line.split()[-2:-1] == ["Team-ACE/ToolACE"] for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--source", "xlam_fc_60k", "--input", "no/where", "--output", "out"],
            "error: no/where: no such file or folder",
        ),
        (["--source", "who", "--input", ".", "--output", "out"], "error: no source 'who'"),
    ],
)
def test_errors_of_the_command(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_the_command_wants_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--source", "xlam_fc_60k"])
    assert "--input, --output missing" in capsys.readouterr().err


def test_the_module_runs_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, xlam_lib.data.unify, xlam_lib.data.report; "
        "sys.exit(bool({'torch', 'vllm', 'pandas', 'jsonschema', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("source", [name for name, module in SOURCES.items() if hasattr(module, "native")])
def test_native_texts_come_back_from_what_unify_wrote(tmp_path: Path, source: str) -> None:
    """Repairs and ratings don't touch them."""
    folder = samples_dir(source) / "raw"
    unify(source, folder, tmp_path / "out")
    stored = {t.trajectory_id: t for t in read_jsonl(tmp_path / "out" / TRAJECTORIES)}
    converted = list(load_source(source, folder))
    assert converted and len(stored) == len(converted)
    for t in converted:
        assert native(stored[t.trajectory_id]) == SOURCES[source].native(t)


def test_native_texts_are_made_from_what_stood_there_before_repairs() -> None:
    rows = load_source("toolrl_rlla", samples_dir("toolrl_rlla") / "raw")
    first, call = next((t, call) for t in rows for step in t.steps for call in step.tool_calls if call.arguments)
    name, value = next(iter(call.arguments.items()))
    index = next(i for i, step in enumerate(first.steps) if call in step.tool_calls)
    changed = dataclasses.replace(call, arguments={**call.arguments, name: [value]})
    calls = tuple(changed if one is call else one for one in first.steps[index].tool_calls)
    steps = tuple(dataclasses.replace(s, tool_calls=calls) if i == index else s for i, s in enumerate(first.steps))
    number = first.steps[index].tool_calls.index(call)
    extra = {**first.extra, "repaired": {f"{index}.{number}": call.arguments}}
    assert native(dataclasses.replace(first, steps=steps, extra=extra)) == SOURCES["toolrl_rlla"].native(first)
    assert native(dataclasses.replace(first, steps=steps)) != SOURCES["toolrl_rlla"].native(first)
