"""Texts as token ids, and the label of tokens without loss; used by training and decoding (notebooks 02 to 05)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # the label of tokens without loss


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Token ids of model texts as they stand, nothing added: `encode(tokenizer, ["Hi"])` -> [[17, 43]]."""
    return tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] if texts else []
