import json
import random
from dataclasses import replace

import pytest
import torch

from xlam_lib.atomic import is_complete
from xlam_lib.chat_template import model_prompt
from xlam_lib.train import checkpoint, grpo, launch, loop, policy
from xlam_lib.train.decode import Greedy, continued
from xlam_lib.train.examples import encode
from xlam_lib.train.log import curve, read_log
from xlam_lib.train.processes import TrainingError
from xlam_lib.train.rewards import RewardError
from xlam_lib.train.trie_model import read_tries


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
        patch.setitem(grpo.RULES, "format", vowels)
        return grpo.train(settings)


def weights(folder):
    return checkpoint.load_model(folder).state_dict()


def test_what_is_rewarded_becomes_likelier(trained, settings):
    rewards = curve(read_log(trained), "rewards/format/mean")[1]
    assert len(rewards) == settings.steps
    assert sum(rewards[-2:]) / 2 > sum(rewards[:2]) / 2 + 0.05


def test_the_log_says_what_was_earned_and_how_long_answers_are(trained, settings):
    last = read_log(trained)[-1]
    for name in (*grpo.RULES, "execution"):
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
    monkeypatch.setitem(grpo.RULES, "format", vowels)
    more = {"iterations": 2, "read_at_once": 12, "beta": 0.1, "save_every": 1, "steps": 4}
    whole = grpo.train(replace(settings, out=str(tmp_path / "whole"), **more))
    original, count = loop.FiniteLoss.training_step, []

    def step(self, *args, **kwargs):
        count.append(1)
        if len(count) == 12:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(loop.FiniteLoss, "training_step", step)
    cut = replace(settings, out=str(tmp_path / "cut"), **more)
    with pytest.raises(KeyboardInterrupt):
        grpo.train(cut)
    assert not (tmp_path / "cut").exists()
    again = grpo.train(cut)
    assert len(count) == 12 + 8  # from the checkpoint after two rounds of four parts each
    assert (again / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    ours, theirs = read_log(again), read_log(whole)
    for entry in (*ours, *theirs):
        del entry["seconds"], entry["step_time"]
    assert ours == theirs


def test_equal_rewards_teach_nothing(settings, base, tmp_path, monkeypatch):
    for name in grpo.RULES:
        monkeypatch.setitem(grpo.RULES, name, lambda one: 0.5)
    out = grpo.train(replace(settings, out=str(tmp_path / "out"), steps=2))
    assert curve(read_log(out), "frac_reward_zero_std")[1] == [1.0, 1.0]
    before, after = weights(base), weights(out)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_reward_that_is_not_a_number_ends_the_run(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(grpo.RULES, "exact", lambda one: float("nan"))
    with pytest.raises(RewardError, match="reward 'exact' is nan"):
        grpo.train(replace(settings, out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_weights_that_break_end_the_run(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(grpo.RULES, "format", vowels)
    original = loop.FiniteLoss.training_step

    def step(self, model, *args):
        loss = original(self, model, *args)
        next(model.parameters()).data[:] = float("inf")
        return loss

    monkeypatch.setattr(loop.FiniteLoss, "training_step", step)
    with pytest.raises(TrainingError, match="step 2: the model's probabilities are not finite.*Lower --lr"):
        grpo.train(replace(settings, out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("more", "message"), [
    ({"generations": 1}, "--generations is 1"),
    ({"batch_size": 12}, "give a multiple of 8"),
    ({"batch_size": 0}, "give a multiple of 8"),
    ({"steps": 0}, "--steps of 1 or more"),
    ({"read_at_once": 5}, "does not divide into 1 processes"),
    ({"max_length": 20}, "none of 72 prompts has at most 12 tokens"),
    ({"exact_weight": -1.0}, "reward 'exact': the weight is -1.0"),
    ({"use_vllm": True}, "needs a GPU"),
])  # fmt: skip
def test_settings_that_can_not_work_are_refused(settings, tmp_path, more, message):
    if "use_vllm" in more and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(TrainingError, match=message):
        grpo.train(replace(settings, out=str(tmp_path / "out"), **more))
    assert not (tmp_path / "out").exists()


def test_a_fault_ends_the_command_with_one_line(settings, tmp_path, capsys):
    line = ["--base", settings.base, "--data", settings.data, "--out", str(tmp_path / "out"), "--processes", "1"]
    assert grpo.main([*line, "--generations", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: --generations is 1")


def test_long_prompts_are_left_out_and_counted(settings, tmp_path, cases, base):
    tokenizer = checkpoint.load_tokenizer(base)
    texts = [model_prompt(case.prompt, *checkpoint.wrapper(tokenizer)) for case in cases]
    lengths = sorted(len(ids) for ids in encode(tokenizer, texts))
    limit = lengths[len(lengths) // 2]
    found = grpo._prompts(replace(settings, max_length=limit + settings.max_new_tokens), tokenizer)
    fit = sum(length <= limit for length in lengths)
    assert found[2] == {"prompts": fit, "left_out": len(cases) - fit, "drawn": 36}
    assert all(len(ids) <= limit for ids in encode(tokenizer, list(found[1]["prompt"])))
    assert [texts[number] for number in found[1]["case"]] == list(found[1]["prompt"])


def test_two_processes_are_one_run(settings, tmp_path):
    options = {"steps": 2, "batch_size": 8, "max_new_tokens": 8, "out": tmp_path / "out", "processes": 2}
    given = options | {"base": settings.base, "data": settings.data, "generations": 8, "precision": "float32"}
    launch.run("xlam_lib.train.grpo", given, log=tmp_path / "log.txt")
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
    model = checkpoint.load_model(base).eval()
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
        batch, at = policy.answers_as_tries(ids, mask, 6)
        found = model(**batch, fused_lm_head=True).log_probs.gather(1, at) * mask[:, -6:]
    assert batch["trie_tokens"].shape[1] == 7 + 4 + 6 + 2 + 3  # each prompt once, and what answers share
    assert torch.allclose(found, expected, atol=1e-5)
