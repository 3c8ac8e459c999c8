"""Figures of the log against counts made by hand, and that making them takes next to no time."""

import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from train_demo import token_rows, trajectory
from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from xlam_lib.errors import TrainingError
from xlam_lib.grading import grade
from xlam_lib.models import checkpoint
from xlam_lib.seeds import DeviceSeed
from xlam_lib.train.loop import reporting, telemetry
from xlam_lib.train.loop.log import read_log
from xlam_lib.train.loop.telemetry import Flops, Meter, counts_of
from xlam_lib.train.mixture.mixture import Mixture
from xlam_lib.train.packing.packers import PaddedPacker, TriePacker, empty
from xlam_lib.train.preference import dpo
from xlam_lib.train.preference.pairs import build, write_pairs
from xlam_lib.train.supervised import sft, sft_lite
from xlam_lib.train.supervised.lite_trainer import SFTFoundationTrainerLite, prepare_accelerator
from xlam_lib.trajectory import write_jsonl

FIGURES = {"tokens_per_second", "read_per_second", "utilisation", "read", "padding", "trained", "grad_norm"}
SIZES = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 4, "max_position_embeddings": 512,
}  # fmt: skip


def model_of(config):
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")


@pytest.mark.parametrize("tied", [True, False])
def test_operations_are_those_that_torch_counts(tied):
    """All positions scored; eager attention computes all pairs, twice those that may be seen, and the diagonal."""
    model, rows, length = model_of(LlamaConfig(**SIZES, tie_word_embeddings=tied)), 3, 40
    ids = torch.randint(0, 96, (rows, length))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    flops, read = Flops.of(model), rows * length
    ours = flops.token * read + flops.scored * read + flops.pair * rows * length**2
    assert ours == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_weights_that_are_not_trained_cost_two_thirds():
    model = model_of(LlamaConfig(**SIZES))
    whole = Flops.of(model)
    model.requires_grad_(False)
    frozen = Flops.of(model)
    assert (frozen.token, frozen.scored) == (whole.token * 2 / 3, whole.scored * 2 / 3) and frozen.pair == whole.pair


def test_of_experts_those_count_that_a_token_meets():
    four, eight = (model_of(MixtralConfig(**SIZES, num_local_experts=count, num_experts_per_tok=2)) for count in (4, 8))
    router = 2 * 4 * 32 * 6  # layers x more experts x width
    assert Flops.of(eight).token - Flops.of(four).token == router


def test_counts_of_tries_and_of_padded_rows():
    rows = token_rows([5, 6, 7], 3)  # 6, 8 and 10 tokens, three of each trained
    made = TriePacker(100).pack([rows])
    found = counts_of(made.batches[0])
    depths = made.batches[0]["trie_depth"]
    assert (found["read"], int(found["trained"])) == (made.read, 9)
    assert int(found["pairs"]) == int((depths + 1).sum())
    scored = made.batches[0]["trie_node"][:, :-1][made.batches[0]["labels"][:, 1:] != -100].unique()
    assert int(found["skipped"]) == made.read - len(scored) > 0
    assert int(found["skipped_pairs"]) == int((depths + 1).sum() - (depths[0, scored] + 1).sum())
    assert not int(counts_of(empty())["skipped"]), "a row without a label is computed as a whole"
    padded = PaddedPacker(DataCollatorForLanguageModeling(0), 3).pack([rows])
    found = {name: int(value) for name, value in counts_of(padded.batches[0]).items()}
    pairs = sum(length * (length + 1) // 2 for length in (6, 8, 10))
    assert found == {"tokens": 24, "read": 30, "padding": 6, "trained": 9, "pairs": pairs}
    assert counts_of({"prompts": ["no tensors"]}) == {}


def test_counts_of_rows_without_padding_and_of_pairs():
    ids = torch.ones(1, 5, dtype=torch.long)
    places = torch.tensor([[0, 1, 2, 0, 1]])
    found = counts_of({"input_ids": ids, "position_ids": places, "labels": ids})
    assert {name: int(value) for name, value in found.items()} == {"tokens": 5, "read": 5, "pairs": 9, "trained": 4}
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    pair = counts_of({"input_ids": mask, "attention_mask": mask, "completion_mask": mask - 1 + mask})
    assert int(pair["padding"]) == 1 and int(pair["pairs"]) == 6 + 10


def test_an_entry_is_what_was_counted_over_the_time_of_the_steps(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 3.0, 50.0, 51.0, 51.0])
    monkeypatch.setattr(telemetry, "peak", lambda device, dtype: 1e6)
    monkeypatch.setattr(telemetry.time, "perf_counter", lambda: next(clock))
    meter = Meter(model_of(LlamaConfig(**SIZES)))
    meter.skip()  # 1.0
    meter.lap()  # 3.0: two seconds
    meter.count({}, tokens=400, read=100, padding=10, trained=50, pairs=1000)
    meter.skip()  # 50.0: saved
    meter.lap()  # 51.0: one second
    found = meter.entry()
    flops = meter.flops
    work = flops.token * 100 + flops.scored * 50 + flops.pair * 1000
    assert found == {
        "tokens_per_second": 133.3, "read_per_second": 33.3, "utilisation": round(work / 3 / 1e6, 4), "read": 0.25,
        "padding": 0.1, "trained": 0.125,
    }  # fmt: skip
    assert meter.total == 400 and meter.entry() == {}


def test_an_unknown_peak_is_null_and_a_known_one_declared(monkeypatch):
    names = {"NVIDIA H100 80GB HBM3": 989.4e12, "NVIDIA A100-SXM4-80GB": 312e12, "NVIDIA A10G": None, "Other": None}
    for name, known in names.items():
        found = SimpleNamespace(name=name)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device, found=found: found)
        assert telemetry.peak(torch.device("cuda"), torch.bfloat16) == known
    assert telemetry.peak(torch.device("meta"), torch.float32) is None
    monkeypatch.setattr(telemetry, "peak", lambda device, dtype: None)
    meter = Meter(model_of(LlamaConfig(**SIZES)))
    meter.count({}, tokens=4, read=4)
    meter.lap()
    assert meter.entry()["utilisation"] is None


def test_a_cpus_peak_is_measured_and_takes_no_random_number():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert 1e8 < telemetry.peak(torch.device("cpu"), torch.float32) < 1e14
    assert torch.equal(torch.rand(1), expected)


@pytest.fixture(scope="module")
def two(base, tmp_path_factory):
    """SFT-lite on two sources of different kinds."""
    folder = tmp_path_factory.mktemp("two")
    for name, kind in (("calls", "single"), ("steps", "multi_step")):
        write_jsonl(folder / f"{name}.jsonl", [trajectory(number, kind) for number in range(20)])
    data = tuple(str(folder / f"{name}.jsonl") for name in ("calls", "steps"))
    return sft_lite.LiteSettings(
        base=str(base), data=data, out=str(folder / "out"), processes=1, precision="float32", log_every=2, lr=1e-3
    )


@pytest.fixture(scope="module")
def lite_log(two):
    return read_log(sft_lite.train(two))


def test_sft_lite_logs_all_figures(lite_log):
    for entry in lite_log:
        assert set(entry) >= FIGURES and 0 < entry["read"] < 1 and entry["padding"] == 0
        assert entry["utilisation"] > 0 and entry["read_per_second"] < entry["tokens_per_second"]


@pytest.mark.parametrize("collator", [None, "padded"])
def test_the_loss_of_each_source_is_that_of_its_rows_alone(two, base, tmp_path, collator):
    tokenizer = checkpoint.load_tokenizer(base)
    mixture, _ = sft_lite._mixture(two, tokenizer)
    given = DataCollatorForLanguageModeling(tokenizer.pad_token_id) if collator else None
    settings = replace(two, lr=0.0, weight_decay=0.0, epochs=0.4, log_every=2)
    trainer = SFTFoundationTrainerLite(settings, prepare_accelerator(settings), mixture, collator=given)
    trainer.train(tmp_path)
    drawn = [(name, group) for _, name, group in mixture.placed()][:16]
    for name in ("calls", "steps"):
        losses, labels = 0.0, 0
        for row in (row for source, group in drawn if source == name for row in group):
            with torch.no_grad():
                loss = trainer.model(input_ids=torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]]))
            count = sum(label != -100 for label in row["labels"])
            losses, labels = losses + loss.loss.item() * count, labels + count
        assert read_log(tmp_path)[0][f"loss/{name}"] == pytest.approx(losses / labels, rel=1e-4)


def test_a_source_alone_has_no_loss_of_its_own(base, data, tmp_path):
    source = [[{"input_ids": [5, 6, 0], "labels": [-100, 6, 0]}]] * 8
    settings = sft_lite.LiteSettings(base=str(base), data=(), out="", precision="float32")
    mixture = Mixture({"alone": source}, seed=DeviceSeed(0, rank=0, world=1))
    SFTFoundationTrainerLite(settings, prepare_accelerator(settings), mixture).train(tmp_path)
    assert not [name for name in read_log(tmp_path)[0] if name.startswith("loss/")]


def test_sft_and_dpo_log_all_figures(base, data, cases, tmp_path):
    same = {"base": str(base), "processes": 1, "precision": "float32", "log_every": 1}
    out = sft.train(sft.SftSettings(data=str(data), out=str(tmp_path / "sft"), samples=16, **same))
    assert all(set(entry) >= FIGURES and 0.3 < entry["read"] < 0.6 for entry in read_log(out))
    made = build(grade(cases, [case.completion for case in cases]), held_out=0.3)
    few = [[one for one in made if one.split == split][:8] for split in ("train", "held_out")]
    write_pairs(tmp_path / "pairs.jsonl", [*few[0], *few[1]])
    out = dpo.train(dpo.DpoSettings(pairs=str(tmp_path / "pairs.jsonl"), out=str(tmp_path / "dpo"), **same))
    assert all(set(entry) >= FIGURES and 0 < entry["read"] < 0.7 for entry in read_log(out))
    assert 0 < read_log(out)[0]["trained"] < 0.5


def test_measuring_costs_less_than_a_hundredth_of_a_step():
    """Counting a batch, against one forward and backward of a model of a million weights on it."""
    model = model_of(LlamaConfig(**SIZES | {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4}))
    ids = torch.randint(0, 96, (8, 128))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
    meter = Meter(model)

    def fastest(work, times):
        found = []
        for _ in range(times):
            started = time.perf_counter()
            work()
            found.append(time.perf_counter() - started)
        return min(found)

    step = fastest(lambda: model(**batch, use_cache=False).loss.backward(), 5)
    assert fastest(lambda: (meter.count(batch), meter.lap()), 50) < step / 100


def test_tensorboard_has_the_figures_of_the_log(two, lite_log, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    out = sft_lite.train(replace(two, out=str(tmp_path / "out"), report="tensorboard"))
    found = accumulator(str(out / reporting.FOLDER)).Reload()
    for name in ("loss", "tokens_per_second", "loss/calls"):
        events = {event.step: event.value for event in found.Scalars(name)}
        assert events == pytest.approx({entry["step"]: entry[name] for entry in read_log(out)}, rel=1e-6)
    weights = [Path(folder) / "model.safetensors" for folder in (two.out, out)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert (
        json.loads((out / "run.json").read_text())["run_id"]
        == (json.loads((Path(two.out) / "run.json").read_text())["run_id"])
    )


def test_a_run_that_goes_on_takes_its_old_figures_back(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    for behind, value in ((0, 1.0), (2, 5.0)):
        report = reporting.open_report("tensorboard", tmp_path, behind, "id", {})
        for step in range(behind + 1, 5):
            report.write({"step": step, "loss": value, "utilisation": None})
        report.close()
    events = accumulator(str(tmp_path / reporting.FOLDER)).Reload().Scalars("loss")
    assert [(event.step, event.value) for event in events] == [(1, 1.0), (2, 1.0), (3, 5.0), (4, 5.0)]


@pytest.mark.parametrize(("kind", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")])
def test_a_package_that_is_missing_is_named_before_anything_is_trained(two, tmp_path, monkeypatch, kind, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(TrainingError, match=f"report is {kind}, but the package isn't there.*pip install {kind}"):
        sft_lite.train(replace(two, out=str(tmp_path / "out"), report=kind))
    assert not (tmp_path / "out").exists()


def test_wandb_wants_its_key_in_the_environment(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TrainingError, match="put its key into WANDB_API_KEY"):
        reporting.open_report("wandb", tmp_path, 0, "id", {})


def test_what_is_not_a_number_is_not_reported():
    assert reporting.numbers({"step": 3, "loss": 2.0, "n": 4, "utilisation": None, "ok": True, "note": "x"}) == {
        "loss": 2.0,
        "n": 4,
    }


def test_the_line_of_progress_tells_the_speed(lite_log, two, tmp_path, capsys, caplog):
    with caplog.at_level(logging.INFO):
        sft_lite.train(replace(two, out=str(tmp_path / "out"), epochs=0.2))
    last = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")][-1]
    assert last.startswith("step 1/1  loss ") and " tokens/s  0 s to go" in last
    assert telemetry.pace({}) == ""
