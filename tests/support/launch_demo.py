"""Runs trainings by launch files of accelerate's on two CPU processes that talk over gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

from xlam_lib.settings import to_arguments
from xlam_lib.train.loop.child import environment

# accelerate shards between GPUs only; given that these processes had some, it takes the very same path
SCRIPT = """
import importlib, json, os, sys
import torch
from accelerate import DistributedType, PartialState
from accelerate.state import AcceleratorState
begin, prepare, kind = PartialState.__init__, AcceleratorState.__init__, "MULTI_GPU"
def as_if_on_gpus(self, *given, **named):  # trl begins anew, too
    begin(self, *given, **named)
    if self._shared_state["distributed_type"] == DistributedType.MULTI_CPU:
        self._shared_state["distributed_type"] = DistributedType[kind]
def as_if_there_were_some(self, *given, cpu=True, **named):
    prepare(self, *given, cpu=False, **named)
PartialState.__init__, AcceleratorState.__init__ = as_if_on_gpus, as_if_there_were_some
torch.Tensor.pin_memory = lambda values: values  # FSDP2 locks the pages of what it offloads, which needs a GPU
processes = PartialState(cpu=True)
jobs = json.load(open(sys.argv[1]))
if any("ACCELERATE_USE_DEEPSPEED" in job["env"] for job in jobs):
    import deepspeed
    deepspeed.ops.__compatible_ops__ = {}  # its own way to talk between CPUs would be compiled now, for minutes
from xlam_lib.train.supervised import lite_trainer
first, made = lite_trainer.SFTFoundationTrainerLite._step, []
def step(self, number, groups):
    made.append(number)
    if number == job["stop"] + 1:
        sys.exit(3)
    return first(self, number, groups)
lite_trainer.SFTFoundationTrainerLite._step = step
for job in jobs:
    for name in [name for name in os.environ if name.startswith(("ACCELERATE_", "FSDP_"))]:
        del os.environ[name]
    os.environ.update(job["env"])
    AcceleratorState._reset_state()
    kind = "DEEPSPEED" if "ACCELERATE_USE_DEEPSPEED" in os.environ else "MULTI_GPU"
    PartialState._shared_state["distributed_type"] = DistributedType[kind]
    made.clear()
    try:
        code = importlib.import_module("xlam_lib.train." + job["module"]).main(job["argv"])
    except SystemExit as end:
        code = end.code
    processes.wait_for_everyone()
    if processes.is_main_process:
        lay = AcceleratorState._shared_state["distributed_type"].value
        print("\\nresult", json.dumps([lay, code, made]), flush=True)
"""


@dataclass(frozen=True)
class Job:
    """A training: what `accelerate launch --config_file launch` would run, or until it has made `stop` steps."""

    launch: Path
    settings: Any
    module: str = "sft_lite"
    stop: int = 10**6
    options: tuple[str, ...] = ()  # of accelerate launch, beside the file

    def described(self) -> dict[str, Any]:
        """What the processes are given of it, with the environment that accelerate makes of the launch file."""
        given = ["--config_file", str(self.launch), "--num_processes", "2", "--main_process_port", "0", *self.options]
        args, *_ = _validate_launch_command(launch_command_parser().parse_args([*given, "script.py"]))
        args.deepspeed_fields_from_accelerate_config = ""  # for files of DeepSpeed's own
        env = prepare_deepspeed_cmd_env(args)[1] if args.use_deepspeed else prepare_multi_gpu_env(args)
        own = {name: value for name, value in env.items() if name.startswith(("ACCELERATE_", "FSDP_"))}
        argv = to_arguments(asdict(self.settings))
        return {"module": self.module, "argv": argv, "stop": self.stop, "env": own}


def launched(folder: Path, *jobs: Job) -> tuple[list[tuple[str, int, list[int]]], str]:
    """Do the jobs one after another; of each how the model lay, the exit status and the steps, then their output."""
    script, file = folder / "launched.py", folder / "jobs.json"
    script.write_text(SCRIPT)
    file.write_text(json.dumps([job.described() for job in jobs]))
    here = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": os.environ.get("IFNAME", "lo"), "DS_ACCELERATOR": "cpu"}
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script), str(file)],
        env=environment() | here,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-6000:]
    return list(_results(ended.stdout)), ended.stderr


def _results(output: str) -> Iterator[tuple[str, int, list[int]]]:
    for line in output.splitlines():
        if line.startswith("result "):
            yield tuple(json.loads(line.removeprefix("result ")))
