"""The folder of the broad data: whole or not at all, nothing a benchmark asks in it, all of it accounted for."""

import json
import shutil
from pathlib import Path

import pytest

from xlam_lib.data.apigen.broad.__main__ import main
from xlam_lib.data.apigen.broad.build import build_broad
from xlam_lib.data.apigen.broad.catalogue import FOLDER, read_catalogue
from xlam_lib.data.apigen.broad.real import RealCount, benchmarks_in, real_samples
from xlam_lib.data.pipeline.contamination import Questions, benchmark_functions, user_text
from xlam_lib.files import is_complete
from xlam_lib.trajectory import read_jsonl


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """A file of questions as benchmarks have them, two of which the catalogue asks, too."""
    rows = [
        {
            "id": "q0",
            "question": "What is the wind chill for a wind speed of 30 km/h, please?",
            "function": [{"name": "wind"}],
        },
        {
            "id": "q1",
            "question": "Do you know whether it was sunny in Oslo?",
            "function": [{"name": "get_weather_forecast"}],
        },
        {"id": "q2", "question": "My parents got married there that day.", "function": {"name": "sun_times"}},
    ]
    path = tmp_path_factory.mktemp("bench") / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory, benchmark):
    out = tmp_path_factory.mktemp("broad") / "data"
    return build_broad(out, seed=1, train=1200, test=160, benchmarks=[str(benchmark)])


def test_the_files_hold_what_was_asked_for(built):
    books = json.loads(built["accounting"].read_text())
    assert is_complete(built["train"].parent)
    for name, size in (("train", 1200), ("test_seen", 160), ("test_unseen", 160)):
        found = list(read_jsonl(built[name]))
        assert len(found) == size == books["files"][name]["samples"]
        assert sum(books["files"][name]["kinds"].values()) == size


def test_what_a_benchmark_asks_is_left_out_and_counted_by_its_words(tmp_path, benchmark):
    """From the one file whose tools ask it, so that it is drawn for certain."""
    few = tmp_path / "domains"
    few.mkdir()
    shutil.copy(FOLDER / "weather_air.yaml", few)
    built = build_broad(tmp_path / "data", train=600, test=100, benchmarks=[str(benchmark)], catalogue=few)
    books = json.loads(built["accounting"].read_text())
    hits = books["files"]["train"]["decontaminated"]
    assert "q2: my parents got married there that day" in hits and hits["q2: my parents got married there that day"] > 0
    questions = Questions.of({"q2": ["My parents got married there that day."]})
    assert not any(questions.hit(user_text(one)) for name in ("train", "test_seen") for one in read_jsonl(built[name]))


def test_no_tool_has_the_name_of_a_benchmarks_function(built):
    books = json.loads(built["accounting"].read_text())
    assert books["catalogue"]["renamed"] == 2 and books["catalogue"]["left_out"] == 0
    names = {
        tool.name
        for name in ("train", "test_seen", "test_unseen")
        for one in read_jsonl(built[name])
        for tool in one.tools
    }
    assert not names & {"wind", "get_weather_forecast", "sun_times"}


def test_the_same_seed_gives_the_same_bytes(built, benchmark, tmp_path):
    again = build_broad(tmp_path / "again", seed=1, train=1200, test=160, benchmarks=[str(benchmark)])
    for name, path in built.items():
        assert again[name].read_bytes() == path.read_bytes()


def test_a_build_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("xlam_lib.data.apigen.broad.build.sources", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_broad(tmp_path / "out", train=8, test=8, benchmarks=[])
    assert not (tmp_path / "out").exists()


def test_the_command_builds_and_checks(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "out"), "--train", "16", "--test", "8", "--decontaminate"]) == 0
    assert json.loads(capsys.readouterr().out)["files"]["train"]["samples"] == 16
    assert main(["--check", "--show", "1"]) == 0
    assert f"{len(read_catalogue())} tools of" in capsys.readouterr().out
    (tmp_path / "bad.yaml").write_text("tools: 3")
    assert main(["--check", "--catalogue", str(tmp_path)]) == 2
    assert "error: bad.yaml: 'tools' has 3" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([])


def test_bfcl_names_its_functions():
    pytest.importorskip("bfcl_eval")
    names = benchmark_functions(["bfcl"])
    assert len(names) > 1000 and not any(not name for name in names)


def glaive(question: str, arguments: str = '{"city": "Oslo"}') -> dict:
    tool = {
        "name": "weather",
        "description": "Weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    turns = [
        {"from": "human", "value": question},
        {"from": "function_call", "value": f'{{"name": "weather", "arguments": {arguments}}}'},
        {"from": "observation", "value": '{"celsius": 4}'},
        {"from": "gpt", "value": "It is 4 degrees."},
    ]
    return {"conversations": turns, "tools": json.dumps([tool])}


def test_real_records_lend_what_no_benchmark_asks(tmp_path):
    asked = "Please tell me now how cold it is going to be in Oslo tonight"
    rows = [glaive("How cold is it in Oslo today?"), glaive(asked)]
    (tmp_path / "glaive").mkdir()
    (tmp_path / "glaive" / "glaive_toolcall_en_demo.json").write_text(json.dumps(rows))
    questions = Questions.of({"x": [f"{asked}, will you?"]})
    count = RealCount()
    kept = list(real_samples(tmp_path, questions, count))
    assert [user_text(one).strip() for one in kept] == ["How cold is it in Oslo today?"]
    books = count.to_dict()
    assert books["read"] == {"glaive": 2} and books["kept"] == {"glaive": 1}
    assert books["dropped"] == {"asked by a benchmark": 1} and books["licenses"] == {"Apache-2.0": 1}
    assert list(books["grams"]) == ["x: please tell me now how cold it is going to"]


def test_the_real_records_there_are(real_data: Path):
    """What is read is kept or dropped with a reason, and what is kept is sound."""
    count = RealCount()
    kept = list(real_samples(real_data, benchmarks_in(real_data, ["bfcl"]), count))
    assert len(kept) == count.kept.total() > 200
    assert count.kept.total() + count.dropped.total() >= count.read.total()
    for trajectory in kept:
        trajectory.validate()
        assert trajectory.tools
