"""The tiny model that has learnt a few answers by heart (tiny.py), made once for the tests of all engines."""

import pytest
import tiny


@pytest.fixture(scope="session")
def by_heart(tmp_path_factory):
    return tiny.make_model(tmp_path_factory.mktemp("tiny") / "by-heart")


@pytest.fixture(scope="session")
def conversations():
    """What it has learnt, and what it answers with garbage, which must arrive untouched."""
    garbage = [tiny.user(text) for text in ("Hm?", "Weather in Lima?", "Tell a story.", "a b c", "{}", "Grüße 😀")]
    return [conversation for conversation, _ in tiny.LEARNT.values()] + garbage


@pytest.fixture(scope="session")
def texts(by_heart, conversations):
    """The model texts of all conversations, as the checkpoint's chat template writes them."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(by_heart)
    return [tiny.prompt_text(tokenizer, conversation) for conversation in conversations]


@pytest.fixture(scope="session")
def offline(by_heart, texts):
    """Its greedy answers, by transformers in float32, one by one."""
    return tiny.offline(by_heart, texts, max_new_tokens=100)
