"""The plan of a recipe: parameters, memory, steps, hours, and what fails; the command is `xlam_lib/train/plan.py`.

    print(table(plan(read("experiments/04_model_family/recipes/xlam-7b-r.yaml"), gpus=8)))

The model is built without weights, so a laptop will do. `memory.py` says how parts are counted; hours assume the
recipe's share of the GPUs' peak, and no time for moving offloaded states.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model
from transformers import PretrainedConfig

from xlam_lib.errors import TrainingError
from xlam_lib.models import checkpoint, lora
from xlam_lib.models.family import ModelSpec, build, family
from xlam_lib.train.planning.loads import layout, workload
from xlam_lib.train.planning.memory import Layout, Sizes, base_weights, flops, host_loading, loading_peak, memory, sizes
from xlam_lib.train.planning.recipes import Recipe, Workload

GIB = 2**30


@dataclass(frozen=True)
class Check:
    """One thing looked at: `Check("context", True, "max_length 4,096 of 32,768")`."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Plan:
    """All that is reported of a recipe; bytes in `parts` (of a GPU) and `host` (of all machines together)."""

    recipe: str
    model: str
    architecture: str
    sizes: Sizes
    layout: Layout
    row: int
    checks: list[Check]
    parts: dict[str, float]
    host: dict[str, float]
    memory: float  # of a GPU, less what is kept in reserve
    load: Workload
    steps: int
    tokens: int  # of all samples that are trained on
    read: int  # what the model reads of them
    hours: float
    advice: str

    @property
    def fits(self) -> bool:
        """Whether all parts together find room on a GPU."""
        return sum(self.parts.values()) <= self.memory

    @property
    def active(self) -> int:
        """Parameters that a token passes through."""
        return round(self.sizes.total - self.sizes.experts * (1 - self.sizes.experts_used))


def plan(recipe: Recipe, gpus: int = 0, memory_gib: float = 0.0) -> Plan:
    """The plan of a recipe, for other hardware than it names if given: `plan(read(path), gpus=8).hours` -> 31.2."""
    if recipe.plan.model not in family():
        raise TrainingError(f"{recipe.path}: no model {recipe.plan.model!r}; known are {', '.join(family())}")
    spec, gpus = family()[recipe.plan.model], gpus or recipe.plan.gpus
    config, settings = spec.config(), recipe.settings
    gpu_layout, load = layout(recipe, gpus), workload(recipe)
    counts, targets = _model_sizes(settings, config)
    row, epochs = recipe.trainer.row(settings, gpus), recipe.epochs(load)
    nodes = load.nodes if recipe.trainer.tries else load.tokens

    def needed(gpu_layout: Layout, row: int) -> tuple[dict[str, float], dict[str, float]]:
        return memory(counts, config, gpu_layout, row, min(row, round(row * load.labels / max(1, nodes))))

    room = ((memory_gib or recipe.plan.memory_gib) - recipe.plan.reserve_gib) * GIB
    parts, host = needed(gpu_layout, row)
    depth = row if gpu_layout.dense_mask else load.depth
    work = epochs * flops(counts, config, nodes, load.labels, depth, gpu_layout.checkpointing)
    return Plan(
        recipe=recipe.path.stem,
        model=spec.name,
        architecture=config.model_type,
        sizes=counts,
        layout=gpu_layout,
        row=row,
        checks=[targets, *_checks(recipe, spec, gpus), *_loads(counts, gpu_layout, room)],
        parts=parts,
        host=host,
        memory=room,
        load=load,
        steps=recipe.steps(load),
        tokens=round(epochs * load.tokens),
        read=round(epochs * nodes),
        hours=work / (gpus * recipe.plan.peak_tflops * 1e12 * recipe.plan.utilisation * 3600),
        advice="" if sum(parts.values()) <= room else _advice(gpu_layout, row, room, needed),
    )


def _model_sizes(settings: Any, config: PretrainedConfig) -> tuple[Sizes, Check]:
    """The model with its adapters, on the meta device, and whether the adapters find their layers."""
    model = build(config)
    if not getattr(settings, "lora_rank", 0):
        return sizes(model), Check("trained", True, "all weights")
    try:
        made = lora.config(settings, model)
    except TrainingError as error:
        return sizes(model), Check("trained", False, str(error))
    with torch.device("meta"):
        model = get_peft_model(model, made)
    names = {
        name.partition(".lora_A.")[0].rpartition(".")[2] for name, _ in model.named_parameters() if "lora_A" in name
    }
    return sizes(model, adapters=True), Check(
        "trained", True, f"adapters of rank {made.r} at {', '.join(sorted(names))}"
    )


def _checks(recipe: Recipe, spec: ModelSpec, gpus: int) -> Iterator[Check]:
    """What can be known without weights."""
    settings, template = recipe.settings, spec.template
    found = Path(settings.base) / "config.json"
    if found.is_file():
        given, expected = json.loads(found.read_text("utf-8")), spec.config().to_dict()
        other = [name for name in spec.architecture if given.get(name) != expected[name]]
        detail = f"{settings.base} is another model than {spec.base}: {', '.join(other)}" if other else settings.base
        yield Check("base", not other, detail)
    else:
        yield Check("base", True, f"not there yet: hf download {spec.base} --local-dir {settings.base}")
    before, after = checkpoint.normalized_wrapper(template.before, template.after)
    detail = f"{before!r} and {after!r} around a prompt, {template.end!r} ends an answer"
    yield Check("template", bool(template.end), detail)
    detail = f"samples of at most {settings.max_length:,} tokens, the model reads {spec.context:,}"
    yield Check("context", settings.max_length <= spec.context, detail)
    processes, kind = recipe.launch.get("num_processes", gpus), recipe.launch.get("distributed_type", "torchrun")
    refused = recipe.trainer.refused.get(kind, "")
    detail = refused or f"{kind}, {processes} processes in the launch file, {gpus} GPUs"
    yield Check("launch", not refused and processes == gpus, detail)


def _loads(counts: Sizes, gpu_layout: Layout, room: float) -> Iterator[Check]:
    """Whether a base that is quantised as it is read finds room on the way."""
    if peak := loading_peak(counts, gpu_layout):
        yield Check("loading", peak <= room, f"takes {peak / GIB:.1f} of {room / GIB:.1f} GiB while weights are read")


def _advice(gpu_layout: Layout, row: int, room: float, needed: Callable[..., tuple[dict[str, float], Any]]) -> str:
    """The first change that would do."""
    checkpointing = {"checkpointing": True}
    ways: list[tuple[str, dict[str, Any], int]] = [
        ("gradient_checkpointing: true", checkpointing, row),
        ("fewer tokens at once (row_tokens, or per_device_batch_size and max_length)", {}, row // 4),
        ("both, gradient_checkpointing and fewer tokens at once", checkpointing, row // 4),
        ("shards (FSDP2) and gradient_checkpointing", {**checkpointing, "shard": "fsdp2"}, row),
        ("shards offloaded to the machine's memory (ZeRO-3) and gradient_checkpointing",
         {**checkpointing, "shard": "zero3", "offload": "all"}, row),
        ("all of it: ZeRO-3, offload, gradient_checkpointing and fewer tokens at once",
         {**checkpointing, "shard": "zero3", "offload": "all"}, row // 4),
    ]  # fmt: skip
    if gpu_layout.weights == "nf4":
        ways = [way for way in ways if "shard" not in way[1]]
    for advice, change, tokens in ways:
        if sum(needed(replace(gpu_layout, **change), tokens)[0].values()) <= room:
            return advice
    return "more GPUs, adapters (lora_rank), or four bits (quantize: nf4)"


def table(made: Plan) -> str:
    """The plan as text."""
    counts, gpu_layout, load = made.sizes, made.layout, made.load
    share = counts.trainable / (counts.total + counts.adapters)
    lines = [
        f"{made.recipe}: {made.model} ({made.architecture})",
        f"  parameters  {counts.total:,}, a token passes {made.active:,}; {counts.trainable:,} trained ({share:.2%})",
        f"  layout      {gpu_layout.gpus} GPUs, {gpu_layout.shard}, offload {gpu_layout.offload}, "
        f"weights {gpu_layout.weights}, computes {gpu_layout.compute}, "
        f"{'recomputes layers' if gpu_layout.checkpointing else 'keeps activations'}",
        *(f"  {'ok' if check.passed else 'NO':<3} {check.name:<9}{check.detail}" for check in made.checks),
        f"  GiB a GPU, rows of {made.row:,} tokens",
        *(f"    {part:<12}{size / GIB:8.2f}" for part, size in made.parts.items()),
        f"    {'together':<12}{sum(made.parts.values()) / GIB:8.2f} of {made.memory / GIB:.2f}",
    ]
    if made.host:
        lines.append(f"  GiB in the machines' memory: {sum(made.host.values()) / GIB:,.0f} for {', '.join(made.host)}")
    if of_all := host_loading(made.sizes, made.layout):
        lines.append(f"  GiB in the machines' memory while weights are read: {of_all / GIB:,.0f}")
    how = "counted" if load.counted else "declared"
    lines += [
        f"  an epoch    {load.trajectories:,} trajectories, {load.samples:,} samples, {load.tokens:,} tokens, "
        f"{load.labels / max(1, load.tokens):.1%} trained ({how})",
        f"  in all      {made.steps:,} steps, {made.tokens:,} tokens, {made.read:,} of them read, about "
        f"{made.hours:,.1f} hours",
    ]
    if made.fits:
        return "\n".join([*lines, "  fits"])
    largest = max(made.parts, key=made.parts.__getitem__)
    return "\n".join([*lines, f"  doesn't fit: the largest part is {largest}; try {made.advice}"])


def as_json(made: Plan) -> dict[str, Any]:
    """The plan as plain values; memory in GiB."""
    values = asdict(made) | {"fits": made.fits, "active": made.active, "memory": made.memory / GIB}
    values |= {name: {part: size / GIB for part, size in getattr(made, name).items()} for name in ("parts", "host")}
    return values | {
        "weights_gib": base_weights(made.sizes, made.layout) / GIB,
        "reading_gib": host_loading(made.sizes, made.layout) / GIB,
    }
