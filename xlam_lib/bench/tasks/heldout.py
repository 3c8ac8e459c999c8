"""Held-out tools: does the model make exactly the calls that were expected, on tools and values it never trained on?

Used by notebooks 02, 03 and 05. Every trainable assistant step of the test trajectories is one question; right is the
same calls with the same arguments, in any order (`codec.same_calls`). Answers come from a served model or from any
function. What a server failed to answer is counted apart and never as a wrong answer.

    result = served(read_jsonl("test_unseen.jsonl"), Endpoint("http://127.0.0.1:8000/v1", "sft"), path="answers.jsonl")
    result.exact, result.parse_rate, result.failures()

From the shell, to rerun until it is whole:

    python -m xlam_lib.bench.tasks.heldout --data test_unseen.jsonl --model sft --out out/ \\
        --base-url http://127.0.0.1:8000/v1
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlam_lib import grading
from xlam_lib.bench import evaluate, page
from xlam_lib.bench.base import Figure, Question, Row, Section, Task, TaskError
from xlam_lib.bench.results import HeldOut, save
from xlam_lib.codec import SEED_STYLE, STYLES, PromptStyle, answer_of, parse_answer, prompts_of
from xlam_lib.endpoint import Endpoint, Progress
from xlam_lib.errors import as_command
from xlam_lib.trajectory import Step, Tool, ToolCall, Trajectory, read_jsonl
from xlam_lib.views import to_openai, tools_to_openai

MODELS = {"base": "base model", "sft_scratch": "SFT from random weights", "sft": "SFT", "dpo": "SFT, then DPO"}
GROUPS = {"seen_exact": "seen tools", "unseen_exact": "unseen tools", "parse_rate": "answers that parse"}
FAILURES = grading.FAILURES | {"cut_off": "not the JSON that was asked for, since it reached the limit of tokens"}


@dataclass(frozen=True)
class Item:
    """One question: the prompt of an assistant step, with the calls that were expected there."""

    id: str  # "<trajectory>#<step>"
    kind: str  # the trajectory's first tag: "single", "parallel", "multi_turn", ...
    prompt: str
    expected: tuple[ToolCall, ...]
    trajectory: Trajectory
    step: int


class HeldOutTask(Task):
    """The questions of one test set, e.g. `HeldOutTask(read_jsonl("test_seen.jsonl"), BRIEF_STYLE)`."""

    name, title = "heldout", "Held-out questions"
    metric = "Exact means: the same calls with the same arguments, in any order."
    models = MODELS
    columns = GROUPS | {"parse_rate": "parses"}
    figures = (
        *(Figure(f"base.{name}", "02_sft", required=True) for name in GROUPS),
        Figure("sft.seen_exact", "02_sft", "SFT exact match, seen tools, unseen values", 0.60, 0.85, required=True),
        Figure("sft.unseen_exact", "02_sft", "SFT exact match, unseen tools", 0.20, 0.50, required=True),
        Figure("sft.parse_rate", "02_sft", "SFT answers that parse", 0.97, 0.99, required=True),
        *(Figure(f"sft_scratch.{name}", "02_sft") for name in GROUPS),
        Figure("dpo.seen_exact", "03_dpo", required=True),
        Figure("dpo.unseen_exact", "03_dpo", required=True),
        Figure("dpo.parse_rate", "03_dpo", "DPO answers that parse", 0.97, 0.99, required=True),
    )

    def __init__(self, trajectories: Iterable[Trajectory], style: PromptStyle = SEED_STYLE) -> None:
        self._items = items_of(trajectories, style)

    def items(self) -> list[Item]:
        return self._items

    def question(self, item: Item) -> Question:
        steps, instruction = item.trajectory.steps[: item.step], item.trajectory.task.instruction
        if instruction and steps[0].role != "system":
            steps = (Step("system", instruction), *steps)
        return Question(item.prompt, tuple(to_openai(steps)), tuple(tools_to_openai(item.trajectory.tools)))

    def score(self, item: Item, answer: str, cut_off: bool = False) -> Row:
        return {
            "id": item.id,
            "trajectory": item.trajectory.trajectory_id,
            "kind": item.kind,
            "prompt": item.prompt,
            "expected": [{"name": call.name, "arguments": call.arguments} for call in item.expected],
            "answer": answer,
            **grade(answer, item.expected, item.trajectory.tools, cut_off=cut_off),
        }

    def result(self, rows: Sequence[Row], unanswered: Mapping[str, str]) -> HeldOut:
        return HeldOut(tuple(rows), unanswered)

    @classmethod
    def sections(cls, card: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[Section]:
        """The models side by side, with intervals where the notebooks recorded them, and what they do wrong."""
        return [
            Section("models", "Before and after", _models(card, recorded), place=10),
            Section("failures", "What goes wrong", _failures(recorded), place=30),
        ]


TASK = HeldOutTask


def items_of(trajectories: Iterable[Trajectory], style: PromptStyle = SEED_STYLE) -> list[Item]:
    """The questions in trajectories, one for each trainable assistant step, e.g. ids "single-7#1", "multi_turn-3#5"."""
    items = []
    for trajectory in trajectories:
        for step, prompt, _ in prompts_of(trajectory, style):
            expected = answer_of(trajectory.steps[step]).calls
            kind = trajectory.tags[0] if trajectory.tags else _kind(expected)
            items.append(Item(f"{trajectory.trajectory_id}#{step}", kind, prompt, expected, trajectory, step))
    if not items:
        raise TaskError("no questions: the trajectories have no assistant step to be answered; is the file empty?")
    return items


def grade(text: str, expected: Sequence[ToolCall], tools: Sequence[Tool], *, cut_off: bool = False) -> dict[str, Any]:
    """exact, parsed, failure ("" when exact, else a key of FAILURES) and the codec's problems with the text.

    The names of the failures are those of `grading.py`, so that a failure means the same here and in a preference pair;
    an answer that met the limit of tokens has one of its own, since a server reports it.

        >>> grade('{"thought": "", "tool_calls": []}', (ToolCall("now"),), (Tool("now"),))
        {'exact': False, 'parsed': True, 'failure': 'no_call', 'problems': []}
    """
    read = parse_answer(text)
    if read.problems:
        failure = "cut_off" if cut_off else "invalid_json"
    else:
        failure = grading.failure_of(expected, read.answer.calls, tools)
    return {"exact": not failure, "parsed": not read.problems, "failure": failure, "problems": list(read.problems)}


def offline(
    trajectories: Iterable[Trajectory],
    answers_of: evaluate.AnswersOf,
    style: PromptStyle = SEED_STYLE,
    *,
    path: str | Path | None = None,
    model: str = "",
    progress: Progress | None = None,
) -> HeldOut:
    """Ask a function (see `evaluate`): `offline(test, Greedy("runs/quickstart/sft").answers, BRIEF_STYLE)`."""
    return evaluate.offline(HeldOutTask(trajectories, style), answers_of, path=path, model=model, progress=progress)


def served(
    trajectories: Iterable[Trajectory],
    endpoint: Endpoint,
    style: PromptStyle = SEED_STYLE,
    *,
    path: str | Path | None = None,
    raw: bool = False,
    progress: Progress | None = None,
) -> HeldOut:
    """Ask a server (see `evaluate`); a `raw` run gets the prompt as `style` writes it."""
    return evaluate.served(HeldOutTask(trajectories, style), endpoint, path=path, raw=raw, progress=progress)


def _kind(expected: Sequence[ToolCall]) -> str:
    return "no_call" if not expected else "single" if len(expected) == 1 else "parallel"


def _models(card: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[str]:
    from xlam_lib import plots  # loads matplotlib

    shown = {key: label for key, label in MODELS.items() if key in card}
    if not shown:
        return [page.nothing("figures of base, sft or dpo in the notebooks' metrics.json")]
    series = {label: {GROUPS[name]: card[key].get(name) for name in GROUPS} for key, label in shown.items()}
    spans = {
        label: {
            GROUPS[name]: (found["low"], found["high"])
            for name, found in recorded.get(key, {}).get("intervals", {}).items()
            if name in GROUPS
        }
        for key, label in shown.items()
    }
    floors = {figure.key: figure.floor for figure in HeldOutTask.figures}
    marks = {group: floors[f"sft.{name}"] for name, group in GROUPS.items()}
    chart = plots.grouped_bars(series, intervals=spans, title=HeldOutTask.title, ylabel="share", marks=marks)
    words = (
        f"{HeldOutTask.metric} Whiskers are 95 % bootstrap intervals, "
        "whole trajectories drawn; dashed lines are the floors for SFT. Values of the test questions were never "
        "trained on, unseen tools not at all."
    )
    rows = [[name, *(page.share(values.get(group)) for group in GROUPS.values())] for name, values in series.items()]
    return [
        page.figure(
            chart, words, "Bars of exact match and parse rate for each model; the numbers are in the table below"
        ),
        page.table(["model", *GROUPS.values()], rows, numbers=(1, 2, 3)),
    ]


def _failures(recorded: Mapping[str, Any]) -> list[str]:
    """Kinds of failures of SFT and DPO, seen and unseen tools together."""
    from xlam_lib import plots

    counts = {}
    for key in ("sft", "dpo"):
        found = recorded.get(key, {}).get("failures")
        if isinstance(found, dict):
            total: dict[str, int] = {}
            for split in found.values() if all(isinstance(v, dict) for v in found.values()) else [found]:
                for kind, number in split.items():
                    total[kind] = total.get(kind, 0) + number
            counts[MODELS[key]] = total
    if not counts:
        return [page.nothing("failures of sft or dpo in the notebooks' metrics.json")]
    words = "Each wrong answer has one kind; notebooks 02 and 03 show examples of them."
    chart = plots.failure_bars(counts, title="Wrong answers by kind")
    return [page.figure(chart, words, "Counts of kinds of failures")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask a served model all questions of a file; ends with 1 while some are unanswered."""
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.bench.tasks.heldout", description=main.__doc__)
    parser.add_argument("--data", required=True, help="JSON Lines of trajectories")
    parser.add_argument("--base-url", required=True, help="e.g. http://127.0.0.1:8000/v1")
    parser.add_argument("--model", required=True, help="the model's name on the server")
    parser.add_argument("--out", required=True, help="folder for answers, rows and summary; a rerun goes on there")
    parser.add_argument("--style", choices=sorted(STYLES), default="seed", help="prompt style shown in the rows")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--concurrency", type=int, default=16)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return as_command(lambda: _ask_and_save(given))


def _ask_and_save(given: argparse.Namespace) -> int:
    name = f"{given.model.replace('/', '_')}.{Path(given.data).stem}"
    endpoint = Endpoint(given.base_url, given.model, max_tokens=given.max_tokens, concurrency=given.concurrency)
    answers = Path(given.out) / f"{name}.answers.jsonl"
    result = served(read_jsonl(given.data), endpoint, STYLES[given.style], path=answers)
    path = save(result, given.out, name)
    print(f"exact {result.interval()}   parsed {result.parse_rate:.3f}   unanswered {len(result.unanswered)}   {path}")
    return 1 if result.unanswered else 0


if __name__ == "__main__":
    raise SystemExit(main())
