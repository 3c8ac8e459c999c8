"""Adapters: which layers get them, that they read tries, what a run with them does and leaves behind."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

from xlam_lib.errors import CheckpointError
from xlam_lib.files import is_complete
from xlam_lib.models import adapters, checkpoint, load, lora, lora_settings
from xlam_lib.models.bases import adapted
from xlam_lib.models.folders import digest
from xlam_lib.serve.engines.transformers import Greedy
from xlam_lib.train.loop import runner
from xlam_lib.train.loop.child import run
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.trie_model import collate_rows, read_tries
from xlam_lib.train.supervised import sft
from xlam_lib.train.supervised.settings import check

quantised = pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
SIZES = dict(vocab_size=64, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)


@pytest.fixture(scope="module")
def settings(base, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("lora") / "out"
    return sft.SftSettings(
        base=str(base), data=str(data), out=str(out), samples=48, batch_size=8, lr=2e-2, processes=1,
        precision="float32", log_every=1, save_every=3, lora_rank=4, lora_dropout=0.1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(settings):
    return sft.train(settings)


def model(kind=LlamaForCausalLM, config=LlamaConfig, **more):
    torch.manual_seed(0)
    return kind(config(**SIZES, num_key_value_heads=1, **more))


def logits(made, tokenizer) -> torch.Tensor:
    ids = tokenizer("Book Hotel Oslo for 3 nights.", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return made.eval()(input_ids=ids).logits


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lora_rank": -1}, "lora_rank is -1: expected 0"),
        ({"lora_alpha": -1.0}, "lora_alpha is -1: expected 0"),
        ({"lora_dropout": 1.0}, "lora_dropout is 1: expected a share from 0 to below 1"),
        ({"lora_rank": 0}, "lora_dropout without lora_rank: no adapter is made"),
        ({"lora_rank": 0, "lora_dropout": 0.0, "quantize": "nf4"}, "quantize is 'nf4' without lora_rank"),
        ({"from_scratch": True}, "from_scratch with lora_rank"),
        ({"lora_targets": ("q_proj", "query")}, "'query' is no linear layer.* there are down_proj, .*, v_proj$"),
        ({"lora_targets": ("lm_head",)}, "'lm_head' is no linear layer of the model, or its head; there are"),
        ({"per_device_batch_size": 3}, "per_device_batch_size is 3, but a process has 8 rows a step"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(settings, tmp_path, change, message):
    with pytest.raises(runner.TrainingError, match=message):
        sft.train(replace(settings, out=str(tmp_path / "out"), **change))
    assert not (tmp_path / "out").exists()


def test_without_bitsandbytes_quantize_says_what_is_missing(settings, monkeypatch):
    monkeypatch.setattr(lora_settings.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(runner.TrainingError, match="quantize needs the package bitsandbytes: pip install"):
        lora_settings.check(replace(settings, quantize="nf4"))


def test_all_linear_layers_but_the_head_get_adapters_and_nothing_else_is_trained(settings):
    made = lora.attach(model(), settings)
    trained = {name.split(".lora_")[0].split(".")[-1] for name, p in made.named_parameters() if p.requires_grad}
    assert trained == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert all(".lora_" in name for name, p in made.named_parameters() if p.requires_grad)
    assert made.peft_config["default"].lora_alpha == 8, "twice the rank"
    chosen = lora.attach(model(), replace(settings, lora_targets=("layers.1.self_attn.q_proj",), lora_alpha=3.0))
    names = [name for name, p in chosen.named_parameters() if p.requires_grad]
    assert len(names) == 2 and all(".layers.1.self_attn.q_proj.lora_" in name for name in names)
    assert chosen.peft_config["default"].lora_alpha == 3


def test_experts_get_adapters_if_they_are_named(settings):
    usual = lora.attach(model(MixtralForCausalLM, MixtralConfig), settings)
    assert all(".self_attn." in name for name, p in usual.named_parameters() if p.requires_grad)
    experts = ("experts.gate_up_proj", "q_proj")
    with pytest.raises(runner.TrainingError, match="lora_dropout: there is none for 'experts.gate_up_proj'"):
        lora.attach(model(MixtralForCausalLM, MixtralConfig), replace(settings, lora_targets=experts))
    chosen = replace(settings, lora_targets=experts, lora_dropout=0.0)
    made = lora.attach(model(MixtralForCausalLM, MixtralConfig), chosen)
    made(input_ids=torch.arange(9)[None], labels=torch.arange(9)[None]).loss.backward()
    moved = {name for name, p in made.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any("experts" in name for name in moved) and any("q_proj" in name for name in moved)
    assert all("lora_" in name for name in moved)
    with pytest.raises(
        runner.TrainingError, match="'up' is no linear layer.* experts.down_proj, experts.gate_up_proj, "
    ):
        lora.config(replace(settings, lora_targets=("up",)), model(MixtralForCausalLM, MixtralConfig))


@pytest.mark.parametrize("wrapped_first", [True, False])
@pytest.mark.parametrize(("kind", "config"), [(LlamaForCausalLM, LlamaConfig), (MixtralForCausalLM, MixtralConfig)])
def test_a_model_with_adapters_reads_tries_as_it_reads_rows_alone(settings, kind, config, wrapped_first):
    rows = [
        {"input_ids": [1, 2, 3, 4, 5, 6], "labels": [-100, -100, -100, 4, 5, 6], "group": "a"},
        {"input_ids": [1, 2, 3, 7, 8], "labels": [-100, -100, -100, 7, 8], "group": "a"},
        {"input_ids": [9, 2, 3], "labels": [-100, -100, 3], "group": "b"},
    ]
    made = model(kind, config)
    if wrapped_first:
        made = lora.attach(made, replace(settings, lora_dropout=0.0))
    use_causal_blocks(made)
    read_tries(made)
    if not wrapped_first:
        made = lora.attach(made, replace(settings, lora_dropout=0.0))
    for name, values in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(values, std=0.1)
    batch = collate_rows(rows)
    batch.pop("row_tokens")
    total = -made(**batch).log_probs.sum()
    total.backward()
    ours = {name: p.grad.clone() for name, p in made.named_parameters() if p.requires_grad}
    made.zero_grad()
    alone = 0.0
    for row in rows:
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
        found = made(input_ids=ids, use_cache=False).logits[0, :-1]
        alone += torch.nn.functional.cross_entropy(found, labels[0, 1:], ignore_index=-100, reduction="sum")
    alone.backward()
    assert total.item() == pytest.approx(alone.item(), rel=1e-6)
    assert len(ours) > 10
    for name, p in made.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(ours[name], p.grad, rtol=1e-4, atol=1e-6)


def test_a_run_leaves_adapter_configuration_tokenizer_and_template(trained, settings, base):
    assert is_complete(trained)
    losses = curve(read_log(trained), "loss")[1]
    assert losses[-1] < losses[0] - 0.3
    names = {path.name for path in trained.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "config.json", "base.json", "tokenizer.json"} <= names
    assert not {"model.safetensors", "adapter_model.bin"} & names
    assert checkpoint.load_tokenizer(trained).chat_template.startswith("{%- set before")
    info = json.loads((trained / "base.json").read_text())
    assert info["digest"] == digest(base) and info["quantize"] == "none"
    assert (trained / info["path"]).resolve() == base.resolve()


def test_loading_the_folder_gives_the_adapter_models_answers(trained, settings):
    tokenizer = checkpoint.load_tokenizer(trained)
    side = load.load_adapter(trained)
    whole = load.load_model(trained)
    assert all(values.requires_grad for values in whole.parameters()), "it can be trained like any other"
    merged = logits(whole, tokenizer)
    torch.testing.assert_close(merged, logits(side, tokenizer), rtol=1e-4, atol=1e-4)
    with side.disable_adapter():
        assert (logits(side, tokenizer) - merged).abs().max() > 0.1
    assert len(Greedy(trained).answers(["Book Hotel Oslo for 3 nights."], max_new_tokens=4)) == 1


def test_merging_leaves_a_checkpoint_of_full_size(trained, tmp_path):
    assert adapters.main([str(trained), str(tmp_path / "merged")]) == 0
    tokenizer = checkpoint.load_tokenizer(tmp_path / "merged")
    assert tokenizer.chat_template == checkpoint.load_tokenizer(trained).chat_template
    found = logits(load.load_model(tmp_path / "merged"), tokenizer)
    torch.testing.assert_close(found, logits(load.load_adapter(trained), tokenizer), rtol=1e-4, atol=1e-4)
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    assert adapters.main([str(tmp_path / "merged"), str(tmp_path / "again")]) == 2, "nothing to merge"


def test_an_adapter_on_an_adapter_knows_its_base(trained, settings, tmp_path):
    out = sft.train(replace(settings, base=str(trained), out=str(tmp_path / "second"), samples=16))
    info = json.loads((out / "adapter_config.json").read_text())
    assert info["base_model_name_or_path"] == str(trained)
    tokenizer = checkpoint.load_tokenizer(out)
    first, second = (logits(load.load_model(folder), tokenizer) for folder in (trained, out))
    assert (first - second).abs().max() > 0.01
    torch.testing.assert_close(second, logits(load.load_adapter(out), tokenizer), rtol=1e-4, atol=1e-4)


def test_an_adapter_is_trained_further(trained, settings, base, tmp_path):
    """From where it was, and it stays an adapter of the same base; one of another form or base is refused."""
    given = replace(settings, out=str(tmp_path / "further"), adapter=str(trained), samples=16, lr=1e-4)
    further = sft.train(given)
    start, end = (load_file(folder / "adapter_model.safetensors") for folder in (trained, further))
    assert start.keys() == end.keys()
    moved = max((end[name] - values).abs().max() for name, values in start.items())
    assert 0 < moved < 1e-3, "two small steps"
    losses = [curve(read_log(folder), "loss")[1] for folder in (trained, further)]
    assert losses[1][0] < losses[0][0]
    assert load.load_adapter(further) is not None and sft.train(given) == further
    with pytest.raises(runner.TrainingError, match="an adapter with r 4, but the settings ask for 8"):
        sft.train(replace(given, out=str(tmp_path / "other"), lora_rank=8))
    scaled = shutil.copytree(trained, tmp_path / "scaled")
    config = json.loads((scaled / "adapter_config.json").read_text())
    (scaled / "adapter_config.json").write_text(json.dumps(config | {"use_rslora": True}))
    with pytest.raises(runner.TrainingError, match="an adapter with use_rslora True, but the settings ask for None"):
        sft.train(replace(given, out=str(tmp_path / "scaled_out"), adapter=str(scaled)))
    info = json.loads((trained / "base.json").read_text())
    (scaled / "base.json").write_text(json.dumps(info | {"quantize": "nf4"}))
    with pytest.raises(runner.TrainingError, match="for a base with quantize nf4, but the settings say none"):
        sft.train(replace(given, out=str(tmp_path / "rounded"), adapter=str(scaled)))
    with pytest.raises(CheckpointError, match="an adapter without a base.json"):
        check(replace(given, adapter=str(base)))
    merged = adapters.merge_adapter(trained, tmp_path / "merged")
    with pytest.raises(CheckpointError, match="not the base that"):
        sft.train(replace(given, out=str(tmp_path / "base"), base=str(merged)))


def test_a_base_that_moved_or_changed_is_named(trained, settings, base, tmp_path, monkeypatch):
    moved = tmp_path / "deep" / "er" / "moved"
    shutil.copytree(trained, moved)
    config = json.loads((moved / "adapter_config.json").read_text())
    (moved / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "nowhere"}))
    with pytest.raises(checkpoint.CheckpointError, match="its base is neither at .* nor at nowhere; give its folder"):
        load.load_adapter(moved)
    assert load.load_adapter(moved, base=base).peft_config
    info, asked = json.loads((moved / "base.json").read_text()), []
    assert info["name"] == info["source"] == "", "only bases by name have one"
    (moved / "base.json").write_text(json.dumps(info | {"name": "demo", "source": "package"}))
    monkeypatch.setattr(adapted, "fetched", lambda *given: asked.append(given) or base)
    assert load.load_adapter(moved).peft_config and asked == [("demo", "package")]
    other = tmp_path / "other"
    shutil.copytree(base, other)
    (other / "generation_config.json").write_text("{}")
    with pytest.raises(checkpoint.CheckpointError, match=r"not the base that .* was trained on \(digest"):
        load.load_adapter(trained, base=other)
    (moved / "base.json").write_text("{}")
    with pytest.raises(checkpoint.CheckpointError, match="base.json: expected path, digest, quantize, dtype, found"):
        load.load_model(moved)


@pytest.mark.parametrize(
    ("name", "source", "on_hub"),
    [
        ("smollm2-135m", "package", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("smollm2-135m", "hub", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("ORG/NAME", "hub", "ORG/NAME"),
    ],
)
def test_a_fetched_base_is_named_as_the_hub_does(settings, monkeypatch, name, source, on_hub):
    """No path of this machine leaves it with an adapter."""
    made = lora.attach(model(), settings)
    monkeypatch.setattr(adapters.bases, "name_of", lambda _: (name, source))
    info = json.loads(adapters.base_file(made, settings)["base.json"])
    assert (info["path"], info["name"], info["source"]) == (name, name, source)
    assert made.peft_config["default"].base_model_name_or_path == on_hub


def test_a_broken_off_run_ends_in_the_same_adapter(trained, settings, monkeypatch):
    cut, original, steps = replace(settings, out=settings.out + "-cut"), runner.GuardedTrainer.training_step, []

    def step(self, *args, **kwargs):
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(runner.GuardedTrainer, "training_step", step)
    with pytest.raises(KeyboardInterrupt):
        sft.train(cut)
    sft.train(cut)
    assert len(steps) == 5 + 3
    one, two = (folder / "adapter_model.safetensors" for folder in (trained, Path(cut.out)))
    assert one.read_bytes() == two.read_bytes()


def test_accumulated_and_recomputed_steps_are_the_same_steps(settings, tmp_path):
    plain = replace(settings, lora_dropout=0.0, samples=24)
    whole = sft.train(replace(plain, out=str(tmp_path / "whole")))
    parts = sft.train(replace(plain, out=str(tmp_path / "parts"), per_device_batch_size=2, gradient_checkpointing=True))
    one, two = (read_log(folder) for folder in (whole, parts))
    for key in ("loss", "grad_norm"):
        assert curve(one, key)[0] == curve(two, key)[0] == [1, 2, 3]
        assert curve(one, key)[1] == pytest.approx(curve(two, key)[1], rel=1e-4)


@quantised
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_base_of_four_bits_trains_and_merges_into_dequantised_weights(settings, tmp_path, precision):
    import bitsandbytes as bnb

    chosen = replace(settings, quantize="nf4", precision=precision, lora_dropout=0.0, out=str(tmp_path / "out"))
    start = sft.prepared(chosen)
    layers = [module for module in start.modules() if isinstance(module, bnb.nn.Linear4bit)]
    assert len(layers) == 14 and not isinstance(start.get_output_embeddings(), bnb.nn.Linear4bit)
    assert {layer.weight.quant_type for layer in layers} == {"nf4"} and layers[0].weight.quant_state.nested
    assert {p.dtype for p in start.parameters() if p.requires_grad} == {torch.float32}
    out = sft.train(chosen)
    assert {values.dtype for values in load_file(out / "adapter_model.safetensors").values()} == {torch.float32}
    losses = curve(read_log(out), "loss")[1]
    assert losses[-1] < losses[0] - 0.3
    tokenizer = checkpoint.load_tokenizer(out)
    side = load.nf4(settings.base, load.base_dtype(chosen))
    side = get_peft_model(side, lora.config(chosen, side))
    side.load_adapter(out, "trained")
    side.set_adapter("trained")
    ids = tokenizer("Book Hotel Oslo for 3 nights.", return_tensors="pt")["input_ids"]
    learnt = side.train()(input_ids=ids).logits.detach().float()  # for inference there is a kernel of less precision
    merged = logits(load.load_model(out), tokenizer)
    near = 1e-3 if precision == "float32" else 0.2
    torch.testing.assert_close(merged, learnt, rtol=near, atol=near)
    plain = replace(chosen, quantize="none")
    (out / "base.json").write_text(
        adapters.base_file(None, plain)["base.json"]
    )  # merged into what it was not trained on
    assert (logits(load.load_model(out), tokenizer) - merged).abs().max() > 2 * near


@quantised
def test_experts_are_held_in_four_bits_too(settings, tmp_path):
    whole = model(MixtralForCausalLM, MixtralConfig, initializer_range=0.2)
    whole.save_pretrained(tmp_path)
    bits = load.nf4(tmp_path, "float32")
    held = {name: p for name, p in bits.named_parameters() if "experts" in name}
    assert len(held) == 4 and all(p.dtype == torch.uint8 for p in held.values())
    made = sft.prepared(replace(settings, base=str(tmp_path), quantize="nf4", lora_dropout=0.0)).train()
    ids = torch.arange(20)[None]
    out = made(input_ids=ids, labels=ids)
    out.loss.backward()
    assert all("lora_" in name for name, p in made.named_parameters() if p.grad is not None)
    rounded = load.dequantised(tmp_path, "float32")
    torch.testing.assert_close(made(input_ids=ids).logits, rounded(input_ids=ids).logits, rtol=1e-4, atol=1e-4)
    ours, theirs = (one.model.layers[0].mlp.experts.gate_up_proj for one in (rounded, whole))
    assert ours.dtype == torch.float32 and 0.01 < (ours - theirs).abs().mean() / theirs.abs().mean() < 0.2


@pytest.mark.slow
def test_two_processes_learn_as_one_does(settings, tmp_path):
    plain = replace(settings, lora_dropout=0.0, samples=24)
    one = sft.train(replace(plain, out=str(tmp_path / "one")))
    two = replace(plain, out=str(tmp_path / "two"), processes=2, per_device_batch_size=2)
    given = {name: getattr(two, name) for name in two.__dataclass_fields__}
    run("xlam_lib.train.sft", given, tmp_path / "two.txt", lambda line: None)
    for key in ("loss", "grad_norm"):
        assert curve(read_log(one), key)[1] == pytest.approx(curve(read_log(two.out), key)[1], rel=1e-4)
