import importlib.util
import json
import logging
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from xlam_lib.chat_template import model_prompt
from xlam_lib.errors import TrainingError
from xlam_lib.files import is_complete
from xlam_lib.models import adapters, checkpoint, load
from xlam_lib.models.bases.adapted import BASE
from xlam_lib.models.folders import digest
from xlam_lib.models.tokens import encode
from xlam_lib.serve.engines.transformers import Greedy, continued
from xlam_lib.train import grpo as command_of_grpo
from xlam_lib.train.loop import child, reporting, runner
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.packing.trie_model import read_tries
from xlam_lib.train.rl import grpo, trainer
from xlam_lib.train.rl.prompts import NO_TURN, TOO_LONG, read_prompts
from xlam_lib.train.rl.rewards import RULES, RewardError
from xlam_lib.trajectory import write_jsonl

TIMES = ("seconds", "step_time", "tokens_per_second", "read_per_second", "utilisation")


def vowels(one):
    """A reward that a random model can earn more of: answers in "exact" need training first."""
    return sum(letter in "aeiou" for letter in one.text) / max(1, len(one.text))


@pytest.fixture(scope="module")
def settings(base, data, tmp_path_factory):
    return grpo.GrpoSettings(
        base=str(base),
        data=str(data),
        out=str(tmp_path_factory.mktemp("grpo") / "out"),
        steps=12,
        batch_size=24,
        generations=8,
        max_new_tokens=8,
        lr=1e-2,
        precision="float32",
        processes=1,
        save_every=2,
    )


@pytest.fixture(scope="module")
def trained(settings):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RULES, "format", vowels)
        return grpo.train(settings)


def weights(folder):
    return load.load_model(folder).state_dict()


def untimed(entry):
    return {name: value for name, value in entry.items() if name not in TIMES}


def broken_off_and_resumed(settings, monkeypatch, after):
    """The folder of a run that is interrupted at its n-th part of a step and begun again."""
    original, count = runner.GuardedTrainer.training_step, []

    def step(self, *args, **kwargs):
        count.append(1)
        if len(count) == after:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(runner.GuardedTrainer, "training_step", step)
    with pytest.raises(KeyboardInterrupt):
        grpo.train(settings)
    assert not (Path(settings.out)).exists()
    return grpo.train(settings), len(count)


def test_what_is_rewarded_becomes_likelier(trained, settings):
    rewards = curve(read_log(trained), "rewards/format/mean")[1]
    assert len(rewards) == settings.steps
    assert sum(rewards[-2:]) / 2 > sum(rewards[:2]) / 2 + 0.05


def test_the_log_says_what_was_earned_and_how_long_answers_are(trained, settings):
    last = read_log(trained)[-1]
    for name in (*RULES, "execution"):
        assert {f"rewards/{name}/mean", f"rewards/{name}/std"} <= last.keys()
    assert last["rewards/execution/mean"] is None  # the tools of this data are not among those that run
    assert 0 < last["completions/mean_length"] <= settings.max_new_tokens
    assert 0 <= last["completions/clipped_ratio"] <= 1 and last["frac_reward_zero_std"] < 1
    assert last["reward"] > 0 and last["reward_std"] > 0


def test_the_run_leaves_a_whole_checkpoint(trained, settings, cases):
    assert is_complete(trained) and not (trained.parent / "out.partial").exists()
    info = json.loads((trained / "COMPLETE").read_text())
    assert (info["prompts"], info["left_out"], info["drawn"], info["steps"]) == (len(cases), 0, 36, 12)
    assert "BEGIN OF" in checkpoint.load_tokenizer(trained).chat_template
    before = (trained / "model.safetensors").stat().st_mtime_ns
    assert grpo.train(settings) == trained and (trained / "model.safetensors").stat().st_mtime_ns == before


def test_a_broken_off_run_ends_as_the_undisturbed_one(settings, tmp_path, monkeypatch):
    """With several updates a round, parts of a batch and a reference, that is with all that has a state."""
    monkeypatch.setitem(RULES, "format", vowels)
    more = {"iterations": 2, "per_device_batch_size": 12, "beta": 0.1, "save_every": 1, "steps": 4}
    whole = grpo.train(replace(settings, out=str(tmp_path / "whole"), **more))
    again, parts = broken_off_and_resumed(replace(settings, out=str(tmp_path / "cut"), **more), monkeypatch, 12)
    assert parts == 12 + 8  # from the checkpoint after two rounds of four parts each
    assert (again / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    ours, theirs = read_log(again), read_log(whole)
    assert [untimed(entry) for entry in ours] == [untimed(entry) for entry in theirs]


def test_equal_rewards_teach_nothing(settings, base, tmp_path, monkeypatch):
    for name in RULES:
        monkeypatch.setitem(RULES, name, lambda one: 0.5)
    out = grpo.train(replace(settings, out=str(tmp_path / "out"), steps=2))
    assert curve(read_log(out), "frac_reward_zero_std")[1] == [1.0, 1.0]
    before, after = weights(base), weights(out)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_reward_that_is_not_a_number_ends_the_run(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(RULES, "exact", lambda one: float("nan"))
    with pytest.raises(RewardError, match="reward 'exact' is nan"):
        grpo.train(replace(settings, out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_weights_that_break_end_the_run(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(RULES, "format", vowels)
    original = runner.GuardedTrainer.training_step

    def step(self, model, *args):
        loss = original(self, model, *args)
        next(model.parameters()).data[:] = float("inf")
        return loss

    monkeypatch.setattr(runner.GuardedTrainer, "training_step", step)
    with pytest.raises(TrainingError, match="step 2: the model's probabilities are not finite.*Lower --lr"):
        grpo.train(replace(settings, out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("more", "message"), [
    ({"generations": 1}, "--generations is 1"),
    ({"batch_size": 12}, "give a multiple of 8"),
    ({"batch_size": 0}, "give a multiple of 8"),
    ({"steps": 0}, "--steps of 1 or more"),
    ({"per_device_batch_size": 5}, "does not divide into 1 processes"),
    ({"max_length": 20}, "none of 72 prompts has at most 12 tokens"),
    ({"exact_weight": -1.0}, "reward 'exact': the weight is -1.0"),
    ({"use_vllm": True}, "needs a GPU"),
    ({"lora_alpha": 4.0}, "lora_alpha without lora_rank"),
    ({"lora_rank": 2, "lora_dropout": 0.1}, "answers would be drawn from another model than is trained"),
    ({"lora_rank": 2, "quantize": "nf4", "use_vllm": True}, "use_vllm with quantize"),
    ({"lora_rank": 2, "lora_targets": ("lm_head",)}, "'lm_head' is no linear layer of the model, or its head"),
])  # fmt: skip
def test_settings_that_can_not_work_are_refused(settings, tmp_path, more, message):
    if "use_vllm" in more and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(TrainingError, match=message):
        grpo.train(replace(settings, out=str(tmp_path / "out"), **more))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED"])
def test_launches_that_leave_parts_of_weights_are_refused(settings, tmp_path, monkeypatch, kind):
    monkeypatch.setenv(f"ACCELERATE_USE_{kind}", "true")
    with pytest.raises(TrainingError, match="weights in parts can't be saved by this training; launch with DDP"):
        grpo.train(replace(settings, out=str(tmp_path / "out")))


def test_a_fault_ends_the_command_with_one_line(settings, tmp_path, capsys):
    line = ["--base", settings.base, "--data", settings.data, "--out", str(tmp_path / "out"), "--processes", "1"]
    assert command_of_grpo.main([*line, "--generations", "5"]) == 2
    assert capsys.readouterr().err.startswith("error: --batch-size 64 with --generations 5: a round has whole groups")


def test_long_prompts_are_left_out_and_counted(settings, tmp_path, cases, base):
    tokenizer = checkpoint.load_tokenizer(base)
    texts = [model_prompt(case.prompt, *checkpoint.wrapper(tokenizer)) for case in cases]
    lengths = sorted(len(ids) for ids in encode(tokenizer, texts))
    limit = lengths[len(lengths) // 2]
    found = read_prompts(replace(settings, max_length=limit + settings.max_new_tokens), tokenizer)
    fit = sum(length <= limit for length in lengths)
    report = found.report
    assert (report.prompts, report.drawn, report.different) == (fit, 36, min(fit, 36))
    assert report.left_out == {"train": {TOO_LONG: len(cases) - fit}}
    asked = encode(tokenizer, list(found.rows["prompt"]))
    assert all(len(ids) <= limit for ids in asked)
    assert report.tokens == (min(map(len, asked)), round(sum(map(len, asked)) / 36, 1), max(map(len, asked)))
    assert [texts[number] for number in found.rows["case"]] == list(found.rows["prompt"])
    assert sum(report.kinds.values()) == report.different
    room = max(len(ids) for ids in encode(tokenizer, [case.completion + report.end for case in cases]))
    for more, reachable in ((room, True), (room - 1, False)):
        whole = replace(settings, max_length=limit + more + 999, max_new_tokens=more, steps=len(cases), batch_size=8)
        whole = read_prompts(replace(whole, max_length=1024), tokenizer).report
        assert (whole.out_of_reach == 0) == reachable and "answers end with '<|endoftext|>'" in str(whole)


def test_several_sources_are_drawn_by_their_shares(settings, trajectories, tmp_path):
    silent = replace(trajectories[0], steps=tuple(replace(s, trainable=False) for s in trajectories[0].steps))
    write_jsonl(tmp_path / "a.jsonl", [*trajectories[:20], silent])
    write_jsonl(tmp_path / "b.jsonl", trajectories[20:])
    files = tuple(str(tmp_path / name) for name in ("a.jsonl", "b.jsonl"))
    many = replace(settings, data=files, shares=(0.75, 0.25), steps=40, batch_size=32)
    tokenizer = checkpoint.load_tokenizer(settings.base)
    found = read_prompts(many, tokenizer)
    own = {one.trajectory_id for one in trajectories[:20]}
    drawn = [found.cases[number].trajectory_id in own for number in found.rows["case"]]
    rows = {line["source"]: line["rows"] for line in found.mixture}
    assert rows == {"a": sum(drawn), "b": 160 - sum(drawn)} and sum(drawn) / 160 == pytest.approx(0.75, abs=0.05)
    assert found.report.left_out == {"a": {NO_TURN: 1}}
    out = grpo.train(replace(many, steps=1, batch_size=8, out=str(tmp_path / "out")))
    record = json.loads((out / "run.json").read_text())
    assert (
        record["settings"]["sources"] == ["a", "b"] and {"data_0_digest", "data_1_digest"} <= record["settings"].keys()
    )
    assert {line["source"]: line["share"] for line in record["mixture"]} == {"a": 0.75, "b": 0.25}
    long = replace(trajectories[0].steps[0], content="weather " * 2000)
    write_jsonl(tmp_path / "b.jsonl", [replace(trajectories[0], steps=(long, *trajectories[0].steps[1:]))])
    with pytest.raises(TrainingError, match="b.jsonl: none of .* prompts has at most"):
        read_prompts(many, tokenizer)


def test_the_record_says_what_was_trained_on_and_what_was_answered(trained, settings, base):
    record, log = json.loads((trained / "run.json").read_text()), read_log(trained)
    assert record["settings"]["base_digest"] == digest(base) and len(record["run_id"]) == 16
    assert record["mixture"] == [
        {"source": "train", "samples": 72, "draws": 72, "passes": 1.0, "share": 1.0, "realised": 1.0, "rows": 36}
    ]
    assert (
        record["prompts"]["prompts"] == 72 and record["prompts"]["out_of_reach"] == record["prompts"]["different"] == 36
    )
    cut = [entry["completions/clipped_ratio"] for entry in log]
    assert record["answers"]["cut"] == pytest.approx(sum(cut) / len(cut), abs=1e-4)
    assert record["answers"]["cut_last"] == pytest.approx(cut[-1], abs=1e-4)
    again = command_of_grpo.main([str(trained / "config.yaml"), "--out", settings.out])
    assert again == 0, "the configuration that it leaves is the one that it had"
    assert "| demo | CC0-1.0 | 60 |" in (trained / "README.md").read_text()


def test_answers_that_never_end_are_logged_once(settings, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(trainer.PolicyTrainer, "_sampled", lambda self, logits: logits[:, 4:].argmax(-1) + 4)
    with caplog.at_level(logging.WARNING):
        out = grpo.train(replace(settings, out=str(tmp_path / "out"), steps=1, batch_size=8))
    assert "no answer has come to an end by '<|endoftext|>' yet, all were cut at 8 tokens" in caplog.text
    assert json.loads((out / "run.json").read_text())["answers"] == {"cut": 1.0, "cut_last": 1.0, "tokens": 8.0}


def test_tensorboard_has_the_figures_of_the_log(settings, trained, tmp_path, monkeypatch):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    monkeypatch.setitem(RULES, "format", vowels)
    out = grpo.train(replace(settings, out=str(tmp_path / "out"), report="tensorboard"))
    found, log = accumulator(str(out / reporting.FOLDER)).Reload(), read_log(out)
    for name in ("loss", "reward", "completions/clipped_ratio", "tokens_per_second", "utilisation", "trained"):
        record = {event.step: event.value for event in found.Scalars(name)}
        assert record == pytest.approx({entry["step"]: entry[name] for entry in log if name in entry}, rel=1e-6)
    assert all(0 < entry["trained"] < 1 and entry["read"] < 1 for entry in log), "prompts are read once for a group"
    assert [untimed(entry) for entry in log] == [untimed(entry) for entry in read_log(trained)]
    assert (out / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def adapted(settings):
    return replace(settings, out=settings.out + "-lora", lora_rank=8, beta=0.01, lr=1e-1, save_every=1, steps=8)


@pytest.fixture(scope="module")
def lora_trained(adapted):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RULES, "format", vowels)
        return grpo.train(adapted)


def test_adapters_learn_what_is_rewarded_beside_a_base_that_stays(lora_trained, adapted, base):
    log = read_log(lora_trained)
    rewards = curve(log, "rewards/format/mean")[1]
    assert sum(rewards[-2:]) / 2 > sum(rewards[:2]) / 2 + 0.05
    assert (lora_trained / "adapter_model.safetensors").is_file() and not (lora_trained / "model.safetensors").exists()
    assert json.loads((lora_trained / BASE).read_text())["digest"] == digest(base)


def test_the_reference_is_the_model_without_its_adapters(lora_trained, adapted, base, cases):
    divergences = curve(read_log(lora_trained), "kl")[1]
    assert divergences[0] == pytest.approx(0, abs=1e-6) and divergences[-1] > 1e-3, "an adapter begins as nothing"
    loaded, plain = load.load_adapter(lora_trained).eval(), load.load_model(base).eval()
    ids = torch.tensor(encode(checkpoint.load_tokenizer(base), [cases[0].prompt]))
    with torch.no_grad(), loaded.disable_adapter():
        assert torch.equal(loaded(ids).logits, plain(ids).logits)
    with torch.no_grad():
        assert not torch.allclose(loaded(ids).logits, plain(ids).logits, atol=1e-2)


def test_an_adapter_is_merged_into_a_checkpoint_of_its_own(lora_trained, base, cases, tmp_path):
    folder = adapters.merge_adapter(lora_trained, tmp_path / "merged")
    ids = torch.tensor(encode(checkpoint.load_tokenizer(folder), [cases[0].prompt]))
    with torch.no_grad():
        expected, found = (
            model.eval()(ids).logits for model in (load.load_adapter(lora_trained), load.load_model(folder))
        )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert "BEGIN OF" in checkpoint.load_tokenizer(folder).chat_template
    assert json.loads((folder / "run.json").read_text())["command"] == "xlam_lib.train.grpo"


def test_a_broken_off_run_with_adapters_ends_as_the_undisturbed_one(lora_trained, adapted, tmp_path, monkeypatch):
    monkeypatch.setitem(RULES, "format", vowels)
    again, _ = broken_off_and_resumed(replace(adapted, out=str(tmp_path / "cut")), monkeypatch, 6)
    name = "adapter_model.safetensors"
    assert (again / name).read_bytes() == (lora_trained / name).read_bytes()
    assert [untimed(entry) for entry in read_log(again)] == [untimed(entry) for entry in read_log(lora_trained)]


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
def test_adapters_learn_beside_a_base_of_four_bits(adapted, tmp_path, monkeypatch):
    monkeypatch.setitem(RULES, "format", vowels)
    out = grpo.train(replace(adapted, out=str(tmp_path / "out"), quantize="nf4", steps=2, batch_size=8))
    assert curve(read_log(out), "kl")[1][0] == pytest.approx(0, abs=1e-6)
    assert json.loads((out / BASE).read_text())["quantize"] == "nf4"
    assert load.load_model(out).dtype == torch.float32


def test_two_processes_are_one_run(settings, tmp_path):
    options = {"steps": 2, "batch_size": 8, "max_new_tokens": 8, "out": tmp_path / "out", "processes": 2}
    given = options | {"base": settings.base, "data": settings.data, "generations": 8, "precision": "float32"}
    child.run("xlam_lib.train.grpo", given, log=tmp_path / "log.txt")
    log = read_log(tmp_path / "out")
    assert [entry["step"] for entry in log] == [1, 2] and all(entry["tokens"] > 0 for entry in log)
    assert is_complete(tmp_path / "out")


def test_a_prompt_read_once_is_continued_as_if_read_each_time(base, cases):
    greedy = Greedy(base)
    rows = encode(greedy.tokenizer, [model_prompt(case.prompt, *greedy.wrapper) for case in cases[:3]])
    alone = greedy.decode([case.prompt for case in cases[:3]], max_new_tokens=12)
    with torch.no_grad():
        found = continued(
            greedy.model, rows, 12, greedy.tokenizer.eos_token_id, lambda logits: logits.argmax(-1), copies=[1, 3, 2]
        )
    texts = [greedy.tokenizer.decode([i for i in ids if i != greedy.tokenizer.eos_token_id]) for ids in found]
    assert texts == [alone[row].text for row in (0, 1, 1, 1, 2, 2)]


def test_answers_are_scored_as_in_rows_of_their_own(base):
    rng = random.Random(0)
    model = load.load_model(base).eval()
    prompts = [[rng.randrange(5, 500) for _ in range(length)] for length in (7, 4)]
    chosen = [prompts[number] for number in (1, 0, 1, 0, 1)]
    answers = [[rng.randrange(5, 500) for _ in range(length)] for length in (3, 6, 1, 2, 0)]
    answers[2] = answers[0][:1]  # one answer begins as another does
    left = [[0] * (7 - len(prompt)) for prompt in chosen]
    right = [[0] * (6 - len(answer)) for answer in answers]
    parts = list(zip(left, chosen, answers, right, strict=True))
    ids = torch.tensor([a + b + c + d for a, b, c, d in parts])
    mask = torch.tensor([[0] * len(a) + [1] * len(b + c) + [0] * len(d) for a, b, c, d in parts])
    expected = torch.zeros(5, 6)
    with torch.no_grad():
        for number, (prompt, answer) in enumerate(zip(chosen, answers, strict=True)):
            logs = (model(torch.tensor([prompt + answer])).logits[0].float() / 0.7).log_softmax(-1)
            for at, token in enumerate(answer):
                expected[number, at] = logs[len(prompt) - 1 + at, token]
        read_tries(model, 0.7)
        batch, at = trainer.answers_as_tries(ids, mask, 6)
        found = model(**batch, fused_lm_head=True).log_probs.gather(1, at) * mask[:, -6:]
    assert batch["trie_tokens"].shape[1] == 7 + 4 + 6 + 2 + 3  # each prompt once, and what answers share
    assert torch.allclose(found, expected, atol=1e-5)
