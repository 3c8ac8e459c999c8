"""From trajectories to token rows: what the model reads, what it is trained on, and in which order.

Used by SFT (notebook 02) and by notebook 01, which shows the loss mask as text. Each trainable turn becomes one row:
the wrapped prompt without labels, then the answer and the end token with labels. Prompt and answer are tokenised apart,
since that is what a server does with a prompt; `examples(...)` counts what doesn't fit instead of cutting it off.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from xlam_lib.chat_template import AFTER, BEFORE, model_prompt
from xlam_lib.codec import PromptStyle, style_of
from xlam_lib.data.augment.layouts import turns_of, variant_of
from xlam_lib.models.tokens import IGNORED, encode
from xlam_lib.seeds import key_of
from xlam_lib.trajectory import Trajectory

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GROUP = 50  # batches that are sorted by length together


@dataclass(frozen=True)
class Example:
    """One row: `Example((17, 4, 9, 0), 2, "demo-1", 1)` has a prompt of two tokens and trains the last two."""

    input_ids: tuple[int, ...]
    prompt_length: int
    trajectory_id: str
    step: int
    source: str = ""  # which of several files it comes from
    opening: int = 0  # equal for prompts with the same instructions and tools; 0: not known

    @property
    def labels(self) -> list[int]:
        """The ids that are to be predicted, -100 where nothing is: [-100, -100, 9, 0]."""
        return [IGNORED] * self.prompt_length + list(self.input_ids[self.prompt_length :])


def examples(
    trajectories: Iterable[Trajectory],
    tokenizer: PreTrainedTokenizerBase,
    style: PromptStyle,
    max_length: int,
    wrapper: tuple[str, str] = (BEFORE, AFTER),
    source: str = "",
) -> tuple[list[Example], Counter[str]]:
    """Rows of all trainable turns and what was left out, by reason: ([...], Counter({"longer than max_length": 3})).

    A turn is written in the style, or in the layout that its trajectory names (`augment.layouts.turns_of`).
    """
    keys, prompts, answers, openings = [], [], [], []
    left_out: Counter[str] = Counter()
    for trajectory in trajectories:
        turns = turns_of(trajectory, style)
        opening = opening_of(trajectory, style)
        left_out["trajectory without a trainable turn"] += not turns
        for step, prompt, answer in turns:
            keys.append((trajectory.trajectory_id, step))
            openings.append(opening)
            prompts.append(model_prompt(prompt, *wrapper))
            answers.append(answer + tokenizer.eos_token)
    rows = []
    texts = (encode(tokenizer, prompts), encode(tokenizer, answers))
    for key, opening, prompt, answer in zip(keys, openings, *texts, strict=True):
        if len(prompt) + len(answer) > max_length:
            left_out["longer than max_length"] += 1
        else:
            rows.append(Example((*prompt, *answer), len(prompt), *key, source, opening))
    return rows, +left_out


def opening_of(trajectory: Trajectory, style: PromptStyle) -> int:
    """A number for what its prompts begin with, as its layout writes it: the same for questions about one tool list."""
    parts = (style_of(trajectory, style), variant_of(trajectory), trajectory.tools)
    return key_of(*map(repr, parts))


Passes = Iterator[list[list[int]]]  # for each pass the rows of each group that it draws, in order


def order(lengths: Sequence[int], batch_size: int, samples: int, seed: int, passes: Passes | None = None) -> list[int]:
    """Which rows to draw, in order, `samples` in all: batches of similar length in random order.

    Each pass over the rows is shuffled, sorted by length within groups of 50 batches, cut into batches, and the batches
    are shuffled. So rows of a batch need little padding; the order depends on nothing but the arguments. What a pass
    draws may be given (`inputs.Draws`); it is every row once otherwise.
    Example: `order([5, 9, 5, 9], 2, 4, seed=0)` -> [1, 3, 2, 0]
    """
    rng, drawn, rest = random.Random(seed), [], []
    while len(drawn) + len(rest) < samples:
        every = range(len(lengths))
        rows = [row for rows in next(passes) for row in rows] if passes else rng.sample(every, len(every))
        rows = rows[: samples - len(drawn) - len(rest)]
        batches: list[list[int]] = []
        for start in range(0, len(rows), GROUP * batch_size):
            group = sorted(rows[start : start + GROUP * batch_size], key=lengths.__getitem__)
            batches += [group[at : at + batch_size] for at in range(0, len(group), batch_size)]
        rest += batches.pop() if len(batches[-1]) < batch_size else []  # to the end, so that batches stay batches
        rng.shuffle(batches)
        drawn += [row for batch in batches for row in batch]
    return drawn + rest


def order_together(
    groups: Sequence[Hashable],
    lengths: Sequence[int],
    batch_size: int,
    samples: int,
    seed: int,
    passes: Passes | None = None,
    openings: Sequence[Hashable] | None = None,
    sources: Sequence[str] | None = None,
) -> list[int]:
    """Which rows to draw, in order, `samples` in all: rows of a group stay together, so that a trie saves reading them.

    Each pass over the groups is shuffled and cut into parts of half a batch, a group never in two parts unless it is
    larger; two parts that take about the same time make a batch, so that two processes do equal work, and the batches
    are shuffled. The order depends on nothing but the arguments. Which groups a pass draws may be given
    (`inputs.Draws`), each as its rows; it is every group once otherwise. Groups of the same opening, such as questions
    about one list of tools, stand side by side, as many as make a part: then the list is read once for all of them. A
    pass that is not drawn whole has whole lists, too, and of each source as many rows as it would have otherwise.
    Example: `order_together(["a", "b", "a", "b"], [5, 9, 5, 9], 4, 4, seed=0)` -> [0, 2, 1, 3]
    """
    rng, drawn, rest = random.Random(seed), [], []
    together: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        together.setdefault(group, []).append(row)
    size = max(1, batch_size // 2)
    while len(drawn) + len(rest) < samples:
        parts, left = [], samples - len(drawn) - len(rest)
        found = next(passes) if passes else [together[name] for name in rng.sample(list(together), len(together))]
        kept = list(_first(found, {None: left}))
        if openings:
            due = Counter(sources[row] if sources else None for rows in kept for row in rows)
            kept = list(_first(beside(found, openings, size), due, sources))
        for rows in kept:
            parts += [rows[at : at + size] for at in range(0, len(rows), size)]
        full, leftover = _filled(parts, size)
        full.sort(key=lambda part: _work(part, groups, lengths))
        batches = [a + b for a, b in zip(full[::2], full[1::2], strict=False)]
        rest += [row for part in [*full[2 * len(batches) :], leftover] for row in part]
        rng.shuffle(batches)
        drawn += [row for rows in batches for row in rows]
    return drawn + rest


def _first(
    groups: Iterable[list[int]], due: Mapping[Hashable, int], sources: Sequence[str] | None = None
) -> Iterator[list[int]]:
    """The first groups, the last one cut, with as many rows of each source as are `due`."""
    left = dict(due)
    for rows in groups:
        source = sources[rows[0]] if sources else None
        if rows := rows[: left.get(source, 0)]:
            left[source] -= len(rows)
            yield rows


def beside(groups: Iterable[list[int]], openings: Sequence[Hashable], size: int) -> list[list[int]]:
    """Groups of the same opening joined as long as they have at most `size` rows, each where the first of them was.

    A group that is drawn again begins anew, so that no step has it twice.
    Example: `beside([[0], [1], [2], [3]], ["a", "b", "a", "a"], 2)` -> [[0, 2], [1], [3]]
    """
    parts: list[list[int]] = []
    latest: dict[Hashable, list[int]] = {}
    for rows in groups:
        part = latest.get(openings[rows[0]], [])
        if not part or len(part) + len(rows) > size or rows[0] in part:
            part = latest[openings[rows[0]]] = []
            parts.append(part)
        part.extend(rows)
    return parts


def _work(part: Sequence[int], groups: Sequence[Hashable], lengths: Sequence[int]) -> int:
    """About how many tokens are read: a trie is hardly longer than its longest row."""
    return sum(max(lengths[row] for row in same) for _, same in groupby(part, key=groups.__getitem__))


def _filled(parts: list[list[int]], size: int) -> tuple[list[list[int]], list[int]]:
    """(parts of exactly that size, rows that are over): small parts fill up larger ones."""
    full = [part for part in parts if len(part) == size]
    open_: dict[int, list[list[int]]] = {}  # by the room that is left
    for part in sorted((part for part in parts if 0 < len(part) < size), key=len, reverse=True):
        room = next((room for room in range(len(part), size) if open_.get(room)), 0)
        joined = (open_[room].pop() if room else []) + part
        full.append(joined) if len(joined) == size else open_.setdefault(size - len(joined), []).append(joined)
    leftover = [row for parts in open_.values() for part in parts for row in part]
    cut = len(leftover) // size * size  # few: cut apart after all
    return full + [leftover[at : at + size] for at in range(0, cut, size)], leftover[cut:]


def spans(example: Example, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, bool]]:
    """The row as text with what is trained: [("<|user|>\\n...<|assistant|>\\n", False), ('{"thought": ...', True)]."""
    cut = example.prompt_length
    parts = [(example.input_ids[:cut], False), (example.input_ids[cut:], True)]
    return [(tokenizer.decode(list(ids)), trained) for ids, trained in parts]
