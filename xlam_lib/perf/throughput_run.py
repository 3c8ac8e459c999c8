"""The measurements of `throughput.py`: models, data and ways of reading in turns, a row for each.

for row in run(Settings(models=("tiny",), lengths=(512,), scale=0.1)): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from xlam_lib import paths
from xlam_lib.errors import TrainingError
from xlam_lib.files import write_json
from xlam_lib.models import lora
from xlam_lib.models.family import family, shrunk
from xlam_lib.models.folders import NO_CODE
from xlam_lib.models.lora_settings import LoraSettings
from xlam_lib.perf import synthetic
from xlam_lib.perf.cases import CASES
from xlam_lib.perf.throughput_rows import Found, Trial, as_line, attempt, compared
from xlam_lib.perf.throughput_settings import CPU_MOST, MODELS, SMALL, TINY, VOCABULARY, Settings, check
from xlam_lib.perf.throughput_step import Reading, Trained, release
from xlam_lib.perf.workloads import samples
from xlam_lib.train.loop import launcher
from xlam_lib.train.loop.distributed import state
from xlam_lib.train.packing import padding_free
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.grouping import Row
from xlam_lib.train.packing.packers import SeparatePacker, TriePacker
from xlam_lib.train.planning.memory import Layout


@dataclass(frozen=True, kw_only=True)
class Adapters(LoraSettings):
    """What `lora.attach` asks for."""

    seed: int = 0


def check_device(args: Settings, device: torch.device) -> None:
    """TrainingError for what would take a CPU days."""
    large = [name for name in args.models if name != TINY and family()[name].parameters > CPU_MOST]
    if device.type == "cpu" and large:
        size = family()[large[0]].parameters
        raise TrainingError(f"no GPU here, and {large[0]} has {size:g} billion parameters; a CPU can do {SMALL}")


def configuration(name: str) -> PretrainedConfig:
    """The configuration of a model of the family, or of the tiny twin: `configuration("tiny").hidden_size` -> 64."""
    return shrunk(family()[MODELS[-1]].architecture, VOCABULARY) if name == TINY else family()[name].config()


def model_of(args: Settings, name: str, way: str, device: torch.device) -> Any:
    """A model of random weights, made on the device; with adapters if asked for."""
    torch.manual_seed(args.seed)
    with device:
        model = AutoModelForCausalLM.from_config(configuration(name), dtype=getattr(torch, args.precision), **NO_CODE)
    if device.type == "cpu":
        use_causal_blocks(model)
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return lora.attach(model, Adapters(lora_rank=args.lora_rank, seed=args.seed)) if way == "lora" else model


def groups_of(args: Settings, data: str, length: int, vocabulary: int) -> list[list[Row]]:
    """The samples of a step, those of a trajectory together."""
    if data == "single":
        return synthetic.single(length, args.batch, vocabulary, args.seed)
    if not args.real:
        return synthetic.trajectories(synthetic.ALFWORLD.scaled(args.scale), args.batch, vocabulary, args.seed)
    case = replace(next(case for case in CASES if case.name == args.case), most=args.batch, length=length)
    with TemporaryDirectory() as work:
        _, groups = samples(case, Path(args.real), Path(work))
    if not groups:
        raise TrainingError(f"{args.real}: no trajectory of {args.case} has samples of at most {length} tokens only")
    return groups


def readings(args: Settings, device: torch.device, length: int, hidden: int) -> list[Reading]:
    """Both ways: tries, which FlexAttention reads on a GPU, and samples apart."""
    apart = padding_free.choose(device)
    if device.type == "cuda" and args.attention != "auto":
        apart = args.attention
    tries, kernel = padding_free.FLEX, "FlexAttention with a mask of tries"
    if device.type == "cpu":
        tries, kernel = apart, padding_free.KERNELS[apart]
    return [
        Reading("tries", tries, kernel, TriePacker(length, 6 * hidden)),
        Reading("apart", apart, padding_free.KERNELS[apart], SeparatePacker(length, 6 * hidden)),
    ]


def rows_of(args: Settings, name: str, way: str, device: torch.device) -> Iterator[Found]:
    """All rows of a model and a way of training it."""
    dtype = getattr(torch, args.precision)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {launcher.cores()} cores"
    about: Found = {"model": name, "way": way, "device": where, "precision": args.precision}
    about |= {
        "gradient_checkpointing": args.gradient_checkpointing,
        "source": args.case if args.real else "declared",
        "scale": args.scale,
    }
    trained, reason = attempt(lambda: Trained(model_of(args, name, way, device), dtype, 1e12 * args.peak))
    if trained is None:
        yield about | {"failed": reason}
        return
    config, trial = trained.base.config, Trial(args.rounds, args.warmup, args.profile)
    about["parameters"] = sum(values.numel() for values in trained.base.parameters())
    about["trained_parameters"] = sum(values.numel() for values in trained.weights)
    layout = Layout(
        1, weights=args.precision, compute=args.precision, checkpointing=args.gradient_checkpointing, dense_mask=False
    )
    for length in args.lengths:
        for data in args.data:
            groups = groups_of(args, data, length, config.vocab_size)
            case = about | {"length": length, "data": data, "groups": len(groups), "samples": sum(map(len, groups))}
            ways = readings(args, device, length, config.hidden_size)
            tries, apart = (case | row for row in compared(trained, ways, groups, trial, layout))
            if "seconds" in tries and "seconds" in apart:
                tries["times_as_fast"] = round(apart["seconds"] / tries["seconds"], 2)
            yield from (tries, apart)


def run(args: Settings) -> Iterator[Found]:
    """All rows, one after another."""
    device = state().device
    check(args)
    check_device(args, device)
    padding_free.register()
    for name in args.models:
        for way in args.ways:
            release()  # what the last one held
            yield from rows_of(args, name, way, device)


def show(args: Settings) -> None:
    """Print a line a row, and write `throughput.json`."""
    made: list[Found] = []
    for row in run(args):
        made.append(row)
        print(as_line(row), flush=True)
        for one in row.get("top", []) if isinstance(row.get("top"), list) else []:
            print(f"    {one['share']:6.1%}  {one['operator'][:100]}", flush=True)
        write_json(paths.out_dir(args.out) / "throughput.json", made)
