"""Experts kept busy over tries: loss and gradients are those of transformers and trl over all samples in one batch."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from train_demo import token_rows
from transformers import AutoModelForCausalLM, MixtralConfig, OlmoeConfig, Qwen2MoeConfig, Qwen3MoeConfig
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from xlam_lib.models import checkpoint, load, router
from xlam_lib.models.family import family, shrunk
from xlam_lib.perf.cases import CASES
from xlam_lib.perf.workloads import samples
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.packers import PaddedPacker, TriePacker, empty
from xlam_lib.train.packing.trie import trie
from xlam_lib.train.packing.trie_model import PairCollator, read_tries
from xlam_lib.train.rl.trainer import answers_as_tries
from xlam_lib.train.supervised import sft, sft_lite
from xlam_lib.train.supervised.lite_trainer import SFTFoundationTrainerLite, prepare_accelerator
from xlam_lib.train.supervised.trainer import SFTFoundationTrainer

SIZES = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
BALANCED = dict(output_router_logits=True, router_aux_loss_coef=0.5, initializer_range=0.2, num_experts_per_tok=2)
KINDS = {
    "mixtral": MixtralConfig(vocab_size=64, num_local_experts=4, **SIZES, **BALANCED),
    "qwen2_moe": Qwen2MoeConfig(
        vocab_size=64, num_experts=5, moe_intermediate_size=16, shared_expert_intermediate_size=16, **SIZES, **BALANCED
    ),
    "qwen3_moe": Qwen3MoeConfig(
        vocab_size=64, num_experts=4, moe_intermediate_size=16, head_dim=8, mlp_only_layers=[1], **SIZES, **BALANCED
    ),
    "olmoe": OlmoeConfig(vocab_size=64, num_experts=4, **SIZES, **BALANCED),
}
GROUPS = [token_rows([5, 6, 7, 8], 5), token_rows([9, 10], 3), token_rows([5, 6, 7, 9], 2)]
ROWS = [row for group in GROUPS for row in group]
COLLATE = DataCollatorForLanguageModeling(1)


def gradients(model):
    return {name: values.grad.clone() for name, values in model.named_parameters()}


def assert_same(found, expected):
    for name, values in expected.items():
        assert (found[name] - values).norm() <= 1e-5 * values.norm(), name


def apart(model, rows):
    """Of transformers' own loss over one padded batch: the loss, that of the routers, gradients."""
    model.set_attn_implementation("sdpa")
    found = model(**COLLATE([{key: list(row[key]) for key in ("input_ids", "labels")} for row in rows]))
    found.loss.backward()
    expected = found.loss.item(), found.aux_loss.item(), gradients(model)
    model.zero_grad()
    return expected


@pytest.mark.parametrize("attention", ["causal_blocks", "sdpa"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_trie_has_the_loss_of_one_padded_batch(kind, attention):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(KINDS[kind])
    loss, aux, expected = apart(model, ROWS)
    use_causal_blocks(model) if attention == "causal_blocks" else model.set_attn_implementation(attention)
    read_tries(model)
    batch = TriePacker(1000).pack(GROUPS).batches[0]
    assert batch["trie_count"].max() > 3 and batch["trie_count"].sum() == sum(len(row["input_ids"]) for row in ROWS)
    found = model(**{key: values for key, values in batch.items() if key != "weights"})
    found.loss.backward()
    assert found.aux_loss.item() == pytest.approx(aux, rel=1e-6) and found.loss.item() == pytest.approx(loss, rel=1e-6)
    assert_same(gradients(model), expected)
    model.zero_grad()  # and nodes that count once each give something else, or this would prove nothing
    once = {"trie_count": torch.ones_like(batch["trie_count"])}
    found = model(**{key: values for key, values in batch.items() if key != "weights"} | once)
    assert abs(found.aux_loss.item() - aux) > 1e-4 * aux


def test_filling_behind_the_nodes_does_not_count():
    """As FlexAttention has it; its forward alone, for on a CPU it has no way back."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(KINDS["mixtral"])
    _, aux, _ = apart(model, ROWS)
    read_tries(model)
    batch = TriePacker(1000).pack(GROUPS).batches[0]
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        model.set_attn_implementation("flex_attention")
        found = model(**{key: values for key, values in batch.items() if key != "weights"})
    assert found.aux_loss.item() == pytest.approx(aux, rel=1e-5)


def test_pairs_and_answers_have_the_loss_of_their_padded_rows():
    """As trl asks for it in DPO and GRPO; the answers of a prompt, and pairs, share what they begin with."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(KINDS["mixtral"])
    prompts, answers = [[5, 6, 7, 8, 9], [5, 6, 20]], [[[12, 13, 1], [12, 1]], [[21, 1], [22, 23, 1]]]
    rows = [prompt + answer for prompt, some in zip(prompts, answers, strict=True) for answer in some]
    _, aux, _ = apart(model, [{"input_ids": row, "labels": row} for row in rows])
    read_tries(model)
    use_causal_blocks(model)
    pairs = [
        {"prompt_ids": list(prompt), "chosen_ids": list(some[0]), "rejected_ids": list(some[1])}
        for prompt, some in zip(prompts, answers, strict=True)
    ]
    batch = PairCollator(0, 64)(pairs)
    del batch["completion_mask"]
    found = model(**batch, labels=batch["input_ids"], fused_lm_head=True, output_router_logits=True)
    assert found.aux_loss.item() == pytest.approx(aux, rel=1e-6)
    ids = [[0] * (5 - len(row[:-3])) + row for row in rows if len(row) in (8, 6)]
    mask = torch.tensor([[int(token > 0) for token in row] for row in ids])
    expected = apart(model, [{"input_ids": row, "labels": row} for row in rows if len(row) in (8, 6)])[1]
    use_causal_blocks(model)
    batch, _ = answers_as_tries(torch.tensor(ids), mask, 3)
    found = model(**batch, fused_lm_head=True, output_router_logits=True)
    assert found.aux_loss.item() == pytest.approx(expected, rel=1e-6)
    assert model(**batch, fused_lm_head=True, output_router_logits=False).aux_loss is None


@given(st.lists(st.lists(st.integers(0, 3), max_size=8), min_size=1, max_size=7).filter(any))
def test_a_node_counts_the_sequences_that_hold_it(sequences):
    made = trie(sequences)
    for sequence, nodes in zip(sequences, made.nodes, strict=True):
        for end, node in enumerate(nodes, 1):
            assert made.count[node] == sum(other[:end] == sequence[:end] for other in sequences)
    assert made.count.sum() == sum(map(len, sequences))


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_parts_add_up_to_the_loss_of_transformers(parts):
    torch.manual_seed(0)
    logits = [torch.randn(30, 6, requires_grad=True) for _ in range(3)]
    count = torch.randint(0, 5, (30,))
    expected = load_balancing_loss_func(tuple(logits), 6, 2, count)
    pieces = list(zip(*[layer.chunk(parts) for layer in logits], strict=True))
    busy = [router.ExpertLoad.of(piece, some, 2) for piece, some in zip(pieces, count.chunk(parts), strict=True)]
    with torch.no_grad():
        whole = router.summed(busy, lambda values: values)
    found = sum(one.loss(whole) for one in busy)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    for a, b in zip(*(torch.autograd.grad(loss, logits) for loss in (found, expected)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-9)


def test_equally_busy_experts_have_a_loss_of_top_k():
    assert router.ExpertLoad(torch.ones(4), torch.ones(4) / 2, torch.tensor(2.0)).loss() == 2.0
    nothing = router.ExpertLoad.of([torch.randn(2, 4)], empty()["trie_count"], 2)
    assert nothing.rows == 0 and nothing.loss() == 0 and not nothing.chosen.any()


def test_a_configuration_asks_for_it_or_not():
    assert router.aux_loss_coef(KINDS["olmoe"]) == 0.5
    assert router.aux_loss_coef(shrunk(family()["xLAM-8x7b-r"].architecture, 64)) == 0
    assert router.aux_loss_coef(shrunk(family()["xLAM-7b-r"].architecture, 64)) == 0


@pytest.mark.real_data
def test_real_records(real_data, tmp_path):
    _, groups = samples(replace(CASES[0], most=1), real_data, tmp_path)
    rows = [row for group in groups for row in group]
    size = max(max(row["input_ids"]) for row in rows) + 1
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(MixtralConfig(vocab_size=size, num_local_experts=4, **SIZES, **BALANCED))
    loss, aux, expected = apart(model, rows)
    use_causal_blocks(model)
    read_tries(model)
    packed = TriePacker(20_000).pack(groups)
    assert packed.read < packed.tokens / 1.5
    found = model(**{key: values for key, values in packed.batches[0].items() if key not in ("weights", "source")})
    found.loss.backward()
    assert found.aux_loss.item() == pytest.approx(aux, rel=1e-6) and found.loss.item() == pytest.approx(loss, rel=1e-6)
    assert_same(gradients(model), expected)


@pytest.fixture(scope="module")
def start(base, tmp_path_factory):
    """Tiny mixtures whose experts are far from equally busy: asked to balance them, not asked, and "0 times"."""
    tokenizer = checkpoint.load_tokenizer(base)
    made = {}
    for name, more in (("on", {}), ("off", {"output_router_logits": False}), ("zero", {"router_aux_loss_coef": 0.0})):
        given = BALANCED | {"router_aux_loss_coef": 2.0, "eos_token_id": tokenizer.eos_token_id} | more
        torch.manual_seed(0)
        config = MixtralConfig(vocab_size=len(tokenizer), num_local_experts=4, **SIZES, **given)
        folder = tmp_path_factory.mktemp("mixtures") / name
        made[name] = checkpoint.save(folder, AutoModelForCausalLM.from_config(config), tokenizer)
    return made


@pytest.fixture(scope="module")
def settings(start, data, tmp_path_factory):
    return sft_lite.LiteSettings(
        base=str(start["on"]), data=(str(data),), out=str(tmp_path_factory.mktemp("lite") / "out"), epochs=1.0,
        lr=3e-3, processes=1, precision="float32", log_every=1,
    )  # fmt: skip


def test_sft_lite_keeps_experts_busy_and_tells(settings):
    out = sft_lite.train(settings)
    losses, loss = curve(read_log(out), "aux_loss")[1], curve(read_log(out), "loss")[1]
    assert losses[0] > 2.1 and losses[-1] < 2 + (losses[0] - 2) / 2, "of 2.0, where all are equally busy"
    assert loss[-1] < loss[0] and load.load_model(out).config.router_aux_loss_coef == 2.0


def test_counting_nothing_changes_nothing(settings, start, tmp_path):
    made = []
    for name in ("off", "zero"):
        out = sft_lite.train(replace(settings, base=str(start[name]), out=str(tmp_path / name), epochs=0.3))
        made.append((out / "model.safetensors").read_bytes())
        assert "aux_loss" not in read_log(out)[0]
    assert made[0] == made[1]


@pytest.mark.parametrize("again", [False, True])
def test_how_a_step_is_packed_changes_nothing(settings, start, again):
    """One row or many, tries or padding, layers computed once or twice: the step of one padded batch."""
    tokenizer, found = checkpoint.load_tokenizer(settings.base), []
    for packer in (None, TriePacker(300), PaddedPacker(COLLATE, 64), PaddedPacker(COLLATE, 3)):
        mixture, _ = sft_lite._mixture(settings, tokenizer)
        given = replace(settings, gradient_checkpointing=again, max_grad_norm=1e9)
        trainer = SFTFoundationTrainerLite(given, prepare_accelerator(given), mixture, collator=packer)
        groups = next(trainer._batches(0))
        trainer.model.train()
        found.append(trainer._step(1, groups))
    rows = [row for group in groups for row in group]
    model = load.load_model(settings.base)
    loss, aux, expected = apart(model, rows)
    norm = torch.stack([values.norm() for values in expected.values()]).norm().item()
    for step in found:
        assert step["loss"] == pytest.approx(loss, rel=1e-6) and step["aux_loss"] == pytest.approx(aux, rel=1e-6)
        assert step["grad_norm"] == pytest.approx(norm, rel=1e-5)


@pytest.mark.parametrize("micro", [0, 2])
def test_sft_of_tries_is_trl_s_of_padded_rows(start, data, tmp_path, micro):
    """Micro-batches as trl counts them: each finds its own loss, and the step has their mean."""
    logs, made = [], []
    for collator in (None, COLLATE):
        args = sft.SftSettings(
            base=str(start["on"]), data=str(data), out=str(tmp_path / str(collator is None)), precision="float32",
            batch_size=8, per_device_batch_size=micro, lr=1e-3, log_every=1, processes=1,
        )  # fmt: skip
        trainer = SFTFoundationTrainer(args, [*GROUPS, token_rows([3, 4, 5], 6)], collator=collator)
        trainer.train()
        logs.append([entry for entry in trainer.state.log_history if "loss" in entry])
        made.append(dict(trainer.model.named_parameters()))
    for one, other in zip(*logs, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["aux_loss"] == pytest.approx(other["aux_loss"], rel=1e-5) and one["aux_loss"] > 2
    for name, values in made[0].items():
        torch.testing.assert_close(values, made[1][name], rtol=1e-3, atol=1e-5)


def test_an_architecture_without_routers_is_refused(settings, base):
    batch = TriePacker(1000).pack(GROUPS[:1]).batches[0]
    model = load.load_model(base)
    read_tries(model)
    with pytest.raises(ValueError, match="llama: asked to keep experts busy"):
        model(**{key: values for key, values in batch.items() if key != "weights"}, output_router_logits=True)
