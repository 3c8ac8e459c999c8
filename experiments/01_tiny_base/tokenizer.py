"""Train the tokenizer of the tiny base model: byte-level BPE in which a space is a piece of its own.

Words never carry their space, so that a value copied from a sentence into JSON keeps its pieces; digits stand alone;
a run of punctuation with its inner and trailing spaces (``", "``, ``": {"``) is one piece.
``python tokenizer.py OUT [--vocabulary 2560]``
"""

import argparse
from random import Random

from corpus import document
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from xlam_lib.codec import BLOCK_MARKS, BLOCKS

PIECES = r"\p{L}+|\p{N}|_+|[^\s\p{L}\p{N}_]+(?: [^\s\p{L}\p{N}_]+)* ?|\s+"
END, PAD, USER, ASSISTANT = "<|endoftext|>", "<|pad|>", "<|user|>", "<|assistant|>"
MARKERS = [mark.format(block) for block in BLOCKS for mark in BLOCK_MARKS]


def train(vocabulary: int, documents: int = 60_000, seed: int = 1) -> PreTrainedTokenizerFast:
    """A tokenizer of ``vocabulary`` pieces trained on ``documents`` corpus documents."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    rng = Random(seed)
    texts = ("".join(t for t, _ in document(rng, 0.5)) for _ in range(documents))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(MARKERS),
        special_tokens=[END, PAD, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(m, normalized=False) for m in MARKERS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, additional_special_tokens=[USER, ASSISTANT],
        clean_up_tokenization_spaces=False, model_max_length=2048,
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--vocabulary", type=int, default=2560)
    arguments = parser.parse_args()
    train(arguments.vocabulary).save_pretrained(arguments.out)
