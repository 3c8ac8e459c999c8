"""Tokens a second, model FLOP utilisation and memory of training models of 1 to 8 B on a GPU, and what limits them:

    python -m xlam_lib.perf.throughput                                  # all of it, into runs/throughput
    python -m xlam_lib.perf.throughput --models xLAM-1b-fc-r --ways lora --lengths 8192 --profile
    python -m xlam_lib.perf.throughput --models tiny --lengths 512 --scale 0.1     # a rehearsal on a CPU

Models have the sizes of `family.yaml` and random weights. The same samples are read as tries with FlexAttention, and
apart without padding with flash attention (`padding_free.py`); trajectories share beginnings, single samples nothing,
so there both ways do the same work. Utilisation is telemetry's, what memory is expected the plan's (`memory.py`).
`throughput.json` is a list of rows, one for each model, way of training, length, data and way of reading; a case that
runs out of memory is a row that says so. `experiments/06_throughput` says what the fields mean.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from xlam_lib import paths
from xlam_lib.errors import TrainingError, as_command
from xlam_lib.files import write_json
from xlam_lib.models import lora
from xlam_lib.models.family import family, shrunk
from xlam_lib.perf import synthetic
from xlam_lib.perf.throughput_rows import Found, Trial, as_line, attempt, compared
from xlam_lib.perf.throughput_step import Reading, Trained, release
from xlam_lib.perf.workloads import CASES, samples
from xlam_lib.settings import from_command_line, option
from xlam_lib.train.loop import launcher
from xlam_lib.train.loop.distributed import state
from xlam_lib.train.packing import padding_free
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.grouping import Row
from xlam_lib.train.packing.packers import SeparatePacker, TriePacker
from xlam_lib.train.planning.memory import Layout

TINY, VOCABULARY = "tiny", 4096  # a twin of the last model, for a rehearsal
MODELS = ("xLAM-1b-fc-r", "xLAM-2-3b-fc-r", "Llama-xLAM-2-8b-fc-r")
WAYS, DATA = ("lora", "full"), ("trajectories", "single")
CPU_MOST = 0.1  # billions of parameters that a CPU is asked to train
SMALL = f"--models {TINY} --lengths 512 --scale 0.1"
MINIMUM = {"batch": 1, "rounds": 1, "warmup": 0, "lora_rank": 1}


@dataclass(frozen=True)
class Settings:
    """The options of the command."""

    models: tuple[str, ...] = option(MODELS, f"names of family.yaml, or {TINY}")
    ways: tuple[str, ...] = option(WAYS, "lora: adapters on a frozen base; full: all weights")
    lengths: tuple[int, ...] = option((4096, 8192, 16384), "tokens that are read at once")
    data: tuple[str, ...] = option(DATA, "trajectories share beginnings, single samples share nothing and fill a row")
    batch: int = option(8, "trajectories, or single samples, a step")
    rounds: int = option(3, "steps that are timed, both ways of reading in turns; the median counts")
    warmup: int = option(1, "steps before these")
    precision: Literal["bfloat16", "float32"] = option("bfloat16", "of the weights and of what is computed")
    gradient_checkpointing: bool = option(
        False, "keep fewer activations, and compute them again for the backward pass", formerly="recompute"
    )
    lora_rank: int = option(16, "of the adapters")
    attention: Literal["auto", "flash_attention_2", "varlen", "flex_attention"] = option(
        "auto", "of samples apart on a GPU; auto: that of the package flash-attn if it is there, else torch's"
    )
    scale: float = option(1.0, "declared trajectories with so many times the tokens")
    real: str = option("", "folder of real records, instead of declared trajectories")
    case: str = option("alfworld", "which of them, as `make speed` names it")
    peak: float = option(0.0, "what the GPU can do, in TFLOP/s, where telemetry.py doesn't know it")
    profile: bool = option(False, "name the operators that take most time")
    seed: int = option(0, "of weights and declared samples")
    out: str = option("runs/throughput", "where throughput.json is written")


@dataclass(frozen=True, kw_only=True)
class Adapters(lora.LoraSettings):
    """What `lora.attach` asks for."""

    seed: int = 0


def check(args: Settings, device: torch.device) -> None:
    """TrainingError for what can't be meant, or would take a CPU days."""
    known = {"models": [*family(), TINY], "ways": WAYS, "data": DATA, "case": [case.name for case in CASES]}
    for name, values in known.items():
        given = getattr(args, name)
        for one in [given] if isinstance(given, str) else given:
            if one not in values:
                raise TrainingError(f"--{name}: {one!r} is unknown; known are {', '.join(values)}")
    for name, value in MINIMUM.items():
        if getattr(args, name) < value:
            raise TrainingError(f"--{name.replace('_', '-')} is {getattr(args, name)}: expected at least {value}")
    large = [name for name in args.models if name != TINY and family()[name].parameters > CPU_MOST]
    if device.type == "cpu" and large:
        size = family()[large[0]].parameters
        raise TrainingError(f"no GPU here, and {large[0]} has {size:g} billion parameters; a CPU can do {SMALL}")
    longest = synthetic.ALFWORLD.scaled(args.scale).longest
    if "trajectories" in args.data and not args.real and longest > min(args.lengths):
        raise TrainingError(
            f"--lengths {min(args.lengths)}: a declared trajectory has samples of up to {longest} tokens; give longer "
            "rows, or a smaller --scale"
        )


def configuration(name: str) -> PretrainedConfig:
    """The configuration of a model of the family, or of the tiny twin: `configuration("tiny").hidden_size` -> 64."""
    return shrunk(family()[MODELS[-1]].architecture, VOCABULARY) if name == TINY else family()[name].config()


def model_of(args: Settings, name: str, way: str, device: torch.device) -> Any:
    """A model of random weights, made on the device; with adapters if asked for."""
    torch.manual_seed(args.seed)
    with device:
        model = AutoModelForCausalLM.from_config(configuration(name), dtype=getattr(torch, args.precision))
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
    check(args, device)
    padding_free.register()
    for name in args.models:
        for way in args.ways:
            release()  # what the last one held
            yield from rows_of(args, name, way, device)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; prints a line a row and writes `throughput.json`; 2 if it can't be run so."""
    logging.getLogger("datasets").setLevel(logging.ERROR)
    args = from_command_line(Settings, argv, "xlam_lib.perf.throughput", "Throughput of training on a GPU.")
    return as_command(lambda: _show(args), launcher.FAILED)


def _show(args: Settings) -> None:
    made: list[Found] = []
    for row in run(args):
        made.append(row)
        print(as_line(row), flush=True)
        for one in row.get("top", []) if isinstance(row.get("top"), list) else []:
            print(f"    {one['share']:6.1%}  {one['operator'][:100]}", flush=True)
        write_json(paths.out_dir(args.out) / "throughput.json", made)


if __name__ == "__main__":
    sys.exit(main())
