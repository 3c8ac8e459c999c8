"""The collator of the xLAM page: padded rows that train answers only, found by the texts before them (SFT-lite).

    collator = DataCollatorForPromptAnswer(
        instruction_template=instruction_ids, response_template=response_ids, tokenizer=tokenizer, mlm=False)

Rows that come with labels (as `interleave_data` gives them) keep these; in others everything is trained that stands
between a response template and the next instruction template. A row without a single label is an error: it would be
read for nothing, and a wrong template would train a model on nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from xlam_lib.errors import TrainingError
from xlam_lib.models.tokens import IGNORED


class DataCollatorForPromptAnswer:
    """Batches {"input_ids", "attention_mask", "labels"} of shape (rows, longest), padded on the right."""

    def __init__(
        self,
        response_template: str | Sequence[int],
        instruction_template: str | Sequence[int] | None = None,
        *,
        tokenizer: Any,
        mlm: bool = False,
        ignore_index: int = IGNORED,
    ) -> None:
        if mlm:
            raise ValueError("mlm=True: answers are predicted from what stands before them; pass mlm=False")
        self.tokenizer, self.ignore_index = tokenizer, ignore_index
        self.response = self._ids(response_template)
        self.instruction = self._ids(instruction_template) if instruction_template is not None else []
        if not self.response:
            raise ValueError("the response template is empty: expected the text or the tokens before each answer")

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """The batch; `collator([{"input_ids": [5, 6, 7]}])["labels"]` -> tensor([[-100, -100, 7]])."""
        made = [(list(row["input_ids"]), self._labels(row)) for row in rows]
        longest = max(len(ids) for ids, _ in made)

        def padded(values: list[int], filler: int) -> list[int]:
            return values + [filler] * (longest - len(values))

        return {
            "input_ids": torch.tensor([padded(ids, self.tokenizer.pad_token_id) for ids, _ in made]),
            "attention_mask": torch.tensor([padded([1] * len(ids), 0) for ids, _ in made]),
            "labels": torch.tensor([padded(labels, self.ignore_index) for _, labels in made]),
        }

    def _labels(self, row: Mapping[str, Any]) -> list[int]:
        ids = list(row["input_ids"])
        labels = list(row["labels"]) if "labels" in row else self._between(ids)
        if all(label == self.ignore_index for label in labels):
            raise TrainingError(
                f"a row of {len(ids)} tokens has nothing to train: the response template {self.response} does not "
                f"occur in it, or nothing follows. It ends with {self.tokenizer.decode(ids[-40:])!r}"
            )
        return labels

    def _between(self, ids: list[int]) -> list[int]:
        """Labels from behind each response template to the next instruction template."""
        labels, trained, at = [self.ignore_index] * len(ids), False, 0
        while at < len(ids):
            if ids[at : at + len(self.response)] == self.response:
                trained, at = True, at + len(self.response)
            elif self.instruction and ids[at : at + len(self.instruction)] == self.instruction:
                trained, at = False, at + len(self.instruction)
            else:
                if trained:
                    labels[at] = ids[at]
                at += 1
        return labels

    def _ids(self, template: str | Sequence[int]) -> list[int]:
        if isinstance(template, str):
            return list(self.tokenizer.encode(template, add_special_tokens=False))
        return [int(token) for token in template]
