import json
from dataclasses import replace
from pathlib import Path

import pytest

from xlam_lib.atomic import is_complete
from xlam_lib.train import checkpoint, dpo, loop
from xlam_lib.train.log import curve, read_log
from xlam_lib.train.pairs import build, write_pairs
from xlam_lib.train.score import judge


@pytest.fixture(scope="module")
def settings(base, cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dpo")
    write_pairs(folder / "pairs.jsonl", build(judge(cases, [case.completion for case in cases]), held_out=0.3))
    return dpo.DpoSettings(
        base=str(base),
        pairs=str(folder / "pairs.jsonl"),
        out=str(folder / "out"),
        lr=2e-4,
        sft_weight=0.0,
        samples=80,
        batch_size=8,
        processes=1,
        log_every=1,
        save_every=2,
    )


@pytest.fixture(scope="module")
def trained(settings):
    return dpo.train(settings)


def test_pairs_are_learnt_and_held_out_ones_measured(trained, settings):
    log = read_log(trained)
    assert curve(log, "loss")[1][0] == pytest.approx(0.6931, abs=1e-3)
    for key in ("rewards/margins", "rewards/accuracies", "rewards/chosen", "logps/rejected"):
        assert len(curve(log, key)[0]) == 10
    assert curve(log, "rewards/margins")[1][-1] > 0.02
    found = json.loads((trained / dpo.HELD_OUT).read_text())
    assert found["all"]["n"] == sum(group["n"] for name, group in found.items() if name != "all")
    assert found["all"]["accuracy"] > 0.6 and found["all"]["margin"] > 0
    assert set(found["all"]) == {"n", "accuracy", "margin", "likelier_before", "likelier"}


def test_the_run_leaves_a_whole_checkpoint(trained, settings):
    assert is_complete(trained) and not (trained.parent / "out.partial").exists()
    info = json.loads((trained / "COMPLETE").read_text())
    assert info["pairs"] == 80 and info["steps"] == 10 and info["left_out"] == 0
    assert checkpoint.load_tokenizer(trained).chat_template is None  # as the base's was


def test_a_broken_off_run_ends_as_the_undisturbed_one(trained, settings, monkeypatch):
    original, count = loop.FiniteLoss.training_step, []

    def step(self, *args, **kwargs):
        count.append(1)
        if len(count) == 4:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(loop.FiniteLoss, "training_step", step)
    cut = replace(settings, out=settings.out + "-cut")
    with pytest.raises(KeyboardInterrupt):
        dpo.train(cut)
    dpo.train(cut)
    assert len(count) == 4 + 8
    assert (trained.parent / "out-cut" / "model.safetensors").read_bytes() == (
        trained / "model.safetensors"
    ).read_bytes()
    assert json.loads((trained.parent / "out-cut" / dpo.HELD_OUT).read_text()) == json.loads(
        (trained / dpo.HELD_OUT).read_text()
    )


def test_an_sft_term_can_be_added(settings, tmp_path):
    out = dpo.train(replace(settings, out=str(tmp_path / "out"), samples=8, sft_weight=1.0))
    assert curve(read_log(out), "loss")[1][0] > 1


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_a_file_with_one_side_only_is_refused(settings, tmp_path, split):
    lines = [line for line in Path(settings.pairs).read_text().splitlines(True) if json.loads(line)["split"] != split]
    (tmp_path / "pairs.jsonl").write_text("".join(lines))
    with pytest.raises(loop.TrainingError, match=f"no {split} pairs"):
        dpo.train(replace(settings, pairs=str(tmp_path / "pairs.jsonl"), out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()
