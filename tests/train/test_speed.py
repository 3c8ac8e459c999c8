"""What `make speed` compares: each way makes the same step, and what falls short of its floor is told."""

import json
from functools import partial

import pytest
import torch
from train_demo import token_rows
from transformers import LlamaConfig, LlamaForCausalLM

from xlam_lib.train import checkpoint, peers, speed

GROUPS = [token_rows([2, 3, 4, 5, 6], 4), token_rows([2, 3, 9], 1), token_rows([7, 8, 9, 10], 3)]
ROWS = [row for group in GROUPS for row in group]


def model(vocabulary=64):
    torch.manual_seed(0)
    sizes = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **sizes))


def test_all_ways_make_the_same_step(monkeypatch):
    monkeypatch.setattr(peers.torch.optim, "AdamW", lambda parameters, lr, fused: torch.optim.SGD(parameters, lr=1.0))
    ways = {
        "tries": partial(peers.tries, groups=GROUPS, batch=99),
        "sorted": partial(peers.sorted_batches, rows=ROWS, tokens=10**6),
        "padded": partial(peers.padded, rows=ROWS, length=40, batch=99),
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
    assert peers.trl_packed(made, ROWS, tokenizer, length=64) > 0
    assert not torch.equal(before, made.model.embed_tokens.weight)


@pytest.mark.parametrize(("seconds", "code"), [(30.0, 0), (3.0, 1)])
def test_a_ratio_below_its_floor_is_told(tmp_path, monkeypatch, capsys, seconds, code):
    monkeypatch.setattr(speed, "groups_of", lambda *_: GROUPS)
    monkeypatch.setattr(speed, "measure", lambda *_: {"tries": 1.0, "bfd": seconds})
    given = ["--real", str(tmp_path), "--out", str(tmp_path / "out"), "--only", "alfworld", "--models", "2 layers"]
    assert speed.main(given) == code
    (found,) = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert found == {
        "case": "alfworld, 2 layers", "ours_s": 1.0, "peer": "bfd", "peer_s": seconds, "ratio": seconds, "floor": 20,
    }  # fmt: skip
    assert f"{seconds:.2f} times as fast (at least 20)" in capsys.readouterr().out


def test_without_real_records_it_says_what_to_give(tmp_path, capsys):
    with pytest.raises(SystemExit):
        speed.main(["--real", str(tmp_path / "nowhere")])
    assert "--real names no folder" in capsys.readouterr().err
