import pytest

from xlam_lib.models import checkpoint
from xlam_lib.models.tokens import encode
from xlam_lib.serve.engines.transformers import Greedy


@pytest.fixture(scope="module")
def prompts(cases):
    found = [case.prompt for case in cases[:11]]
    assert len({len(prompt) for prompt in found}) > 5
    return found


def alone(greedy: Greedy, prompt: str, new: int) -> list[int]:
    """The plainest way: one prompt, no cache, no padding, the whole text again for every token."""
    import torch

    ids = encode(greedy.tokenizer, [greedy.wrapper[0] + "\n" + prompt + greedy.wrapper[1] + "\n"])[0]
    written = []
    while len(written) < new and written[-1:] != [greedy.tokenizer.eos_token_id]:
        with torch.inference_mode():
            written.append(int(greedy.model(input_ids=torch.tensor([ids + written])).logits[0, -1].argmax()))
    return written


def ending_early(greedy: Greedy, prompts: list[str]) -> Greedy:
    """Make a token that the random model likes its end token, so that answers end at different lengths."""
    written = [alone(greedy, prompt, 12) for prompt in prompts]
    tokens = {token for ids in written for token in ids[2:]}
    end = max(tokens, key=lambda token: len({ids.index(token) for ids in written if token in ids}))
    greedy.tokenizer.eos_token = greedy.tokenizer.convert_ids_to_tokens(end)
    return greedy


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_batches_answer_as_one_by_one(base, prompts, batch_size):
    greedy = ending_early(Greedy(base, batch_size, device="cpu"), prompts)
    decoded = greedy.decode(prompts, max_new_tokens=12)
    expected = [alone(greedy, prompt, 12) for prompt in prompts]
    assert [one.tokens for one in decoded] == [len(ids) for ids in expected]
    assert len({one.tokens for one in decoded}) > 2
    end = greedy.tokenizer.eos_token_id
    for one, ids in zip(decoded, expected, strict=True):
        assert one.truncated == (ids[-1] != end)
        assert one.text == greedy.tokenizer.decode([token for token in ids if token != end])


def test_an_answer_that_does_not_end_is_reported(base, prompts, caplog):
    greedy = Greedy(base, device="cpu")
    greedy.tokenizer.eos_token = "<|pad|>"
    with caplog.at_level("INFO"):
        decoded = greedy.decode(prompts[:3], max_new_tokens=3)
    assert all(one.truncated and one.tokens == 3 for one in decoded)
    assert "3 of 3 answers were cut at max_new_tokens=3" in caplog.text


def test_answers_are_the_texts_in_the_order_of_the_prompts(base, prompts):
    greedy = Greedy(base, 4, device="cpu")
    assert greedy.answers(prompts, 4) == [one.text for one in greedy.decode(prompts, 4)]
    assert greedy.answers(prompts[::-1], 4) == greedy.answers(prompts, 4)[::-1]
    assert greedy.answers([]) == []


def test_a_prompt_beyond_the_context_is_refused(base, prompts):
    with pytest.raises(checkpoint.CheckpointError, match="exceed the model's context of 1024"):
        Greedy(base, device="cpu").decode([prompts[0] * 9])
