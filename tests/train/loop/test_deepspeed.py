"""DeepSpeed for real, on two processes that talk over gloo: ZeRO-2 and ZeRO-3 make the steps of one process.

One start of the processes does several trainings, for their start takes longer than a training.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from launch_demo import Job, launched
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from xlam_lib import paths
from xlam_lib.errors import TrainingError
from xlam_lib.models import checkpoint
from xlam_lib.models.family import family, shrunk
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.loop.sharding import configure
from xlam_lib.train.planning import recipes
from xlam_lib.train.supervised import sft_lite

FAMILY = paths.experiments_dir() / "04_model_family"
ZERO3 = FAMILY / "launch" / "zero3_offload.yaml"
KINDS: dict[str, dict[str, object]] = {  # what differs from zero3_offload.yaml
    "zero2": {"zero_stage": 2, "offload_param_device": "none", "offload_optimizer_device": "none"},
    "zero2-offload": {"zero_stage": 2, "offload_param_device": "none"},
    "zero3": {"deepspeed_config_file": "zero3.json"},
    "zero3-offload": {},
}


OWN = {  # a file of DeepSpeed's own; so small a model would stay whole without the threshold
    "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0, "reduce_bucket_size": "auto"},
    "gradient_accumulation_steps": 4, "train_micro_batch_size_per_gpu": "auto", "train_batch_size": "auto",
}  # fmt: skip


def launch_file(folder, changes):
    given, path = yaml.safe_load(ZERO3.read_text("utf-8")), folder / "launch.yaml"
    if own := changes.get("deepspeed_config_file"):
        (folder / own).write_text(json.dumps(OWN))
        given["deepspeed_config"] = {"deepspeed_config_file": str(folder / own), "zero3_init_flag": True}
    else:
        given["deepspeed_config"] |= changes
    if given["deepspeed_config"].get("zero_stage") == 2:
        given["deepspeed_config"] |= {"zero3_init_flag": False, "zero3_save_16bit_model": False}
    path.write_text(yaml.safe_dump(given), "utf-8")
    return path


@pytest.fixture(scope="module")
def start(base, tmp_path_factory):
    """A mixture of experts whose head shares its weights with the embedding."""
    tokenizer = checkpoint.load_tokenizer(base)
    torch.manual_seed(0)
    architecture = family()["xLAM-8x7b-r"].architecture
    config = shrunk(architecture, len(tokenizer), tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id)
    model = AutoModelForCausalLM.from_config(config)
    return checkpoint.save(tmp_path_factory.mktemp("start") / "start", model, tokenizer)


@pytest.fixture(scope="module")
def settings(start, data, tmp_path_factory):
    return sft_lite.LiteSettings(
        base=str(start), data=(str(data),), out=str(tmp_path_factory.mktemp("one") / "one"), epochs=0.6, lr=1e-3,
        processes=1, precision="float32", row_tokens=700, log_every=1, save_every=2, weight_decay=5.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(settings, tmp_path_factory):
    """Every kind undisturbed and broken off; then, of other processes, the broken ones taken up again."""
    pytest.importorskip("deepspeed", reason="needs DeepSpeed: make deepspeed")
    folder = tmp_path_factory.mktemp("zero")
    undisturbed, broken = [], []
    for kind, changes in KINDS.items():
        (folder / kind).mkdir()
        launch = launch_file(folder / kind, changes)
        varied = replace(settings, gradient_checkpointing=kind == "zero3-offload")
        undisturbed.append(Job(launch, replace(varied, out=str(folder / kind / "whole"))))
        broken.append(Job(launch, replace(varied, out=str(folder / kind / "resumed")), stop=3))
    wild = Job(ZERO3, replace(settings, out=str(folder / "wild"), lr=1e30))
    twin = Job(ZERO3, twin_settings(settings, folder))
    found, output = launched(folder, *undisturbed, *broken, wild)
    again, _ = launched(folder, *(replace(job, stop=10**6) for job in broken), twin)
    count = len(KINDS)
    return SimpleNamespace(
        folder=folder, output=output, wild=found[-1], twin=again[-1], twin_settings=twin.settings,
        whole=dict(zip(KINDS, found[:count], strict=True)),
        broken=dict(zip(KINDS, found[count : 2 * count], strict=True)),
        resumed=dict(zip(KINDS, again[:count], strict=True)),
    )  # fmt: skip


def twin_settings(settings, folder):
    """The recipe of the 8x7b model, for a small twin of it."""
    recipe = recipes.read(FAMILY / "recipes" / "xlam-8x7b-r-zero3.yaml")
    assert (recipe.path.parent / recipe.plan.launch).resolve() == ZERO3
    own = {"base": settings.base, "data": settings.data, "shares": (), "out": str(folder / "twin"), "processes": 1}
    return replace(recipe.settings, **own, batch_size=16, epochs=0.8, log_every=1, precision="bfloat16")


@pytest.fixture(scope="module")
def alone(settings):
    return sft_lite.train(settings)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_shards_make_the_steps_of_one_process(runs, alone, kind):
    """Each step reads several rows on each device; `zero3-offload` computes its layers again, too."""
    out = runs.folder / kind / "whole"
    assert runs.whole[kind] == ("DEEPSPEED", 0, [1, 2, 3, 4, 5])
    logs = [read_log(folder) for folder in (alone, out)]
    for figure, close in (("loss", 1e-4), ("grad_norm", 1e-3), ("lr", 1e-9)):
        assert curve(logs[0], figure)[1] == pytest.approx(curve(logs[1], figure)[1], rel=close)
    assert curve(logs[0], "tokens") == curve(logs[1], "tokens")
    one, two = (load_file(folder / "model.safetensors") for folder in (alone, out))
    assert one.keys() == two.keys()
    for key, values in one.items():
        torch.testing.assert_close(two[key], values, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")
    configs = [json.loads((folder / "config.json").read_text()) for folder in (alone, out)]
    assert configs[0] == configs[1]
    AutoModelForCausalLM.from_pretrained(out)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_off_run_ends_as_the_undisturbed_one(runs, kind):
    assert runs.broken[kind] == ("DEEPSPEED", 3, [1, 2, 3, 4])
    assert runs.resumed[kind] == ("DEEPSPEED", 0, [3, 4, 5])
    whole, resumed = (runs.folder / kind / out for out in ("whole", "resumed"))
    assert (whole / "model.safetensors").read_bytes() == (resumed / "model.safetensors").read_bytes()
    assert curve(read_log(whole), "loss") == curve(read_log(resumed), "loss")


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_in_one_line(runs):
    assert runs.wild[1] == 2 and not (runs.folder / "wild").exists()
    assert re.search(
        r"^error: step 2: the loss is \S+ and the length of its gradient inf; nothing of this", runs.output, re.M
    )


@pytest.mark.slow
def test_a_small_twin_trains_by_the_launch_file_of_its_recipe(runs):
    """In bfloat16, as DeepSpeed holds weights then; the file in experiments/ as it is."""
    assert runs.twin == ("DEEPSPEED", 0, [1, 2, 3])
    losses = curve(read_log(Path(runs.twin_settings.out)), "loss")[1]
    assert all(0 < loss < 8 for loss in losses)
    before, after = (load_file(Path(f) / "model.safetensors") for f in (runs.twin_settings.base, runs.folder / "twin"))
    assert before.keys() == after.keys() and {values.dtype for values in after.values()} == {torch.bfloat16}
    assert AutoModelForCausalLM.from_pretrained(runs.folder / "twin").config.dtype == torch.bfloat16


def plugin(stage=3, **config):
    given = {"zero_optimization": {"stage": stage}, "gradient_accumulation_steps": 4} | config
    return SimpleNamespace(zero_stage=stage, deepspeed_config=given, set_deepspeed_weakref=lambda: None)


def test_deepspeed_counts_no_passes_and_shortens_gradients():
    given = plugin(bf16={"enabled": True})
    configure(given, 0.5)
    found = given.deepspeed_config
    assert found["gradient_accumulation_steps"] == found["train_micro_batch_size_per_gpu"] == 1
    assert found["gradient_clipping"] == 0.5 and found["bf16"] == {"enabled": True}
    assert found["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (plugin(stage=1), "zero_stage is 1, expected 2 or 3"),
        (plugin(optimizer={"type": "Adam"}, scheduler={}), "remove optimizer and scheduler from its file"),
    ],
)
def test_a_configuration_that_the_loop_cannot_follow_is_refused(given, message):
    with pytest.raises(TrainingError, match=message):
        configure(given, 1.0)
