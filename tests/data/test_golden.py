"""Raw sample -> unified -> prompt is what the repository says it is, and the samples are real."""

import json
from pathlib import Path

import pytest

from xlam_lib.data.golden import PROMPTS, UNIFIED, differences, golden, main, samples_dir, take_samples
from xlam_lib.data.sources import SOURCES
from xlam_lib.trajectory import read_jsonl


@pytest.mark.parametrize("source", SOURCES)
def test_golden(source: str) -> None:
    for name, text in golden(source).items():
        committed = (samples_dir(source) / name).read_text(encoding="utf-8")
        assert text == committed, f"{source}/{name} changed: run python -m xlam_lib.data.golden and read the diff"


@pytest.mark.parametrize("source", SOURCES)
def test_unified_samples_validate_and_prompts_stand_beside_them(source: str) -> None:
    trajectories = list(read_jsonl(samples_dir(source) / UNIFIED))
    prompts = (samples_dir(source) / PROMPTS).read_text(encoding="utf-8")
    assert len(trajectories) >= 3
    for t in trajectories:
        t.validate("warning")
        assert f"##### {t.trajectory_id}, step " in prompts


def test_the_command_says_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    assert differences() == []
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_samples_are_unchanged_records(real_data: Path, tmp_path: Path) -> None:
    for made in take_samples(real_data, tmp_path):
        committed = samples_dir() / made.relative_to(tmp_path)
        assert made.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")


def test_every_source_has_samples_with_a_licence_noted() -> None:
    readme = (samples_dir() / "README.md").read_text(encoding="utf-8")
    for name, module in SOURCES.items():
        assert f"| `{name}` |" in readme and module.SOURCE.license in readme


def test_samples_hold_no_paths_of_a_machine() -> None:
    for path in samples_dir().rglob("*.json*"):
        text = path.read_text(encoding="utf-8")
        assert "/home/" not in text and str(Path.home()) not in text, path
        if path.suffix == ".json":
            json.loads(text)
