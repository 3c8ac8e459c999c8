"""DPOFoundationTrainer: trl's DPOTrainer with several losses, adapters (LoRA, QLoRA) and tries (notebook 03).

    trainer = DPOFoundationTrainer(args=args, train_dataset=pairs, eval_dataset=held_out)
    trainer.train()

`dpo.py` makes a command of it. The reference is what training starts from: without adapters the checkpoint itself, with
them the same with its adapters switched off. Its log-probabilities are computed once, before the first step. Full SFT
and then DPO with LoRA is the way of the xLAM paper (Zhang et al., 2024, section 3.3).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, load_from_disk
from transformers import PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from xlam_lib.chat_template import model_prompt
from xlam_lib.codec import answer_of, render_answer
from xlam_lib.data.padding import without_padding
from xlam_lib.errors import TrainingError
from xlam_lib.files import complete_dir, is_complete, to_json
from xlam_lib.models import checkpoint, lora, lora_settings, router
from xlam_lib.models.bases import base
from xlam_lib.models.precision import bfloat16
from xlam_lib.models.templates import TemplateFailed, rendered, template_of
from xlam_lib.models.tokens import IGNORED
from xlam_lib.train.loop import runner
from xlam_lib.train.loop.distributed import state
from xlam_lib.train.loop.sharding import check_launch
from xlam_lib.train.packing.attention import use_causal_blocks
from xlam_lib.train.packing.trie_model import PairCollator, read_tries
from xlam_lib.train.preference.pairs import Pair, PairError
from xlam_lib.train.preference.settings import losses
from xlam_lib.views import from_openai

NOT_READ = ("completion_mask", "ref_chosen_logps", "ref_rejected_logps")  # by the model, of a batch


class DPOFoundationTrainer(runner.GuardedTrainer, DPOTrainer):
    """trl's trainer on pairs: `DPOFoundationTrainer(args, pairs).train()`.

    `args` has the fields of DpoSettings. Pairs come in the order in which they are trained, once, those of a prompt
    together: as `pairs.Pair`, as rows {"prompt", "chosen", "rejected"} of the texts that the codec writes, or as rows
    of OpenAI messages with "tools", of which "prompt" may be a whole conversation and "chosen" and "rejected" are one
    assistant message each. On a CPU, pairs of a prompt that are neighbours are read as a trie, unless a collator is
    given. Pairs and checkpoints go to `work`, by default `<args.out>.partial`.
    """

    def __init__(
        self, args: Any, train_dataset: Any, eval_dataset: Any = None, collator: Any = None,
        *, model: Any = None, tokenizer: Any = None, work: Path | None = None,
    ) -> None:  # fmt: skip
        check_launch(args)
        lora_settings.check(args)
        work, tokenizer = work or runner.working_folder(args), tokenizer or checkpoint.load_tokenizer(base(args.base))
        given = {"train": train_dataset, "held_out": eval_dataset}
        rows = {name: stored(pairs, tokenizer, work / name) for name, pairs in given.items() if pairs is not None}
        model = lora.load_base(args) if model is None else model
        if not torch.cuda.is_available():  # a GPU would need the mask of a whole batch written out
            use_causal_blocks(model)
            collator = collator or PairCollator(tokenizer.pad_token_id, args.max_length)
        super().__init__(
            model=model,
            args=arguments(args, work, len(rows["train"]), router.aux_loss_coef(model.config)),
            train_dataset=rows["train"],
            eval_dataset=rows.get("held_out"),
            processing_class=tokenizer,
            peft_config=lora.config(args, model),
            **({"data_collator": collator} if collator else {}),
        )
        lora.keep_float32(self.model)
        read_tries(self.model)  # where the reference was computed by an earlier run

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> Any:
        read_tries(self.accelerator.unwrap_model(model))  # trl has given it the head that it scores with by now
        return super().compute_ref_log_probs(model, inputs)

    def log_probs(self, inputs: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the chosen and the rejected answers of a batch, by the model as it is now (with its adapters)."""
        model_inputs = {key: value for key, value in inputs.items() if key not in NOT_READ}
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, IGNORED)
        with torch.no_grad(), self.accelerator.autocast():
            found = self.model(**model_inputs, labels=labels, use_cache=False, fused_lm_head=True).log_probs
        return found.sum(1).chunk(2)


def arguments(args: Any, work: Path, samples: int, aux_loss_coef: float = 0.0) -> DPOConfig:
    """trl's arguments: AdamW, warm-up, then linear decay; the reference computed once; our own log only.

    The loss that keeps the experts of a mixture equally busy counts `aux_loss_coef` times, as the model's configuration
    says (`router.py`); trl would turn it on by itself.
    """
    steps, chosen = math.ceil(samples / args.batch_size), losses(args)
    rows, cuda = max(1, args.batch_size // state().num_processes), torch.cuda.is_available()
    share = runner.share(args)
    return DPOConfig(
        output_dir=str(work), per_device_train_batch_size=share, per_device_eval_batch_size=8, num_train_epochs=1,
        gradient_accumulation_steps=rows // share, beta=args.beta, label_smoothing=args.label_smoothing,
        loss_type=list(chosen), loss_weights=list(chosen.values()), precompute_ref_log_probs=True,
        precompute_ref_batch_size=8, max_length=args.max_length, learning_rate=args.lr,
        lr_scheduler_type="linear", warmup_steps=steps // 10, optim="adamw_torch_fused", weight_decay=0.0,
        adam_beta2=0.99, max_grad_norm=1.0, train_sampling_strategy="sequential", router_aux_loss_coef=aux_loss_coef,
        bf16=bfloat16(args.precision), gradient_checkpointing=args.gradient_checkpointing, use_cpu=not cuda,
        seed=args.seed, data_seed=args.seed, logging_steps=min(args.log_every, steps), logging_nan_inf_filter=False,
        save_steps=args.save_every, save_total_limit=2, report_to="none", disable_tqdm=True,
        disable_dropout=not args.lora_dropout, dataloader_pin_memory=cuda, ddp_find_unused_parameters=False,
    )  # fmt: skip


def stored(pairs: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Dataset:
    """trl's rows on disk, where all processes find the reference's log-probabilities once one has written them."""
    rows = as_rows(list(pairs), tokenizer)
    if not rows:
        raise TrainingError(f"{folder.name}: no pairs were given")
    folder = folder.with_name(f"{folder.name}-{hashlib.sha256(to_json(rows, None).encode()).hexdigest()[:12]}")
    if state().is_main_process and not is_complete(folder):
        with complete_dir(folder) as partial:
            Dataset.from_list(rows).save_to_disk(partial)
    state().wait_for_everyone()
    return load_from_disk(folder)


def as_rows(pairs: Sequence[Pair | Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> list[dict[str, str]]:
    """Pairs as trl's texts, what the model reads: [{"prompt": "<|user|>\\n...", "chosen": '{"thought": ...', ...}]."""
    columns = ("prompt", "tools", "chosen", "rejected")  # of rows of a table
    pairs = [one if isinstance(one, Pair) else without_padding(dict(one), columns)[0] for one in pairs]
    prompts = _prompts(pairs, tokenizer)
    rows = []
    for number, (pair, prompt) in enumerate(zip(pairs, prompts, strict=True)):
        answers = (
            [pair.chosen, pair.rejected]
            if isinstance(pair, Pair)
            else [_answer(pair[key], f"pair {number}, {key}") for key in ("chosen", "rejected")]
        )
        if answers[0] == answers[1]:
            raise PairError(f"pair {number}: chosen and rejected are the same")
        chosen, rejected = (answer + tokenizer.eos_token for answer in answers)
        rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return rows


def _prompts(pairs: Sequence[Pair | Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The prompts of pairs, those of messages as the tokenizer's chat template writes them, all with the same tools
    at once.
    """
    wrapper, template = checkpoint.wrapper(tokenizer), template_of(tokenizer)
    prompts, chats = [""] * len(pairs), dict[str, list[int]]()
    for number, pair in enumerate(pairs):
        if not isinstance(pair, Pair) and (missing := {"prompt", "chosen", "rejected"} - set(pair)):
            raise PairError(f"pair {number}: no {', '.join(sorted(missing))}; found {', '.join(pair)}")
        prompt = pair.prompt if isinstance(pair, Pair) else pair["prompt"]
        if isinstance(prompt, str):
            prompts[number] = model_prompt(prompt, *wrapper)
        elif not template:
            raise PairError(f"pair {number}: messages, but the tokenizer has no chat template; give texts")
        else:
            chats.setdefault(json.dumps(pair.get("tools") or None), []).append(number)
    for tools, numbers in chats.items():
        messages = [list(pairs[number]["prompt"]) for number in numbers]
        try:
            made = rendered(template, messages, tokenizer, tools=json.loads(tools), add_generation_prompt=True)
        except TemplateFailed as error:
            raise PairError(
                f"pair {numbers[error.number]}: the tokenizer's chat template can't write it: {error}"
            ) from error
        for number, one in zip(numbers, made, strict=True):
            prompts[number] = one.text
    return prompts


def _answer(given: str | Sequence[Mapping[str, Any]] | Mapping[str, Any], where: str) -> str:
    """The text of an answer, of a message as the codec writes it."""
    if isinstance(given, str):
        return given
    messages = [dict(given)] if isinstance(given, Mapping) else [dict(message) for message in given]
    if len(messages) != 1 or messages[0].get("role") != "assistant":
        raise PairError(f"{where}: expected one assistant message, found {[one.get('role') for one in messages]}")
    return render_answer(answer_of(from_openai(messages)[0]))
