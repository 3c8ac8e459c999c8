"""The loop of our own: it learns, goes on where it stopped, and any number of processes makes the same steps."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from xlam_lib.errors import TrainingError
from xlam_lib.files import is_complete
from xlam_lib.models import checkpoint
from xlam_lib.seeds import DeviceSeed, init_device_seed
from xlam_lib.train import sft_lite as command_of_lite
from xlam_lib.train.loop import runner, sharding
from xlam_lib.train.loop.child import environment, run
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.mixture.interleave import interleave_data
from xlam_lib.train.mixture.mixture import Mixture
from xlam_lib.train.packing.packers import PaddedPacker, TriePacker
from xlam_lib.train.supervised import lite_trainer, sft_lite
from xlam_lib.train.supervised.lite_trainer import SFTFoundationTrainerLite, prepare_accelerator


@pytest.fixture(scope="module")
def settings(base, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("lite") / "out"
    return sft_lite.LiteSettings(
        base=str(base), data=(str(data),), out=str(out), epochs=1.4, lr=5e-3, processes=1, precision="float32",
        row_tokens=2000, log_every=1, save_every=3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(settings):
    return sft_lite.train(settings)


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def test_it_learns_and_leaves_a_whole_checkpoint(trained, settings):
    assert is_complete(trained) and not Path(settings.out + ".partial").exists()
    steps, losses = curve(read_log(trained), "loss")
    assert steps == list(range(1, 12)) and losses[-1] < losses[0] - 0.5
    assert {"lr", "tokens", "grad_norm", "seconds", "read", "padding"} <= set(read_log(trained)[0])
    info = json.loads((trained / "COMPLETE").read_text())
    assert info["steps"] == 11 and info["mixture"][0]["draws"] == 60
    assert checkpoint.load_tokenizer(trained).chat_template.startswith("{%- set before")
    before = (trained / "model.safetensors").stat().st_mtime_ns
    assert sft_lite.train(settings) == trained and (trained / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("samples", "sizes"), [(5, [5]), (16, [8, 8]), (25, [8, 8, 8, 1]), (60, [8] * 7 + [4]), (70, [8] * 7 + [4, 8, 2])]
)
def test_so_many_samples_are_drawn(settings, samples, sizes):
    mixture, _ = sft_lite._mixture(settings, checkpoint.load_tokenizer(settings.base))
    given = replace(settings, samples=samples)
    trainer = SFTFoundationTrainerLite(given, prepare_accelerator(given), mixture)
    assert trainer.steps == len(sizes) and [len(groups) for groups in trainer._batches(0)] == sizes
    mixture.set_epoch(0)


def test_samples_of_an_endless_mixture(settings):
    rows = [[{"input_ids": [5, 6], "labels": [5, 6]}]] * 3
    mixture = Mixture({"a": rows}, {"a": 1.0}, seed=DeviceSeed(0, rank=0, world=1), stop="never")
    given = replace(settings, samples=11)
    trainer = SFTFoundationTrainerLite(given, prepare_accelerator(given), mixture)
    assert [len(groups) for groups in trainer._batches(0)] == [8, 3]


@pytest.mark.parametrize("stop", [3, 5, 9])
def test_a_broken_off_run_ends_as_the_undisturbed_one(trained, settings, monkeypatch, stop):
    cut, original, made = replace(settings, out=f"{settings.out}-{stop}"), SFTFoundationTrainerLite._step, []

    def step(self, number, groups):
        made.append(number)
        if len(made) == stop + 1:
            raise KeyboardInterrupt
        return original(self, number, groups)

    monkeypatch.setattr(SFTFoundationTrainerLite, "_step", step)
    with pytest.raises(KeyboardInterrupt):
        sft_lite.train(cut)
    assert not Path(cut.out).exists()
    sft_lite.train(cut)
    assert made[stop + 1 :] == list(range(stop // 3 * 3 + 1, 12))
    assert weights(Path(cut.out)) == weights(trained)
    figures = [[(e["step"], e["loss"], e["tokens"]) for e in read_log(folder)] for folder in (trained, cut.out)]
    assert figures[0] == figures[1]


@pytest.mark.slow
def test_two_processes_make_the_steps_of_one(trained, settings, tmp_path):
    run("xlam_lib.train.sft_lite", asdict(replace(settings, out=str(tmp_path / "two"), processes=2)), tmp_path / "log")
    one, two = (read_log(folder) for folder in (trained, tmp_path / "two"))
    assert curve(one, "loss")[1] == pytest.approx(curve(two, "loss")[1], rel=1e-4)
    assert curve(one, "grad_norm")[1] == pytest.approx(curve(two, "grad_norm")[1], rel=1e-3)
    for name in ("tokens", "padding"):
        assert curve(one, name) == curve(two, name), "of all processes, not of the first"
    for alone, shared_out in zip(curve(one, "read")[1], curve(two, "read")[1], strict=True):
        assert alone <= shared_out < 1, "what trajectories have alike is read by both"


@pytest.mark.parametrize("collator", [TriePacker(500), PaddedPacker(DataCollatorForLanguageModeling(1), 3)])
def test_how_samples_are_packed_changes_nothing(trained, settings, base, data, collator):
    tokenizer = checkpoint.load_tokenizer(base)
    mixture, _ = sft_lite._mixture(settings, tokenizer)
    trainer = SFTFoundationTrainerLite(
        replace(settings, epochs=0.5), prepare_accelerator(settings), mixture, collator=collator
    )
    whole = SFTFoundationTrainerLite(replace(settings, epochs=0.5), prepare_accelerator(settings), mixture)
    samples = next(whole._batches(0))
    mixture.set_epoch(0)
    found = [trainer._step(1, samples), whole._step(1, samples)]
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-5)
    assert found[0]["grad_norm"] == pytest.approx(found[1]["grad_norm"], rel=1e-4)
    assert trainer.meter.counts[0] == whole.meter.counts[0] and whole.meter.counts[1] < whole.meter.counts[0]


def test_layers_computed_again_make_the_same_step(settings, base):
    found = []
    for again in (False, True):
        mixture, _ = sft_lite._mixture(settings, checkpoint.load_tokenizer(base))
        trainer = SFTFoundationTrainerLite(
            replace(settings, epochs=0.5, gradient_checkpointing=again), prepare_accelerator(settings), mixture
        )
        trainer.model.train()
        assert trainer.model.is_gradient_checkpointing == again
        step = trainer._step(1, next(trainer._batches(0)))
        found.append([step["loss"], step["grad_norm"]])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


PARTS = """
import atexit
import sys
from pathlib import Path

import torch.distributed

atexit.register(lambda: sys.stdout.write(f"in a group at the end: {torch.distributed.is_initialized()}\\n"))
from xlam_lib.models import checkpoint
from xlam_lib.train.supervised import sft_lite
from xlam_lib.train.mixture.grouped import trajectories
from xlam_lib.train.supervised.lite_trainer import SFTFoundationTrainerLite, prepare_accelerator
from xlam_lib.train.mixture.mixture import Mixture
from xlam_lib.seeds import init_device_seed

base, data, out, parts = sys.argv[1:]
settings = sft_lite.LiteSettings(base, (data,), out, lr=5e-3, precision="float32", log_every=1, epochs=0.5)
accelerator = prepare_accelerator(settings)
samples, _ = trajectories(data, checkpoint.load_tokenizer(base), sft_lite.STYLES["brief"], 1024)
seed = init_device_seed(3, accelerator) if parts == "own" else init_device_seed(3, rank=0, world=1)
trainer = SFTFoundationTrainerLite(settings, accelerator, Mixture({"demo": samples}, seed=seed))
Path(out).mkdir(exist_ok=True)
trainer.train(Path(out))
"""


@pytest.mark.slow
def test_processes_with_parts_of_their_own_train_on_all_of_them(settings, base, data, tmp_path):
    (tmp_path / "parts.py").write_text(PARTS)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=0", "--standalone"]
    for parts in ("own", "whole"):
        given = [str(tmp_path / "parts.py"), str(base), str(data), str(tmp_path / parts), parts]
        surrounded = {**environment(), "OMP_NUM_THREADS": "1"}
        done = subprocess.run([*torchrun, *given], env=surrounded, check=True, stdout=subprocess.PIPE, text=True)
        assert done.stdout.count("in a group at the end: False") == 2, "else gloo's threads may abort a process"
    own, whole = (read_log(tmp_path / parts) for parts in ("own", "whole"))
    assert len(own) == len(whole) == 4
    tokens, losses = curve(own, "tokens")[1], curve(own, "loss")[1]
    assert tokens[-1] == pytest.approx(curve(whole, "tokens")[1][-1], rel=0.2), "of both devices"
    assert losses[-1] < losses[0] and losses[0] == pytest.approx(curve(whole, "loss")[1][0], rel=0.1)


def test_the_first_version_of_fsdp_is_refused(settings, monkeypatch):
    monkeypatch.setattr(sharding.Accelerator, "distributed_type", sharding.DistributedType.FSDP)
    monkeypatch.setattr(sharding.Accelerator, "is_fsdp2", False)
    with pytest.raises(TrainingError, match="fsdp_version: 2"):
        prepare_accelerator(settings)


def test_rows_of_interleave_data_will_do(settings, base, data):
    from xlam_lib.codec import STYLES
    from xlam_lib.train.mixture.data_objects import TrajectoryData

    tokenizer = checkpoint.load_tokenizer(base)
    source = TrajectoryData(tokenizer, data, STYLES["brief"], name="demo")
    train_dataset, eval_dataset = interleave_data(
        data_objects=[source],
        sample_probs=[1.0],
        return_type="prompt_answer",
        seq_length=1024,
        seed=init_device_seed(42, rank=0, world=1),
    )
    accelerator = prepare_accelerator(settings)
    trainer = SFTFoundationTrainerLite(
        args=replace(settings, epochs=0.2), accelerator=accelerator, train_dataset=train_dataset,
        eval_dataset=eval_dataset,
    )  # fmt: skip
    before = [value.clone() for value in trainer.model.parameters()]
    trainer.train()
    assert eval_dataset is None
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_evaluation_is_the_mean_loss_of_its_labels(settings, base, tmp_path):
    mixture, _ = sft_lite._mixture(settings, checkpoint.load_tokenizer(base))
    held_out = [sample for _, sample in zip(range(11), mixture, strict=False)]
    trainer = SFTFoundationTrainerLite(replace(settings, epochs=0.5), prepare_accelerator(settings), mixture, held_out)
    model, rows = trainer.model.double(), [row for group in held_out for row in group]
    found, total, labels = trainer.evaluate(), 0.0, 0
    for row in rows:
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]])).loss.item()
        count = sum(label != -100 for label in row["labels"])
        total, labels = total + loss * count, labels + count
    assert found == pytest.approx(total / labels, rel=1e-4)
    trainer.model.float()
    trainer.train(tmp_path)
    entries = read_log(tmp_path)
    assert [entry["step"] for entry in entries if "eval_loss" in entry] == [3, 4]
    assert entries[-1]["eval_loss"] < found


def test_without_evaluation_samples_there_is_nothing_to_ask_for(settings, base):
    row = {"input_ids": [5, 6], "labels": [-100, 6]}
    with pytest.raises(TrainingError, match="no evaluation samples"):
        SFTFoundationTrainerLite(settings, prepare_accelerator(settings), [[row]] * 9).evaluate()


def test_a_part_for_other_devices_is_refused(settings, base):
    part, _ = sft_lite._mixture(settings, checkpoint.load_tokenizer(base))
    part.world = 2
    with pytest.raises(TrainingError, match="made for 2 devices, but there are 1"):
        SFTFoundationTrainerLite(settings, prepare_accelerator(settings), part)


def test_a_loss_that_is_not_finite_stops_the_run(settings, tmp_path):
    with pytest.raises((TrainingError, checkpoint.CheckpointError), match="the loss is .*Lower the lr|not finite"):
        sft_lite.train(replace(settings, out=str(tmp_path / "out"), lr=1e30))
    assert not (tmp_path / "out").exists()


def test_samples_without_a_label_are_an_error(settings, base):
    row = {"input_ids": [5, 6], "labels": [-100, -100]}
    trainer = SFTFoundationTrainerLite(settings, prepare_accelerator(settings), [[row]] * 9)
    with pytest.raises(TrainingError, match="none of 9 rows has a label, nothing would be trained"):
        trainer.train()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("learning_rate: 1", "unknown setting 'learning_rate'; known are base, data"),
        ("lr: high", "lr is 'high', expected a number"),
        ("data: 7", "data is 7, expected a list of text"),
        ("style: long", "style is 'long', expected one of brief, seed"),
        ("- 3", "expected `setting: value` lines, found list"),
        ("lr: 1e-3", "the following arguments are required: --base, --data, --out"),
    ],
)
def test_a_wrong_recipe_ends_in_one_line(tmp_path, capsys, lines, message):
    (tmp_path / "recipe.yaml").write_text(lines)
    with pytest.raises(SystemExit):
        command_of_lite.main([str(tmp_path / "recipe.yaml")])
    assert message in capsys.readouterr().err


def test_options_go_before_the_recipe(tmp_path, monkeypatch):
    (tmp_path / "recipe.yaml").write_text("base: b\ndata: [one.jsonl, two.jsonl]\nshares: [1, 2.5]\nlr: 5e-4\nout: o\n")
    found = []
    monkeypatch.setattr(command_of_lite, "command", lambda train, settings, *_: found.append(settings) or 0)
    assert command_of_lite.main([str(tmp_path / "recipe.yaml"), "--lr", "0.1", "--epochs", "2"]) == 0
    assert found == [sft_lite.LiteSettings("b", ("one.jsonl", "two.jsonl"), "o", shares=(1.0, 2.5), lr=0.1, epochs=2.0)]


def test_a_whole_run_of_other_data_is_not_taken_for_this_one(settings, trained, tmp_path, data):
    (tmp_path / "train.jsonl").write_text("".join(Path(data).read_text().splitlines(True)[:8]))
    other = replace(settings, data=(str(tmp_path / "train.jsonl"),))
    described = {name: value for name, value in runner.describe(other, base=other.base, data_0=other.data[0]).items()}
    described.pop("data")
    assert not runner.finished(trained, described, settings)
    assert lite_trainer.PLACE == "place.json"
