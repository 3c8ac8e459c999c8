"""Settings that were renamed: their former names are read for one version, with a warning that names the new one."""

import json
import logging
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import yaml

from xlam_lib import settings
from xlam_lib.perf.throughput_settings import Settings as ThroughputSettings
from xlam_lib.train.loop import record, runner
from xlam_lib.train.preference import dpo
from xlam_lib.train.rl import grpo
from xlam_lib.train.supervised import sft, sft_lite

SFT = sft.SftSettings("b", ("d.jsonl",), "o")
FORMER = {
    sft.SftSettings: {"micro_batch": 4, "recompute": True, "end_token": "warn"},
    dpo.DpoSettings: {"micro_batch": 4, "recompute": True, "end_token": "warn"},
    sft_lite.LiteSettings: {"recompute": True, "end_token": "warn"},
    grpo.GrpoSettings: {"read_at_once": 4, "mask_cut": True},
    ThroughputSettings: {"recompute": True},
}


def required(kind) -> dict[str, str]:
    return {field.name: "x" for field in fields(kind) if field.name in ("base", "data", "pairs", "out")}


def read(kind, *argv):
    return settings.from_command_line(kind, argv, "a.command", "a test")


@pytest.mark.parametrize("kind", FORMER, ids=lambda kind: kind.__name__)
def test_former_names_of_a_file_and_of_options_mean_the_new_ones(kind, tmp_path, caplog):
    names = settings.renamed(kind)
    assert names.keys() == FORMER[kind].keys()
    new = {names[former]: value for former, value in FORMER[kind].items()}
    expected = read(kind, *settings.to_arguments(required(kind) | new))
    assert not caplog.text
    assert read(kind, *settings.to_arguments(required(kind) | FORMER[kind])) == expected
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(required(kind) | FORMER[kind]))
    assert read(kind, str(path)) == expected
    for former, name in names.items():
        for where in ("command line", str(path)):
            assert f"{where}: {former} is called {name} now; its former name is read for one version" in caplog.text
    assert len(caplog.records) == 2 * len(names)


@pytest.mark.parametrize("flag", ["--recompute", "--no-recompute"])
def test_an_option_goes_before_the_file_whatever_their_names(flag, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(required(sft.SftSettings) | {"gradient_checkpointing": flag != "--recompute"}))
    assert read(sft.SftSettings, str(path), flag).gradient_checkpointing is (flag == "--recompute")


@pytest.mark.parametrize("in_file", [True, False])
def test_both_names_at_once_are_an_error_of_one_line(in_file, tmp_path, capsys):
    both = {"recompute": True, "gradient_checkpointing": False}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(required(sft.SftSettings) | (both if in_file else {})))
    with pytest.raises(SystemExit):
        read(sft.SftSettings, str(path), *([] if in_file else settings.to_arguments(both)))
    last = capsys.readouterr().err.splitlines()[-1]
    assert "gradient_checkpointing and recompute, its former name, are both given: leave out recompute" in last


def test_former_names_are_not_in_the_help(capsys):
    with pytest.raises(SystemExit):
        read(sft.SftSettings, "--help")
    found = capsys.readouterr().out
    assert "--gradient-checkpointing" in found and "recompute" not in found and "--micro-batch" not in found


def former(values: dict) -> dict:
    """As the version before wrote them."""
    names = {name: old for old, name in settings.renamed(sft.SftSettings).items()}
    return {names.get(name, name): value for name, value in values.items()}


def test_the_configuration_of_an_earlier_run_gives_its_settings(tmp_path, caplog):
    made = replace(SFT, gradient_checkpointing=True, per_device_batch_size=2)
    values = yaml.safe_load(record.as_yaml(made, "xlam_lib.train.sft", "5e0c"))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(former(values)))
    assert "recompute: true" in path.read_text()
    assert read(sft.SftSettings, str(path)) == made
    assert "recompute is called gradient_checkpointing now" in caplog.text


@pytest.mark.parametrize("other", [False, True])
def test_a_run_of_the_version_before_goes_on(other, tmp_path, caplog):
    described = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(SFT).items()}
    work = tmp_path / "out.partial"
    runner.prepare(work, described, SFT)
    (work / "checkpoint-4").mkdir()
    (work / "checkpoint-4" / "COMPLETE").write_text("{}")
    saved = json.loads((work / "run.json").read_text())
    saved["settings"] = former(saved["settings"])
    assert "micro_batch" in saved["settings"]
    (work / "run.json").write_text(json.dumps(saved))
    now = described | {"gradient_checkpointing": other}
    with caplog.at_level(logging.WARNING):
        last = runner.prepare(work, now, SFT)
    assert last == (None if other else work / "checkpoint-4") and not caplog.text
    assert json.loads((work / "run.json").read_text())["settings"] == now, "written anew with the names of now"


def test_a_finished_run_of_the_version_before_is_left_as_it_is(tmp_path):
    described = {"lr": 1e-3, "gradient_checkpointing": True}
    out = Path(tmp_path / "out")
    out.mkdir()
    (out / "COMPLETE").write_text("{}")
    (out / "run.json").write_text('{"settings": {"lr": 0.001, "recompute": true}}')
    assert runner.finished(out, described, SFT)
    assert not runner.finished(out, described | {"gradient_checkpointing": False}, SFT)
