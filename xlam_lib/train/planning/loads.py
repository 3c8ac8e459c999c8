"""What a recipe puts on the GPUs: how the model lies there, and what there is to be read in an epoch.

layout(read("recipes/xlam-7b-r.yaml"), 8).shard         # "fsdp2"
"""

from __future__ import annotations

from pathlib import Path

from xlam_lib.codec import STYLES
from xlam_lib.errors import TrainingError
from xlam_lib.models import checkpoint
from xlam_lib.train.mixture.grouped import trajectories
from xlam_lib.train.packing.trie import trie
from xlam_lib.train.planning.memory import Layout
from xlam_lib.train.planning.recipes import Recipe, Workload


def layout(recipe: Recipe, gpus: int) -> Layout:
    """How the launch file and the settings lay the model over so many GPUs."""
    kind, settings = recipe.launch.get("distributed_type", "MULTI_GPU"), recipe.settings
    given = {name: recipe.launch.get(f"{name}_config") or {} for name in ("fsdp", "deepspeed")}
    shard, offload = "none", "none"
    if kind == "FSDP":
        if given["fsdp"].get("fsdp_version") != 2:
            raise TrainingError(f"{recipe.plan.launch}: fsdp_version: 2 expected, the first version isn't planned")
        shard, offload = "fsdp2", "all" if given["fsdp"].get("fsdp_offload_params") else "none"
    elif kind == "DEEPSPEED":
        where = [given["deepspeed"].get(f"offload_{part}_device", "none") for part in ("param", "optimizer")]
        shard = f"zero{given['deepspeed'].get('zero_stage', 2)}"
        offload = "all" if where[0] == "cpu" else "optimizer" if where[1] == "cpu" else "none"
    elif kind not in ("MULTI_GPU", "NO"):
        raise TrainingError(f"{recipe.plan.launch}: distributed_type {kind!r} can't be planned")
    compute = "float32" if settings.precision == "float32" else "bfloat16"
    adapters = getattr(settings, "lora_rank", 0)
    weights = compute if adapters else "float32"
    if getattr(settings, "quantize", "none") != "none":
        weights = settings.quantize
    elif kind == "DEEPSPEED":
        weights = compute  # float32 copies lie beside the optimizer
    checkpointing = settings.gradient_checkpointing or given["fsdp"].get("fsdp_activation_checkpointing", False)
    return Layout(gpus, shard, offload, weights, compute, bool(checkpointing), recipe.trainer.tries)


def workload(recipe: Recipe) -> Workload:
    """The data of an epoch: counted where files and tokenizer are there, as declared where they aren't."""
    settings, plan = recipe.settings, recipe.plan
    files = [Path(path) for path in (settings.data if isinstance(settings.data, tuple) else (settings.data,))]
    if not all(path.is_file() for path in files) or not (Path(settings.base) / "tokenizer_config.json").is_file():
        samples = round(plan.trajectories * plan.samples)
        tokens = samples * plan.tokens
        nodes, labels = round(tokens * (1 - plan.shared)), round(tokens * plan.labelled)
        return Workload(plan.trajectories, samples, tokens, nodes, labels, counted=False)
    tokenizer = checkpoint.load_tokenizer(settings.base)
    wrapper, style = checkpoint.wrapper(tokenizer), STYLES[settings.style]
    read = [trajectories(path, tokenizer, style, settings.max_length, wrapper)[0] for path in files]
    groups = [data[number] for data in read for number in range(len(data))]
    rows = [row for group in groups for row in group]
    return Workload(
        trajectories=len(groups),
        samples=len(rows),
        tokens=sum(len(row["input_ids"]) for row in rows),
        nodes=sum(len(trie([row["input_ids"] for row in group])) for group in groups),
        labels=sum(label >= 0 for row in rows for label in row["labels"]),
        counted=True,
    )
