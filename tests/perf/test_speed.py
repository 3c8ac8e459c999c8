"""What `make speed` compares: each way makes the same step, and what falls short of its floor is reported."""

import json
import operator
from dataclasses import replace
from functools import partial

import pytest
import torch
from train_demo import summed_ones, token_rows
from transformers import LlamaConfig, LlamaForCausalLM

from xlam_lib.models import checkpoint
from xlam_lib.perf import baselines, comparisons, exactness, speed
from xlam_lib.perf.cases import CASES, Case
from xlam_lib.perf.workloads import VOCABULARY, pairs, samples
from xlam_lib.train.packing import packers

GROUPS = [token_rows([2, 3, 4, 5, 6], 4), token_rows([2, 3, 9], 1), token_rows([7, 8, 9, 10], 3)]
ROWS = [row for group in GROUPS for row in group]


def model(vocabulary=64):
    torch.manual_seed(0)
    sizes = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **sizes))


def test_all_ways_make_the_same_step(monkeypatch):
    monkeypatch.setattr(
        baselines.torch.optim, "AdamW", lambda parameters, lr, fused: torch.optim.SGD(parameters, lr=1.0)
    )
    ways = {
        "tries": partial(baselines.tries, groups=GROUPS, batch=99),
        "sorted": partial(baselines.sorted_batches, rows=ROWS, tokens=10**6),
        "padded": partial(baselines.padded, rows=ROWS, length=40, batch=99),
    }
    trained = {}
    for name, way in ways.items():
        trained[name] = model()
        assert way(trained[name]) > 0
    for (name, a), b, c in zip(
        trained["tries"].named_parameters(), trained["sorted"].parameters(), trained["padded"].parameters(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
        torch.testing.assert_close(b, c, rtol=1e-4, atol=1e-6)
        assert not torch.equal(a, dict(model().named_parameters())[name])


def test_trl_packs_and_trains_the_same_rows(base):
    tokenizer = checkpoint.load_tokenizer(base)
    made = model(len(tokenizer))
    before = made.model.embed_tokens.weight.clone()
    assert baselines.trl_packed(made, ROWS, tokenizer, length=64) > 0
    assert not torch.equal(before, made.model.embed_tokens.weight)


def test_dpo_on_tries_has_the_losses_of_trl(base):
    tokenizer = checkpoint.load_tokenizer(base)
    start = "".join(chr(97 + number % 26) for number in range(60))
    pairs = [{"prompt": f"{start} {n}", "chosen": f"yes {n}", "rejected": "no"} for n in range(8)]
    found = [baselines.preferences(model(len(tokenizer)), pairs, tokenizer, tries)[1] for tries in (True, False)]
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert found[0][0] == pytest.approx(0.6931, abs=1e-3) and found[0][1] != found[0][0]


def test_memory_is_that_of_the_way_alone():
    assert comparisons.measure(summed_ones, 1)[0] == 250_000
    small, large = (comparisons.measure(summed_ones, megabytes)[1] for megabytes in (1, 200))
    assert large - small == pytest.approx(199e6, rel=0.1)


def test_a_way_that_dies_is_reported():
    with pytest.raises(RuntimeError, match="ended with status 1"):
        comparisons.measure(operator.truediv, 1, 0)


CASE = Case("alfworld", "nowhere", floors={"bfd": 20})


@pytest.mark.parametrize(("seconds", "code"), [(30.0, 0), (3.0, 1)])
def test_a_ratio_below_its_floor_is_reported(tmp_path, monkeypatch, capsys, seconds, code):
    monkeypatch.setattr(comparisons, "CASES", [CASE])
    monkeypatch.setattr(comparisons, "samples", lambda *_: (None, GROUPS))
    monkeypatch.setattr(baselines, "tries", lambda *_: 1.0)
    monkeypatch.setattr(baselines, "trl_packed", lambda *_: seconds)
    monkeypatch.setattr(
        comparisons, "measure", lambda epoch, way, *given: (epoch(way, *given), 10 if way == "bfd" else 5)
    )
    given = ["--real", str(tmp_path), "--out", str(tmp_path / "out"), "--only", "alfworld", "--models", "2 layers"]
    assert speed.main(given) == code
    time, memory = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert {key: time[key] for key in ("case", "ours_s", "peer", "peer_s", "ratio", "floor", "samples")} == {
        "case": "alfworld, 2 layers", "ours_s": 1.0, "peer": "bfd", "peer_s": seconds, "ratio": seconds, "floor": 20,
        "samples": len(ROWS),
    }  # fmt: skip
    assert memory["case"] == "memory, alfworld, 2 layers" and memory["ratio"] == 2
    assert f"{seconds:.2f} times as fast (at least 20)" in capsys.readouterr().out


def test_differences_from_separate_samples_are_small_and_seen(monkeypatch):
    found = exactness.difference("demo", GROUPS)
    assert found.samples == len(ROWS) and found.shared > 1.5
    assert found.loss < 1e-6 and found.gradient < 1e-5
    whole = packers.TriePacker.pack
    monkeypatch.setattr(exactness.TriePacker, "pack", lambda packer, groups: whole(packer, [ROWS[1:]]))
    assert exactness.difference("demo", GROUPS).gradient > 0.01, "a sample that is missing"


def test_without_real_records_it_says_what_to_give(tmp_path, capsys):
    with pytest.raises(SystemExit):
        speed.main(["--real", str(tmp_path / "nowhere")])
    assert "--real names no folder" in capsys.readouterr().err


def test_the_samples_of_a_real_case(real_data, tmp_path):
    case = CASES[0]
    tokenizer, groups = samples(replace(case, most=2), real_data, tmp_path)
    rows = [row for group in groups for row in group]
    assert len(groups) == 2 and len(tokenizer) <= VOCABULARY
    assert all(len(row["input_ids"]) <= case.length for row in rows)
    text = tokenizer.decode(rows[0]["input_ids"])
    assert "[BEGIN OF AVAILABLE TOOLS]" in text and len(text) / len(rows[0]["input_ids"]) > 3
    made = pairs(case, real_data, tmp_path / "pairs", most=5)
    assert len(made) == 5 and all(one["chosen"] != one["rejected"] for one in made)


def test_an_epoch_in_a_process_of_its_own(base):
    """After this process has calculated on several threads, too: children inherit none that died with a fork.

    All ways are compared above, in this process; here stand ours and trl's.
    """
    torch.ones(2000, 2000).matmul(torch.ones(2000, 2000)).sum()
    tokenizer = checkpoint.load_tokenizer(base)
    for way in ("tries", "bfd"):
        seconds, grown = comparisons.measure(comparisons.epoch, way, "2 layers", GROUPS, tokenizer, 64)
        assert 0 < seconds < 60 and grown > 0
