import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlam_lib.models import checkpoint
from xlam_lib.models.tokens import encode
from xlam_lib.serve.engines.transformers import FEW, SHARED, Greedy, batches


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


def test_what_prompts_begin_with_alike_is_read_once(base, prompts):
    """Answers and lengths are those of one by one, and so many tokens less are read."""
    greedy, read = Greedy(base, 4, device="cpu"), []
    opening = (prompts[0] * 2)[:800]
    asked = [opening + prompt[-60:] for prompt in prompts[:4]]
    rows = encode(greedy.tokenizer, [f"{greedy.wrapper[0]}\n{prompt}" for prompt in asked])
    greedy.model.register_forward_pre_hook(
        lambda _, __, given: read.append(given["input_ids"].numel()), with_kwargs=True
    )
    decoded = greedy.decode(asked, max_new_tokens=6)
    shared = len(os.path.commonprefix(rows))
    assert shared > 200 and read[0] >= shared - 1
    assert sum(read[:2]) < sum(map(len, rows)) / 2
    for one, prompt in zip(decoded, asked, strict=True):
        assert one.text == greedy.tokenizer.decode(alone(greedy, prompt, 6))


@given(
    lists=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=1, max_size=40),
    size=st.integers(1, 12),
)
def test_each_row_is_in_one_batch_and_those_of_a_list_together(lists, size):
    rows = [[first] * SHARED + [9] * rest + [number] for number, (first, rest) in enumerate(lists)]
    made = batches(rows, size)
    assert sorted(row for batch in made for row in batch) == list(range(len(rows)))
    assert all(0 < len(batch) <= size for batch in made)
    for first in {first for first, _ in lists}:
        same = {number for number, one in enumerate(lists) if one[0] == first}
        if len(same) >= FEW:
            assert sum(bool(same & set(batch)) for batch in made) == -(-len(same) // size)


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
