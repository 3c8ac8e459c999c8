"""The options of GRPO, and what can't be meant by them (`python -m xlam_lib.train.grpo`).

    check(GrpoSettings("runs/sft", ("prompts.jsonl",), "runs/grpo", batch_size=32, generations=8))

Nothing here loads torch, so the command answers `--help` and refuses wrong options at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xlam_lib.errors import TrainingError
from xlam_lib.models import bases, lora_settings
from xlam_lib.models.lora_settings import LoraSettings
from xlam_lib.settings import COUNT, NOT_NEGATIVE, POSITIVE, SEED, Range, option
from xlam_lib.train.loop.reporting import Kind


@dataclass(frozen=True)
class GrpoSettings(LoraSettings):
    """All options of a run; the command line is made of them."""

    base: str = option(..., "what to start from, also the reference: folder, name of a base, or ORG/NAME of the hub")
    data: tuple[str, ...] = option(
        ..., "trajectories as JSON Lines, one file a source: each assistant turn is a prompt with its expected answer"
    )
    out: str = option(..., "folder to make; appears when all is done")
    shares: tuple[float, ...] = option(
        (), "how often prompts of each source are drawn; nothing: by their number", within=NOT_NEGATIVE
    )
    style: Literal["brief", "seed"] = option("brief", "how prompts are written")
    steps: int = option(100, "rounds: draw answers, then learn from them", within=COUNT)
    batch_size: int = option(64, "answers a round, over all processes", within=COUNT)
    generations: int = option(8, "answers to a prompt", within=Range(least=2))
    per_device_batch_size: int = option(
        0,
        "answers that a process trains on at once (0: all of its share)",
        formerly="read_at_once",
        within=NOT_NEGATIVE,
    )
    iterations: int = option(1, "updates from the answers of a round", within=COUNT)
    max_new_tokens: int = option(128, "longer answers are cut", within=COUNT)
    max_length: int = option(
        1024, "prompts that leave no room for an answer below this are left out, and counted", within=COUNT
    )
    temperature: float = option(1.0, "of drawing answers; higher is more varied", within=POSITIVE)
    beta: float = option(
        0.0, "weight of the divergence from the reference (0: no reference is loaded)", within=NOT_NEGATIVE
    )
    epsilon: float = option(0.2, "how far the probability of a token may fall or rise in an update", within=POSITIVE)
    epsilon_high: float = option(0.0, "how far it may rise, where that differs (0: epsilon)", within=NOT_NEGATIVE)
    loss_type: Literal["dapo", "grpo", "dr_grpo", "bnpo"] = option("dapo", "how the loss is averaged over tokens")
    scale_rewards: Literal["group", "batch", "none"] = option("group", "by whose spread advantages are divided")
    mask_truncated: bool = option(False, "learn nothing from answers that were cut", formerly="mask_cut")
    format_weight: float = option(1.0, "reward for JSON as it was asked for", within=NOT_NEGATIVE)
    function_weight: float = option(1.0, "reward for the names of functions", within=NOT_NEGATIVE)
    arguments_weight: float = option(1.0, "reward for names and values of arguments", within=NOT_NEGATIVE)
    plain_weight: float = option(
        1.0, "reward for words of a fitting length where no call is expected", within=NOT_NEGATIVE
    )
    exact_weight: float = option(1.0, "reward for exactly the expected calls", within=NOT_NEGATIVE)
    execution_weight: float = option(1.0, "reward for calls that run with the expected results", within=NOT_NEGATIVE)
    functions: tuple[str, ...] = option((), "modules whose functions execution runs, for tools of your own")
    lr: float = option(1e-5, "peak learning rate", within=POSITIVE)
    seed: int = option(0, "seed of order and answers", within=SEED)
    precision: Literal["auto", "float32", "bfloat16"] = option("auto", "bfloat16 autocast where there are instructions")
    processes: int = option(
        0, "processes on this machine (0: two where there are two cores, one beside a GPU)", within=NOT_NEGATIVE
    )
    log_every: int = option(1, "steps between two lines of the log", within=COUNT)
    save_every: int = option(20, "rounds between two checkpoints to resume from", within=COUNT)
    report: Kind = option("none", "where the log's figures go beside log.jsonl; wandb takes its key from WANDB_API_KEY")
    use_vllm: bool = option(False, "draw answers with vLLM, on a GPU")
    vllm_mode: Literal["colocate", "server"] = option("colocate", "vLLM in the training's processes, or a server")
    vllm_memory: float = option(
        0.3, "share of the GPU's memory for vLLM in the training's processes", within=Range(above=0, most=1)
    )


def check(settings: GrpoSettings) -> None:
    """Refuse what can't be meant, and a base or data that aren't there, before anything is loaded: an XlamError."""
    lora_settings.check(settings)
    if settings.lora_dropout:
        raise TrainingError("lora_dropout: answers would be drawn from another model than is trained; set it to 0")
    if settings.use_vllm and settings.quantize != "none":
        raise TrainingError("use_vllm with quantize: vLLM would be given weights of four bits; leave one of them out")
    if settings.generations < 2:
        raise TrainingError(
            f"--generations is {settings.generations}: rewards are compared within a group of 2 or more"
        )
    if settings.steps < 1 or settings.batch_size < 1 or settings.batch_size % settings.generations:
        raise TrainingError(
            f"--batch-size {settings.batch_size} with --generations {settings.generations}: a round has whole groups "
            f"of answers; give a multiple of {settings.generations}, and --steps of 1 or more (now {settings.steps})"
        )
    bases.check_inputs(settings.base, settings.data)
