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
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from xlam_lib.bench.ask import AskError, Reply, Request, ask_all
from xlam_lib.bench.results import HeldOut, difference, save
from xlam_lib.bench.tasks.grade import grade
from xlam_lib.chat_template import model_prompt
from xlam_lib.codec import SEED_STYLE, STYLES, PromptStyle, answer_of, prompts_of
from xlam_lib.endpoint import Endpoint, Progress
from xlam_lib.errors import XlamError
from xlam_lib.journal import Journal
from xlam_lib.trajectory import Step, ToolCall, Trajectory, read_jsonl
from xlam_lib.views import to_openai, tools_to_openai

AnswersOf = Callable[[list[str]], Sequence[str]]  # prompts -> answers in the same order
CHUNK = 64  # answers of a function kept at a time

__all__ = [
    "CHUNK",
    "AskError",
    "Endpoint",
    "HeldOut",
    "Item",
    "difference",
    "graded",
    "items_of",
    "offline",
    "save",
    "served",
]


@dataclass(frozen=True)
class Item:
    """One question: the prompt of an assistant step, with the calls that were expected there."""

    id: str  # "<trajectory>#<step>"
    kind: str  # the trajectory's first tag: "single", "parallel", "multi_turn", ...
    prompt: str
    expected: tuple[ToolCall, ...]
    trajectory: Trajectory
    step: int


def items_of(trajectories: Iterable[Trajectory], style: PromptStyle = SEED_STYLE) -> list[Item]:
    """The questions in trajectories, one for each trainable assistant step, e.g. ids "single-7#1", "multi_turn-3#5"."""
    items = []
    for trajectory in trajectories:
        for step, prompt, _ in prompts_of(trajectory, style):
            expected = answer_of(trajectory.steps[step]).calls
            kind = trajectory.tags[0] if trajectory.tags else _kind(expected)
            items.append(Item(f"{trajectory.trajectory_id}#{step}", kind, prompt, expected, trajectory, step))
    if not items:
        raise AskError("no questions: the trajectories have no assistant step to be answered; is the file empty?")
    if len({item.id for item in items}) < len(items):
        repeated = Counter(item.id for item in items).most_common(1)[0][0]
        raise AskError(f"two questions have the id {repeated!r}: trajectory ids must be unique in a test set")
    return items


def offline(
    trajectories: Iterable[Trajectory],
    answers_of: AnswersOf,
    style: PromptStyle = SEED_STYLE,
    *,
    path: str | Path | None = None,
    model: str = "",
) -> HeldOut:
    """Ask a function, e.g. `offline(test, Greedy("runs/quickstart/sft").answers, BRIEF_STYLE)`.

    With `path` its answers are kept as they come and not asked again; `model` (any name, e.g. the checkpoint's
    folder and time) then tells one model's file from another's.
    """
    items = items_of(trajectories, style)
    prints = {item.id: sha256(f"{model}\n{item.prompt}".encode()).hexdigest()[:16] for item in items}
    journal = Journal(path, Reply, "answers", prints)
    missing = [item for item in items if item.id not in journal.done]
    size = CHUNK if path is not None else max(1, len(missing))
    for start in range(0, len(missing), size):
        chunk = missing[start : start + size]
        answers = answers_of([item.prompt for item in chunk])
        for item, text in zip(chunk, answers, strict=True):
            journal.append(Reply(item.id, text, asked=prints[item.id]))
    return graded(items, journal.rows)


def served(
    trajectories: Iterable[Trajectory],
    endpoint: Endpoint,
    style: PromptStyle = SEED_STYLE,
    *,
    path: str | Path | None = None,
    raw: bool = False,
    progress: Progress | None = None,
) -> HeldOut:
    """Ask a server, as any OpenAI client does: messages and tools, many at once; a rerun asks what is missing.

    Calls are what the client gets; faults of form stay hidden behind the server's tool parser, which tells a broken
    answer as words, so take `parsed` from a `raw` run: there the model gets the prompt as `style` writes it, by the
    completions endpoint, and its very text is graded, past the server's chat template and parser.
    """
    items = items_of(trajectories, style)
    replies = ask_all([_request(item, raw) for item in items], endpoint, path, progress=progress)
    result = graded(items, replies)
    if not result.rows:
        error = next(iter(result.unanswered.values()))
        raise AskError(f"{endpoint.base_url} answered none of {len(items)} questions: {error}")
    return result


def graded(items: Sequence[Item], replies: Mapping[str, Reply]) -> HeldOut:
    """Rows of the answered items in their order, e.g. `graded(items, {item.id: Reply(item.id, text)})`."""
    rows, unanswered = [], {}
    for item in items:
        reply = replies[item.id]
        if reply.text is None:
            unanswered[item.id] = reply.error
            continue
        grades = grade(reply.text, item.expected, item.trajectory.tools, cut_off=reply.finish == "length")
        rows.append(
            {
                "id": item.id,
                "trajectory": item.trajectory.trajectory_id,
                "kind": item.kind,
                "prompt": item.prompt,
                "expected": [{"name": call.name, "arguments": call.arguments} for call in item.expected],
                "answer": reply.text,
                **grades,
            }
        )
    return HeldOut(tuple(rows), unanswered)


def _request(item: Item, raw: bool) -> Request:
    if raw:
        return Request(item.id, text=model_prompt(item.prompt))
    steps, instruction = item.trajectory.steps[: item.step], item.trajectory.task.instruction
    if instruction and steps[0].role != "system":
        steps = (Step("system", instruction), *steps)
    return Request(item.id, tuple(to_openai(steps)), tuple(tools_to_openai(item.trajectory.tools)))


def _kind(expected: Sequence[ToolCall]) -> str:
    return "no_call" if not expected else "single" if len(expected) == 1 else "parallel"


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
    name = f"{given.model.replace('/', '_')}.{Path(given.data).stem}"
    endpoint = Endpoint(given.base_url, given.model, max_tokens=given.max_tokens, concurrency=given.concurrency)
    answers = Path(given.out) / f"{name}.answers.jsonl"
    try:
        result = served(read_jsonl(given.data), endpoint, STYLES[given.style], path=answers)
    except (XlamError, OSError, ValueError) as error:
        parser.exit(2, f"{error}\n")
    path = save(result, given.out, name)
    print(f"exact {result.interval()}   parsed {result.parse_rate:.3f}   unanswered {len(result.unanswered)}   {path}")
    return 1 if result.unanswered else 0


if __name__ == "__main__":
    raise SystemExit(main())
