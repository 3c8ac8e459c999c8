"""Direct preference optimisation with trl's DPOTrainer (notebook 03; also a shell command):

    python -m xlam_lib.train.dpo --base runs/sft --pairs pairs.jsonl --out runs/dpo

The reference is the checkpoint it starts from, its log-probabilities computed once. Pairs marked "held_out" are never
trained on; after training, `held_out.json` beside the weights says, for all of them and for each origin and mistake,
how often the wanted answer is preferred: by its likelihood before and after, and by the reward that DPO defines
(beta times how much more likely it became than the rejected one did).
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset, disable_progress_bars, load_from_disk
from transformers import PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from xlam_lib.atomic import complete_dir, is_complete, to_json
from xlam_lib.chat_template import model_prompt
from xlam_lib.train import checkpoint, loop, mask_report
from xlam_lib.train.attention import use_causal_blocks
from xlam_lib.train.config import from_command_line, option
from xlam_lib.train.examples import IGNORED, encode, order_together
from xlam_lib.train.pairs import Pair, counts, read_pairs
from xlam_lib.train.processes import TrainingError, bfloat16, command, state
from xlam_lib.train.reporting import Kind
from xlam_lib.train.trie_model import PairCollator, read_tries

logger = logging.getLogger(__name__)

HELD_OUT = "held_out.json"


@dataclass(frozen=True)
class DpoSettings:
    """All options of a run; the command line is made of them."""

    base: str = option(..., "folder of the checkpoint to start from, which is also the reference")
    pairs: str = option(..., "preference pairs as JSON Lines")
    out: str = option(..., "folder to make; appears when all is done")
    epochs: float = option(1.0, "passes over the training pairs")
    samples: int = option(0, "pairs to draw in all, instead of --epochs")
    beta: float = option(0.1, "how closely to stay with the reference; higher is closer")
    lr: float = option(1e-5, "peak learning rate")
    sft_weight: float = option(2.0, "weight of a term that trains the wanted answer as SFT does")
    batch_size: int = option(16, "pairs a step, over all processes")
    max_length: int = option(1024, "pairs with a longer row are left out, and counted")
    seed: int = option(0, "seed of the order")
    precision: Literal["auto", "float32", "bfloat16"] = option("float32", "bfloat16 blurs small margins")
    processes: int = option(0, "processes on this machine (0: two where there are two cores, one beside a GPU)")
    log_every: int = option(5, "steps between two lines of the log")
    save_every: int = option(100, "steps between two checkpoints to resume from")
    report: Kind = option("none", "where the log's figures go beside log.jsonl; wandb takes its key from WANDB_API_KEY")
    end_token: Literal["error", "warn"] = option("error", "where no answer trains it: stop, or go on with a warning")


class PairTrainer(loop.FiniteLoss, DPOTrainer):
    """trl's trainer, stopped by a loss that isn't finite; on a CPU the pairs of a prompt are read as a trie."""

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> Any:
        read_tries(self.accelerator.unwrap_model(model))  # trl has given it the head that it scores with by now
        return super().compute_ref_log_probs(model, inputs)


def train(settings: DpoSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    out, settings = Path(settings.out), loop.resolved(settings)
    described = loop.describe(settings, base=settings.base, pairs=settings.pairs)
    if loop.finished(out, described):
        logger.info("%s is there already, made with the same settings and pairs", out)
        return out
    tokenizer = checkpoint.load_tokenizer(settings.base)
    pairs, info = _pairs(settings, tokenizer)
    work, last = loop.prepare(out, described)
    training, held_out = (_stored(pairs[split], tokenizer, work / split) for split in ("train", "held_out"))
    model, more = checkpoint.load_model(settings.base), {}
    if not torch.cuda.is_available():  # a GPU would need the mask of a whole batch written out
        use_causal_blocks(model)
        more = {"data_collator": PairCollator(tokenizer.pad_token_id, settings.max_length)}
    trainer = PairTrainer(
        model=model, args=arguments(settings, work, len(pairs["train"])), train_dataset=training,
        eval_dataset=held_out, processing_class=tokenizer,
        callbacks=[loop.Diary(work, loop.report(settings.report, work, last))], **more,
    )  # fmt: skip
    read_tries(trainer.model)  # where the reference was computed by an earlier run
    mask = _mask(settings, trainer)
    seconds = loop.run(trainer, last)
    info |= {
        "pairs": len(pairs["train"]),
        "held_out": len(pairs["held_out"]),
        "seconds": round(seconds, 1),
        "steps": trainer.state.global_step,
    }
    preferences = measure(trainer, pairs["held_out"], settings.beta)
    if state().is_main_process:
        mixture = [{"source": origin, "draws": drawn} for origin, drawn in info["origins"].items()]
        files = loop.files(work, "xlam_lib.train.dpo", settings, mixture=mixture, mask=asdict(mask))
        files[HELD_OUT] = to_json(preferences) + "\n"
        checkpoint.save(out, trainer.accelerator.unwrap_model(trainer.model), tokenizer, None, files, info)
        shutil.rmtree(work)
        logger.info("held-out pairs: %s", preferences["all"])
    state().wait_for_everyone()
    return out


def arguments(settings: DpoSettings, work: Path, samples: int) -> DPOConfig:
    """trl's arguments: AdamW, warm-up, then linear decay; the reference computed once; our own log only."""
    steps = math.ceil(samples / settings.batch_size)
    share = max(1, settings.batch_size // state().num_processes)
    cuda = torch.cuda.is_available()
    losses = {"sigmoid": 1.0} | ({"sft": settings.sft_weight} if settings.sft_weight else {})
    return DPOConfig(
        output_dir=str(work), per_device_train_batch_size=share, per_device_eval_batch_size=8, num_train_epochs=1,
        beta=settings.beta, loss_type=list(losses), loss_weights=list(losses.values()), precompute_ref_log_probs=True,
        precompute_ref_batch_size=8, max_length=settings.max_length, learning_rate=settings.lr,
        lr_scheduler_type="linear", warmup_steps=steps // 10, optim="adamw_torch_fused", weight_decay=0.0,
        adam_beta2=0.99, max_grad_norm=1.0, train_sampling_strategy="sequential",
        bf16=bfloat16(settings.precision), gradient_checkpointing=False, use_cpu=not cuda, seed=settings.seed,
        data_seed=settings.seed, logging_steps=min(settings.log_every, steps), logging_nan_inf_filter=False,
        save_steps=settings.save_every, save_total_limit=2, report_to="none", disable_tqdm=True,
        dataloader_pin_memory=cuda, ddp_find_unused_parameters=False,
    )  # fmt: skip


def _mask(settings: DpoSettings, trainer: DPOTrainer) -> mask_report.MaskReport:
    """The mask report of both answers of a sample of the pairs, as trl has tokenised them; see `mask_report.check`."""
    rows = [
        {"input_ids": row["prompt_ids"] + row[side], "labels": [IGNORED] * len(row["prompt_ids"]) + row[side]}
        for row in mask_report.sampled(trainer.train_dataset, mask_report.ROWS // 2)
        for side in ("chosen_ids", "rejected_ids")
    ]
    report = mask_report.of_rows(rows, trainer.processing_class)
    return mask_report.check(report, settings.end_token, state().is_main_process)


def measure(trainer: DPOTrainer, pairs: Sequence[Pair], beta: float) -> dict[str, dict[str, float]]:
    """Preferences on held-out pairs after training: {"all": {"n": 120, "accuracy": 0.95, ...}, "own/no_call": ...}.

    `accuracy` and `margin` go by DPO's reward; `likelier_before` and `likelier` by the answers' log-probabilities.
    """
    chosen, rejected = [], []
    trainer.model.eval()
    for batch in trainer.get_eval_dataloader():
        found = trainer.accelerator.gather_for_metrics(trainer.compute_ref_log_probs(trainer.model, batch))
        chosen += found[0].tolist()
        rejected += found[1].tolist()
    columns = trainer.eval_dataset
    rows = [
        (f"{pair.origin}/{pair.failure}", before_c - before_r, c - r)
        for pair, c, r, before_c, before_r in zip(
            pairs, chosen, rejected, columns["ref_chosen_logps"], columns["ref_rejected_logps"], strict=True
        )
    ]
    groups = {"all": rows} | {name: [row for row in rows if row[0] == name] for name in counts(pairs)}
    return {name: _preference(group, beta) for name, group in groups.items()}


def _preference(rows: list[tuple[str, float, float]], beta: float) -> dict[str, float]:
    n, rewards = len(rows), [beta * (after - before) for _, before, after in rows]
    return {
        "n": n,
        "accuracy": sum(reward > 0 for reward in rewards) / n,
        "margin": sum(rewards) / n,
        "likelier_before": sum(before > 0 for _, before, _ in rows) / n,
        "likelier": sum(after > 0 for _, _, after in rows) / n,
    }


def _pairs(settings: DpoSettings, tokenizer: PreTrainedTokenizerBase) -> tuple[dict[str, list[Pair]], dict[str, Any]]:
    """The pairs of both splits that fit, training pairs in the order in which they are drawn."""
    pairs = read_pairs(settings.pairs)
    wrapper = checkpoint.wrapper(tokenizer)
    texts = [model_prompt(pair.prompt, *wrapper) + max(pair.chosen, pair.rejected, key=len) for pair in pairs]
    lengths = [len(ids) + 2 for ids in encode(tokenizer, texts)]  # the end token, and one for a cut elsewhere
    fitting = [index for index, length in enumerate(lengths) if length <= settings.max_length]
    by_split = {split: [i for i in fitting if pairs[i].split == split] for split in ("train", "held_out")}
    for split, indices in by_split.items():
        if not indices:
            raise TrainingError(f"{settings.pairs}: no {split} pairs of at most {settings.max_length} tokens")
    checkpoint.check_context(settings.base, max(lengths[i] for i in fitting), settings.pairs)
    samples = settings.samples or round(settings.epochs * len(by_split["train"]))
    prompts = [pairs[i].prompt for i in by_split["train"]]  # pairs of a prompt together, to be read as one trie
    sizes = [lengths[i] for i in by_split["train"]]
    drawn = order_together(prompts, sizes, settings.batch_size, samples, settings.seed)
    by_split["train"] = [by_split["train"][at] for at in drawn]
    by_split["held_out"].sort(key=lambda i: (lengths[i], pairs[i].prompt))
    chosen = {split: [pairs[i] for i in indices] for split, indices in by_split.items()}
    left_out = len(pairs) - len(fitting)
    if state().is_main_process:
        logger.info(
            "%d pairs to train on, %d held out, %d left out as too long; %s",
            len(chosen["train"]),
            len(chosen["held_out"]),
            left_out,
            dict(counts(chosen["train"])),
        )
    return chosen, {"left_out": left_out, "origins": dict(counts(chosen["train"]))}


def _stored(pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, folder: Path) -> Dataset:
    """trl's rows on disk, where all processes find the reference's log-probabilities once one has written them."""
    wrapper, end = checkpoint.wrapper(tokenizer), tokenizer.eos_token
    if state().is_main_process and not is_complete(folder):
        rows = [
            {
                "prompt": model_prompt(pair.prompt, *wrapper),
                "chosen": pair.chosen + end,
                "rejected": pair.rejected + end,
            }
            for pair in pairs
        ]
        with complete_dir(folder) as partial:
            Dataset.from_list(rows).save_to_disk(partial)
    state().wait_for_everyone()
    return load_from_disk(folder)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--base", "runs/sft", "--pairs", "pairs.jsonl", "--out", "runs/dpo"])` -> 0."""
    argv = sys.argv[1:] if argv is None else list(argv)
    settings = from_command_line(DpoSettings, argv, "xlam_lib.train.dpo", "Direct preference optimisation.")
    disable_progress_bars()
    return command(train, settings, "xlam_lib.train.dpo", argv)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    sys.exit(main())
