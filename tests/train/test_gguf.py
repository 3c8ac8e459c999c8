"""The GGUF file, read back by transformers: the same tokens and logits."""

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)

from xlam_lib.chat_template import AFTER, BEFORE
from xlam_lib.codec import STYLES, prompts_of
from xlam_lib.train import checkpoint
from xlam_lib.train.gguf import export, main, pre_of

gguf = pytest.importorskip("gguf")
SIZES = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)


@pytest.fixture(scope="module")
def texts(trajectories):
    return [text for one in trajectories[:20] for _, *pair in prompts_of(one, STYLES["brief"]) for text in pair]


@pytest.fixture(scope="module")
def tokenizer(texts):
    """As the base of conftest.py has, but cut as GPT-2's, which llama.cpp knows."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<|endoftext|>", "<|pad|>", BEFORE, AFTER]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    told = dict(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(texts, trainers.BpeTrainer(**told))
    ends = dict(eos_token="<|endoftext|>", pad_token="<|pad|>", clean_up_tokenization_spaces=False)
    return PreTrainedTokenizerFast(tokenizer_object=core, **ends)


def saved(folder, tokenizer, kind=LlamaForCausalLM, config=LlamaConfig, **more):
    torch.manual_seed(0)
    more = {"max_position_embeddings": 512, "rms_norm_eps": 1e-5, "vocab_size": len(tokenizer) + 3, **SIZES, **more}
    model = kind(config(**more, eos_token_id=0, pad_token_id=1, initializer_range=0.3))
    return checkpoint.save(folder, model, tokenizer, STYLES["brief"])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_file_gives_the_same_tokens_and_logits(tmp_path, tokenizer, texts, tied, dtype):
    theta = {"rope_type": "default", "rope_theta": 5000.0}
    folder = saved(tmp_path / "model", tokenizer, tie_word_embeddings=tied, rope_parameters=theta)
    assert main([str(folder), str(tmp_path / "out" / "m.gguf"), "--dtype", dtype]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.gguf"]
    read = AutoTokenizer.from_pretrained(tmp_path / "out", gguf_file="m.gguf")
    own = checkpoint.load_tokenizer(folder)
    assert read.chat_template == own.chat_template and read.eos_token == "<|endoftext|>" and read.pad_token == "<|pad|>"
    wrapped = [f"{BEFORE}\n{text}{AFTER}\n<|endoftext|>" for text in texts]
    for text in [*wrapped, "Ærø  costs 1234\n\n\tnaïve'll 東京 🙂"]:
        assert read.encode(text, add_special_tokens=False) == own.encode(text, add_special_tokens=False)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", gguf_file="m.gguf", dtype=torch.float32)
    assert model.config.tie_word_embeddings == tied
    ids = torch.tensor([own.encode(texts[0])[:200]])
    ours = checkpoint.load_model(folder)
    for values in ours.parameters():
        if values.ndim > 1:
            values.data = values.data.to(getattr(torch, dtype)).float()  # as the file holds them
    with torch.no_grad():
        wanted, found = ours(ids).logits, model(ids).logits
    assert wanted.std() > 0.5
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


def test_the_file_says_what_llama_cpp_reads(tmp_path, tokenizer):
    out = export(saved(tmp_path / "model", tokenizer), tmp_path / "m.gguf")
    fields = gguf.GGUFReader(out).fields
    told = {name: field.contents() for name, field in fields.items()}
    assert told["general.architecture"] == "llama" and told["tokenizer.ggml.pre"] == "gpt-2"
    assert told["llama.attention.head_count_kv"] == 2 and told["llama.context_length"] == 512
    assert told["tokenizer.ggml.tokens"][-1] == f"[PAD{len(tokenizer) + 2}]"
    assert told["tokenizer.ggml.token_type"][0] == gguf.TokenType.CONTROL
    assert told["tokenizer.ggml.token_type"][-1] == gguf.TokenType.UNUSED
    assert told["tokenizer.ggml.add_bos_token"] is False


def test_a_tokenizer_that_llama_cpp_would_cut_otherwise_is_refused(base, tmp_path, capsys):
    assert main([str(base), str(tmp_path / "m.gguf")]) == 2
    assert "which llama.cpp does not know: it would hand the model other tokens" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main([str(base), str(tmp_path / "m.gguf"), "--pre", "gpt-2"]) == 0


def test_rules_of_other_families_are_known_by_name(tokenizer):
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS as splits

    core = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    state = PreTrainedTokenizerFast(tokenizer_object=core)
    for name in ("llama3", "qwen2"):
        cut = pre_tokenizers.Split(Regex(splits[name]), "isolated")
        state.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
        assert pre_of(state) == name
    state.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    with pytest.raises(checkpoint.CheckpointError, match="isn't byte-level can't be exported"):
        pre_of(state)


def test_what_can_not_be_exported_is_named(tmp_path, tokenizer, capsys):
    other = saved(tmp_path / "mistral", tokenizer, MistralForCausalLM, MistralConfig)
    assert main([str(other), str(tmp_path / "m.gguf")]) == 2
    assert "a model of type 'mistral' can't be exported; supported: llama" in capsys.readouterr().err
    rope = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
    scaled = saved(tmp_path / "scaled", tokenizer, rope_parameters=rope)
    with pytest.raises(checkpoint.CheckpointError, match="positions of type 'linear' can't be exported"):
        export(scaled, tmp_path / "m.gguf")
