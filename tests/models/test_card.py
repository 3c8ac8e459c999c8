"""The model card: what a training writes, and what the command adds."""

import json
from dataclasses import replace

import pytest

from xlam_lib.grading import grade
from xlam_lib.models import card
from xlam_lib.models.folders import digest
from xlam_lib.train.preference import dpo
from xlam_lib.train.preference.pairs import build, write_pairs
from xlam_lib.train.supervised import sft
from xlam_lib.trajectory import Source, write_jsonl


@pytest.fixture(scope="module")
def trained(base, trajectories, tmp_path_factory):
    """SFT on two sources, the second with a licence of its own."""
    folder = tmp_path_factory.mktemp("card")
    other = Source("other|set", "CC-BY-NC-4.0", url="https://example.org/other")
    write_jsonl(folder / "data.jsonl", [*trajectories[:20], *(replace(t, source=other) for t in trajectories[20:24])])
    given = dict(base=str(base), processes=1, precision="float32", samples=8)
    return sft.train(sft.SftSettings(data=str(folder / "data.jsonl"), out=str(folder / "sft"), **given))


def test_the_card_names_base_data_licences_and_settings(trained, base):
    text = (trained / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: transformers\n")
    assert f"`{base.name}` (digest `{digest(base)}`)" in text
    assert "| demo | CC0-1.0 | 20 |  |" in text
    assert "| other\\|set | CC-BY-NC-4.0 | 4 | https://example.org/other |" in text
    assert "| lr | 0.0005 |" in text and "| samples | 8 |" in text and "| lora_targets | [] |" in text
    assert "Scores" not in text and "Held-out" not in text


def test_the_data_of_the_base_is_handed_on_and_preferences_are_listed(trained, cases, tmp_path):
    write_pairs(tmp_path / "pairs.jsonl", build(grade(cases, [case.completion for case in cases]), held_out=0.3))
    out = str(tmp_path / "dpo")
    settings = dpo.DpoSettings(str(trained), str(tmp_path / "pairs.jsonl"), out, samples=8, processes=1, lora_rank=2)
    done = dpo.train(settings)
    text = (done / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: peft\n") and "LoRA adapter of rank 2 for `sft`" in text
    assert "| demo | CC0-1.0 | 20 |" in text and "CC-BY-NC-4.0" in text
    found = json.loads((done / "held_out.json").read_text())["all"]
    assert f"| all | {found['n']} | {found['accuracy']:.4g} |" in text


def test_scores_are_added_from_a_file(trained, tmp_path, capsys):
    scores = {"sft": {"seen_exact": 0.68642, "checks": ["no figure"], "done": True}, "total": 3}
    (tmp_path / "scorecard.json").write_text(json.dumps(scores))
    before = (trained / "README.md").read_text()
    assert card.main([str(trained), "--scores", str(tmp_path / "scorecard.json")]) == 0
    after = (trained / "README.md").read_text()
    assert after.startswith(before) and after.endswith("| sft.seen_exact | 0.6864 |\n| total | 3 |\n")
    assert "done" not in after and card.main([str(trained)]) == 0
    assert (trained / "README.md").read_text() == before


def test_what_is_no_training_is_named(base, trained, tmp_path, capsys):
    assert card.main([str(base)]) == 2
    assert "origin.json: can't be read" in capsys.readouterr().err
    (tmp_path / "s.json").write_text("[1]")
    assert card.main([str(trained), "--scores", str(tmp_path / "s.json")]) == 2
    assert "s.json: expected an object, found list" in capsys.readouterr().err
