"""What a run writes about itself, and that a second run from it gives the same weights, byte for byte."""

import importlib
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from xlam_lib.files import BusyError, NotOursError
from xlam_lib.grading import grade
from xlam_lib.models.folders import digest
from xlam_lib.train.loop import record, runner
from xlam_lib.train.preference import dpo
from xlam_lib.train.preference.pairs import build, write_pairs
from xlam_lib.train.supervised import sft, sft_lite


def main_of(module):
    """The command of a training: `main_of(sft)` is `xlam_lib.train.sft.main`."""
    return importlib.import_module(f"xlam_lib.train.{module.__name__.rpartition('.')[2]}").main


def lite_run(base, data, cases, folder):
    return sft_lite.LiteSettings(
        base=str(base),
        data=(str(data),),
        shares=(1.0,),
        out=str(folder / "out"),
        epochs=0.4,
        lr=5e-3,
        precision="float32",
        processes=1,
    )


def sft_run(base, data, cases, folder):
    return sft.SftSettings(
        base=str(base),
        data=(str(data),),
        out=str(folder / "out"),
        samples=24,
        seconds=1e6,
        lr=5e-3,
        precision="float32",
        processes=1,
    )


def dpo_run(base, data, cases, folder):
    path = folder / "pairs.jsonl"
    write_pairs(path, build(grade(cases, [case.completion for case in cases]), held_out=0.3))
    return dpo.DpoSettings(
        base=str(base), pairs=(str(path),), out=str(folder / "out"), samples=16, batch_size=8, lr=2e-4, processes=1
    )


@pytest.fixture(scope="module", params=[sft_lite, sft, dpo], ids=lambda module: module.__name__.rpartition(".")[2])
def done(request, base, data, cases, tmp_path_factory):
    """(module, settings, folder) of a finished run."""
    make = {sft_lite: lite_run, sft: sft_run, dpo: dpo_run}[request.param]
    settings = make(base, data, cases, tmp_path_factory.mktemp("record"))
    return request.param, settings, request.param.train(settings)


def test_a_second_run_from_its_file_gives_the_same_weights(done, tmp_path):
    module, _, out = done
    assert main_of(module)([str(out / record.CONFIG), "--out", str(tmp_path / "again")]) == 0
    for name in ("model.safetensors", record.CONFIG):
        first, second = ((folder / name).read_text("latin-1") for folder in (out, tmp_path / "again"))
        assert first.replace(str(out), str(tmp_path / "again")) == second
    ids = [json.loads((folder / record.RUN).read_text())["run_id"] for folder in (out, tmp_path / "again")]
    assert ids[0] == ids[1]


def test_its_file_leaves_the_run_itself_as_it_is(done):
    module, settings, out = done
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert main_of(module)([str(out / record.CONFIG)]) == 0 and module.train(settings) == out
    assert (out / "model.safetensors").stat().st_mtime_ns == before


def test_every_setting_has_the_value_that_held(done):
    _, settings, out = done
    found = yaml.safe_load((out / record.CONFIG).read_text())
    assert set(found) == set(asdict(settings)) and found["processes"] == 1
    assert found["precision"] == "float32" and found["lr"] == settings.lr
    if settings.__class__ is sft.SftSettings:
        assert found["samples"] == 24 and found["seconds"] == 0


def test_the_record_says_what_it_was_made_of(done):
    _, settings, out = done
    found = json.loads((out / record.RUN).read_text())
    assert found["settings"]["base_digest"] == digest(settings.base)
    assert set(found["code"]) == {"revision", "uncommitted", "library", "packages"}
    assert {"torch", "transformers", "trl", "peft", "accelerate"} <= set(found["code"]["packages"])
    assert found["machine"]["threads"] >= 1 and sum(source["draws"] for source in found["mixture"]) > 0
    assert found["command"].startswith("xlam_lib.train.")


CODE = {"revision": "1f", "uncommitted": False, "library": "9a", "packages": {"torch": "2"}}
DESCRIBED = {"lr": 1.0, "base_digest": "a", "save_every": 10}


@pytest.mark.parametrize(
    ("described", "code", "same"),
    [
        (DESCRIBED, CODE | {"revision": "2e", "uncommitted": True}, True),  # another commit with the same modules
        (DESCRIBED | {"save_every": 5}, CODE, True),
        (DESCRIBED | {"lr": 2.0}, CODE, False),
        (DESCRIBED | {"base_digest": "b"}, CODE, False),
        (DESCRIBED, CODE | {"library": "7c"}, False),
        (DESCRIBED, CODE | {"packages": {"torch": "3"}}, False),
    ],
)
def test_the_run_id_changes_with_what_decides_on_the_weights(described, code, same):
    assert (record.run_id(described, code) == record.run_id(DESCRIBED, CODE)) is same


def test_other_code_is_logged_and_kept_but_the_run_stands(tmp_path, monkeypatch, caplog):
    work = tmp_path / "out.partial"
    assert runner.prepare(work, {"lr": 1}, sft.SftSettings) is None
    (work / "checkpoint-4").mkdir()
    (work / "checkpoint-4" / "COMPLETE").write_text("{}")
    before = record.code()
    monkeypatch.setattr(record, "code", lambda: CODE)
    with caplog.at_level(logging.WARNING):
        last = runner.prepare(work, {"lr": 1}, sft.SftSettings)
    assert last == work / "checkpoint-4"
    found = record.read(work)
    assert found["code"] == CODE and found["code_before"] == [before]
    assert "going on with other code than the run began with" in caplog.text and "now 1f (library 9a)" in caplog.text
    (work / "COMPLETE").write_text("{}")
    monkeypatch.setattr(record, "code", lambda: before)
    kind = sft.SftSettings
    assert runner.finished(work, {"lr": 1}, kind) and not runner.finished(work, {"lr": 2}, kind)
    assert "is left as it is" in caplog.text


def test_auto_is_resolved(base, data, monkeypatch):
    settings = sft.SftSettings(base=str(base), data=str(data), out="x")
    assert (settings.precision, settings.processes) == ("auto", 0)
    for has_it, named in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(record.torch.cpu, "get_capabilities", lambda has_it=has_it: {"avx512_bf16": has_it})
        assert record.resolved(settings) == replace(settings, precision=named, processes=1)


def test_a_path_is_no_part_of_what_a_run_is(base, data, tmp_path):
    settings = sft.SftSettings(base=str(base), data=str(data), out="x")
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(Path(data).read_bytes())
    moved = replace(settings, data=str(copy), out="y")
    described = [runner.describe(one, base=one.base, data=one.data) for one in (settings, moved)]
    assert described[0] == described[1]


def test_two_trainings_do_not_work_in_one_folder(tmp_path):
    out = tmp_path / "out"
    with runner.working(out, {"lr": 1}, sft.SftSettings) as (work, last):
        assert last is None
        (work / "checkpoint-4").mkdir()
        busy = pytest.raises(BusyError, match="out.partial is being written by process")
        with busy, runner.working(out, {"lr": 2}, sft.SftSettings):
            raise AssertionError("the second begins")
        assert (work / "checkpoint-4").is_dir()  # the first goes on
    assert not work.exists()


@pytest.mark.parametrize("name", ["out", "out.partial"])
def test_what_no_training_made_is_left_alone(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("ten years")
    (tmp_path / name / "checkpoint-1").mkdir()
    with pytest.raises(NotOursError, match=name):
        assert not runner.finished(tmp_path / "out", {"lr": 1}, sft.SftSettings)
        with runner.working(tmp_path / "out", {"lr": 1}, sft.SftSettings):
            raise AssertionError("it begins")
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["checkpoint-1", "thesis.txt"]


def test_a_working_folder_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / runner.RUN).write_text("{}")
    (tmp_path / "out.partial").symlink_to(tmp_path / "kept")
    with pytest.raises(NotOursError), runner.working(tmp_path / "out", {"lr": 1}, sft.SftSettings):
        raise AssertionError("it begins")
    assert (tmp_path / "kept" / runner.RUN).read_text() == "{}"
