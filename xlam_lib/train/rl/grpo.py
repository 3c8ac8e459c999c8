"""A whole run of GRPO, from settings to a saved checkpoint; the command is `xlam_lib/train/grpo.py`."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import torch
from trl import GRPOConfig

from xlam_lib.codec import STYLES
from xlam_lib.errors import TrainingError
from xlam_lib.models import adapters, card, checkpoint, lora
from xlam_lib.models.precision import bfloat16
from xlam_lib.train.loop import runner
from xlam_lib.train.loop.distributed import state
from xlam_lib.train.loop.log import read_log
from xlam_lib.train.loop.sharding import check_launch
from xlam_lib.train.mixture import inputs
from xlam_lib.train.rl.execution import Execution
from xlam_lib.train.rl.prompts import answers_of, read_prompts
from xlam_lib.train.rl.rewards import RULES, Reward, RewardSum, per_answer
from xlam_lib.train.rl.settings import GrpoSettings, check
from xlam_lib.train.rl.trainer import Grader, PolicyTrainer

logger = logging.getLogger(__name__)


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
            model = trainer.accelerator.unwrap_model(trainer.model)
            files = runner.files(work, "xlam_lib.train.grpo", settings, **record) | adapters.base_file(model, settings)
            files |= card.files(card.origin(settings.base, card.sources(settings.data)), described, info)
            checkpoint.save(out, model, tokenizer, STYLES[settings.style], files, info)
    return out


def _check(settings: GrpoSettings) -> None:
    """What trl would find out later, or not at all."""
    check(settings)
    check_launch(settings)
    world, size = state().num_processes, settings.batch_size
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
