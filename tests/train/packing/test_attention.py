"""Attention by blocks gives what transformers' own attention gives, padding or not."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from xlam_lib.train.packing.attention import causal_blocks, use_causal_blocks


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    return LlamaForCausalLM(LlamaConfig(vocab_size=50, num_key_value_heads=2, **sizes))


@pytest.mark.parametrize("length", [1, 199, 200, 450])
def test_losses_and_gradients_are_those_of_eager_attention(model, length):
    ids = torch.randint(0, 50, (3, length))
    mask = torch.ones_like(ids)
    mask[1, length - length // 3 :] = 0
    found = []
    for choose in (lambda: model.set_attn_implementation("eager"), lambda: use_causal_blocks(model)):
        choose()
        model.zero_grad()
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        loss = (logits.logsumexp(-1) * mask).sum() / mask.sum()
        loss.backward()
        found.append((logits[mask.bool()].detach(), torch.cat([p.grad.flatten() for p in model.parameters()])))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_no_token_sees_a_later_one():
    q, k, v = torch.randn(3, 1, 2, 30, 8)
    before, _ = causal_blocks(None, q, k, v, None, 0.3, size=7)
    k[:, :, 20:], v[:, :, 20:] = 5.0, -5.0
    after, _ = causal_blocks(None, q, k, v, None, 0.3, size=7)
    torch.testing.assert_close(after[:, :20], before[:, :20])
    assert not torch.allclose(after[:, 20:], before[:, 20:])


def test_rows_beyond_a_sliding_window_are_refused():
    row = torch.randn(1, 2, 9, 4)
    causal_blocks(None, row, row, row, None, 1.0, sliding_window=9)
    with pytest.raises(ValueError, match="a row of 9 tokens, but the model attends to the last 8 only"):
        causal_blocks(None, row, row, row, None, 1.0, sliding_window=8)
