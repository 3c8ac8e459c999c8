import random
from collections import Counter
from dataclasses import replace

import pytest
from train_demo import STYLE

from xlam_lib.chat_template import chat_template, model_text
from xlam_lib.codec import STYLES, prompts_of
from xlam_lib.models.tokens import IGNORED, encode
from xlam_lib.train.mixture.examples import Example, beside, examples, opening_of, order, order_together, spans
from xlam_lib.views import to_openai, tools_to_openai


@pytest.fixture(scope="module")
def tokenizer(base):
    checkpoint = pytest.importorskip("xlam_lib.models.checkpoint")
    return checkpoint.load_tokenizer(base)


def test_prompt_and_answer_apart_are_the_same_tokens_as_together(trajectories, tokenizer):
    rows, left_out = examples(trajectories, tokenizer, STYLE, 1024)
    turns = [turn for one in trajectories for turn in prompts_of(one, STYLE)]
    texts = [model_text(prompt, answer, tokenizer.eos_token) for _, prompt, answer in turns]
    assert [list(row.input_ids) for row in rows] == encode(tokenizer, texts)
    assert not left_out


def test_a_row_is_what_the_chat_template_renders(trajectories, tokenizer):
    row = examples(trajectories[:1], tokenizer, STYLE, 1024)[0][0]
    text = tokenizer.apply_chat_template(
        to_openai(trajectories[0].steps),
        tools=tools_to_openai(trajectories[0].tools),
        chat_template=chat_template(STYLE),
        tokenize=False,
    )
    assert tokenizer.decode(list(row.input_ids)) == text


def test_only_answer_and_end_token_are_trained(trajectories, tokenizer):
    for row in examples(trajectories, tokenizer, STYLE, 1024)[0]:
        (prompt, trained_prompt), (answer, trained_answer) = spans(row, tokenizer)
        assert (trained_prompt, trained_answer) == (False, True)
        assert prompt.endswith("<|assistant|>\n") and answer.startswith('{"thought"')
        assert answer.endswith("}" + tokenizer.eos_token)
        assert [label for label in row.labels if label != IGNORED] == list(row.input_ids[row.prompt_length :])
        assert len(row.labels) == len(row.input_ids)


def test_what_does_not_fit_is_counted_not_cut(trajectories, tokenizer):
    whole, _ = examples(trajectories, tokenizer, STYLE, 1024)
    limit = sorted(len(row.input_ids) for row in whole)[10]
    some, left_out = examples(trajectories, tokenizer, STYLE, limit)
    assert left_out == Counter({"longer than max_length": len(whole) - len(some)})
    assert all(row in whole for row in some)


def test_turns_that_are_not_trainable_are_left_out(trajectories, tokenizer):
    one = trajectories[0]
    frozen = replace(one, steps=tuple(replace(step, trainable=False) for step in one.steps))
    rows, left_out = examples([frozen], tokenizer, STYLE, 1024)
    assert rows == [] and left_out == Counter({"trajectory without a trainable turn": 1})


def test_labels_of_the_docstring():
    assert Example((17, 4, 9, 0), 2, "demo-1", 1).labels == [-100, -100, 9, 0]


@pytest.mark.parametrize("samples", [1, 7, 100, 101, 250, 333])
def test_order_draws_each_row_as_often_as_it_should(samples):
    lengths = [(number * 37) % 91 + 10 for number in range(101)]
    drawn = order(lengths, 8, samples, seed=3)
    assert len(drawn) == samples and drawn == order(lengths, 8, samples, seed=3)
    times = Counter(drawn).values()
    assert samples < len(lengths) or max(times) - min(times) <= 1
    assert len(set(drawn)) == min(samples, len(lengths))


def test_order_puts_similar_lengths_into_a_batch():
    lengths = [(number * 37) % 400 + 100 for number in range(1000)]
    drawn = order(lengths, 8, 2500, seed=0)
    batches = [[lengths[row] for row in drawn[at : at + 8]] for at in range(0, 2496, 8)]
    padded = sum(8 * max(batch) for batch in batches)
    assert padded < 1.05 * sum(map(sum, batches))
    assert drawn != order(lengths, 8, 2500, seed=1)


def test_order_of_the_docstring():
    assert sorted(order([5, 9, 5, 9], 2, 4, seed=0)) == [0, 1, 2, 3]


@pytest.mark.parametrize("samples", [1, 7, 8, 100, 161, 162, 500])
def test_order_together_draws_each_row_as_often_as_it_should(samples):
    groups = [number if number < 60 else number // 3 + 100 for number in range(162)]
    drawn = order_together(groups, [10] * 162, 8, samples, seed=3)
    assert len(drawn) == samples and drawn == order_together(groups, [10] * 162, 8, samples, seed=3)
    times = Counter(drawn).values()
    assert len(set(drawn)) == min(samples, 162)
    assert max(times) - min(times) <= 1 or samples < 162
    assert samples < 9 or drawn != order_together(groups, [10] * 162, 8, samples, seed=4)


def test_order_together_keeps_groups_in_one_half_of_a_batch_and_halves_alike():
    sizes = [1, 1, 1, 2, 3, 3] * 100
    groups = [name for name, size in enumerate(sizes) for _ in range(size)]
    lengths = [100 + (group * 37) % 200 for group in groups]
    length_of = dict(zip(groups, lengths, strict=True))
    drawn = order_together(groups, lengths, 8, len(groups), seed=0)
    halves = [drawn[at : at + 4] for at in range(0, len(drawn), 4)]
    split = {
        group
        for group in set(groups)
        if len({i for i, half in enumerate(halves) for row in half if groups[row] == group}) > 1
    }
    assert len(split) <= 3
    for half in halves:
        names = [groups[row] for row in half]
        assert sorted(names, key=names.index) == names  # neighbours
    work = [sum(length_of[name] for name in {groups[row] for row in half}) for half in halves[: len(halves) // 2 * 2]]
    apart = [abs(a - b) / max(a, b) for a, b in zip(work[::2], work[1::2], strict=True)]
    assert sum(apart) / len(apart) < 0.02


def test_order_together_of_the_docstring():
    assert order_together(["a", "b", "a", "b"], [5, 9, 5, 9], 4, 4, seed=0) == [0, 2, 1, 3]


def test_prompts_of_the_same_tools_and_layout_begin_alike(trajectories, tokenizer):
    rows, _ = examples(trajectories, tokenizer, STYLE, 1024)
    by_opening = {}
    for row in rows:
        by_opening.setdefault(row.opening, []).append(row)
    lists = {one.trajectory_id: one.tools for one in trajectories}
    assert 1 < len(by_opening) == len(set(map(repr, lists.values()))) < len(trajectories)
    for some in by_opening.values():
        assert len({repr(lists[row.trajectory_id]) for row in some}) == 1
        begins = [tokenizer.decode(list(row.input_ids)).partition("[BEGIN OF QUERY]")[0] for row in some]
        assert len(set(begins)) == 1
    one = trajectories[0]
    other = replace(one, trajectory_id="other", steps=trajectories[5].steps)
    assert opening_of(one, STYLE) == opening_of(other, STYLE) != opening_of(one, STYLES["seed"])
    assert opening_of(one, STYLE) != opening_of(replace(one, tools=one.tools[::-1]), STYLE)


def test_groups_of_one_opening_are_drawn_side_by_side_each_row_as_often():
    openings = [number // 4 for number in range(160)]
    drawn = order_together(list(range(160)), [10] * 160, 8, 320, seed=3, openings=openings)
    assert set(Counter(drawn).values()) == {2}
    halves = [[openings[row] for row in drawn[at : at + 4]] for at in range(0, len(drawn), 4)]
    assert all(len(set(half)) == 1 for half in halves)
    assert [row % 4 for row in drawn] != sorted(row % 4 for row in drawn), "in another order each pass"
    alone = order_together(list(range(160)), [10] * 160, 8, 320, seed=3)
    assert order_together(list(range(160)), [10] * 160, 8, 320, seed=3, openings=list(range(160))) == alone


def test_a_part_of_a_pass_has_whole_lists_and_as_much_of_each_source():
    """800 questions about 200 lists from two sources, one drawn nine times as often; 200 of them are read."""
    openings, sources = [number // 4 for number in range(800)], ["rare"] * 400 + ["often"] * 400
    rng = random.Random(5)
    drawn_by_source = {name: rng.sample([r for r in range(800) if sources[r] == name], 400) for name in set(sources)}
    order = [drawn_by_source["rare" if number % 10 == 0 else "often"].pop() for number in range(400)]
    passes = iter([[[row] for row in order]])
    drawn = order_together(list(range(800)), [10] * 800, 8, 200, 3, passes, openings, sources)
    assert len(set(drawn)) == 200
    assert (
        Counter(sources[row] for row in drawn)
        == Counter(sources[row] for row in order[:200])
        == {"rare": 20, "often": 180}
    )
    halves = [{openings[row] for row in drawn[at : at + 4]} for at in range(0, 200, 4)]
    assert sum(len(half) for half in halves) < 1.6 * len(halves), "apart, almost every row would have a list of its own"
    one_source = order_together(list(range(400)), [10] * 400, 8, 80, seed=3, openings=openings[:400])
    assert all(len({openings[row] for row in one_source[at : at + 4]}) == 1 for at in range(0, 80, 4))


def test_a_list_with_many_questions_fills_parts_and_keeps_trajectories_whole():
    assert beside([[0], [1], [2], [3]], ["a", "b", "a", "a"], 2) == [[0, 2], [1], [3]]
    assert beside([[0, 1, 2], [3], [4, 5]], ["a"] * 6, 3) == [[0, 1, 2], [3, 4, 5]]
    assert beside([[0], [1], [0]], ["a"] * 2, 3) == [[0, 1], [0]], "no step has a row twice"
    assert beside([[0, 1, 2, 3], [4]], ["a"] * 5, 3) == [[0, 1, 2, 3], [4]]
