"""trl's GRPOTrainer, with our tokens and our rewards, and on a CPU each prompt read once for all of its answers.

Used by `grpo.py` (notebook 03). The answers to a prompt are a trie with a long stem: sampling reads the stem once and
goes on from its keys and values, training reads the trie (`trie_model.py`). Log-probabilities are those of separate
rows up to rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation

from xlam_lib.errors import TrainingError
from xlam_lib.grading import Case, Graded, grade
from xlam_lib.models import lora, router
from xlam_lib.models.tokens import IGNORED, encode
from xlam_lib.serve.engines.transformers import continued, decoded
from xlam_lib.train.loop import runner
from xlam_lib.train.packing.attention import NAME, use_causal_blocks
from xlam_lib.train.packing.trie_model import KEYS, TrieRow, read_tries
from xlam_lib.train.rl.prompts import CUT
from xlam_lib.train.rl.rewards import Reward, RewardSum, checked

logger = logging.getLogger(__name__)


class PolicyTrainer(runner.GuardedTrainer, GRPOTrainer):
    """trl's trainer; prompts are tokenized as everywhere here, with nothing added."""

    def __init__(self, *args: Any, tries: bool, **kwargs: Any) -> None:
        # trl would keep experts busy whether or not the configuration asks for it
        kwargs["args"].router_aux_loss_coef = router.aux_loss_coef(kwargs["model"].config)
        super().__init__(*args, **kwargs)
        lora.keep_float32(self.model)
        self.tries = tries
        self.tokens_before: int | None = None
        self.ended = False  # whether any answer came to an end by itself
        if self.tries:
            self.generation_attention = self.model.config._attn_implementation
            for model in filter(None, (self.model, self.ref_model)):
                read_tries(self.accelerator.unwrap_model(model), self.temperature)
            for model in filter(None, (self.model, self.ref_model)):
                use_causal_blocks(self.accelerator.unwrap_model(model))

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return encode(self.processing_class, prompts), None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        if not self.tries:
            return super()._generate_single_turn(prompt_ids, *args, **kwargs)
        same = [(prompt, len(list(copies))) for prompt, copies in groupby(prompt_ids)]
        rows, copies = [prompt for prompt, _ in same], [times for _, times in same]
        with torch.no_grad(), unwrap_model_for_generation(self.model_wrapped, self.accelerator) as model:
            model.set_attn_implementation(self.generation_attention)
            end = self.processing_class.eos_token_id
            found = continued(model, rows, self.max_completion_length, end, self._sampled, copies)
            model.set_attn_implementation(NAME)
        return found, None

    def _sampled(self, logits: torch.Tensor) -> torch.Tensor:
        """A token of each row, (rows,), by its probability."""
        probabilities = (logits.float() / self.temperature).softmax(-1)
        if not bool(torch.isfinite(probabilities).all()):
            raise TrainingError(
                f"step {self.state.global_step + 1}: the model's probabilities are not finite, so no answers can be "
                f"drawn; nothing of it is kept. Lower --lr (now {self.args.learning_rate:g}) and run again"
            )
        return torch.multinomial(probabilities, 1).squeeze(1)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **more: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        trained = attention_mask[:, -logits_to_keep:]
        if not self.tries:
            self._count(input_ids=input_ids, attention_mask=attention_mask, completion_mask=trained)
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, compute_aux_loss, **more
            )
        batch, at = answers_as_tries(input_ids, attention_mask, logits_to_keep)
        self._count(attention_mask=attention_mask, completion_mask=trained, **{key: batch[key] for key in KEYS})
        with self.accelerator.autocast():
            scored = model(**batch, fused_lm_head=True, output_router_logits=compute_aux_loss)
        logps, entropies = (values.gather(1, at) * trained for values in (scored.log_probs, scored.entropy))
        return logps, entropies if compute_entropy else None, scored.aux_loss

    def _count(self, **batch: torch.Tensor) -> None:
        """For the log's figures, what is trained on; drawing answers and scoring them before is left out."""
        if self.meter and torch.is_grad_enabled():
            self.meter.count(batch)

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        found = super()._generate_and_score_completions(inputs)
        if self.meter:
            self.meter.skip()
        return found

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As trl, but tokens are those read since this process began: LogCallback adds those from before."""
        self._metrics["train"]["num_tokens"] = [self.state.num_input_tokens_seen - (self.tokens_before or 0)]
        cut = self._metrics["train"].get(CUT)
        if cut and not self.ended:
            self.ended = min(cut) < 1
            if not self.ended and self.accelerator.is_main_process:
                logger.warning(
                    "step %d: no answer has come to an end by %r yet, all were cut at %d tokens: give a higher "
                    "max_new_tokens, or a base that was taught to end its answers",
                    self.state.global_step, self.processing_class.eos_token, self.max_completion_length,
                )  # fmt: skip
        super().log(logs, start_time)

    def _generate(self, prompts: list[str]) -> Any:
        if self.tokens_before is None:
            self.tokens_before = self.state.num_input_tokens_seen
        return super()._generate(prompts)


def answers_as_tries(
    input_ids: torch.Tensor, attention_mask: torch.Tensor, answer: int
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """trl's rows (rows, prompt + answer), padded on both sides, as a batch that `read_tries` scores.

    Also where the score of each token of the answers then is, (rows, answer); whatever for padding.
    """
    prompts = attention_mask[:, :-answer].sum(1)
    lengths = attention_mask.sum(1)
    rows = [ids[mask.bool()].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)]
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, (row, prompt) in enumerate(zip(rows, prompts.tolist(), strict=True)):
        groups.setdefault(tuple(row[:prompt]), []).append(number)
    order = [number for members in groups.values() for number in members]
    made = TrieRow.of([[rows[number] for number in members] for members in groups.values()])
    node = torch.empty_like(made.node)
    node[order] = made.node
    labels = torch.full(node.shape, IGNORED)
    for number, (row, prompt) in enumerate(zip(rows, prompts.tolist(), strict=True)):
        labels[number, prompt : len(row)] = torch.tensor(row[prompt:])
    at = (prompts[:, None] - 1 + torch.arange(answer)).clamp(max=int(lengths.max()) - 2)
    return {"labels": labels, **made.tensors(), "trie_node": node}, at


class Grader:
    """Our rewards as functions that trl calls: an answer is read once for all of them."""

    def __init__(self, cases: Sequence[Case], tokenizer: PreTrainedTokenizerBase) -> None:
        self.cases, self.tokenizer = cases, tokenizer
        self.last: tuple[Any, list[Graded]] = (None, [])

    def functions(self, rewards: RewardSum) -> list[Callable[..., list[float | None]]]:
        """One for each reward, bearing its name; rows need a column `case`, the number of the case."""
        return [self._function(reward) for reward in rewards.rewards]

    def _function(self, reward: Reward) -> Callable[..., list[float | None]]:
        def score(completion_ids: list[list[int]], case: list[int], **_: Any) -> list[float | None]:
            return checked(reward, self._graded(completion_ids, case))

        score.__name__ = reward.name
        return score

    def _graded(self, answers: list[list[int]], numbers: list[int]) -> list[Graded]:
        if self.last[0] != (answers, numbers):
            texts = [decoded(self.tokenizer, ids).text for ids in answers]
            self.last = (answers, numbers), grade([self.cases[number] for number in numbers], texts)
        return self.last[1]
