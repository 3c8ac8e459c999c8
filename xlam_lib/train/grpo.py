"""Group relative policy optimisation with verifiable rewards, through trl's GRPOTrainer (notebook 03; also a command):

    python -m xlam_lib.train.grpo --base runs/sft --data prompts.jsonl --out runs/grpo
    python -m xlam_lib.train.grpo experiments/03_grpo/recipe/grpo.yaml --out runs/other
    python -m xlam_lib.train.grpo --base runs/sft --data a.jsonl b.jsonl --shares 0.8 0.2 --out runs/lora --lora-rank 16

The model answers each prompt several times; answers that earn more than the mean of their group become likelier, the
others less so (DeepSeekMath, arXiv 2402.03300). Prompts are the turns of trajectories, whose answers are what is
expected (`prompts.py`); `rewards.py` and `execution.py` say what an answer earns. The log has each reward's mean and
spread, the length of answers, the share of them that was cut, and the share of groups of equal rewards, from which
nothing is learnt. With `--lora-rank` adapters are trained (`lora.py`); the reference is then the same model with its
adapters switched off.

Stopped, the same command goes on from the last checkpoint and ends with the same weights: the state of the random
numbers is restored, too, and checkpoints lie between rounds of answers. With vLLM, which draws on its own, it doesn't.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from trl import GRPOConfig

from xlam_lib.codec import STYLES
from xlam_lib.errors import TrainingError
from xlam_lib.models import adapters, card, checkpoint, lora
from xlam_lib.models.lora import LoraSettings
from xlam_lib.models.precision import bfloat16
from xlam_lib.settings import from_command_line, option
from xlam_lib.train.loop import runner
from xlam_lib.train.loop.distributed import command, state
from xlam_lib.train.loop.log import read_log
from xlam_lib.train.loop.reporting import Kind
from xlam_lib.train.loop.sharding import check_launch
from xlam_lib.train.mixture import inputs
from xlam_lib.train.rl.execution import Execution
from xlam_lib.train.rl.prompts import answers_of, read_prompts
from xlam_lib.train.rl.rewards import RULES, Reward, RewardSum, per_answer
from xlam_lib.train.rl.trainer import Grader, PolicyTrainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GrpoSettings(LoraSettings):
    """All options of a run; the command line is made of them."""

    base: str = option(..., "folder of the checkpoint to start from, which is also the reference")
    data: tuple[str, ...] = option(
        ..., "trajectories as JSON Lines, one file a source: each assistant turn is a prompt with its expected answer"
    )
    out: str = option(..., "folder to make; appears when all is done")
    shares: tuple[float, ...] = option((), "how often prompts of each source are drawn; nothing: by their number")
    style: Literal["brief", "seed"] = option("brief", "how prompts are written")
    steps: int = option(100, "rounds: draw answers, then learn from them")
    batch_size: int = option(64, "answers a round, over all processes")
    generations: int = option(8, "answers to a prompt")
    per_device_batch_size: int = option(
        0, "answers that a process trains on at once (0: all of its share)", formerly="read_at_once"
    )
    iterations: int = option(1, "updates from the answers of a round")
    max_new_tokens: int = option(128, "longer answers are cut")
    max_length: int = option(1024, "prompts that leave no room for an answer below this are left out, and counted")
    temperature: float = option(1.0, "of drawing answers; higher is more varied")
    beta: float = option(0.0, "weight of the divergence from the reference (0: no reference is loaded)")
    epsilon: float = option(0.2, "how far the probability of a token may fall or rise in an update")
    epsilon_high: float = option(0.0, "how far it may rise, where that differs (0: epsilon)")
    loss_type: Literal["dapo", "grpo", "dr_grpo", "bnpo"] = option("dapo", "how the loss is averaged over tokens")
    scale_rewards: Literal["group", "batch", "none"] = option("group", "by whose spread advantages are divided")
    mask_truncated: bool = option(False, "learn nothing from answers that were cut", formerly="mask_cut")
    format_weight: float = option(1.0, "reward for JSON as it was asked for")
    function_weight: float = option(1.0, "reward for the names of functions")
    arguments_weight: float = option(1.0, "reward for names and values of arguments")
    plain_weight: float = option(1.0, "reward for words of a fitting length where no call is expected")
    exact_weight: float = option(1.0, "reward for exactly the expected calls")
    execution_weight: float = option(1.0, "reward for calls that run with the expected results")
    functions: tuple[str, ...] = option((), "modules whose functions execution runs, for tools of your own")
    lr: float = option(1e-5, "peak learning rate")
    seed: int = option(0, "seed of order and answers")
    precision: Literal["auto", "float32", "bfloat16"] = option("auto", "bfloat16 autocast where there are instructions")
    processes: int = option(0, "processes on this machine (0: two where there are two cores, one beside a GPU)")
    log_every: int = option(1, "steps between two lines of the log")
    save_every: int = option(20, "rounds between two checkpoints to resume from")
    report: Kind = option("none", "where the log's figures go beside log.jsonl; wandb takes its key from WANDB_API_KEY")
    use_vllm: bool = option(False, "draw answers with vLLM, on a GPU")
    vllm_mode: Literal["colocate", "server"] = option("colocate", "vLLM in the training's processes, or a server")
    vllm_memory: float = option(0.3, "share of the GPU's memory for vLLM in the training's processes")


def train(settings: GrpoSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    _check(settings)
    out, settings = Path(settings.out), runner.resolved(settings)
    described = inputs.describe(settings, "data")
    if runner.finished(out, described, settings):
        logger.info("%s is there already, made with the same settings and data", out)
        return out
    tokenizer = checkpoint.load_tokenizer(settings.base)
    prompts = read_prompts(settings, tokenizer)
    if state().is_main_process:
        logger.info("%s", prompts.report)
    with runner.working(out, described, settings) as (work, last):
        model = lora.load_base(settings)
        with Execution.of_modules(settings.functions) if settings.functions else Execution.embedded() as execution:
            rewards = _rewards(settings, execution)
            trainer = PolicyTrainer(
                model=model, args=arguments(settings, work, rewards), peft_config=lora.config(settings, model),
                reward_funcs=Grader(prompts.cases, tokenizer).functions(rewards), train_dataset=prompts.rows,
                callbacks=[runner.LogCallback(work, runner.report(settings.report, work, last))],
                processing_class=tokenizer, tries=not torch.cuda.is_available(),
            )  # fmt: skip
            seconds = runner.run(trainer, last)
        report = prompts.report
        left_out = sum(sum(counts.values()) for counts in report.left_out.values())
        info = {"prompts": report.prompts, "left_out": left_out, "drawn": report.drawn, "mixture": prompts.mixture}
        info |= {"seconds": round(seconds, 1), "steps": trainer.state.global_step}
        if state().is_main_process:
            record = {"mixture": prompts.mixture, "prompts": asdict(report), "answers": answers_of(read_log(work))}
            files = runner.files(work, "xlam_lib.train.grpo", settings, **record) | adapters.base_of(settings)
            files |= card.files(card.origin(settings.base, card.sources(settings.data)), described, info)
            model = trainer.accelerator.unwrap_model(trainer.model)
            checkpoint.save(out, model, tokenizer, STYLES[settings.style], files, info)
    return out


def _check(settings: GrpoSettings) -> None:
    """What trl would find out later, or not at all."""
    lora.check(settings)
    check_launch(settings)
    if settings.lora_dropout:
        raise TrainingError("lora_dropout: answers would be drawn from another model than is trained; set it to 0")
    if settings.use_vllm and settings.quantize != "none":
        raise TrainingError("use_vllm with quantize: vLLM would be given weights of four bits; leave one of them out")
    world, size = state().num_processes, settings.batch_size
    if settings.generations < 2:
        raise TrainingError(
            f"--generations is {settings.generations}: rewards are compared within a group of 2 or more"
        )
    if settings.steps < 1 or size < 1 or size % settings.generations:
        raise TrainingError(
            f"--batch-size {size} with --generations {settings.generations}: a round has whole groups of answers; "
            f"give a multiple of {settings.generations}, and --steps of 1 or more (now {settings.steps})"
        )
    if size % world or (settings.per_device_batch_size and size // world % settings.per_device_batch_size):
        raise TrainingError(
            f"--batch-size {size} does not divide into {world} processes that read "
            f"{settings.per_device_batch_size or 'all'} answers at once; give multiples"
        )
    if settings.use_vllm and not torch.cuda.is_available():
        raise TrainingError("--use-vllm needs a GPU, where vLLM is given the weights; leave it out on a CPU")


def _rewards(settings: GrpoSettings, execution: Execution) -> RewardSum:
    weights = {name: getattr(settings, f"{name}_weight") for name in (*RULES, "execution")}
    scores = {name: per_answer(rule) for name, rule in RULES.items()} | {"execution": execution}
    try:
        return RewardSum(Reward(name, scores[name], weight) for name, weight in weights.items())
    except ValueError as error:
        raise TrainingError(str(error)) from error


def arguments(settings: GrpoSettings, work: Path, rewards: RewardSum) -> GRPOConfig:
    """trl's arguments: AdamW, warm-up, then linear decay; rewards with their weights; our own log only."""
    share, cuda = settings.batch_size // state().num_processes, torch.cuda.is_available()
    per_device, updates = settings.per_device_batch_size or share, settings.steps * settings.iterations
    vllm = {"vllm_mode": settings.vllm_mode, "vllm_gpu_memory_utilization": settings.vllm_memory}
    return GRPOConfig(
        output_dir=str(work), per_device_train_batch_size=per_device, gradient_accumulation_steps=share // per_device,
        num_train_epochs=1, num_generations=settings.generations, num_iterations=settings.iterations,
        max_completion_length=settings.max_new_tokens, temperature=settings.temperature, shuffle_dataset=False,
        beta=settings.beta, epsilon=settings.epsilon, epsilon_high=settings.epsilon_high or None,
        loss_type=settings.loss_type, scale_rewards=settings.scale_rewards,
        mask_truncated_completions=settings.mask_truncated, reward_weights=[one.weight for one in rewards.rewards],
        learning_rate=settings.lr, lr_scheduler_type="linear", warmup_steps=updates // 10,
        optim="adamw_torch_fused", weight_decay=0.0, adam_beta2=0.99, max_grad_norm=1.0,
        bf16=bfloat16(settings.precision), gradient_checkpointing=False, use_cpu=not cuda, seed=settings.seed,
        data_seed=settings.seed, logging_steps=min(settings.log_every, updates), logging_nan_inf_filter=False,
        save_steps=settings.save_every * settings.iterations, save_total_limit=2, report_to="none",
        disable_tqdm=True, dataloader_pin_memory=cuda, ddp_find_unused_parameters=False,
        use_vllm=settings.use_vllm, **(vllm if settings.use_vllm else {}),
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--base", "runs/sft", "--data", "prompts.jsonl", "--out", "runs/grpo"])` -> 0."""
    argv = sys.argv[1:] if argv is None else list(argv)
    settings = from_command_line(GrpoSettings, argv, "xlam_lib.train.grpo", "GRPO with verifiable rewards.")
    return command(train, settings, "xlam_lib.train.grpo", argv)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    sys.exit(main())
