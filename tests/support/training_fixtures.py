"""A tokenizer and a random model made in a second, and a few trajectories: what the tests of training run on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from train_demo import STYLE, trajectory

from xlam_lib.chat_template import AFTER, BEFORE
from xlam_lib.codec import prompts_of
from xlam_lib.grading import Case, cases_of
from xlam_lib.trajectory import Trajectory, write_jsonl


@pytest.fixture(scope="session")
def trajectories() -> list[Trajectory]:
    made = [trajectory(number) for number in range(60)]
    for one in made:
        one.validate()
    return made


@pytest.fixture(scope="session")
def cases(trajectories: list[Trajectory]) -> list[Case]:
    return cases_of(trajectories, STYLE)


@pytest.fixture(scope="session")
def data(trajectories: list[Trajectory], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "train.jsonl"
    write_jsonl(path, trajectories)
    return path


@pytest.fixture(scope="session")
def base(trajectories: list[Trajectory], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as the project ships one: float16 weights, no chat template, end and pad token, block markers."""
    torch = pytest.importorskip("torch")
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base")
    core = Tokenizer(models.BPE())
    pieces = pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+|\s+"), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.pre_tokenizer, core.decoder = pre_tokenizers.Sequence([pieces, byte_level]), decoders.ByteLevel()
    texts = [text for one in trajectories for _, *pair in prompts_of(one, STYLE) for text in pair]
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=512,
            special_tokens=["<|endoftext|>", "<|pad|>", BEFORE, AFTER],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|endoftext|>", pad_token="<|pad|>", clean_up_tokenization_spaces=False
    )
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        tie_word_embeddings=True,
        max_position_embeddings=1024,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def no_precision_is_left():
    """Accelerate holds the precision of a process's first trainer for good; each test begins without."""
    if "accelerate.state" in sys.modules:
        sys.modules["accelerate.state"].AcceleratorState._reset_state()
