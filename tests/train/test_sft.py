import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import get_scheduler
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from xlam_lib.errors import TrainingError
from xlam_lib.files import is_complete
from xlam_lib.models import checkpoint, load
from xlam_lib.settings import to_arguments
from xlam_lib.train.loop import runner
from xlam_lib.train.loop.child import ChildError, environment, run
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.loop.sharding import check_launch
from xlam_lib.train.supervised import sft
from xlam_lib.train.supervised.trainer import SFTFoundationTrainer, arguments


@pytest.fixture(scope="module")
def settings(base, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("sft") / "out"
    return sft.SftSettings(
        base=str(base),
        data=str(data),
        out=str(out),
        samples=96,
        batch_size=8,
        lr=5e-3,
        processes=1,
        precision="float32",
        log_every=2,
        save_every=4,
    )


@pytest.fixture(scope="module")
def trained(settings):
    return sft.train(settings)


def weights(folder) -> dict[str, torch.Tensor]:
    return load.load_model(folder).state_dict()


def same(a, b) -> bool:
    a, b = weights(a), weights(b)
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_run_leaves_a_whole_checkpoint_with_its_log(trained, settings):
    assert is_complete(trained) and not Path(settings.out + ".partial").exists()
    steps, losses = curve(read_log(trained), "loss")
    assert steps == [2, 4, 6, 8, 10, 12] and losses[-1] < losses[0] - 0.5
    assert {"lr", "tokens", "accuracy", "grad_norm", "seconds"} <= set(read_log(trained)[0])
    info = json.loads((trained / "COMPLETE").read_text())
    assert info["samples"] == 96 and info["steps"] == 12 and info["left_out"] == {}
    assert checkpoint.load_tokenizer(trained).chat_template.startswith("{%- set before")
    assert (trained / "model.safetensors").is_file() and not list(trained.glob("*.bin"))


def test_the_learning_rate_warms_up_stays_and_falls(trained, settings):
    lr = dict(zip(*curve(read_log(trained), "lr"), strict=True))
    assert lr[2] == lr[4] == settings.lr and lr[12] < lr[10] < lr[8] < settings.lr


@pytest.mark.parametrize(
    ("decay", "rates"),
    [
        (0.0, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        (0.3, [0, 1, 1, 1, 1, 1, 1, 1, 2 / 3, 1 / 3]),
        (1.0, [0, 1, 8 / 9, 7 / 9, 6 / 9, 5 / 9, 4 / 9, 3 / 9, 2 / 9, 1 / 9]),
    ],
)
def test_the_learning_rate_falls_over_a_share_of_the_steps(settings, decay, rates, tmp_path):
    given = arguments(replace(settings, decay=decay), tmp_path, 10 * settings.batch_size)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    warmup, more = given.warmup_steps, given.lr_scheduler_kwargs
    scheduler = get_scheduler(given.lr_scheduler_type, optimizer, warmup, 10, scheduler_specific_kwargs=more)
    found = []
    for _ in rates:
        found += scheduler.get_last_lr()
        optimizer.step()
        scheduler.step()
    assert found == pytest.approx(rates)


def test_a_share_of_the_steps_beyond_all_of_them_is_refused(settings, tmp_path):
    with pytest.raises(TrainingError, match="decay is 1.5"):
        arguments(replace(settings, decay=1.5), tmp_path, 80)


def test_a_finished_run_is_left_as_it_is(trained, settings):
    before = (trained / "model.safetensors").stat().st_mtime_ns
    assert sft.train(settings) == trained
    assert (trained / "model.safetensors").stat().st_mtime_ns == before


def test_same_seed_same_bytes_another_seed_others(trained, settings):
    again = sft.train(replace(settings, out=settings.out + "-again"))
    assert (again / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    assert not same(trained, sft.train(replace(settings, out=settings.out + "-other", seed=1)))


def test_a_broken_off_run_goes_on_and_ends_as_the_undisturbed_one(trained, settings, monkeypatch):
    disturbed, original, steps = replace(settings, out=settings.out + "-cut"), runner.GuardedTrainer.training_step, []

    def step(self, *args, **kwargs):
        steps.append(self.state.global_step)
        if len(steps) == 8:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(runner.GuardedTrainer, "training_step", step)
    with pytest.raises(KeyboardInterrupt):
        sft.train(disturbed)
    work = Path(disturbed.out + ".partial")
    assert not Path(disturbed.out).exists() and is_complete(work / "checkpoint-4")
    (work / "checkpoint-6").mkdir()  # one that was cut off while it was written
    steps.extend(range(8))
    sft.train(disturbed)
    assert steps[16:] == list(range(4, 12))
    assert same(trained, disturbed.out)
    figures = [
        [(entry["step"], entry["loss"], entry["tokens"]) for entry in read_log(folder)]
        for folder in (trained, disturbed.out)
    ]
    assert figures[0] == figures[1]


def test_another_command_does_not_go_on_from_what_is_not_its_own(settings):
    work = Path(settings.out + "-mine.partial")
    (work / "checkpoint-4").mkdir(parents=True)
    (work / "checkpoint-4" / "COMPLETE").write_text("{}")
    (work / runner.RUN).write_text('{"lr": 1}')
    assert runner.prepare(work, {"lr": 2}, settings) is None and not (work / "checkpoint-4").exists()


def test_from_scratch_ignores_the_bases_weights(settings, base, tmp_path):
    out = sft.train(replace(settings, out=str(tmp_path / "out"), samples=8, lr=1e-9, from_scratch=True))
    assert same(out, out) and not torch.allclose(
        weights(out)["model.embed_tokens.weight"], weights(base)["model.embed_tokens.weight"], atol=1e-3
    )


def test_a_loss_that_is_not_finite_stops_the_run(settings, tmp_path):
    out = tmp_path / "out"
    with pytest.raises((runner.TrainingError, checkpoint.CheckpointError), match="(?s)finite|loss is (nan|inf).*--lr"):
        sft.train(replace(settings, out=str(out), lr=1e30))
    assert not out.exists()


def test_our_loss_on_answers_is_trls_loss(settings, tmp_path):
    tokenizer = checkpoint.load_tokenizer(settings.base)
    rows, _ = sft._rows(settings, tokenizer)
    times = Counter(row.trajectory_id for row in rows)
    rows = [row for row in rows if times[row.trajectory_id] > 1] + rows
    data = sft._for_tries(settings, rows[:16], 16)
    trainer = sft.SFTFoundationTrainer(settings, data, work=tmp_path)
    trainer.model.train()
    ours = next(iter(trainer.get_train_dataloader()))
    padded = DataCollatorForLanguageModeling(tokenizer.pad_token_id)(
        [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in data.select(range(8))]
    )
    assert ours["trie_tokens"].numel() < ours["row_tokens"].sum() == padded["attention_mask"].sum()
    found = []
    for batch in (ours, padded):
        trainer.model.zero_grad()
        value = trainer.compute_loss(trainer.model, dict(batch))
        value.backward()
        norm = torch.stack([p.grad.norm() for p in trainer.model.parameters()]).norm()
        found.append((value.item(), norm.item(), trainer._metrics["train"]["mean_token_accuracy"][-1]))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_time_limit_plans_fewer_samples_and_the_schedule_spans_them(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(sft, "_affordable", lambda settings, rows, model, samples: 40)
    out = sft.train(replace(settings, out=str(tmp_path / "out"), seconds=30.0))
    assert json.loads((out / "COMPLETE").read_text())["samples"] == 40
    steps, rates = curve(read_log(out), "lr")
    assert steps == [2, 4, 5] and rates[1] == settings.lr > rates[2]


def test_what_is_affordable_is_measured(settings):
    rows, _ = sft._rows(settings, checkpoint.load_tokenizer(settings.base))
    model = load.load_model(settings.base)
    assert sft._affordable(replace(settings, seconds=1e-6), rows, model, 96) == settings.batch_size
    assert sft._affordable(replace(settings, seconds=1e6), rows, model, 96) == 96


def test_data_without_anything_to_train_on_is_an_error(settings, tmp_path):
    with pytest.raises(runner.TrainingError, match="nothing to train on.*longer than max_length"):
        sft.train(replace(settings, out=str(tmp_path / "out"), max_length=5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": "nowhere"}, "nowhere: no such folder"),
        ({"data": "nothing.jsonl"}, "nothing.jsonl: no such file or folder"),
    ],
)
def test_what_is_missing_is_named(settings, tmp_path, change, message):
    with pytest.raises(checkpoint.CheckpointError, match=message):
        sft.train(replace(settings, out=str(tmp_path / "out"), **change))


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        (
            {"ACCELERATE_USE_DEEPSPEED": "true"},
            "weights in parts can't be saved by this training; launch with FSDP2 or DDP",
        ),
        ({"ACCELERATE_USE_FSDP": "true"}, "FSDP: the flat weights of its first version.*set fsdp_version: 2"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "FSDP: the flat weights of its first version"),
        ({"ACCELERATE_MIXED_PRECISION": "fp16"}, "mixed_precision: the launch says fp16.*make them agree"),
    ],
)
def test_launches_whose_weights_can_not_be_saved_are_refused(settings, data, tmp_path, monkeypatch, launch, message):
    for name, value in launch.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=message):
        sft.train(replace(settings, out=str(tmp_path / "out")))
    with pytest.raises(TrainingError, match=message):
        SFTFoundationTrainer(settings, None, work=tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "false")
    monkeypatch.setenv("FSDP_VERSION", "2")
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    check_launch(settings, gathers=True)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(TrainingError, match="can't be saved by this training; launch with DDP"):
        check_launch(settings)


def options(settings, **change):
    given = replace(settings, **change)
    return {name: getattr(given, name) for name in given.__dataclass_fields__}


@pytest.mark.slow
def test_two_processes_learn_as_one_does(trained, settings, tmp_path):
    shown = []
    out = tmp_path / "two"
    run("xlam_lib.train.sft", options(settings, out=str(out), processes=2), tmp_path / "two.txt", shown.append)
    assert shown[-1].startswith("step 12/12")
    one, two = (curve(read_log(folder), "loss") for folder in (trained, out))
    assert one[0] == two[0] and one[1] == pytest.approx(two[1], rel=1e-4)
    assert curve(read_log(out), "tokens") == curve(read_log(trained), "tokens")


@pytest.mark.slow
def test_an_error_in_a_child_is_one_line(settings, tmp_path):
    with pytest.raises(ChildError, match="xlam_lib.train.sft: .*nowhere: no such folder"):
        run("xlam_lib.train.sft", options(settings, base="nowhere", out=str(tmp_path / "o")), tmp_path / "log.txt")


@pytest.mark.slow
def test_killed_processes_leave_no_child_and_the_rerun_completes(trained, settings, tmp_path):
    out = tmp_path / "killed"
    given = options(settings, out=str(out), processes=2)
    command = [sys.executable, "-m", "xlam_lib.train.sft", *to_arguments(given)]
    child = subprocess.Popen(command, env=environment(), start_new_session=True)
    log = Path(str(out) + ".partial") / "log.jsonl"
    for _ in range(1200):
        if log.is_file() and len(read_log(log)) >= 2 or child.poll() is not None:
            break
        time.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    for _ in range(200):
        if not running_with(str(out)):
            break
        time.sleep(0.1)
    assert not running_with(str(out)) and not out.exists()
    run("xlam_lib.train.sft", given, tmp_path / "log.txt")
    assert curve(read_log(out), "loss")[1] == pytest.approx(curve(read_log(trained), "loss")[1], rel=1e-4)


def running_with(argument: str) -> list[str]:
    """Processes that have this among their arguments; zombies have none."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if argument in (folder / "cmdline").read_text().split("\0"):
                found.append(folder.name)
    return found
