"""A step's samples in rows: every sample once, devices with equal work, and the loss that separate samples give."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from train_demo import token_rows
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.grouping import _runs
from xlam_lib.train.packing.packers import PaddedPacker, TriePacker, into_rows, share_out
from xlam_lib.train.packing.trie import trie
from xlam_lib.train.packing.trie_model import KEYS, read_tries

GROUPS = [
    token_rows([2, 3, 4, 5, 6], 4),
    token_rows([2, 3, 9], 1),
    token_rows([7, 8, 9, 10], 3),
    token_rows([11] * 9, 2),
]
ROWS = [row for group in GROUPS for row in group]


@given(st.lists(st.floats(0, 100), max_size=40), st.integers(1, 5))
def test_items_are_shared_out_evenly(costs, devices):
    shares = share_out(costs, devices)
    assert sorted(number for share in shares for number in share) == list(range(len(costs)))
    loads = [sum(costs[number] for number in share) for share in shares]
    assert max(loads) - min(loads) <= max(costs, default=0) + 1e-9


def test_the_examples_of_the_docstrings():
    assert share_out([9, 5, 4, 2], 2) == [[0, 3], [1, 2]]
    assert into_rows([0, 1, 2], [6, 5, 3], 10) == [[0, 2], [1]]
    assert TriePacker(crossing=2000).cost(trie([range(1000)])) == 1499.5
    assert _runs([300, 300, 200], [0, 100, 100], 500) == [(0, 2), (2, 3)]


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(20, 60))
def test_rows_hold_what_fits(lengths, room):
    rows = into_rows(range(len(lengths)), lengths, room)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(len(row) == 1 or sum(lengths[number] for number in row) <= room for row in rows)
    halves = sum(sum(lengths[number] for number in row) <= room / 2 for row in rows)
    assert halves <= 1, "two half-empty rows would have been one"


@settings(deadline=None)
@given(st.integers(1, 5), st.sampled_from([8, 14, 40, 1000]))
def test_devices_agree_on_a_plan_that_leaves_nothing_out(devices, row_tokens):
    packs = [TriePacker(row_tokens).pack(GROUPS, rank, devices) for rank in range(devices)]
    assert {pack.weight for pack in packs} == {sum(label != -100 for row in ROWS for label in row["labels"])}
    assert len({len(pack.batches) for pack in packs}) == 1, "devices that talk at every row need equally many"
    assert sum(pack.tokens for pack in packs) == sum(len(row["input_ids"]) for row in ROWS)
    batches = [batch for pack in packs for batch in pack.batches]
    assert sum(batch["weights"].sum().item() for batch in batches) == packs[0].weight
    found = sorted(
        batch["trie_tokens"][0][nodes[: int((labels != -100).nonzero().max()) + 1]].tolist()
        for batch in batches
        for nodes, labels in zip(batch["trie_node"], batch["labels"], strict=True)
        if (labels != -100).any()
    )
    assert found == sorted(row["input_ids"] for row in ROWS)
    if row_tokens == 1000:
        assert sum(pack.read for pack in packs) == 23 + 6 + 17 + 17  # tries: each trajectory's own tokens
    assert all(pack.padding == 0 for pack in packs)


def test_trajectories_that_begin_alike_share_it():
    tools = list(range(20, 120))
    groups = [token_rows([*tools, number], 3) for number in range(2, 8)]
    apart = sum(len(trie([row["input_ids"] for row in group])) for group in groups)
    assert TriePacker(10_000).pack(groups).read == apart - 5 * 100
    assert TriePacker(130).pack(groups).read == apart - 3 * 100, "as many as fit into a row"
    packs = [TriePacker(10_000).pack(groups, rank, 2) for rank in range(2)]
    assert [pack.read for pack in packs] == [apart / 2 - 200] * 2, "each device reads it once"
    short = [token_rows([*tools[:50], number], 3) for number in range(2, 8)]
    assert TriePacker(10_000).pack(short).read == apart - 6 * 50, "too little to be joined for"


@pytest.fixture()
def model():
    torch.manual_seed(0)
    sizes = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, num_key_value_heads=2, **sizes)).double()


def gradients(model, batches, weight):
    """The loss and the gradients over some batches, as the loop has them."""
    model.zero_grad()
    total = 0.0
    for batch in batches:
        batch = dict(batch)
        weights = batch.pop("weights", None)
        if KEYS[0] in batch:
            loss = -(model(**batch).log_probs * weights[:, 1:]).sum() / weight
        else:
            labels = batch.pop("labels")[:, 1:].flatten()
            logits = model(**batch, use_cache=False).logits[:, :-1].flatten(0, 1)
            loss = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum") / weight
        loss.backward()
        total += loss.item()
    return total, {name: value.grad.clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize(("devices", "row_tokens"), [(1, 1000), (1, 14), (2, 1000), (3, 8)])
def test_losses_and_gradients_are_those_of_separate_samples(model, devices, row_tokens):
    apart = [{key: torch.tensor([row[key]]) for key in ("input_ids", "labels")} for row in ROWS]
    weight = TriePacker().pack(GROUPS).weight
    expected, grads = gradients(model, apart, weight)
    use_causal_blocks(model)
    read_tries(model)
    packs = [TriePacker(row_tokens).pack(GROUPS, rank, devices) for rank in range(devices)]
    found, ours = gradients(model, [batch for pack in packs for batch in pack.batches], weight)
    assert found == pytest.approx(expected, rel=1e-6)  # log-probabilities are float32
    for name, value in grads.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-6)


def test_labels_can_weigh_differently(model):
    use_causal_blocks(model)
    read_tries(model)
    row = ROWS[0]
    heavy = {**row, "weights": [2.0] * len(row["labels"])}
    plain, twice = TriePacker().pack([[row]]), TriePacker().pack([[heavy]])
    assert twice.weight == 2 * plain.weight
    assert gradients(model, twice.batches, 1)[0] == pytest.approx(2 * gradients(model, plain.batches, 1)[0])


@pytest.mark.parametrize("devices", [1, 2, 3])
def test_padded_batches_hold_each_sample_once(devices):
    packer = PaddedPacker(DataCollatorForLanguageModeling(0), batch_size=2)
    packs = [packer.pack(GROUPS, rank, devices) for rank in range(devices)]
    assert len({len(pack.batches) for pack in packs}) == 1
    assert sum(pack.tokens for pack in packs) == sum(len(row["input_ids"]) for row in ROWS)
    assert sum(pack.read - pack.padding for pack in packs) == sum(pack.tokens for pack in packs)
    assert {pack.weight for pack in packs} == {30.0}


def test_labels_that_the_collator_makes_count():
    collate = DataCollatorForLanguageModeling(0)

    def everything(rows):
        return collate([{"input_ids": row["input_ids"], "labels": row["input_ids"]} for row in rows])

    rows = [{"input_ids": row["input_ids"]} for row in ROWS]
    assert PaddedPacker(everything).pack([rows]).weight == sum(len(row["input_ids"]) - 1 for row in ROWS)
