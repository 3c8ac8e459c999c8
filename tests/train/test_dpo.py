import copy
import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from train_demo import STYLE

from xlam_lib.chat_template import chat_template, model_prompt
from xlam_lib.codec import prompts_of
from xlam_lib.errors import TrainingError
from xlam_lib.files import is_complete
from xlam_lib.grading import grade
from xlam_lib.models import checkpoint
from xlam_lib.train.loop import runner
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.preference import dpo
from xlam_lib.train.preference.pairs import Pair, PairError, build, read_pairs, write_pairs
from xlam_lib.train.preference.settings import LOSSES, losses
from xlam_lib.train.preference.trainer import DPOFoundationTrainer, as_rows
from xlam_lib.views import to_openai, tools_to_openai


@pytest.fixture(scope="module")
def settings(base, cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dpo")
    write_pairs(folder / "pairs.jsonl", build(grade(cases, [case.completion for case in cases]), held_out=0.3))
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


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED"])
def test_launches_whose_weights_can_not_be_saved_are_refused(settings, tmp_path, monkeypatch, kind):
    monkeypatch.setenv(f"ACCELERATE_USE_{kind}", "true")
    with pytest.raises(TrainingError, match="weights in parts can't be saved by this training; launch with DDP"):
        dpo.train(replace(settings, out=str(tmp_path / "out")))
    assert not list(tmp_path.iterdir())


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
    original, count = runner.GuardedTrainer.training_step, []

    def step(self, *args, **kwargs):
        count.append(1)
        if len(count) == 4:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(runner.GuardedTrainer, "training_step", step)
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
    with pytest.raises(runner.TrainingError, match=f"no {split} pairs"):
        dpo.train(replace(settings, pairs=str(tmp_path / "pairs.jsonl"), out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_of_trl_takes_a_step(settings, tmp_path, name):
    smoothing = 1e-3 if name == "exo_pair" else 0.0
    chosen = replace(settings, losses=(name,), label_smoothing=smoothing, batch_size=4)
    trainer = DPOFoundationTrainer(chosen, read_pairs(settings.pairs)[:4], work=tmp_path)
    value = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader())))
    value.backward()
    grad = trainer.model.get_input_embeddings().weight.grad
    assert torch.isfinite(value) and torch.isfinite(grad).all() and grad.abs().max() > 0


def test_the_known_losses_are_trls(settings, tmp_path):
    trainer = DPOFoundationTrainer(settings, read_pairs(settings.pairs)[:4], work=tmp_path)
    trainer.loss_types = ["no such loss"]
    with pytest.raises(ValueError, match="Should be one of") as caught:
        trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader())))
    assert tuple(re.findall(r"'(\w+)'", str(caught.value))) == LOSSES


def test_losses_are_added_up_by_their_weights(settings, tmp_path):
    pairs, found = read_pairs(settings.pairs)[:4], {}
    for names, weights in ((("sigmoid",), ()), (("ipo",), ()), (("ipo", "sigmoid"), (0.5, 3.0))):
        chosen = replace(settings, losses=names, loss_weights=weights, batch_size=4)
        trainer = DPOFoundationTrainer(chosen, pairs, work=tmp_path)
        found[names] = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).item()
    assert found["ipo", "sigmoid"] == pytest.approx(0.5 * found["ipo",] + 3 * found["sigmoid",], rel=1e-5)
    assert losses(dpo.DpoSettings("b", "p", "o")) == {"sigmoid": 1.0, "sft": 2.0}
    assert losses(replace(settings, losses=("sft", "ipo"), sft_weight=9.0)) == {"sft": 1.0, "ipo": 1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": ("sigmoid", "kto")}, "losses: 'kto' is unknown; expected some of sigmoid, hinge"),
        ({"losses": ()}, "expected at least one, each once"),
        ({"losses": ("ipo", "ipo")}, "expected at least one, each once"),
        ({"loss_weights": (1.0, 2.0)}, "2 loss_weights for 1 losses"),
        ({"label_smoothing": 0.1}, "label_smoothing is 0.1, but only robust, exo_pair"),
        ({"losses": ("robust",), "label_smoothing": 0.5}, "expected a share from 0 to below 0.5"),
        ({"losses": ("exo_pair",)}, "expected a share above 0"),
        ({"lora_targets": ("q_proj",)}, "lora_targets without lora_rank"),
        ({"per_device_batch_size": 5}, "per_device_batch_size is 5, but a process has 8 rows a step"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, tmp_path, change, message):
    with pytest.raises(runner.TrainingError, match=message):
        dpo.train(replace(settings, out=str(tmp_path / "out"), **change))


@pytest.fixture(scope="module")
def adapted(settings):
    return replace(settings, out=settings.out + "-lora", lora_rank=4, lr=1e-2, per_device_batch_size=4, samples=40)


@pytest.fixture(scope="module")
def lora_trained(adapted):
    return dpo.train(adapted)


def test_with_adapters_the_reference_is_the_base_and_the_adapter_is_measured(lora_trained, trained, adapted):
    log = read_log(lora_trained)
    assert curve(log, "loss")[1][0] == pytest.approx(0.6931, abs=1e-4), "the adapter begins as nothing"
    assert curve(log, "rewards/margins")[1][-1] > 0.02
    found = json.loads((lora_trained / dpo.HELD_OUT).read_text())["all"]
    assert found["margin"] > 0 and found["accuracy"] > 0.6, "not the reference, measured against itself"
    full = json.loads((trained / dpo.HELD_OUT).read_text())["all"]
    assert found["likelier_before"] == pytest.approx(full["likelier_before"], abs=0.02)
    assert (lora_trained / "adapter_model.safetensors").is_file() and not (lora_trained / "model.safetensors").exists()


def test_the_margin_measured_is_that_of_the_merged_model(lora_trained, adapted, tmp_path):
    held_out = [pair for pair in read_pairs(adapted.pairs) if pair.split == "held_out"]
    margins = []
    for base in (adapted.base, str(lora_trained)):
        plain = replace(adapted, base=base, lora_rank=0)
        trainer = DPOFoundationTrainer(plain, held_out, work=tmp_path / f"{len(margins)}")
        columns = trainer.train_dataset
        pairs = zip(columns["ref_chosen_logps"], columns["ref_rejected_logps"], strict=True)
        margins.append(sum(chosen - rejected for chosen, rejected in pairs) / len(columns))
    found = json.loads((lora_trained / dpo.HELD_OUT).read_text())["all"]
    assert found["margin"] == pytest.approx(adapted.beta * (margins[1] - margins[0]), rel=1e-3)


def test_a_broken_off_run_with_adapters_ends_as_the_undisturbed_one(lora_trained, adapted, monkeypatch):
    original, count = runner.GuardedTrainer.training_step, []

    def step(self, *args, **kwargs):
        count.append(1)
        if len(count) == 6:  # two parts a step
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(runner.GuardedTrainer, "training_step", step)
    cut = replace(adapted, out=adapted.out + "-cut")
    with pytest.raises(KeyboardInterrupt):
        dpo.train(cut)
    again = dpo.train(cut)
    for name in ("adapter_model.safetensors", dpo.HELD_OUT):
        assert (again / name).read_bytes() == (lora_trained / name).read_bytes()


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
def test_pairs_are_learnt_on_a_base_of_four_bits(adapted, tmp_path):
    out = dpo.train(replace(adapted, out=str(tmp_path / "out"), quantize="nf4"))
    assert curve(read_log(out), "loss")[1][0] == pytest.approx(0.6931, abs=1e-4)
    assert curve(read_log(out), "rewards/margins")[1][-1] > 0.01


def test_conversations_with_tools_become_what_the_codec_writes(trained, base, trajectories):
    one = next(t for t in trajectories if len(t.steps) == 4)
    tokenizer = checkpoint.load_tokenizer(base)
    tokenizer.chat_template = chat_template(STYLE, *checkpoint.wrapper(tokenizer))
    index, prompt, answer = prompts_of(one, STYLE)[-1]
    messages = to_openai(one.steps)
    wrong = {"role": "assistant", "content": "It is 40 degrees."}
    row = {
        "prompt": messages[:index],
        "chosen": [messages[index]],
        "rejected": wrong,
        "tools": tools_to_openai(one.tools),
    }
    (made,) = as_rows([row], tokenizer)
    end = tokenizer.eos_token
    assert made["prompt"] == model_prompt(prompt, *checkpoint.wrapper(tokenizer)) and "HISTORY" in made["prompt"]
    assert made["chosen"] == answer + end and made["rejected"] == answer.replace("4 degrees", "40 degrees") + end
    padded = copy.deepcopy(row)  # as a table gives it
    padded["tools"][0]["function"]["parameters"]["properties"]["of_another_tool"] = None
    assert as_rows([padded], tokenizer)[0] == made
    pair = Pair(prompt, answer, answer.replace("4 degrees", "40 degrees"), "own", "wrong_value", "t", index)
    assert as_rows([pair, row], tokenizer) == [made, made]
    assert as_rows([{key: getattr(pair, key) for key in ("prompt", "chosen", "rejected")}], tokenizer) == [made]
    for change, message in (
        ({"rejected": messages[index]}, "pair 7: chosen and rejected are the same"),
        ({"chosen": messages[:2]}, r"pair 7, chosen: expected one assistant message, found \['user', 'assistant'\]"),
    ):
        with pytest.raises(PairError, match=message):
            as_rows([pair] * 7 + [row | change], tokenizer)
    with pytest.raises(PairError, match="pair 0: no rejected; found prompt, chosen"):
        as_rows([{"prompt": "p", "chosen": "c"}], tokenizer)
    tokenizer.chat_template = None
    with pytest.raises(PairError, match="messages, but the tokenizer has no chat template"):
        as_rows([row], tokenizer)
