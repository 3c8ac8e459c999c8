"""The tiny base model and its corpus: what they hold, and what they must not hold (experiments/01_tiny_base)."""

import importlib
import json
import math
import sys
from random import Random

import pytest
from safetensors import safe_open

from xlam_lib import codec, paths
from xlam_lib.data.apigen.library.registry import TOOLS

FOLDER = paths.experiments_dir() / "01_tiny_base"
MODEL = paths.base_model_dir()


@pytest.fixture(scope="module")
def corpus(request):
    """The experiment's modules, which import each other by their plain names."""
    sys.path.insert(0, str(FOLDER))
    request.addfinalizer(lambda: sys.path.remove(str(FOLDER)))
    return importlib.import_module("corpus")


@pytest.fixture(scope="module")
def documents(corpus):
    rng = Random("test")
    return ["".join(text for text, _ in corpus.document(rng, stage)) for stage in (0.0, 0.5, 1.0) for _ in range(400)]


def test_the_same_seed_gives_the_same_documents(corpus):
    assert corpus.document(Random(7)) == corpus.document(Random(7)) != corpus.document(Random(8))


def test_the_corpus_holds_no_chat_format(documents):
    marks = ["[BEGIN OF", "[END OF", "tool_calls", '"arguments"', "<|user|>", "<|assistant|>",
             codec.BRIEF_STYLE.task_instruction, codec.SEED_TASK_INSTRUCTION]  # fmt: skip
    assert not [mark for mark in marks if any(mark in text for text in documents)]


def test_no_tool_name_can_be_formed_by_the_corpus(corpus, documents):
    """Labels are random words joined; a tool whose words all come from those lists could appear by chance."""
    v = importlib.import_module("vocabulary")
    everyday, adjectives = {*v.VERBS, *v.NOUNS, *v.ADJECTIVES}, set(v.ADJECTIVES)
    formable = [
        name
        for name in TOOLS
        if everyday.issuperset(parts := name.split("_")) and (len(parts) <= 2 or parts[1] in adjectives)
    ]
    assert not formable
    assert not [name for name in TOOLS if any(name in text for text in documents)]


def test_answers_of_forms_follow_from_the_note(corpus):
    """Every filled value stands in the document before its answer, so it can be read and need not be guessed."""
    rng = Random(3)
    for _ in range(200):
        before = ""
        for text, answer in corpus.forms.document(rng):
            if answer and text.startswith("["):
                values = [
                    x for filled in json.loads(text) for d in filled.values() if isinstance(d, dict) for x in d.values()
                ]
                flat = [y for x in values for y in (x if isinstance(x, list) else [x])]
                assert all(isinstance(x, bool) or str(x) in before for x in flat), (before, text)
            before += text


@pytest.mark.skipif(not MODEL.is_dir(), reason="the base model has not been made yet")
def test_the_model_is_small_and_safe():
    files = sorted(path.name for path in MODEL.iterdir())
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl", ".py"))]
    assert (MODEL / "model.safetensors").stat().st_size <= 12_000_000
    with safe_open(MODEL / "model.safetensors", "pt") as tensors:
        shapes = [tensors.get_slice(name).get_shape() for name in list(tensors.keys())]
    parameters = sum(math.prod(shape) for shape in shapes)
    assert 1_000_000 <= parameters <= 6_000_000


@pytest.mark.skipif(not MODEL.is_dir(), reason="the base model has not been made yet")
def test_the_tokenizer_keeps_text_and_gives_each_block_marker_one_token():
    transformers = importlib.import_module("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
    text = 'What\'s up in São Paulo, 東京 and "Ørsta" 😀?\n\n\t{"a": [1, 2.5, null]}  x'
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert len(tokenizer("[BEGIN OF AVAILABLE TOOLS]").input_ids) == 1
    inside, alone = tokenizer("in New Norvik on").input_ids, tokenizer('"New Norvik"').input_ids
    assert " ".join(map(str, alone[1:-1])) in " ".join(map(str, inside)), (
        "a value has other pieces in JSON than in prose"
    )
