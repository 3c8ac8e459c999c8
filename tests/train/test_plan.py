"""Every recipe of the family can be planned here and fits its hardware; a small twin of its model trains by it."""

import importlib
import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from xlam_lib import paths
from xlam_lib.errors import TrainingError
from xlam_lib.models import checkpoint, load
from xlam_lib.models.family import family, shrunk
from xlam_lib.train import plan
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.planning import loads, recipes
from xlam_lib.train.planning.plan import plan as plan_of
from xlam_lib.trajectory import write_jsonl

FOLDER = paths.experiments_dir() / "04_model_family"
RECIPES = sorted((FOLDER / "recipes").glob("*.yaml"))


def changed(recipe: str, folder: Path, plan: dict | None = None, **settings: object) -> Path:
    """A copy of a recipe with other values."""
    shutil.copytree(FOLDER / "launch", folder / "launch", dirs_exist_ok=True)
    given = yaml.safe_load((FOLDER / "recipes" / f"{recipe}.yaml").read_text("utf-8")) | settings
    given["plan"] |= plan or {}
    (folder / "recipes").mkdir(exist_ok=True)
    path = folder / "recipes" / f"{recipe}.yaml"
    path.write_text(yaml.safe_dump(given), "utf-8")
    return path


def planned(path: Path, capsys: pytest.CaptureFixture, *options: str) -> tuple[int, str, dict]:
    """Exit status, table and JSON of a plan."""
    code = plan.main([str(path), *options])
    *table, line = capsys.readouterr().out.splitlines()
    return code, "\n".join(table), json.loads(line)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_planned_and_fits(path, capsys):
    code, table, made = planned(path, capsys)
    assert code == 0 and made["fits"] and table.endswith("  fits"), table
    assert all(check["passed"] for check in made["checks"])
    assert made["sizes"]["total"] / 1e9 == pytest.approx(family()[made["model"]].parameters, rel=0.005)
    assert made["steps"] > 100 and made["tokens"] >= made["read"] > 1e6 and made["hours"] > 0
    assert f"-m xlam_lib.train.{recipes.read(path).plan.trainer}" in path.read_text("utf-8")


def test_whole_copies_take_eighteen_bytes_a_parameter(capsys):
    """Float32 weights, gradients and two moments, and autocast's bfloat16 copy of all but the embedding."""
    _, _, made = planned(FOLDER / "recipes" / "xlam-1b-fc-r.yaml", capsys)
    total = made["sizes"]["total"] / 2**30
    states = [made["parts"][part] / total for part in ("weights", "gradients", "optimizer", "copies")]
    assert states == pytest.approx([4, 4, 8, 1.9], abs=0.01)


def test_too_little_memory_is_reported_with_what_would_do(capsys):
    code, table, made = planned(FOLDER / "recipes" / "xlam-1b-fc-r.yaml", capsys, "--memory", "30")
    assert code == 1 and not made["fits"]
    assert "doesn't fit: the largest part is activations; try gradient_checkpointing: true" in table
    code, table, _ = planned(FOLDER / "recipes" / "xlam-8x7b-r-qlora.yaml", capsys, "--memory", "24")
    assert code == 1 and "the largest part is weights; try more GPUs" in table
    assert "NO  loading  takes 28.5 of 20.0 GiB while weights are read" in table


def test_the_machines_need_memory_to_read_weights(capsys):
    """46.7 billion parameters of two bytes in each of 8 processes; 7.24 billion of four in the first one alone."""
    _, table, zero3 = planned(FOLDER / "recipes" / "xlam-8x7b-r-zero3.yaml", capsys)
    assert zero3["reading_gib"] * 2**30 == 8 * 2 * zero3["sizes"]["total"]
    assert "GiB in the machines' memory while weights are read: 696" in table
    _, _, fsdp = planned(FOLDER / "recipes" / "xlam-7b-fc-r.yaml", capsys)
    assert fsdp["reading_gib"] * 2**30 == pytest.approx(4 * fsdp["sizes"]["total"])
    _, table, four_bits = planned(FOLDER / "recipes" / "xlam-8x7b-r-qlora.yaml", capsys)
    assert four_bits["reading_gib"] == 0 and "while weights are read:" not in table


def test_fewer_gpus_hold_larger_shards(capsys):
    path = FOLDER / "recipes" / "xlam-7b-fc-r.yaml"
    (_, _, eight), (code, table, two) = planned(path, capsys), planned(path, capsys, "--gpus", "2")
    assert two["parts"]["optimizer"] == pytest.approx(4 * eight["parts"]["optimizer"])
    assert two["hours"] == pytest.approx(4 * eight["hours"])
    assert code == 1 and "NO  launch   FSDP, 8 processes in the launch file, 2 GPUs" in table


@pytest.mark.parametrize(
    ("recipe", "plan_", "settings", "message"),
    [
        ("xlam-8x7b-r-qlora", {}, {"lora_targets": ["q_proj", "w1"]}, "NO  trained  lora_targets: 'w1' is no linear"),
        (
            "xlam-7b-fc-r",
            {},
            {"max_length": 8192},
            "NO  context  samples of at most 8,192 tokens, the model reads 4,096",
        ),
        (
            "xlam-8x7b-r-qlora",
            {"launch": "../launch/zero3_offload.yaml"},
            {},
            "NO  launch   sft under DeepSpeed has never been run",
        ),
        ("xlam-7b-r", {}, {"base": str(paths.base_model_dir())}, "is another model than mistralai/"),
    ],
)
def test_what_would_fail_later_fails_now(recipe, plan_, settings, message, tmp_path, capsys):
    code, table, _ = planned(changed(recipe, tmp_path, plan_, **settings), capsys)
    assert code == 1 and message in table, table


@pytest.mark.parametrize(
    ("plan_", "message"),
    [
        ({"model": "xLAM-9b"}, "no model 'xLAM-9b'; known are xLAM-7b-r"),
        ({"gpus": "many"}, "gpus is 'many', expected a whole number"),
        ({"nodes": 2}, "nodes is 2, expected one of trainer, model"),
        ({"launch": "../launch/none.yaml"}, "No such file"),
    ],
)
def test_a_recipe_that_can_not_be_read_ends_in_one_line(plan_, message, tmp_path, capsys):
    assert plan.main([str(changed("xlam-7b-r", tmp_path, plan_))]) == 2
    found = capsys.readouterr().err
    assert message in found and found.startswith("error: ") and found.count("\n") == 1


def test_a_recipe_without_a_plan_is_an_error(tmp_path):
    (tmp_path / "r.yaml").write_text("base: b\n")
    with pytest.raises(TrainingError, match="expected a section `plan:`"):
        recipes.read(tmp_path / "r.yaml")


def test_data_that_is_there_is_counted(base, data, tmp_path):
    given = {"base": str(base), "data": [str(data)], "shares": [], "style": "brief", "max_length": 1024}
    load = loads.workload(recipes.read(changed("xlam-7b-r", tmp_path, None, **given)))
    assert load.counted and (load.trajectories, load.samples) == (60, 72)
    assert 0 < load.labels < load.nodes < load.tokens and load.depth == pytest.approx(load.tokens / 144)


@pytest.fixture(scope="module")
def parts(trajectories, tmp_path_factory):
    """The demo trajectories as three sources."""
    folder = tmp_path_factory.mktemp("parts")
    files = [folder / f"{name}.jsonl" for name in ("one", "two", "three")]
    for number, file in enumerate(files):
        write_jsonl(file, trajectories[number::3])
    return [str(file) for file in files]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_small_twin_trains_by_the_recipe(path, parts, tmp_path, caplog):
    """The recipe's command with the tokenizer of the project's base; smaller batches, and eight steps at most."""
    recipe, tokenizer = recipes.read(path), checkpoint.load_tokenizer(paths.base_model_dir())
    torch.manual_seed(0)
    twin = shrunk(family()[recipe.plan.model].architecture, len(tokenizer), eos_token_id=tokenizer.eos_token_id)
    model = AutoModelForCausalLM.from_config(twin)
    checkpoint.save(tmp_path / "base", model, tokenizer)
    lite = recipe.plan.trainer == "sft_lite"
    given = {
        "base": str(tmp_path / "base"), "out": str(tmp_path / "out"), "processes": 1, "precision": "float32",
        "data": parts[: len(recipe.settings.data)] if lite else parts[0], "batch_size": 4, "epochs": 0.5,
        "log_every": 1,
    }  # fmt: skip
    if getattr(recipe.settings, "quantize", "none") != "none" and not importlib.util.find_spec("bitsandbytes"):
        given["quantize"] = "none"  # an environment of older locks
    own = changed(path.stem, tmp_path, None, **given)
    expected = plan_of(recipes.read(own)).steps
    assert importlib.import_module(f"xlam_lib.train.{recipe.plan.trainer}").main([str(own)]) == 0, caplog.text
    steps, losses = curve(read_log(tmp_path / "out"), "loss")
    assert steps == list(range(1, expected + 1)) and 2 <= expected <= 8
    assert all(0 < loss < 12 for loss in losses)
    if adapted := set(getattr(recipe.settings, "lora_targets", ())):
        made = load_file(tmp_path / "out" / "adapter_model.safetensors")
        moved = [name for name, values in made.items() if ".lora_B." in name and values.any()]
        assert {name.split(".")[-3] for name in moved} == adapted and 2 * len(moved) == len(made)
    else:
        before, after = model.state_dict(), load.load_model(tmp_path / "out").state_dict()
        assert not [name for name in before if torch.equal(before[name], after[name])]
