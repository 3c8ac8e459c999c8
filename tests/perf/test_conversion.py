"""The yardstick of the conversion's speed: what the plain loop does, that repeated records are no repetitions."""

import gzip
import json
import shutil
from itertools import islice
from pathlib import Path

import pytest

from xlam_lib.data.golden import samples_dir
from xlam_lib.data.sources.calls import xlam_fc_60k
from xlam_lib.perf.conversion.against_map import against_map
from xlam_lib.perf.conversion.as_they_are import as_they_are
from xlam_lib.perf.conversion.changed import repeated, usable
from xlam_lib.perf.conversion.compare import compare
from xlam_lib.perf.conversion.plain import Form, form_of, plain_loop

TOOLS = [{"name": "add", "description": "Adds", "parameters": {"a": {"type": "int", "description": "first"}}}]
ROWS = [
    {"id": 7, "query": "Please add one to three", "tools": TOOLS, "answers": [{"name": "add", "arguments": {"a": 3}}]},
    {"id": 8, "query": "Is there nothing else to do now", "tools": TOOLS, "answers": []},
    {"id": 9, "query": "Broken but never mind", "tools": TOOLS, "answers": [{"name": "sub", "arguments": {}}]},
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    texts = [{key: json.dumps(v) if isinstance(v, list) else v for key, v in row.items()} for row in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in texts))
    return path


def test_the_plain_loop_parses_what_stands_in_texts(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"a": '[{"b": "{\\"c\\": 1}"}]', "d": "[no", "e": "x"}) + "\n")
    plain_loop([Form(str(path), lines=True)], tmp_path / "out")
    assert json.loads((tmp_path / "out").read_text()) == {"a": [{"b": {"c": 1}}], "d": "[no", "e": "x"}


def test_the_plain_loop_reads_files_of_every_form(tmp_path):
    forms = {"list.json": '[{"a": 1}, {"a": 2}]', "one.json": '{\n"a": 3}', "lines.json": '{"a": 4}\n\n{"a": 5}\n'}
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "zipped.jsonl.gz").write_bytes(gzip.compress(b'{"a": 6}\n{"a": 7}'))
    found = [form_of(tmp_path / name) for name in [*forms, "zipped.jsonl.gz"]]
    assert [(form.lines, form.zipped) for form in found] == [
        (False, False),
        (False, False),
        (True, False),
        (True, True),
    ]
    plain_loop(found, tmp_path / "out")
    assert [json.loads(line)["a"] for line in (tmp_path / "out").open()] == [1, 2, 3, 4, 5, 6, 7]
    (tmp_path / "log.txt").write_text("Observation: {\n")
    assert form_of(tmp_path / "log.txt") is None


def test_no_record_and_no_tool_comes_twice(rows):
    samples = usable("xlam_fc_60k", rows)
    assert len(samples) == 2  # what doesn't convert is no sample
    made = [xlam_fc_60k.convert(json.loads(line), "")[0] for line in islice(repeated(samples, 5), 6)]
    assert len({t.trajectory_id for t in made}) == len({t.steps[0].content for t in made}) == 6
    assert len({t.tools[0].description for t in made}) == len({json.dumps(t.tools[0].parameters) for t in made}) == 6
    assert made[0].tools[0].description == "5: Adds"


def test_three_times_and_their_shares(rows):
    found = compare("xlam_fc_60k", rows, seconds=0.01, rounds=1)
    assert found["megabytes"] >= 1 and found["records"] > 1000
    assert found["convert_share"] == pytest.approx(found["plain_seconds"] / found["convert_seconds"], rel=0.1)
    assert found["unify_share"] > 0


def test_files_as_they_are_and_the_sum_of_their_sources(rows, tmp_path):
    shutil.copytree(samples_dir("hermes") / "raw", tmp_path / "raw" / "hermes")
    (tmp_path / "raw" / "xlam_fc_60k").mkdir()
    (tmp_path / "raw" / "xlam_fc_60k" / "rows.json").write_text(json.dumps(list(map(json.loads, rows.open()))))
    (tmp_path / "raw" / "webshop_react_log").mkdir()
    (tmp_path / "raw" / "webshop_react_log" / "log.txt").write_text("no JSON")
    hermes, log, xlam, last = as_they_are(None, tmp_path / "raw", tmp_path, 0.02, rounds=1)
    assert (hermes["source"], xlam["files"], xlam["records"], xlam["trajectories"]) == ("hermes", 1, 3, 2)
    assert xlam["copies"] > 1 and hermes["copies"] > 1 and "left_out" in log
    assert last["sources"] == 2 and last["plain_ms"] == pytest.approx(
        hermes["plain_ms_a_copy"] + xlam["plain_ms_a_copy"], abs=0.1
    )
    assert last["convert_share"] == pytest.approx(last["plain_ms"] / last["convert_ms"], rel=0.2)


@pytest.mark.slow
def test_datasets_makes_the_same_of_it(rows, tmp_path):
    found = against_map("xlam_fc_60k", rows, 0.1, 2, tmp_path, rounds=1)
    assert found["unify_times_as_fast"] > 0
