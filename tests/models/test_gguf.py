"""The GGUF file, read back by transformers; what that can't read, against the layout that llama.cpp publishes."""

import asyncio
import json
import math
import re

import numpy as np
import pytest
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaTokenizer,
    PreTrainedTokenizerFast,
)
from transformers.convert_slow_tokenizer import generate_merges

from xlam_lib.chat_template import AFTER, BEFORE
from xlam_lib.codec import STYLES, prompts_of
from xlam_lib.models import checkpoint, load
from xlam_lib.models.family import configuration, family, shrunk
from xlam_lib.models.gguf.__main__ import main
from xlam_lib.models.gguf.export import export
from xlam_lib.models.gguf.tokens import BYTES, PRE_TOKENIZERS, SPACE, pre_of, scores_of, space_prefix
from xlam_lib.serve.api.llama_cpp import LlamaCpp

gguf = pytest.importorskip("gguf")
THETA = {"rope_type": "default", "rope_theta": 5000.0}
PLAIN = {
    "model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_parameters": THETA,
}  # fmt: skip
VARIED = (  # what rules of cutting disagree on
    "a  5|a 5|12345 x1y2|  two  spaces   three|tabs\t\there\n\n\nlines \n next|don't WON'T we'll|naïve Ærø 東京 🙂👍🏽|"
    '{"city": "Oslo", "days": 2.50}|x = [1,2, 3]; // c++|3.14e-10%|ﬁ ½ ² Ⅳ ٣٤|e\u0301|—…“quoted”|snake_case camelCase|'
)
ODD = "Ærø  costs 1234\n\n\tnaïve'll 東京 🙂"


@pytest.fixture(scope="module")
def texts(trajectories):
    return [text for one in trajectories[:20] for _, *pair in prompts_of(one, STYLES["brief"]) for text in pair]


def byte_level(texts, *steps, whole_words=False, normalizer=None):
    """As the base of conftest.py has, but cut by these steps."""
    core = Tokenizer(models.BPE(ignore_merges=whole_words))
    steps = steps or [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    core.pre_tokenizer, core.decoder = pre_tokenizers.Sequence(list(steps)), decoders.ByteLevel()
    if normalizer:
        core.normalizer = normalizer
    special = ["<|endoftext|>", "<|pad|>", BEFORE, AFTER]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    fields = dict(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(texts, trainers.BpeTrainer(**fields))
    ends = dict(eos_token="<|endoftext|>", pad_token="<|pad|>", clean_up_tokenization_spaces=False)
    return PreTrainedTokenizerFast(tokenizer_object=core, **ends)


def steps_of(name):
    """The steps of a tokenizer.json that cut as llama.cpp's rule does: a Split for each expression, digits apart."""
    steps = [
        pre_tokenizers.Digits(individual_digits=True)
        if rule == r"\p{N}"
        else pre_tokenizers.Split(Regex(rule), "isolated")
        for rule in PRE_TOKENIZERS[name].rules
    ]
    return [*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return byte_level(texts)


@pytest.fixture(scope="module")
def pieces(texts):
    """As Mistral's: BPE that falls back to bytes, spaces as ▁, merges made of scores."""
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    trainer = trainers.BpeTrainer(vocab_size=300, show_progress=False, max_token_length=8)
    core.train_from_iterator([word for text in texts for word in text.split(" ")], trainer)
    learnt = sorted(core.get_vocab().items(), key=lambda item: item[1])
    runs = [SPACE * length for length in (2, 3, 4, 8)]
    tokens = ["<unk>", "<s>", "</s>", *sorted(BYTES), *(token for token, _ in learnt if token not in runs), *runs]
    scores = {token: -float(number) for number, token in enumerate(tokens)} | dict.fromkeys(runs, -1e9)  # as Llama's
    vocab = {token: number for number, token in enumerate(tokens)}
    merges = generate_merges(vocab, scores, skip_tokens={"<unk>", "<s>", "</s>", *BYTES})
    template = "{% for m in messages %}{{ '<s>[INST] ' + m['content'] + ' [/INST]' }}{% endfor %}"
    return LlamaTokenizer(vocab=vocab, merges=merges, legacy=True, pad_token="<unk>", chat_template=template)


def saved(folder, tokenizer, config=None, **more):
    """A model of random weights, biases and norms; the configuration of a small Llama or another one."""
    torch.manual_seed(0)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "initializer_range": 0.3}
    if config is None:
        config = configuration({**PLAIN, "vocab_size": len(tokenizer) + 3}, **ends, **more)
    model = AutoModelForCausalLM.from_config(config)
    for values in model.parameters():
        if values.ndim == 1:
            values.data += torch.randn_like(values) / 4
    style = None if tokenizer.chat_template else STYLES["brief"]
    return checkpoint.save(folder, model, tokenizer, style)


def twin(model, tokenizer, folder):
    """A tiny model of the same architecture as one of the family, by its name."""
    spec = family()[model].architecture
    more = {"num_local_experts": 4} if "num_local_experts" in spec else {}
    config = shrunk(spec, len(tokenizer) + 3, **more)
    config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    return saved(folder, tokenizer, config)


def logits_of(model, ids):
    with torch.no_grad():
        return model(ids).logits


def fields_of(path):
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_file_gives_the_same_tokens_and_logits(tmp_path, tokenizer, texts, tied, dtype):
    folder = saved(tmp_path / "model", tokenizer, tie_word_embeddings=tied)
    assert main([str(folder), str(tmp_path / "out" / "m.gguf"), "--dtype", dtype]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.gguf"]
    read = AutoTokenizer.from_pretrained(tmp_path / "out", gguf_file="m.gguf")
    own = checkpoint.load_tokenizer(folder)
    assert read.chat_template == own.chat_template and read.eos_token == "<|endoftext|>" and read.pad_token == "<|pad|>"
    wrapped = [f"{BEFORE}\n{text}{AFTER}\n<|endoftext|>" for text in texts]
    for text in [*wrapped, ODD]:
        assert read.encode(text, add_special_tokens=False) == own.encode(text, add_special_tokens=False)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", gguf_file="m.gguf", dtype=torch.float32)
    assert model.config.tie_word_embeddings == tied
    ids = torch.tensor([own.encode(texts[0])[:200]])
    ours = load.load_model(folder)
    for values in ours.parameters():
        if values.ndim > 1:
            values.data = values.data.to(getattr(torch, dtype)).float()  # as the file holds them
    expected, found = logits_of(ours, ids), logits_of(model, ids)
    assert expected.std() > 0.5
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "name", ["xLAM-7b-r", "xLAM-1b-fc-r", "xLAM-7b-fc-r", "xLAM-2-1b-fc-r", "xLAM-2-32b-fc-r", "Llama-xLAM-2-8b-fc-r"]
)
def test_a_twin_of_each_dense_architecture_is_read_back_bit_for_bit(tmp_path, tokenizer, texts, name):
    folder = twin(name, tokenizer, tmp_path / "model")
    export(folder, tmp_path / "m.gguf", "float32")
    ours = load.load_model(folder)
    rope = {"rope_parameters": ours.config.rope_parameters}  # transformers reads no scaling of positions
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32, **rope)
    ids = torch.tensor([tokenizer.encode(texts[0])[:200]])
    assert torch.equal(logits_of(read, ids), logits_of(ours, ids))
    assert set(dict(read.named_parameters())) == set(dict(ours.named_parameters()))


@pytest.mark.parametrize(("dtype", "most"), [("float16", 1e-3), ("bfloat16", 1e-2), ("q8_0", 2e-2)])
def test_rounding_changes_probabilities_little(tmp_path, tokenizer, texts, dtype, most):
    folder = twin("xLAM-2-1b-fc-r", tokenizer, tmp_path / "model")
    export(folder, tmp_path / "m.gguf", dtype)
    read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32)
    ids = torch.tensor([tokenizer.encode(texts[0])[:200]])
    expected, found = (logits_of(model, ids).softmax(-1) for model in (load.load_model(folder), read))
    assert 0 < (expected - found).abs().sum(-1).max() / 2 < most  # total variation distance


def test_rows_that_are_no_blocks_stay_float16(tmp_path, tokenizer):
    folder = saved(tmp_path / "model", tokenizer)  # rows of 32 and of 48
    kinds = {one.name: one.tensor_type.name for one in gguf.GGUFReader(export(folder, tmp_path / "m", "q8_0")).tensors}
    assert kinds["blk.0.ffn_up.weight"] == "Q8_0" and kinds["blk.0.ffn_down.weight"] == "F16"
    assert kinds["blk.0.ffn_norm.weight"] == "F32"


def neighbours(rows, heads):
    """llama.cpp turns rows 2i and 2i + 1 of a head by one position, transformers i and i + half."""
    size = len(rows) // heads
    order = [head * size + at + half for head in range(heads) for at in range(size // 2) for half in (0, size // 2)]
    return rows[order]


@pytest.mark.parametrize("name", ["xLAM-8x7b-r", "xLAM-8x22b-r"])
def test_experts_lie_as_llama_cpp_publishes(tmp_path, pieces, name):
    """Its load_arch_tensors: a router and three tensors (experts, out, in) a layer; transformers can't read them."""
    folder = twin(name, pieces, tmp_path / "model")
    path = export(folder, tmp_path / "m.gguf", "float32")
    fields, reader = fields_of(path), gguf.GGUFReader(path)
    assert (fields["general.architecture"], fields["llama.expert_count"], fields["llama.expert_used_count"]) == (
        "llama",
        4,
        2,
    )
    found = {one.name: torch.from_numpy(np.array(one.data)) for one in reader.tensors}
    own = load.load_model(folder).state_dict()
    expected = {
        "token_embd.weight": own["model.embed_tokens.weight"],
        "output_norm.weight": own["model.norm.weight"],
        "output.weight": own["lm_head.weight"],
    }
    for layer in range(2):
        ours = {key.removeprefix(f"model.layers.{layer}."): value for key, value in own.items() if f".{layer}." in key}
        gates, ups = ours["mlp.experts.gate_up_proj"].split(96, dim=1)
        expected |= {
            f"blk.{layer}.{key}.weight": value
            for key, value in {
                "attn_norm": ours["input_layernorm.weight"],
                "attn_q": neighbours(ours["self_attn.q_proj.weight"], 4),
                "attn_k": neighbours(ours["self_attn.k_proj.weight"], 2),
                "attn_v": ours["self_attn.v_proj.weight"],
                "attn_output": ours["self_attn.o_proj.weight"],
                "ffn_norm": ours["post_attention_layernorm.weight"],
                "ffn_gate_inp": ours["mlp.gate.weight"],
                "ffn_gate_exps": gates,
                "ffn_up_exps": ups,
                "ffn_down_exps": ours["mlp.experts.down_proj"],
            }.items()
        }
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    half = gguf.GGUFReader(export(folder, tmp_path / "half.gguf", "q8_0")).tensors
    kinds = {one.name: one.tensor_type.name for one in half}
    assert kinds["blk.1.ffn_gate_inp.weight"] == "F32" and kinds["blk.1.ffn_down_exps.weight"] == "Q8_0"


def test_positions_that_are_scaled_are_written(tmp_path, tokenizer):
    fields = fields_of(export(twin("xLAM-1b-fc-r", tokenizer, tmp_path / "a"), tmp_path / "a.gguf"))
    assert fields["llama.rope.scaling.type"] == "linear" and fields["llama.rope.scaling.factor"] == 4.0
    path = export(twin("Llama-xLAM-2-8b-fc-r", tokenizer, tmp_path / "b"), tmp_path / "b.gguf")
    assert "llama.rope.scaling.type" not in fields_of(path)
    (found,) = [one.data for one in gguf.GGUFReader(path).tensors if one.name == "rope_freqs.weight"]
    waves = [2 * math.pi * 500000 ** (2 * pair / 16) for pair in range(8)]  # Llama 3.1's rule, head of 16
    smooth = [(8192 / wave - 1) / (4 - 1) for wave in waves]
    expected = [1 if part > 1 else 8 if part < 0 else 1 / ((1 - part) / 8 + part) for part in smooth]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert 1 < expected[5] < 8 or 1 < expected[4] < 8 or 1 < expected[3] < 8


def test_the_file_says_what_llama_cpp_reads(tmp_path, tokenizer, texts):
    out = export(saved(tmp_path / "model", tokenizer), tmp_path / "m.gguf")
    fields = gguf.GGUFReader(out).fields
    fields = {name: field.contents() for name, field in fields.items()}
    assert fields["general.architecture"] == "llama" and fields["tokenizer.ggml.pre"] == "gpt-2"
    assert fields["llama.attention.head_count_kv"] == 2 and fields["llama.context_length"] == 512
    assert fields["tokenizer.ggml.tokens"][-1] == f"[PAD{len(tokenizer) + 2}]"
    assert fields["tokenizer.ggml.token_type"][0] == gguf.TokenType.CONTROL
    assert fields["tokenizer.ggml.token_type"][-1] == gguf.TokenType.UNUSED
    assert fields["tokenizer.ggml.add_bos_token"] is False
    assert (fields["general.type"], fields["general.quantization_version"]) == ("model", 2)
    assert re.fullmatch(r"\d+(\.\d+)?K", fields["general.size_label"]), "parameters of a model of this size"
    assert "tokenizer.ggml.unknown_token_id" not in fields
    made = byte_level(texts)
    made.unk_token = "<|pad|>"
    fields = fields_of(export(saved(tmp_path / "unknown", made), tmp_path / "unknown.gguf"))
    assert fields["tokenizer.ggml.unknown_token_id"] == made.unk_token_id


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_llama_cpp_makes_the_same_tokens(tmp_path, texts, name):
    """It cuts text itself, by the rule that the file names."""
    made = byte_level([*texts, VARIED], *steps_of(name), whole_words=PRE_TOKENIZERS[name].whole_words)
    backend = LlamaCpp(export(saved(tmp_path / "model", made), tmp_path / "m.gguf"), context=64, slots=1)

    async def tokens():
        return [await backend.tokens(text) for text in (*texts, VARIED, *VARIED.split("|"))]

    found = asyncio.run(tokens())
    backend.close()
    assert found == made([*texts, VARIED, *VARIED.split("|")], add_special_tokens=False)["input_ids"]


def test_a_tokenizer_that_llama_cpp_would_cut_otherwise_is_refused(base, tmp_path, capsys):
    assert main([str(base), str(tmp_path / "m.gguf")]) == 2
    assert "which llama.cpp does not know: it would hand the model other tokens" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main([str(base), str(tmp_path / "m.gguf"), "--pre", "gpt-2"]) == 0


@pytest.mark.parametrize("name", [name for name in PRE_TOKENIZERS if name != "gpt-2"])  # which the other tests have
def test_rules_of_other_families_are_known_by_name(tmp_path, texts, name):
    made = byte_level(texts, *steps_of(name), whole_words=PRE_TOKENIZERS[name].whole_words)
    assert pre_of(made) == name
    if name in ("llama-bpe", "qwen2"):
        folder = saved(tmp_path / "model", made)
        export(folder, tmp_path / "m.gguf")
        read = AutoTokenizer.from_pretrained(tmp_path, gguf_file="m.gguf")
        for text in [*texts, ODD]:
            assert read.encode(text) == made.encode(text)


def test_what_a_tokenizer_does_besides_is_refused_with_the_reason(texts, tmp_path, caplog):
    other = byte_level(texts, *steps_of("qwen2"), whole_words=True)
    with pytest.raises(checkpoint.CheckpointError, match="and keeps whole words, which llama.cpp does not know"):
        pre_of(other)
    with pytest.raises(checkpoint.CheckpointError, match="a space before the text"):
        pre_of(byte_level(texts, pre_tokenizers.ByteLevel(add_prefix_space=True)))
    with pytest.raises(checkpoint.CheckpointError, match=r"rewrites text \(Lowercase\), which llama.cpp would not"):
        pre_of(byte_level(texts, normalizer=normalizers.Lowercase()))
    assert pre_of(byte_level(texts, *steps_of("qwen2"), normalizer=normalizers.NFC())) == "qwen2"
    assert "won't bring text into Unicode's form C" in caplog.text
    words = byte_level(texts)
    words.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    with pytest.raises(checkpoint.CheckpointError, match="isn't byte-level can't be exported"):
        pre_of(words)
    greedy = byte_level(texts)
    greedy.add_tokens([AddedToken("<call>", lstrip=True)])
    with pytest.raises(checkpoint.CheckpointError, match="'<call>' takes in what is beside it"):
        export(saved(tmp_path / "model", greedy), tmp_path / "m.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def merged_by_score(text, scores):
    """llama.cpp's way with such a tokenizer: of all neighbours that make a token the one with the highest score."""
    parts = list(text.replace(" ", SPACE))
    while True:
        pairs = [("".join(pair), at) for at, pair in enumerate(zip(parts, parts[1:], strict=False))]
        known = [(scores[made], -at) for made, at in pairs if made in scores]
        if not known:
            break
        at = -max(known)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return [one for part in parts for one in ([part] if part in scores else [f"<0x{b:02X}>" for b in part.encode()])]


def test_pieces_with_bytes_are_merged_by_score(tmp_path, pieces, texts):
    folder = twin("xLAM-7b-r", pieces, tmp_path / "model")
    fields = fields_of(export(folder, tmp_path / "m.gguf"))
    assert (fields["tokenizer.ggml.model"], fields["tokenizer.ggml.pre"]) == ("llama", "default")
    assert fields["tokenizer.ggml.add_space_prefix"] is True and fields["tokenizer.ggml.add_bos_token"] is False
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    kind = gguf.TokenType
    assert [kinds[at] for at in range(4)] == [kind.UNKNOWN, kind.CONTROL, kind.CONTROL, kind.BYTE]
    assert kinds[tokens.index("<0xFF>")] == kind.BYTE and kinds[-1] == kind.UNUSED
    normal = {t: s for t, s, k in zip(tokens, fields["tokenizer.ggml.scores"], kinds, strict=True) if k == kind.NORMAL}
    read = AutoTokenizer.from_pretrained(tmp_path, gguf_file="m.gguf")
    for text in [*(text[-300:] for text in texts[:8]), ODD, *(f"a{' ' * count}b" for count in range(1, 20))]:
        expected = pieces.encode(text, add_special_tokens=False)
        assert merged_by_score(f" {text}", normal) == pieces.convert_ids_to_tokens(expected)
        assert read.encode(text, add_special_tokens=False) == expected
    assert len(pieces.encode(ODD)) > len(ODD), "bytes are among them"


def test_scores_are_those_of_merges_that_have_all_pairs(pieces):
    model = json.loads(pieces.backend_tokenizer.to_str())["model"]
    found = scores_of(model, {"<unk>", "<s>", "</s>"})
    assert found["".join(model["merges"][0])] == 0 and len(found) > 100
    fewer = {**model, "merges": model["merges"][1:]}
    with pytest.raises(checkpoint.CheckpointError, match="but aren't merged; llama.cpp would merge"):
        scores_of(fewer, {"<unk>", "<s>", "</s>"})
    assert found[SPACE * 3] == found[SPACE * 4] > found[SPACE * 2], "the merges of three and four mix"
    with pytest.raises(checkpoint.CheckpointError, match="mix, which scores can't say"):
        scores_of({**model, "merges": [*model["merges"], model["merges"][0]]}, set())
    one, two, three = SPACE, SPACE * 2, SPACE * 3
    runs = {text: number for number, text in enumerate([*BYTES, one, two, three])}
    with pytest.raises(checkpoint.CheckpointError, match="mix, which scores can't say"):  # four are two twos
        scores_of({"vocab": runs, "merges": [(one, two), (one, one), (two, one)]}, set())
    with pytest.raises(checkpoint.CheckpointError, match="byte_fallback without 1 of 256 bytes"):
        scores_of({**model, "vocab": {k: v for k, v in model["vocab"].items() if k != "<0x0A>"}}, set())


def test_whether_a_space_is_put_before_text(pieces):
    core = pieces.backend_tokenizer
    kept = core.pre_tokenizer
    try:
        assert space_prefix(pieces)
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
        assert not space_prefix(pieces)
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        assert not space_prefix(pieces), "prompts begin with <s>"
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
        with pytest.raises(checkpoint.CheckpointError, match="expected spaces as ▁, and nothing cut"):
            space_prefix(pieces)
    finally:
        core.pre_tokenizer = kept


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}}, "positions of type 'yarn'"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"model_type": "mistral", "sliding_window": 64}, "a sliding_window of 64 of 512 positions"),
        (
            {"model_type": "qwen3"},
            "type 'qwen3' can't be exported; supported: llama, mistral, mixtral, qwen2",
        ),
    ],
)
def test_what_can_not_be_exported_is_named(tmp_path, tokenizer, capsys, more, message):
    config = configuration({**PLAIN, "vocab_size": len(tokenizer)} | more)
    config.eos_token_id, config.pad_token_id = 0, 1
    folder = saved(tmp_path / "model", tokenizer, config)
    assert main([str(folder), str(tmp_path / "m.gguf")]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
