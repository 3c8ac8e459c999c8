"""Faults on purpose: one clear error, the last good checkpoint stays, nothing looks finished."""

import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
import torch

from xlam_lib.errors import TrainingError
from xlam_lib.files import is_complete
from xlam_lib.grading import grade
from xlam_lib.models import checkpoint
from xlam_lib.settings import to_arguments
from xlam_lib.train.loop import launcher, resume
from xlam_lib.train.loop.child import environment
from xlam_lib.train.loop.command import command
from xlam_lib.train.loop.distributed import enough_memory
from xlam_lib.train.preference import dpo
from xlam_lib.train.preference.pairs import build, write_pairs
from xlam_lib.train.supervised import sft, sft_lite
from xlam_lib.train.supervised.lite_trainer import SFTFoundationTrainerLite

PATIENCE = 120  # seconds in which whoever doesn't end is taken to hang


def main_of(module):
    """The command of a training: `main_of(sft)` is `xlam_lib.train.sft.main`."""
    return importlib.import_module(f"xlam_lib.train.{module.__name__.rpartition('.')[2]}").main


@pytest.fixture(scope="module")
def runs(base, data, cases, tmp_path_factory):
    """Settings of a short run of each command, with a checkpoint every second step."""
    folder = tmp_path_factory.mktemp("faults")
    made = build(grade(cases, [case.completion for case in cases]), held_out=0.3)
    few = [[one for one in made if one.split == split][:16] for split in ("train", "held_out")]
    write_pairs(folder / "pairs.jsonl", [*few[0], *few[1][:4]])
    same = {"base": str(base), "out": "", "processes": 1, "precision": "float32", "save_every": 2, "log_every": 1}
    return {
        sft_lite: sft_lite.LiteSettings(data=(str(data),), epochs=0.7, lr=1e-3, **same),
        sft: sft.SftSettings(data=str(data), samples=40, lr=1e-3, **same),
        dpo: dpo.DpoSettings(pairs=str(folder / "pairs.jsonl"), samples=40, batch_size=8, lr=1e-4, **same),
    }


@pytest.fixture(params=[sft_lite, sft, dpo], ids=lambda module: module.__name__.rpartition(".")[2])
def run(request, runs, tmp_path):
    """(module, settings that write to a folder of this test)."""
    return request.param, replace(runs[request.param], out=str(tmp_path / "out"))


LOSS = {
    sft_lite: (SFTFoundationTrainerLite, "_loss"),
    sft: (sft.SFTFoundationTrainer, "compute_loss"),
    dpo: (dpo.DPOFoundationTrainer, "compute_loss"),
}


@pytest.fixture()
def at_step(run, monkeypatch):
    """`at_step(4, change)` puts `change(loss)` in place of the loss of the fourth step that is made from now on."""
    owner, name = LOSS[run[0]]
    original, made = getattr(owner, name), []

    def put(number, change):
        def changed(self, *args, **kwargs):
            made.append(1)
            found = original(self, *args, **kwargs)
            if len(made) != number:
                return found
            return (change(found[0]), *found[1:]) if isinstance(found, tuple) else change(found)

        monkeypatch.setattr(owner, name, changed)

    return put


@pytest.fixture()
def full_disk():
    """`full_disk()`: from now on no file can grow beyond 100 kB; what is trained here has 400."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda loss=None: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1])) or loss
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def steps_of(settings) -> list[int]:
    work = Path(settings.out + ".partial")
    assert not Path(settings.out).exists(), "looks finished"
    return sorted(resume.step_of(folder) for folder in work.glob("checkpoint-*") if not resume.damage(folder))


def infinite_gradient(loss):
    loss.register_hook(lambda gradient: gradient * float("inf"))
    return loss


def interrupt(loss):
    raise KeyboardInterrupt


def test_a_loss_that_is_not_finite_ends_the_run_and_it_goes_on_from_the_last_good_step(run, at_step):
    module, settings = run
    at_step(4, lambda loss: loss * float("nan"))
    with pytest.raises(TrainingError, match="step 4: the loss is nan.* nothing of .* is kept"):
        module.train(settings)
    assert steps_of(settings) == [2]
    assert module.train(settings) == Path(settings.out) and is_complete(settings.out)


@pytest.mark.parametrize("run", [sft_lite, sft], indirect=True)  # sft and dpo save and load alike
def test_an_infinite_gradient_is_in_no_checkpoint(run, at_step):
    module, settings = run
    at_step(4, infinite_gradient)
    with pytest.raises((TrainingError, checkpoint.CheckpointError), match="step 4|checkpoint-4: not saved"):
        module.train(replace(settings, log_every=100))
    assert steps_of(settings) == [2]


@pytest.mark.parametrize("run", [sft_lite, sft], indirect=True)  # sft and dpo save and load alike
def test_memory_that_runs_out_is_one_error_that_says_what_to_lower(run, at_step):
    module, settings = run
    at_step(4, lambda loss: torch.empty(1 << 50))
    lower = "lower row_tokens, or batch_size" if module is sft_lite else "lower batch_size or max_length"
    with pytest.raises(TrainingError, match=f"memory is not enough: {lower}.*tried to allocate"):
        module.train(settings)
    assert steps_of(settings) == [2]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_other_ways_to_run_out_of_memory(error):
    with pytest.raises(TrainingError, match="not enough: buy some"), enough_memory("buy some"):
        raise error


def test_other_errors_are_not_taken_for_memory():
    with pytest.raises(RuntimeError, match="sizes differ"), enough_memory("buy some"):
        raise RuntimeError("sizes differ")


@pytest.mark.parametrize("run", [sft_lite, sft], indirect=True)  # sft and dpo save and load alike
def test_a_disk_that_is_full_at_a_checkpoint(run, at_step, full_disk, monkeypatch):
    module, settings = run
    at_step(4, full_disk)
    with pytest.raises(checkpoint.CheckpointError, match="is the disk full?.*checkpoint-4 was not written"):
        module.train(settings)
    assert steps_of(settings) == [2]


def test_a_disk_that_is_full_at_the_end(runs, tmp_path, full_disk, monkeypatch):
    settings, original = replace(runs[sft_lite], out=str(tmp_path / "out")), checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda *given: full_disk() or original(*given))
    with pytest.raises(checkpoint.CheckpointError, match="is the disk full?.*out was not written"):
        sft_lite.train(settings)
    assert steps_of(settings) == [2, 4] and not list(tmp_path.glob(".*"))


def test_torchs_own_files_on_a_full_disk(tmp_path, full_disk):
    full_disk()
    with pytest.raises(checkpoint.CheckpointError, match="is the disk full?"), checkpoint.saving(tmp_path):
        torch.save(torch.zeros(100_000), tmp_path / "optimizer.bin")
    with pytest.raises(RuntimeError, match="no writer"), checkpoint.saving(tmp_path):
        raise RuntimeError("no writer")


@pytest.mark.parametrize("run", [sft_lite, sft], indirect=True)  # sft and dpo save and load alike
def test_a_checkpoint_that_is_cut_off_is_not_used_but_the_one_before(run, at_step, caplog):
    module, settings = run
    undisturbed = module.train(replace(settings, out=settings.out + "-whole"))
    at_step(5, interrupt)
    with pytest.raises(KeyboardInterrupt):
        module.train(settings)
    assert steps_of(settings) == [2, 4]
    weights = Path(settings.out + ".partial") / "checkpoint-4" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert steps_of(settings) == [2]
    module.train(settings)
    assert "checkpoint-4 is not used: model.safetensors has" in caplog.text
    whole, mended = (Path(folder) / "model.safetensors" for folder in (undisturbed, settings.out))
    assert whole.read_bytes() == mended.read_bytes()


@pytest.mark.parametrize(
    ("run", "name"), [(sft_lite, "model.safetensors"), (sft_lite, "optimizer"), (sft, "optimizer")], indirect=["run"]
)
def test_a_checkpoint_of_the_right_size_that_cannot_be_read_is_named(run, at_step, name):
    module, settings = run
    at_step(5, interrupt)
    with pytest.raises(KeyboardInterrupt):
        module.train(settings)
    file = next((Path(settings.out + ".partial") / "checkpoint-4").glob(f"{name}*"))
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(TrainingError, match="checkpoint-4 can't be read .*remove this folder"):
        module.train(settings)
    shutil.rmtree(file.parent)
    assert steps_of(settings) == [2]


def test_a_file_that_is_missing_or_a_marker_that_cannot_be_read_is_damage(tmp_path):
    (tmp_path / "checkpoint-2").mkdir()
    (tmp_path / "checkpoint-2" / "a.bin").write_bytes(b"12")
    assert resume.damage(tmp_path / "checkpoint-2") == "it was cut off while it was written"
    resume.mark_checkpoint_complete(tmp_path / "checkpoint-2")
    assert resume.damage(tmp_path / "checkpoint-2") == ""
    (tmp_path / "checkpoint-2" / "a.bin").unlink()
    assert resume.damage(tmp_path / "checkpoint-2") == "a.bin has 0 of 2 bytes"
    (tmp_path / "checkpoint-2" / "COMPLETE").write_text("{")
    assert "can't be read" in resume.damage(tmp_path / "checkpoint-2")


def test_the_two_newest_checkpoints_are_kept(tmp_path):
    for step in (90, 100, 110):
        (tmp_path / f"checkpoint-{step}").mkdir()
        resume.mark_checkpoint_complete(tmp_path / f"checkpoint-{step}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-100", "checkpoint-110"]


def test_rows_beyond_the_models_context_are_an_error(run, base, tmp_path):
    module, settings = run
    short = shutil.copytree(base, tmp_path / "short")
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 50}))
    with pytest.raises(checkpoint.CheckpointError, match="a row has [0-9]+ tokens.*lower max_length to 50"):
        module.train(replace(settings, base=str(short)))
    assert not Path(settings.out).exists() and not Path(settings.out + ".partial").exists()


@pytest.mark.parametrize("fault", ["weights", "tokenizer", "template"])
def test_a_base_that_cannot_be_used_is_one_line(run, base, tmp_path, capsys, fault):
    module, settings = run
    broken = shutil.copytree(base, tmp_path / "broken")
    path, message = broken / "tokenizer_config.json", "no end token"
    if fault == "weights":
        weights, message = broken / "model.safetensors", "is a file cut off?"
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif fault == "tokenizer":
        path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token": None}))
    else:
        (broken / "chat_template.jinja").write_text("{{ raise_exception('no') }}")
        message = "chat template can't write"
    assert main_of(module)(to_arguments(asdict(replace(settings, base=str(broken))))) == 2
    stderr = capsys.readouterr().err.splitlines()
    assert [message in line for line in stderr if line.startswith("error: ")] == [True]
    assert not Path(settings.out).exists()


@pytest.mark.parametrize(
    ("codes", "status", "message"),
    [
        ({0: launcher.FAILED, 1: -signal.SIGTERM}, launcher.FAILED, None),
        ({0: launcher.LOST, 1: launcher.FAILED}, launcher.FAILED, None),
        ({0: launcher.LOST, 1: -signal.SIGKILL}, 1, "process 1 was ended by SIGKILL (out of memory?)"),
        ({0: -signal.SIGTERM, 1: 1}, 1, "process 1 ended with code 1, see above"),
        ({0: -signal.SIGTERM}, 1, "process 0 was ended by SIGTERM,"),
    ],
)
def test_the_cause_is_reported_not_its_effects(capsys, codes, status, message):
    assert launcher._reported(codes) == status
    stderr = capsys.readouterr().err
    assert (message in stderr and stderr.startswith("error: ")) if message else not stderr


@pytest.mark.parametrize(
    "error", [torch.distributed.DistNetworkError("closed"), RuntimeError("[gloo/transport/tcp/pair.cc:538] closed")]
)
def test_a_lost_process_is_one_line_but_another_error_is_not_hidden(runs, capsys, error):
    def fail(settings):
        raise error

    assert command(fail, runs[sft], "xlam_lib.train.sft", []) == launcher.LOST
    assert capsys.readouterr().err.startswith("lost another process of this run (")
    error.args = ("a bug",)
    if type(error) is RuntimeError:
        with pytest.raises(RuntimeError, match="a bug"):
            command(fail, runs[sft], "xlam_lib.train.sft", [])


def test_a_process_whose_launcher_ended_while_it_was_loading_ends(monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    tied = []
    monkeypatch.setattr(launcher, "tie_to_parent", lambda: tied.append(True))
    launcher.tie_to_launcher()
    assert not tied  # nobody's process: a shell's, or a notebook's
    monkeypatch.setenv(launcher.LAUNCHER, str(os.getpid()))
    launcher.tie_to_launcher()
    monkeypatch.setenv(launcher.LAUNCHER, str(ended.pid))
    with pytest.raises(SystemExit) as exit_:
        launcher.tie_to_launcher()
    assert len(tied) == 2 and exit_.value.code == launcher.LOST


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_run_and_its_checkpoint_stays(runs, tmp_path):
    settings = replace(runs[sft_lite], out=str(tmp_path / "out"), epochs=1000.0, processes=2)
    line = [sys.executable, "-m", "xlam_lib.train.sft_lite", *to_arguments(asdict(settings))]
    driver = subprocess.Popen(
        line,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not list(tmp_path.glob("out.partial/checkpoint-*/COMPLETE")) and driver.poll() is None:
            time.sleep(0.05)
        workers = [one for one in psutil.Process(driver.pid).children() if settings.out in one.cmdline()]
        os.kill(workers[1].pid, signal.SIGKILL)
        _, stderr = driver.communicate(timeout=PATIENCE)
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert driver.returncode == 1 and len(workers) == 2
    assert len(errors) == 1 and "process 1 was ended by SIGKILL (out of memory?)" in errors[0]
    assert "Traceback" not in stderr and steps_of(settings) and not any(one.is_running() for one in workers)
