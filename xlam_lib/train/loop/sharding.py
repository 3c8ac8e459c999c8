"""How the model of SFT-lite lies on the devices: whole on each, or in shards of FSDP2 or DeepSpeed's ZeRO-2 and ZeRO-3.

    accelerator = prepare_accelerator(args)             # as torchrun or `accelerate launch --config_file` say it
    optimizer = torch.optim.AdamW(groups_of(model, weight_decay=0.01), lr=args.lr)

`prepare_accelerator` is for `supervised/lite_trainer.py`; trl's trainers go by `check_launch`. A step of the loop has
several backward passes, equally many on each device, and its loss is divided by the weight of all labels. DeepSpeed's
engine is configured for it: it counts no passes itself (`gradient_accumulation_steps` 1, so it divides nothing), and
makes its step (averages, shortens, updates) where accelerate's `sync_gradients` says that a pass is the last one. It
skips a step whose gradient isn't finite, and reports its length as infinite.
"""

from __future__ import annotations

import atexit
import os
from typing import Any

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import parse_flag_from_env

from xlam_lib.errors import TrainingError
from xlam_lib.models.precision import bfloat16
from xlam_lib.train.loop.distributed import leave_group


def prepare_accelerator(args: Any) -> Accelerator:
    """The Accelerator of a run: bfloat16 as `args.precision` says, a CPU where there is no GPU; between processes DDP,
    FSDP2, or DeepSpeed, which shortens gradients to `args.max_grad_norm`. What else `accelerate launch` knows is
    refused.
    """
    atexit.register(leave_group)
    mixed = "bf16" if bfloat16(args.precision) else "no"
    accelerator = Accelerator(mixed_precision=mixed, cpu=not torch.cuda.is_available())
    kind = accelerator.distributed_type
    if kind == DistributedType.FSDP and not accelerator.is_fsdp2:
        raise TrainingError("FSDP: its first version isn't supported; set fsdp_version: 2 in the launch file")
    if kind == DistributedType.DEEPSPEED:
        if accelerator.mixed_precision != mixed:
            raise TrainingError(
                f"DEEPSPEED: its configuration says {accelerator.mixed_precision}, the setting precision means {mixed}"
            )
        configure(accelerator.deepspeed_plugin, args.max_grad_norm)
    return accelerator


def configure(plugin: Any, max_grad_norm: float) -> None:
    """Fit DeepSpeed's configuration to the loop, in place; what the loop can't follow is a TrainingError."""
    config = plugin.deepspeed_config
    if plugin.zero_stage not in (2, 3):
        raise TrainingError(f"DEEPSPEED: zero_stage is {plugin.zero_stage}, expected 2 or 3; DDP holds whole copies")
    if own := {"optimizer", "scheduler"} & config.keys():
        raise TrainingError(
            f"DEEPSPEED: remove {' and '.join(sorted(own))} from its file; lr, schedule, warmup and weight_decay of "
            "the recipe say this"
        )
    config |= {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 1, "train_batch_size": "auto"}
    config["gradient_clipping"] = max_grad_norm
    config.setdefault("zero_force_ds_cpu_optimizer", False)  # torch's AdamW is as good, and needs no compiler
    config["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] = True
    plugin.set_deepspeed_weakref()  # what transformers reads when it loads a model in shards


def check_launch(args: Any, gathers: bool = False) -> None:
    """A TrainingError for what `accelerate launch` asks for and trl's trainers, as they are used here, don't do.

    `gathers`: the command collects the weights of FSDP2 (`checkpoint.gathered`). All else in shards would train, and
    then save empty or no weights. transformers takes autocast from the launch, whatever `args.precision` says.
    """
    sharded = parse_flag_from_env("ACCELERATE_USE_FSDP")
    if parse_flag_from_env("ACCELERATE_USE_DEEPSPEED") or (sharded and not gathers):
        others = "FSDP2 or DDP" if gathers else "DDP"
        raise TrainingError(
            f"FSDP or DEEPSPEED: weights in parts can't be saved by this training; launch with {others}"
        )
    if sharded and os.environ.get("FSDP_VERSION", "1") != "2":
        raise TrainingError(
            "FSDP: the flat weights of its first version can't be saved; set fsdp_version: 2 in the launch file"
        )
    launched, expected = (
        os.environ.get("ACCELERATE_MIXED_PRECISION", "no"),
        "bf16" if bfloat16(args.precision) else "no",
    )
    if launched not in ("no", expected):
        raise TrainingError(
            f"mixed_precision: the launch says {launched}, the setting precision ({args.precision}) means {expected}; "
            "make them agree"
        )


def groups_of(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters for an optimizer: matrices decay, all else doesn't."""
    matrices = [p for p in model.parameters() if len(full_shape(p)) > 1]
    others = [p for p in model.parameters() if len(full_shape(p)) <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def full_shape(values: torch.Tensor) -> torch.Size:
    """The shape of a weight; ZeRO-3 leaves nothing but its size beside an empty tensor."""
    return getattr(values, "ds_shape", values.shape)
