"""The real samples and the models on which ways of training are compared (`make speed`; notebook 06).

    case = CASES[0]
    tokenizer, groups = samples(case, Path("../shared/real"), Path("work"))   # rows of each trajectory

The prompts are written as everywhere here (`codec.py`), and cut into tokens by a byte-level BPE of at most 4,096
tokens learnt from the case's own trajectories: 3.8 to 4.1 characters a token, where Mistral's tokenizer of 32,768 has
2.8 to 3.4 and its Tekken of 131,072 has 3.0 to 3.7 on such texts. So samples are a tenth to a third shorter than a
large model's, while the head of a small model stays as small a part of it as that of a large one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from xlam_lib.chat_template import AFTER, BEFORE, model_prompt
from xlam_lib.codec import STYLES, prompts_of
from xlam_lib.data.unify import unify
from xlam_lib.perf.cases import Case
from xlam_lib.train.mixture.grouped import trajectories
from xlam_lib.train.packing.grouping import Row
from xlam_lib.trajectory import read_jsonl

STYLE, VOCABULARY, END = STYLES["brief"], 4096, "<|endoftext|>"
SIZES = {"hidden_size": 256, "intermediate_size": 768, "num_attention_heads": 4, "num_key_value_heads": 4}


def unified(case: Case, real: Path, work: Path) -> Path:
    """The file of the case's trajectories."""
    out = work / case.name
    unify(case.source, real / case.source / case.under, out)
    return out / "trajectories.jsonl"


def samples(case: Case, real: Path, work: Path) -> tuple[PreTrainedTokenizerBase, list[list[Row]]]:
    """The case's tokenizer, and the rows of each of its trajectories."""
    path = unified(case, real, work)
    turns = [prompts_of(trajectory, STYLE) for trajectory in read_jsonl(path)]
    tokenizer = bpe(model_prompt(made[-1][1]) + made[-1][2] for made in turns if made)
    whole, _ = trajectories(path, tokenizer, STYLE, 10**9, (BEFORE, AFTER))
    fitting = [
        group
        for group in whole
        if len(group) >= case.steps and all(len(row["input_ids"]) <= case.length for row in group)
    ]
    return tokenizer, fitting[: case.most]


def pairs(case: Case, real: Path, work: Path, most: int = 16) -> list[dict[str, str]]:
    """Preference pairs with a case's long prompts: the turn's answer against the one of the turn behind it."""
    made: list[dict[str, str]] = []
    for trajectory in read_jsonl(unified(case, real, work)):
        turns = prompts_of(trajectory, STYLE)
        for (_, prompt, answer), (_, _, later) in zip(turns[1:], turns[2:], strict=False):
            if answer != later and len(made) < most:
                made.append({"prompt": prompt, "chosen": answer, "rejected": later})
    return made


def model_of(sizes: dict[str, int]) -> LlamaForCausalLM:
    """A Llama of random weights, the same each time: 2 layers have 3.7 million parameters, 6 layers 7.2 million."""
    torch.manual_seed(0)
    longest = {"max_position_embeddings": 32768}
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, **(SIZES | longest | sizes)))


def bpe(texts: Iterable[str]) -> PreTrainedTokenizerBase:
    """A tokenizer learnt from texts: the same texts, the same tokenizer."""
    made: Any = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=END, pad_token=END)
