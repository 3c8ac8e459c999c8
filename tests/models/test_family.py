"""The models of the family: their sizes are those of their cards, and small twins of them read tries."""

import pytest
import torch
from train_demo import token_rows
from transformers import AutoModelForCausalLM

from xlam_lib.models import checkpoint
from xlam_lib.models.family import build, configuration, family, shrunk
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.packers import TriePacker
from xlam_lib.train.packing.trie_model import read_tries
from xlam_lib.train.planning.memory import sizes

KINDS = ("xLAM-7b-r", "xLAM-8x7b-r", "xLAM-1b-fc-r", "xLAM-7b-fc-r", "xLAM-2-1b-fc-r", "Llama-xLAM-2-8b-fc-r")
SEEDS = {  # the table of the model card in the seeds: total parameters in billions, context in thousands
    "xLAM-7b-r": ("7.24", 32),
    "xLAM-8x7b-r": ("46.7", 32),
    "xLAM-8x22b-r": ("141", 64),
    "xLAM-1b-fc-r": ("1.35", 16),
    "xLAM-7b-fc-r": ("6.91", 4),
    "xLAM-v0.1-r": ("46.7", 32),
}


@pytest.mark.parametrize("spec", family().values(), ids=family())
def test_a_model_has_as_many_parameters_as_its_card_says(spec):
    model = build(spec.config())
    assert {values.device.type for values in model.parameters()} == {"meta"}
    total = sum(values.numel() for values in model.parameters()) / 1e9
    assert total == pytest.approx(spec.parameters, abs=0.06 if total > 50 else 0.05 if total > 10 else 0.006)


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_table_holds(name):
    spec, (size, context) = family()[name], SEEDS[name]
    total = sizes(build(spec.config())).total / 1e9
    assert f"{total:.{len(size.partition('.')[2])}f}" == size and spec.context == context * 1024


@pytest.mark.parametrize(("name", "billions"), [("xLAM-8x7b-r", 12.9), ("xLAM-8x22b-r", 39.1)])
def test_a_token_passes_two_experts(name, billions):
    """Mistral's announcements: 12.9 of 46.7 and 39 of 141 billion parameters are active."""
    counted = sizes(build(family()[name].config()))
    active = counted.total - counted.experts * (1 - counted.experts_used)
    assert active / 1e9 == pytest.approx(billions, abs=0.1)


@pytest.mark.parametrize("spec", family().values(), ids=family())
def test_what_is_declared_can_be_used(spec):
    before, after = checkpoint.normalized_wrapper(spec.template.before, spec.template.after)
    assert before and after and not before.endswith(" ") and spec.template.end != spec.template.pad
    assert spec.context <= spec.config().max_position_embeddings
    assert spec.hub.endswith(f"/{spec.name}") and spec.licence == "cc-by-nc-4.0"


def test_a_setting_that_the_architecture_does_not_know_is_an_error():
    with pytest.raises(ValueError, match="mistral: no setting called heads"):
        configuration({"model_type": "mistral", "heads": 3})


@pytest.mark.parametrize("attention", ["causal_blocks", "sdpa"])
@pytest.mark.parametrize("name", KINDS)
def test_tries_give_the_loss_and_gradients_of_separate_samples(name, attention):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(shrunk(family()[name].architecture, 64))
    use_causal_blocks(model) if attention == "causal_blocks" else model.set_attn_implementation(attention)
    rows = token_rows([5, 6, 7, 8], 5) + token_rows([9, 10], 3)
    apart = torch.zeros(())
    for row in rows:
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
        found = model(input_ids=ids, labels=labels, use_cache=False)
        apart = apart + found.loss * (labels[:, 1:] != -100).sum()
    apart.backward()
    expected = {key: values.grad.clone() for key, values in model.named_parameters()}
    model.zero_grad()
    read_tries(model)
    packed = TriePacker(1000).pack([rows[:5], rows[5:]])
    assert packed.read < packed.tokens and len(packed.batches) == 1
    batch = packed.batches[0]
    together = -(model(**{k: v for k, v in batch.items() if k != "weights"}).log_probs).sum()
    together.backward()
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=0)
    for key, values in model.named_parameters():
        assert (values.grad - expected[key]).norm() <= 1e-4 * expected[key].norm(), key
