"""The options of `python -m xlam_lib.bench.run` (notebook 05); nothing here loads a model or a benchmark.

BenchSettings(("webshop",), "runs/webshop", agents=("react",), base_url="http://127.0.0.1:8000/v1", model="sft")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xlam_lib.settings import COUNT, NOT_NEGATIVE, SEED, option


@dataclass(frozen=True)
class BenchSettings:
    """All options of a run; keys of its YAML file, too."""

    tasks: tuple[str, ...] = option(..., "benchmarks by name, or module:Class for one of your own")
    out: str = option(..., "folder of the run: episodes, transcripts, metrics.json, report.html")
    agents: tuple[str, ...] = option(
        ("react",), "zs, zst, act, react, plan_act, plan_react, bolaa; random; oracle: the scripted expert"
    )
    base_url: str = option("", "of an OpenAI-compatible endpoint, ends with /v1")
    model: str = option("", "that endpoint's name for the model")
    serve: str = option("", "instead: a checkpoint or base that is served while the run lasts")
    engine: Literal["vllm", "llamacpp", "transformers"] = option("vllm", "what serves it")
    function: str = option("", "instead: module:function of your own that answers messages")
    native: bool = option(False, "act by native tool calls instead of words")
    split: Literal["test", "train"] = option("test", "which of the embedded items")
    data: tuple[str, ...] = option((), "the original's files, as task=path")
    items: int = option(0, "of each benchmark, the first ones (0: all)", within=NOT_NEGATIVE)
    trials: int = option(1, "of each item, with seeds from `seed` on; several give pass^k", within=COUNT)
    seed: int = option(0, "of the first trial", within=SEED)
    max_steps: int = option(0, "actions in an episode (0: as the benchmark has it)", within=NOT_NEGATIVE)
    concurrency: int = option(8, "episodes at once", within=COUNT)
    max_tokens: int = option(200, "of an answer", within=COUNT)
    temperature: float = option(0.0, "0: always the likeliest token", within=NOT_NEGATIVE)
    memory: int = option(12_000, "characters of an episode that a prompt holds", within=COUNT)
    context: int = option(4096, "tokens of prompt and answer that `serve` allows", within=COUNT)
    ray: str = option("", "address of a Ray cluster over which episodes are spread; auto: the one that runs here")
