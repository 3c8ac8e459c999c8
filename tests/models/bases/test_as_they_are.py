"""Bases as people publish them train, export and answer as they are: without a pad token, or with the end as padding.

Small models of random weights with tokenizers of the real shapes: Mistral's pieces with byte fallback, Llama 3's and
Qwen's bytes; each with its own marks, end token and chat template, which knows no tools.
"""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from xlam_lib.codec import prompts_of
from xlam_lib.grading import grade
from xlam_lib.models import checkpoint, load
from xlam_lib.models.family import family, shrunk
from xlam_lib.models.gguf.export import export
from xlam_lib.models.gguf.tokens import SPLITS
from xlam_lib.serve.engines.transformers import Greedy
from xlam_lib.train.loop.log import curve, read_log
from xlam_lib.train.preference import dpo
from xlam_lib.train.preference.pairs import build, write_pairs
from xlam_lib.train.rl import grpo
from xlam_lib.train.supervised import sft, sft_lite
from xlam_lib.train.supervised.collator import DataCollatorForPromptAnswer

CHATML = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
    "{{ m['content'] + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
SHAPES = {  # name -> model of the family, special tokens, named tokens, template, tied embeddings
    "mistral": ("xLAM-7b-r", ["<unk>", "<s>", "</s>"], {"bos_token": "<s>", "eos_token": "</s>"}, MISTRAL, False),
    "llama3": (
        "Llama-xLAM-2-8b-fc-r",
        ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
        LLAMA,
        False,
    ),
    "qwen": (
        "xLAM-2-3b-fc-r",
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>"},
        CHATML,
        True,
    ),
    "bare": ("xLAM-2-3b-fc-r", ["<|endoftext|>"], {"eos_token": "<|endoftext|>"}, None, True),
}


def tokenizer_of(shape, texts):
    _, special, named, template, _ = SHAPES[shape]
    if shape == "mistral":
        core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        own = {"special_tokens": [*special, *(f"<0x{byte:02X}>" for byte in range(256))], "max_token_length": 8}
        texts = [word for text in texts for word in text.split(" ")]
    else:
        core = Tokenizer(models.BPE(ignore_merges=shape == "llama3"))
        rule = pre_tokenizers.Split(Regex(SPLITS["llama-bpe" if shape == "llama3" else "qwen2"]), "isolated")
        core.pre_tokenizer = pre_tokenizers.Sequence([rule, pre_tokenizers.ByteLevel(False, use_regex=False)])
        core.decoder = decoders.ByteLevel()
        own = {"special_tokens": special, "initial_alphabet": pre_tokenizers.ByteLevel.alphabet()}
    core.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=600, show_progress=False, **own))
    state = json.loads(core.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] in special]  # bytes are plain
    core = Tokenizer.from_str(json.dumps(state))
    return PreTrainedTokenizerFast(tokenizer_object=core, chat_template=template, **named)


@pytest.fixture(scope="module", params=SHAPES)
def published(request, trajectories, tmp_path_factory):
    """A folder as it would come from the hub."""
    model, _, _, _, tied = SHAPES[request.param]
    texts = [text for one in trajectories[:20] for _, *pair in prompts_of(one, checkpoint_style()) for text in pair]
    tokenizer, folder = tokenizer_of(request.param, texts), tmp_path_factory.mktemp(request.param)
    torch.manual_seed(1)
    more = {"tie_word_embeddings": tied, "eos_token_id": tokenizer.eos_token_id, "max_position_embeddings": 1024}
    AutoModelForCausalLM.from_config(shrunk(family()[model].architecture, len(tokenizer), **more)).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    return folder


def checkpoint_style():
    return sft.STYLES["brief"]


@pytest.fixture(scope="module")
def trained(published, data):
    common = {"base": str(published), "data": (str(data),), "processes": 1, "precision": "float32", "lr": 5e-3}
    out = str(published) + "-sft"
    return sft.train(sft.SftSettings(**common, out=out, samples=96, batch_size=8, log_every=1, save_every=99))


def padded_apart(folder, to):
    """The same base with a pad token of its own, as one had to make it before."""
    shutil.copytree(folder, to)
    path = to / "tokenizer_config.json"
    given = json.loads(path.read_text())
    tokens = json.loads((to / "tokenizer.json").read_text())["model"]["vocab"]
    unused = next(token for token, number in tokens.items() if number == 5 + len(SHAPES))
    path.write_text(json.dumps(given | {"pad_token": unused}))
    return to


def weights(folder):
    return load.load_model(folder).state_dict()


def same(a, b):
    a, b = weights(a), weights(b)
    return all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns_answers_with_its_own_marks_and_end(trained, published):
    steps, losses = curve(read_log(trained), "loss")
    assert len(steps) == 12 and losses[-1] < losses[0] - 0.5
    own, tokenizer = checkpoint.load_tokenizer(published), checkpoint.load_tokenizer(trained)
    assert tokenizer.eos_token == own.eos_token and "BEGIN OF" in tokenizer.chat_template
    assert checkpoint.wrapper(tokenizer) == checkpoint.wrapper(own)
    mask = json.loads((trained / "run.json").read_text())["mask"]
    assert mask["answers"] == mask["ended"] and not mask["empty"] and not mask["marks"]


def test_what_pads_decides_nothing(published, trained, data, cases, tmp_path):
    """Tries, padded rows of SFT-lite and pairs of DPO give the weights that a pad token of its own gives."""
    apart = padded_apart(published, tmp_path / "apart")
    found = []
    for number, folder in enumerate((published, apart)):
        tokenizer = checkpoint.load_tokenizer(folder)
        common = {"base": str(folder), "processes": 1, "lr": 5e-3}
        settings = sft_lite.LiteSettings(
            **common, data=(str(data),), out="", precision="float32", samples=16, batch_size=8
        )
        mixture, _ = sft_lite._mixture(settings, tokenizer)
        collator = DataCollatorForPromptAnswer([0], tokenizer=tokenizer)
        trainer = sft_lite.SFTFoundationTrainerLite(
            settings, sft_lite.prepare_accelerator(settings), mixture, collator=collator, tokenizer=tokenizer
        )
        trainer.train()
        write_pairs(tmp_path / "pairs.jsonl", build(grade(cases, [case.completion for case in cases])))
        options = {"pairs": (str(tmp_path / "pairs.jsonl"),), "samples": 8, "batch_size": 4, "log_every": 1}
        preferred = dpo.train(dpo.DpoSettings(**common, **options, out=str(tmp_path / f"dpo-{number}")))
        found.append((trainer.model.state_dict(), weights(preferred)))
    for first, second in zip(*found, strict=True):
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_answers_of_many_at_once_are_those_of_each_alone(trained, cases):
    greedy = Greedy(trained, batch_size=8)
    prompts = [case.prompt for case in cases[:6]]
    together = greedy.answers(prompts, 24)
    greedy.batch_size = 1
    assert together == greedy.answers(prompts, 24)


def test_it_becomes_a_gguf_file(trained, published, tmp_path):
    if checkpoint.load_tokenizer(trained).get_vocab().get("<0x00>") is not None:
        pytest.skip("merges learnt here are not those of a SentencePiece model, which GGUF asks for")
    path = export(trained, tmp_path / "m.gguf", "float32")
    read = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    ids = torch.tensor([[5, 6, 7, 8]])
    ours = load.load_model(trained)
    assert read.config.tie_word_embeddings == ours.config.tie_word_embeddings
    expected, found = (model(ids).logits.softmax(-1) for model in (ours, read))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)  # scaled rotations are rounded in the file


def test_adapters_and_rewards_train_on_it_too(trained, data, tmp_path):
    common = {"base": str(trained), "processes": 1, "precision": "float32", "lr": 1e-3}
    lora = sft.train(sft.SftSettings(**common, data=(str(data),), out=str(tmp_path / "lora"), samples=16, lora_rank=4))
    assert checkpoint.wrapper(checkpoint.load_tokenizer(lora)) == checkpoint.wrapper(checkpoint.load_tokenizer(trained))
    settings = grpo.GrpoSettings(**common, data=(str(data),), out=str(tmp_path / "grpo"), steps=1, batch_size=8)
    rewarded = grpo.train(replace(settings, generations=4, max_new_tokens=12))
    assert len(read_log(rewarded)) >= 1 and checkpoint.load_tokenizer(rewarded).eos_token is not None
