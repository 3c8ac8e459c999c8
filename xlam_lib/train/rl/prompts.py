"""The prompts of GRPO: the turns of one or several files, which of them fit, the order in which they are drawn.

    read = read_prompts(settings, tokenizer)
    read.rows            # trl's rows, alike in length together
    print(read.report)   # what is trained on and what is left out, kept in run.json (the other trainings: mask_report)

A source's prompts are drawn by `--shares` (`mixture/inputs.py`), each on its own. What the model answers isn't known
before; how many answers were cut at `max_new_tokens` stands in the log (`completions/clipped_ratio`) and, at the end,
in run.json (`answers`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from xlam_lib.chat_template import model_prompt
from xlam_lib.codec import STYLES
from xlam_lib.errors import TrainingError
from xlam_lib.grading import Case, cases_of
from xlam_lib.models import checkpoint
from xlam_lib.models.tokens import encode
from xlam_lib.train.loop.log import curve
from xlam_lib.train.mixture import inputs
from xlam_lib.train.mixture.examples import order
from xlam_lib.trajectory import read_jsonl

TOO_LONG = "longer than max_length less max_new_tokens"
NO_TURN = "trajectory without a turn to be learnt"
CUT = "completions/clipped_ratio"


@dataclass(frozen=True)
class PromptReport:
    """What is trained on: `PromptReport(9, 24, 24, (80, 97.5, 120), {"single": 9}, {}, 1, "<|endoftext|>")`.

    `prompts` fit, `different` ones among `drawn` are asked; `tokens` of those asked: shortest, mean, longest. `kinds`
    of turns are counted by prompt. `left_out` has counts by source and reason. The expected answers of `out_of_reach`
    prompts have more than max_new_tokens, with the end token: nobody can give them.
    """

    prompts: int
    drawn: int
    different: int
    tokens: tuple[int, float, int]
    kinds: dict[str, int]
    left_out: dict[str, dict[str, int]]
    out_of_reach: int
    end: str

    def __str__(self) -> str:
        shortest, mean, longest = self.tokens
        left_out = sum(sum(counts.values()) for counts in self.left_out.values())
        why = f" ({self.left_out})" if left_out else ""
        return (
            f"{self.prompts} prompts, {left_out} left out{why}; {self.drawn} are drawn, {self.different} different "
            f"ones of {shortest} to {longest} tokens, {mean:.0f} on the average; the expected answers of "
            f"{self.out_of_reach} are longer than an answer may be; answers end with {self.end!r}"
        )


@dataclass(frozen=True)
class Prompts:
    """All turns, trl's rows {"prompt", "case"} in the order in which they are drawn, the report, and the mixture."""

    cases: list[Case]
    rows: Dataset
    report: PromptReport
    mixture: list[dict[str, Any]]


def read_prompts(settings: Any, tokenizer: PreTrainedTokenizerBase) -> Prompts:
    """The prompts of `settings.data` that leave room for an answer; a file without any is a TrainingError."""
    cases, names, left_out = _cases(settings)
    wrapper, room = checkpoint.wrapper(tokenizer), settings.max_length - settings.max_new_tokens
    texts = [model_prompt(case.prompt, *wrapper) for case in cases]
    lengths = [len(ids) for ids in encode(tokenizer, texts)]
    fitting = [number for number, length in enumerate(lengths) if length <= room]
    for name, path in inputs.named(settings.data).items():
        found = [length <= room for length, of in zip(lengths, names, strict=True) if of == name]
        if not any(found):
            raise TrainingError(
                f"{path}: none of {len(found)} prompts has at most {room} tokens (max_length less max_new_tokens)"
            )
        left_out[name][TOO_LONG] = len(found) - sum(found)
    longest = max(lengths[number] for number in fitting) + settings.max_new_tokens
    checkpoint.check_context(settings.base, longest, "the longest prompt with its answer")
    prompts_per_step = settings.batch_size // settings.generations
    draws = inputs.Draws([names[number] for number in fitting], fitting, settings.shares, settings.seed)
    total = prompts_per_step * settings.steps
    drawn = order([lengths[number] for number in fitting], prompts_per_step, total, settings.seed, draws.passes())
    numbers = [fitting[at] for at in drawn]
    used = sorted(set(numbers))
    answers = encode(tokenizer, [cases[number].completion + tokenizer.eos_token for number in used])
    tokens = [lengths[number] for number in used]
    report = PromptReport(
        prompts=len(fitting),
        drawn=len(numbers),
        different=len(used),
        tokens=(min(tokens), round(sum(tokens) / len(tokens), 1), max(tokens)),
        kinds=dict(Counter(cases[number].kind for number in used)),
        left_out={name: dict(+counts) for name, counts in left_out.items() if +counts},
        out_of_reach=sum(len(ids) > settings.max_new_tokens for ids in answers),
        end=tokenizer.eos_token,
    )
    rows = Dataset.from_dict({"prompt": [texts[number] for number in numbers], "case": numbers})
    return Prompts(cases, rows, report, draws.table(total))


def _cases(settings: Any) -> tuple[list[Case], list[str], dict[str, Counter[str]]]:
    """The turns of all files, the source of each, and by source the trajectories that have none."""
    cases: list[Case] = []
    names: list[str] = []
    left_out: dict[str, Counter[str]] = {}
    for name, path in inputs.named(settings.data).items():
        left_out[name] = Counter()
        for trajectory in read_jsonl(path):
            found = cases_of([trajectory], STYLES[settings.style])
            left_out[name][NO_TURN] += not found
            cases += found
            names += [name] * len(found)
    return cases, names, left_out


def answers_of(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the log of a run says of its answers, means over its lines: {"cut": 0.01, "cut_last": 0.0, "tokens": 42.1}.

    `cut` is the share of answers without an end token, `cut_last` that of the last line.
    """
    cut, lengths = curve(entries, CUT)[1], curve(entries, "completions/mean_length")[1]
    return {
        "cut": round(sum(cut) / len(cut), 4),
        "cut_last": round(cut[-1], 4),
        "tokens": round(sum(lengths) / len(lengths), 1),
    }
