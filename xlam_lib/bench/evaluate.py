"""A task put to a model: a function on this machine or a server, with answers that survive a crash of either.

Used by `tasks/heldout.py` and `tasks/bfcl_score.py` (notebooks 02, 03 and 05). What got no answer is counted apart and
never as a wrong answer.

    result = offline(task, Greedy("runs/quickstart/sft").answers, path="answers.jsonl", model="sft of today")
    result = served(task, Endpoint("http://127.0.0.1:8000/v1", "sft"), path="served.jsonl")
    result.figures(), result.failures(), result.unanswered
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from xlam_lib.bench.ask import AskError, Reply, Request, ask_all
from xlam_lib.bench.base import Item, Question, Result, Task, TaskError
from xlam_lib.chat_template import model_prompt
from xlam_lib.endpoint import Endpoint, Progress
from xlam_lib.journal import Journal, fingerprint

AnswersOf = Callable[[list[str]], Sequence[str | None]]  # prompts -> answers in the same order, None where none came
CHUNK = 64  # answers of a function kept, and counted, at a time


def offline(
    task: Task,
    answers_of: AnswersOf,
    *,
    path: str | Path | None = None,
    model: str = "",
    progress: Progress | None = None,
) -> Result:
    """Ask a function, e.g. `offline(Bfcl(BRIEF_STYLE), Greedy("runs/quickstart/sft").answers)`.

    With `path` its answers are kept as they come and not asked again; `model` (any name, e.g. the checkpoint's
    folder and time) then tells one model's file from another's. `progress` gets (answered, all) after every 64.
    """
    items = _items(task)
    prompts = {item.id: task.question(item).prompt for item in items}
    fingerprints = {name: fingerprint(f"{model}\n{prompt}") for name, prompt in prompts.items()}
    journal = Journal(path, Reply, "answers", fingerprints)
    missing = [item.id for item in items if item.id not in journal.done]
    size = CHUNK if path is not None or progress is not None else max(1, len(missing))
    for first in range(0, len(missing), size):
        if progress is not None:
            progress(len(items) - len(missing) + first, len(items))
        chunk = missing[first : first + size]
        answers = answers_of([prompts[name] for name in chunk])
        for name, text in zip(chunk, answers, strict=True):
            error = "" if text is not None else "no answer"
            journal.append(Reply(name, text, error=error, asked=fingerprints[name]))
    if progress is not None:
        progress(len(items), len(items))
    return graded(task, items, journal.rows)


def served(
    task: Task,
    endpoint: Endpoint,
    *,
    path: str | Path | None = None,
    raw: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Ask a server, as any OpenAI client does: messages and tools, many at once; a rerun asks what is missing.

    Answers are what the client gets, as the codec writes them (words are a thought without calls). Faults of form stay
    hidden behind the server's tool parser, which hands on a broken answer as words, so take the parse rate from a `raw`
    run: there the model gets the very prompt, by the completions endpoint, and its very text is graded, past the
    server's chat template and parser.
    """

    def request(name: str, asked: Question) -> Request:
        if raw:
            return Request(name, text=model_prompt(asked.prompt))
        return Request(name, asked.messages or ({"role": "user", "content": asked.prompt},), asked.tools)

    items = _items(task)
    requests = [request(item.id, task.question(item)) for item in items]
    result = graded(task, items, ask_all(requests, endpoint, path, progress=progress))
    if not result.rows:
        error = next(iter(result.unanswered.values()), "the task has no items")
        raise AskError(f"{endpoint.base_url} answered none of {len(items)} questions: {error}")
    return result


def graded(task: Task, items: Sequence[Item], replies: Mapping[str, Reply]) -> Result:
    """Rows of the answered items in their order, e.g. `graded(task, items, {item.id: Reply(item.id, text)})`."""
    answered, unanswered = [], {}
    for item in items:
        reply = replies[item.id]
        if reply.text is None:
            unanswered[item.id] = reply.error
        else:
            answered.append((item, reply.text, reply.finish == "length"))
    rows = task.score_all(answered)
    found = [{"id": item.id, **row} for (item, _, _), row in zip(answered, rows, strict=True)]
    return task.result(found, unanswered)


def _items(task: Task) -> list[Item]:
    items = list(task.items())
    if without := [item for item in items if not isinstance(getattr(item, "id", None), str)]:
        raise TaskError(f"task {task.name}: item {without[0]!r} has no id; expected an attribute `id`, a text")
    if len({item.id for item in items}) < len(items):
        repeated = Counter(item.id for item in items).most_common(1)[0][0]
        raise TaskError(f"task {task.name}: two items have the id {repeated!r}; ids must be unique in a test set")
    return items
