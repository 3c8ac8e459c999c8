"""Direct preference optimisation with trl's DPOTrainer (notebook 03; also a shell command):

    python -m xlam_lib.train.dpo --base runs/sft --pairs pairs.jsonl --out runs/dpo
    python -m xlam_lib.train.dpo --base runs/sft --pairs pairs.jsonl --out runs/dpo --lora-rank 16 --losses ipo

The reference is the checkpoint it starts from, its log-probabilities computed once; `preference/trainer.py` says
more of losses and adapters. Pairs marked "held_out" are never trained on; after training, `held_out.json` beside the
weights says, for all of them and for each origin and mistake, how often the chosen answer is preferred: by its
likelihood before and after, and by the reward that DPO defines (beta times how much more likely it became than the
rejected one did).

Several files are drawn by `--shares`, all pairs of a prompt together (`mixture/inputs.py`). Pairs aren't augmented:
they hold texts, and what they hold is what is trained. Vary the trajectories that they are made of.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from datasets import disable_progress_bars
from transformers import PreTrainedTokenizerBase

from xlam_lib.chat_template import model_prompt
from xlam_lib.errors import TrainingError
from xlam_lib.files import to_json
from xlam_lib.models import adapters, card, checkpoint, lora
from xlam_lib.models.lora import LoraSettings
from xlam_lib.models.tokens import IGNORED, encode
from xlam_lib.settings import from_command_line, option
from xlam_lib.train.loop import mask_report, runner
from xlam_lib.train.loop.distributed import command, state
from xlam_lib.train.loop.reporting import Kind
from xlam_lib.train.loop.sharding import check_launch
from xlam_lib.train.mixture import inputs
from xlam_lib.train.mixture.examples import order_together
from xlam_lib.train.preference.pairs import Pair, counts, held_out_elsewhere, read_pairs
from xlam_lib.train.preference.trainer import LOSSES, SMOOTHED, DPOFoundationTrainer, losses

logger = logging.getLogger(__name__)

HELD_OUT = "held_out.json"


@dataclass(frozen=True)
class DpoSettings(LoraSettings):
    """All options of a run; the command line is made of them."""

    base: str = option(..., "folder of the checkpoint to start from, which is also the reference")
    pairs: tuple[str, ...] = option(..., "preference pairs as JSON Lines, one file a source")
    out: str = option(..., "folder to make; appears when all is done")
    shares: tuple[float, ...] = option((), "how often prompts of each source are drawn; nothing: by their number")
    epochs: float = option(1.0, "passes over the training pairs")
    samples: int = option(0, "pairs to draw in all, instead of --epochs")
    beta: float = option(0.1, "how closely to stay with the reference; higher is closer")
    lr: float = option(1e-5, "peak learning rate")
    losses: tuple[str, ...] = option(("sigmoid",), f"added up, some of {', '.join(LOSSES)}")
    loss_weights: tuple[float, ...] = option((), "what each of the losses counts (nothing: 1)")
    sft_weight: float = option(2.0, "weight of a term that trains the chosen answer as SFT does, unless losses name it")
    label_smoothing: float = option(0.0, f"share of pairs that may be the wrong way round, for {', '.join(SMOOTHED)}")
    batch_size: int = option(16, "pairs a step, over all processes")
    per_device_batch_size: int = option(
        0, "pairs a process reads at once, a divisor of its part of a step (0: all of them)", formerly="micro_batch"
    )
    gradient_checkpointing: bool = option(
        False, "keep fewer activations, and compute them again for the backward pass", formerly="recompute"
    )
    max_length: int = option(1024, "pairs with a longer row are left out, and counted")
    seed: int = option(0, "seed of the order")
    precision: Literal["auto", "float32", "bfloat16"] = option("float32", "bfloat16 blurs small margins")
    processes: int = option(0, "processes on this machine (0: two where there are two cores, one beside a GPU)")
    log_every: int = option(5, "steps between two lines of the log")
    save_every: int = option(100, "steps between two checkpoints to resume from")
    report: Kind = option("none", "where the log's figures go beside log.jsonl; wandb takes its key from WANDB_API_KEY")
    missing_eos_token: Literal["error", "warn"] = option(
        "error", "where no answer trains the end token: stop, or go on with a warning", formerly="end_token"
    )


def train(settings: DpoSettings) -> Path:
    """Train and save; returns the folder. A run that is already there whole is left as it is."""
    check_launch(settings)
    lora.check(settings)
    losses(settings)
    out, settings = Path(settings.out), runner.resolved(settings)
    described = inputs.describe(settings, "pairs")
    if runner.finished(out, described, settings):
        logger.info("%s is there already, made with the same settings and pairs", out)
        return out
    tokenizer = checkpoint.load_tokenizer(settings.base)
    pairs, info = _pairs(settings, tokenizer)
    with runner.working(out, described, settings) as (work, last):
        trainer = DPOFoundationTrainer(settings, pairs["train"], pairs["held_out"], tokenizer=tokenizer, work=work)
        trainer.add_callback(runner.LogCallback(work, runner.report(settings.report, work, last)))
        mask = _mask(settings, trainer)
        seconds = runner.run(trainer, last)
        info |= {
            "pairs": len(pairs["train"]),
            "held_out": len(pairs["held_out"]),
            "seconds": round(seconds, 1),
            "steps": trainer.state.global_step,
        }
        preferences = measure(trainer, pairs["held_out"], settings.beta)
        if state().is_main_process:
            files = runner.files(work, "xlam_lib.train.dpo", settings, mixture=info["mixture"], mask=asdict(mask))
            files |= {HELD_OUT: to_json(preferences) + "\n", **adapters.base_of(settings)}
            files |= card.files(card.origin(settings.base), described, info, preferences)
            checkpoint.save(out, trainer.accelerator.unwrap_model(trainer.model), tokenizer, None, files, info)
            logger.info("held-out pairs: %s", preferences["all"])
    return out


def _mask(settings: DpoSettings, trainer: DPOFoundationTrainer) -> mask_report.MaskReport:
    """The mask report of both answers of a sample of the pairs, as trl has tokenised them; see `mask_report.check`."""
    rows = [
        {"input_ids": row["prompt_ids"] + row[side], "labels": [IGNORED] * len(row["prompt_ids"]) + row[side]}
        for row in mask_report.sampled(trainer.train_dataset, mask_report.ROWS // 2)
        for side in ("chosen_ids", "rejected_ids")
    ]
    report = mask_report.of_rows(rows, trainer.processing_class)
    return mask_report.check(report, settings.missing_eos_token, state().is_main_process)


def measure(trainer: DPOFoundationTrainer, pairs: Sequence[Pair], beta: float) -> dict[str, dict[str, float]]:
    """Preferences on held-out pairs after training: {"all": {"n": 120, "accuracy": 0.95, ...}, "own/no_call": ...}.

    `accuracy` and `margin` go by DPO's reward; `likelier_before` and `likelier` by the answers' log-probabilities.
    """
    chosen, rejected = [], []
    trainer.model.eval()
    for batch in trainer.get_eval_dataloader():
        found = trainer.accelerator.gather_for_metrics(trainer.log_probs(batch))
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
    pairs, names = _read(settings)
    wrapper = checkpoint.wrapper(tokenizer)
    texts = [model_prompt(pair.prompt, *wrapper) + max(pair.chosen, pair.rejected, key=len) for pair in pairs]
    lengths = [len(ids) + 2 for ids in encode(tokenizer, texts)]  # the end token, and one for a cut elsewhere
    fitting = [index for index, length in enumerate(lengths) if length <= settings.max_length]
    seen = held_out_elsewhere(pairs, names)
    training = [i for i in fitting if pairs[i].split == "train" and i not in seen]
    held_out = [i for i in fitting if pairs[i].split == "held_out"]
    files = inputs.named(settings.pairs)
    for name, path in files.items():
        if not any(names[i] == name for i in training):
            raise TrainingError(f"{path}: no train pairs of at most {settings.max_length} tokens")
    if not held_out:
        raise TrainingError(f"{', '.join(files.values())}: no held_out pairs of at most {settings.max_length} tokens")
    checkpoint.check_context(settings.base, max(lengths[i] for i in fitting), ", ".join(files.values()))
    prompts = [pairs[i].prompt for i in training]  # pairs of a prompt together, to be read as one trie
    draws = inputs.Draws([names[i] for i in training], prompts, settings.shares, settings.seed)
    samples = settings.samples or draws.rows(settings.epochs)
    sizes = [lengths[i] for i in training]
    drawn = order_together(prompts, sizes, settings.batch_size, samples, settings.seed, draws.passes())
    held_out.sort(key=lambda i: (lengths[i], pairs[i].prompt))
    chosen = {"train": [pairs[training[at]] for at in drawn], "held_out": [pairs[i] for i in held_out]}
    info = {"left_out": len(pairs) - len(fitting), "mixture": draws.table(samples)}
    info |= {"origins": dict(counts(chosen["train"]))} | ({"held_out_elsewhere": len(seen)} if seen else {})
    if state().is_main_process:
        logger.info(
            "%d pairs to train on, %d held out, %d left out as too long, %d as held out in another file; %s",
            len(chosen["train"]),
            len(chosen["held_out"]),
            info["left_out"],
            len(seen),
            info["origins"],
        )
    return chosen, info


def _read(settings: DpoSettings) -> tuple[list[Pair], list[str]]:
    """The pairs of all files, and the source of each."""
    found = [(pair, name) for name, path in inputs.named(settings.pairs).items() for pair in read_pairs(path)]
    return [pair for pair, _ in found], [name for _, name in found]


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
