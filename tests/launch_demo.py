"""Runs a training by a launch file of accelerate's on two CPU processes that talk over gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from xlam_lib.train.config import to_arguments
from xlam_lib.train.launch import surroundings

# accelerate shards between GPUs only; told that these processes had some, it takes the very same path
SCRIPT = """
import os, sys
from accelerate import DistributedType, PartialState
from accelerate.state import AcceleratorState
begin, prepare = PartialState.__init__, AcceleratorState.__init__
kind = "DEEPSPEED" if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true" else "MULTI_GPU"
def as_if_on_gpus(self, *given, **named):
    begin(self, *given, **named)
    if self._shared_state["distributed_type"] == DistributedType.MULTI_CPU:
        self._shared_state["distributed_type"] = DistributedType[kind]
def as_if_there_were_some(self, *given, cpu=True, **named):
    prepare(self, *given, cpu=cpu and kind != "DEEPSPEED", **named)
PartialState.__init__, AcceleratorState.__init__ = as_if_on_gpus, as_if_there_were_some
PartialState(cpu=True)
if kind == "DEEPSPEED":  # its own way to talk between CPUs is C++ that would be compiled now, for minutes
    import deepspeed
    deepspeed.ops.__compatible_ops__ = {}
from xlam_lib.train import lite
module, stop, *argv = sys.argv[1:]
first, made = lite.SFTFoundationTrainerLite._step, []
def step(self, number, groups):
    made.append(number)
    if number == int(stop) + 1:
        raise SystemExit(3)
    return first(self, number, groups)
lite.SFTFoundationTrainerLite._step = step
code = getattr(__import__("xlam_lib.train", fromlist=[module]), module).main(argv)
print(AcceleratorState._shared_state["distributed_type"], "made", *made[:1], *made[-1:], flush=True)
sys.exit(code)
"""


def launched(
    launch: Path | dict[str, Any], module: str, settings: dict[str, Any], stop: int = 10**6
) -> subprocess.CompletedProcess[str]:
    """`accelerate launch --config_file launch` of a module of xlam_lib.train, or until it has made `stop` steps.

    The last line of the first process says how the model lay and which steps were made: "DEEPSPEED made 1 5".
    """
    work = Path(settings["out"]).parent
    script, file = work / "launched.py", work / "launch.yaml"
    script.write_text(SCRIPT)
    given = launch if isinstance(launch, dict) else yaml.safe_load(launch.read_text("utf-8"))
    file.write_text(yaml.safe_dump(given))
    line = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file", str(file)]
    here = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": os.environ.get("IFNAME", "lo"), "DS_ACCELERATOR": "cpu"}
    return subprocess.run(
        [*line, "--num_processes", "2", "--main_process_port", "0", str(script), module, str(stop)]
        + to_arguments(settings),
        env=surroundings() | here,
        capture_output=True,
        text=True,
    )
