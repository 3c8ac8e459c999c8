"""Decoding without a server: prompts in, answers out, float32 (notebooks 02, 03, 05; the server is held to it).

    answers = Greedy("runs/quickstart/sft").answers(prompts)

Prompts about the same tools are decoded together, all others sorted by length, in left-padded batches with a key-value
cache; what the rows of a batch begin with alike is read once, and one that has ended leaves it. Padding changes the
order of additions, so a logit may differ in its last digits from decoding one by one; the chosen token differs only
where two logits are equal to about 1e-5. Same prompts, same threads: same answers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import Cache, DynamicLayer

from xlam_lib.chat_template import model_prompt
from xlam_lib.endpoint import Progress
from xlam_lib.models import checkpoint, load
from xlam_lib.models.tokens import encode

logger = logging.getLogger(__name__)

SHARED = 64  # tokens that rows must begin with alike to be read once: a pass of its own costs about as much
FEW = 4  # rows with the same tools that are a batch of their own


@dataclass(frozen=True)
class Decoded:
    """One answer: `Decoded('{"thought": "", "tool_calls": []}', 9, False)`; truncated: cut before its EOS token."""

    text: str
    tokens: int
    truncated: bool


class RoomyLayer(DynamicLayer):
    """Keys and values with room ahead, so that a token is stored in place instead of copying all before it."""

    ROOM = 64
    room: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self.room is None or self.room[0].shape[-2] < end:
            self.room = tuple(
                new.new_empty(*new.shape[:2], end + self.ROOM, new.shape[-1]) for new in (key_states, value_states)
            )
            if start:
                self.room[0][:, :, :start], self.room[1][:, :, :start] = self.keys, self.values
        self.room[0][:, :, start:end], self.room[1][:, :, start:end] = key_states, value_states
        self.keys, self.values = (full[:, :, :end] for full in self.room)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)
        self.room = None

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self.room = None


class Greedy:
    """A checkpoint that answers: `Greedy("runs/quickstart/sft", batch_size=32)`; needs no chat template to be saved."""

    def __init__(self, model_dir: str | Path, batch_size: int = 32, device: str = "", dtype: str = "float32") -> None:
        self.tokenizer = checkpoint.load_tokenizer(model_dir)
        self.wrapper = checkpoint.wrapper(self.tokenizer)
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.model = load.load_model(model_dir, dtype).to(self.device).eval()
        self.batch_size = batch_size

    def answers(self, prompts: Sequence[str], max_new_tokens: int = 128) -> list[str]:
        """The answers' texts, e.g. `answers([prompt])` -> ['{"thought": "", "tool_calls": [...]}']."""
        return [one.text for one in self.decode(prompts, max_new_tokens)]

    def decode(
        self, prompts: Sequence[str], max_new_tokens: int = 128, progress: Progress | None = None
    ) -> list[Decoded]:
        """Answers with their length and whether they were cut by `max_new_tokens`, in the order of the prompts.

        `progress` gets (answered, all) before the first batch and after each.
        """
        rows = encode(self.tokenizer, [model_prompt(prompt, *self.wrapper) for prompt in prompts])
        longest = max((len(row) for row in rows), default=0) + max_new_tokens
        limit = getattr(self.model.config, "max_position_embeddings", longest)
        if longest > limit:
            raise checkpoint.CheckpointError(
                f"a prompt of {longest - max_new_tokens} tokens and {max_new_tokens} new ones exceed the model's "
                f"context of {limit}; leave out long prompts or lower max_new_tokens"
            )
        generated: list[list[int]] = [[] for _ in rows]
        with torch.inference_mode():
            answered = 0
            for batch in batches(rows, self.batch_size):
                if progress is not None:
                    progress(answered, len(rows))
                answered += len(batch)
                for row, ids in zip(batch, self._batch([rows[row] for row in batch], max_new_tokens), strict=True):
                    generated[row] = ids
        if progress is not None:
            progress(len(rows), len(rows))
        answers = [decoded(self.tokenizer, ids) for ids in generated]
        cut = sum(one.truncated for one in answers)
        if cut:
            logger.info("%d of %d answers were cut at max_new_tokens=%d", cut, len(answers), max_new_tokens)
        return answers

    def _batch(self, rows: list[list[int]], max_new_tokens: int) -> list[list[int]]:
        return continued(
            self.model, rows, max_new_tokens, self.tokenizer.eos_token_id, lambda logits: logits.argmax(-1)
        )


def batches(rows: Sequence[Sequence[int]], size: int) -> list[list[int]]:
    """Indices of the rows to decode together: those that are alike in their first half, all others by length.

    Example: `batches([[7] * 90 + [1], [5], [7] * 90 + [2], [6, 6]], 2)` -> [[0, 2], [1, 3]]
    """
    order = sorted(range(len(rows)), key=rows.__getitem__)
    runs: list[list[int]] = []
    for row in order:
        alike = _alike(rows[runs[-1][-1]], rows[row]) if runs else 0
        if runs and alike >= SHARED and 2 * alike >= len(rows[row]):
            runs[-1].append(row)
        else:
            runs.append([row])
    full = [run for run in runs if len(run) >= min(FEW, size)]
    rest = sorted((row for run in runs if len(run) < min(FEW, size) for row in run), key=lambda row: len(rows[row]))
    return [run[start : start + size] for run in [*full, rest] for start in range(0, len(run), size)]


def decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> Decoded:
    """New tokens as an answer, without the EOS token, which shows that the model came to an end."""
    ended = ids[-1:] == [tokenizer.eos_token_id]
    text = tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=False)
    return Decoded(text, len(ids), not ended)


def continued(
    model: PreTrainedModel,
    rows: list[list[int]],
    max_new_tokens: int,
    eos_token_id: int,
    choose: Callable[[torch.Tensor], torch.Tensor],
    copies: Sequence[int] = (),
    going: Callable[[list[int]], list[bool]] | None = None,
) -> list[list[int]]:
    """New tokens after each row of ids, with the EOS token where there is one; `choose` picks from (rows, vocabulary).

    With `copies` a row is read once and continued several times, the answers to a row one after another. `going` is
    given the new tokens of the rows that are left and says which go on; without it, those that didn't end.
    Example: `continued(model, [[5, 6], [7]], 9, 0, choose, copies=[2, 1])` -> [[8, 0], [9, 9, 0], [0]]
    """
    device, cache = model.device, Cache(layer_class_to_replicate=RoomyLayer)
    shared = _read_shared(model, rows, cache)
    rows = [row[shared:] for row in rows]
    width = max(map(len, rows))
    ids = torch.tensor([[eos_token_id] * (width - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[1] * shared + [0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
    first = [row for row, times in enumerate(copies) for _ in range(times)] if copies else []
    generated: list[list[int]] = [[] for _ in first or rows]
    alive = list(range(len(generated)))
    for _ in range(max_new_tokens):
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        if first:
            chosen_rows, first = torch.tensor(first, device=device), []
            cache.batch_select_indices(chosen_rows)
            logits, mask, positions = logits[chosen_rows], mask[chosen_rows], positions[chosen_rows]
        chosen = choose(logits)
        tokens = chosen.tolist()
        for row, token in zip(alive, tokens, strict=True):
            generated[row].append(token)
        left = going(tokens) if going else [token != eos_token_id for token in tokens]
        if not any(left):
            break
        if not all(left):
            keep = torch.tensor(left, device=device).nonzero().squeeze(1)
            cache.batch_select_indices(keep)
            alive = [alive[index] for index in keep.tolist()]
            chosen, mask, positions = chosen[keep], mask[keep], positions[keep]
        ids, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    return generated


def _read_shared(model: PreTrainedModel, rows: list[list[int]], cache: Cache) -> int:
    """Reads what all rows begin with alike into the cache, once for all; returns how many tokens that is, or 0."""
    first, last = min(rows), max(rows)
    ends = _alike(first[:-1], last[:-1])  # of each row a token is left, to go on from
    if len(rows) == 1 or ends < SHARED:
        return 0
    ids = torch.tensor([first[:ends]], device=model.device)
    model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(len(rows))
    return ends


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two rows begin with alike: `_alike([1, 2, 3], [1, 2, 4])` -> 2."""
    return len(os.path.commonprefix([one, other]))
