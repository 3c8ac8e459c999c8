"""Preference pairs: the expected answer against a worse one, either the model's own or a corruption with a name.

Used by DPO (notebook 03), which reads the pairs of a prompt as one trie. Every pair says where its rejected answer
comes from: "own" (what the model answered to a training prompt) or "made" (`corruptions.py`), and which mistake it is,
in the words of `grading.FAILURES`. Pairs are held out by trajectory, so that no prompt is on both sides. Same cases,
answers and seed: same pairs. Two more kinds come from recorded trajectories (`contrasts.py`).

    graded = grade(cases, Greedy("runs/quickstart/sft").answers([case.prompt for case in cases]))
    pairs = build(graded, seed=0); write_pairs("runs/quickstart/pairs.jsonl", pairs)
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from xlam_lib.codec import Answer, render_answer
from xlam_lib.errors import XlamError
from xlam_lib.files import writing
from xlam_lib.grading import Case, Graded
from xlam_lib.train.preference.corruptions import CORRUPTIONS, corrupt

logger = logging.getLogger(__name__)

SPLITS = ("train", "held_out")
OPPOSITES = {
    "called_though_irrelevant": "no_call",
    "no_call": "called_though_irrelevant",
    "extra_call": "missing_call",
    "missing_call": "extra_call",
    "extra_argument": "missing_argument",
    "missing_argument": "extra_argument",
}


class PairError(XlamError, ValueError):
    """A pair, or a file of pairs, that can't be used; the message names the file and line or the trajectory."""


@dataclass(frozen=True)
class Pair:
    """One preference: `Pair(prompt, chosen='{"thought": ...}', rejected='{"thou', origin="made", ...)`."""

    prompt: str  # as `codec.render_prompt` writes it, not yet wrapped
    chosen: str
    rejected: str
    origin: str  # "own" or "made"; "branch", "outcome" or "preference" of contrasts.py
    failure: str  # which mistake the rejected answer is
    trajectory_id: str
    step: int
    kind: str = ""
    split: str = "train"  # or "held_out"

    def __post_init__(self) -> None:
        if self.chosen == self.rejected:
            raise PairError(f"trajectory {self.trajectory_id!r}, step {self.step}: chosen and rejected are the same")
        if self.split not in SPLITS:
            raise PairError(f"trajectory {self.trajectory_id!r}: split is {self.split!r}, expected one of {SPLITS}")


def build(
    graded: Sequence[Graded], seed: int = 0, made_per_case: int = 4, held_out: float = 0.2, cut: Iterable[int] = ()
) -> list[Pair]:
    """Pairs of graded answers: the own one where it was wrong, and `made_per_case` corruptions.

    Corruptions are drawn like the model's own mistakes and their opposites (each type at least now and then), and what
    outweighs its opposite is thinned out by `balanced`, but for the mistake that `target` aims at. `cut` are the
    indices of answers that max_new_tokens cut off: the model didn't end there, so they are no answers of its own.
    """
    cut, mistakes = set(cut), Counter(one.failure for one in graded if one.failure)
    share = {
        name: (mistakes[name] + mistakes[OPPOSITES.get(name, "")]) / max(1, mistakes.total()) for name in CORRUPTIONS
    }
    weights = {name: 1 + 20 * share[name] for name in CORRUPTIONS}
    refusals = sorted({one.case.expected.thought for one in graded if one.case.kind == "irrelevant"})
    pairs = []
    for index, one in enumerate(graded):
        rng = random.Random(f"{seed}:{one.case.trajectory_id}:{one.case.step}")
        rejected: dict[str, tuple[str, str]] = {}
        if one.failure and index not in cut:
            rejected[one.text] = ("own", one.failure)
        for _ in range(made_per_case):
            made = corrupt(one.case, rng, weights)
            if made and made[0] == "no_call" and refusals:  # as this model would decline, in words it knows
                made = ("no_call", render_answer(Answer(rng.choice(refusals))))
            if made and made[1] not in rejected:
                rejected[made[1]] = ("made", made[0])
        pairs += [_pair(one.case, text, *origin, seed, held_out) for text, origin in rejected.items()]
    pairs = balanced(pairs, seed, target(graded))
    logger.info("%d pairs: %s", len(pairs), dict(counts(pairs)))
    return pairs


def target(graded: Iterable[Graded]) -> str:
    """The mistake to aim at: the most frequent one that has an opposite, for those are a matter of leaning to one side.

    Example: `target(graded)` -> "called_though_irrelevant"; "" where there is none. A wrong value has no opposite.
    """
    own = Counter(one.failure for one in graded if one.failure in OPPOSITES)
    return own.most_common(1)[0][0] if own else ""


def balanced(pairs: Sequence[Pair], seed: int = 0, target: str = "") -> list[Pair]:
    """The pairs without those made ones, drawn at random, by which a mistake outweighs its opposite, in each split.

    Pairs against calling too much alone would teach to call nothing, the quickest way out; against leaving out
    arguments alone, to invent them. What the model does wrong itself always stays, and so does `target`.
    """
    dropped: set[int] = set()
    for split in SPLITS:
        numbers = {
            name: [i for i, p in enumerate(pairs) if (p.failure, p.split) == (name, split)] for name in OPPOSITES
        }
        for name, opposite in OPPOSITES.items():
            if name == target:
                continue
            made = [i for i in numbers[name] if pairs[i].origin == "made"]
            excess = min(len(made), len(numbers[name]) - len(numbers[opposite]))
            if excess > 0:
                dropped.update(random.Random(f"{seed}:{name}:{split}").sample(made, excess))
    return [pair for number, pair in enumerate(pairs) if number not in dropped]


def counts(pairs: Iterable[Pair]) -> Counter[str]:
    """How many pairs of each origin and mistake, the most frequent first: Counter({"own/wrong_value": 41, ...})."""
    return Counter(dict(Counter(f"{pair.origin}/{pair.failure}" for pair in pairs).most_common()))


def write_pairs(path: str | Path, pairs: Iterable[Pair]) -> int:
    """Writes JSON Lines and returns how many; the file appears whole or not at all."""
    rows = [json.dumps(asdict(pair), ensure_ascii=False) + "\n" for pair in pairs]
    with writing(path) as file:
        file.writelines(rows)
    return len(rows)


def read_pairs(path: str | Path) -> list[Pair]:
    """The pairs of a file; an error names file and line: 'pairs.jsonl:3: unknown key ...'."""
    path = Path(path)
    if not path.is_file():
        raise PairError(f"{path}: no such file of pairs; make it with xlam_lib.train.preference.pairs.write_pairs")
    with open(path, encoding="utf-8") as file:
        return [_read(line, f"{path}:{number}") for number, line in enumerate(file, start=1)]


def held_out_elsewhere(pairs: Sequence[Pair], files: Sequence[str]) -> set[int]:
    """Which training pairs have a prompt that another file holds out, `files` naming that of each pair: {3, 17}.

    Training on them would spoil the measure. Within a file `build` keeps the sides apart.
    """
    held_out: dict[str, set[str]] = {}
    for pair, file in zip(pairs, files, strict=True):
        if pair.split == "held_out":
            held_out.setdefault(pair.prompt, set()).add(file)
    return {
        number
        for number, (pair, file) in enumerate(zip(pairs, files, strict=True))
        if pair.split == "train" and held_out.get(pair.prompt, set()) - {file}
    }


def _read(line: str, where: str) -> Pair:
    try:
        data: Any = json.loads(line)
    except ValueError as error:
        raise PairError(f"{where}: not a line of JSON ({error}); is the file cut off?") from error
    known = {field.name: field.type for field in fields(Pair)}
    if not isinstance(data, dict) or data.keys() - known or {"prompt", "chosen", "rejected"} - data.keys():
        raise PairError(f"{where}: expected an object with {', '.join(known)}, found {line[:80]!r}")
    wrong = [key for key, value in data.items() if not isinstance(value, int if key == "step" else str)]
    if wrong:
        raise PairError(f"{where}: {wrong[0]} is {data[wrong[0]]!r}, expected {known[wrong[0]]}")
    try:
        return Pair(**data)
    except (TypeError, PairError) as error:
        raise PairError(f"{where}: {error}") from error


def split_of(key: str, seed: int, held_out: float) -> str:
    """ "held_out" for that share of keys, drawn by the seed: `split_of("demo-1", 0, 0.2)` -> "train"."""
    draw = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return "held_out" if int.from_bytes(draw[:4], "big") < held_out * 2**32 else "train"


def _pair(case: Case, rejected: str, origin: str, failure: str, seed: int, held_out: float) -> Pair:
    answers, split = (case.completion, rejected), split_of(case.trajectory_id, seed, held_out)
    return Pair(case.prompt, *answers, origin, failure, case.trajectory_id, case.step, case.kind, split)
