"""The yardstick of the conversion's speed: what the plain loop does, that repeated records are no repetitions."""

import json
from itertools import islice
from pathlib import Path

import pytest

from xlam_lib.data import speed
from xlam_lib.data.sources import xlam_fc_60k

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
    speed.plain_loop(path, tmp_path / "out")
    assert json.loads((tmp_path / "out").read_text()) == {"a": [{"b": {"c": 1}}], "d": "[no", "e": "x"}


def test_no_record_and_no_tool_comes_twice(rows):
    samples = speed.usable("xlam_fc_60k", rows)
    assert len(samples) == 2  # what doesn't convert is no sample
    made = [xlam_fc_60k.convert(json.loads(line), "")[0] for line in islice(speed.repeated(samples, 5), 6)]
    assert len({t.trajectory_id for t in made}) == len({t.steps[0].content for t in made}) == 6
    assert len({t.tools[0].description for t in made}) == len({json.dumps(t.tools[0].parameters) for t in made}) == 6
    assert made[0].tools[0].description == "5: Adds"


def test_three_times_and_their_shares(rows):
    found = speed.compare("xlam_fc_60k", rows, seconds=0.01, rounds=1)
    assert found["megabytes"] >= 1 and found["records"] > 1000
    assert found["convert_share"] == pytest.approx(found["plain_seconds"] / found["convert_seconds"], rel=0.1)
    assert found["unify_share"] > 0


@pytest.mark.slow
def test_datasets_makes_the_same_of_it(rows, tmp_path):
    found = speed.against_map("xlam_fc_60k", rows, 0.1, 2, tmp_path, rounds=1)
    assert found["unify_times_as_fast"] > 0
