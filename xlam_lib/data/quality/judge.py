"""A model as judge of trajectories, behind any OpenAI-compatible endpoint (notebook 01).

    python -m xlam_lib.data.quality.judge --input traj.jsonl --output ratings.jsonl \\
        --base-url http://127.0.0.1:8000/v1 --model M --concurrency 8

    report = judge_all(read_jsonl("traj.jsonl"), Judge("http://127.0.0.1:8000/v1", "M"), "ratings.jsonl")

The output holds one result a line (`journal.py`), keyed by trajectory, rubric, model and the content that was judged:

    {"trajectory_id": "demo-1", "rubric": "5f0c2a9be1d4", "model": "M", "content": "9c0f...", "score": 4, ...}

A rerun asks only for what is missing. An answer that is not what the rubric asks for is sent back once, with its fault.
The API key is taken from the environment (OPENAI_API_KEY, or the variable that --api-key-env names). Memory stays
small: trajectories are taken from the stream as requests come back.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xlam_lib.data.quality.rubric import RUBRIC, Rubric, Verdict, load_rubric
from xlam_lib.endpoint import Endpoint
from xlam_lib.errors import XlamError, as_command
from xlam_lib.journal import Journal, fingerprint, read_rows
from xlam_lib.trajectory import Rating, Trajectory, read_jsonl

Key = tuple[str, str, str, str]  # trajectory, rubric, model, hash of what was shown
Request = tuple[Key, list[dict[str, str]]]
NO_VERDICT = "no verdict"


class JudgeError(XlamError, RuntimeError):
    """A judge that gives no verdict at all, or a rubric that can't be read."""


@dataclass(frozen=True)
class Judgement:
    """One result: the verdict, or `score` None and the `error` that kept it away; and what it cost."""

    trajectory_id: str
    rubric: str
    model: str
    content: str  # hash of what was shown
    score: int | None = None
    criteria: dict[str, int] = field(default_factory=dict)
    rationale: str = ""
    error: str = ""
    asked: int = 1  # how often, with the re-ask after a faulty answer
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @property
    def key(self) -> Key:
        """What the result belongs to."""
        return self.trajectory_id, self.rubric, self.model, self.content

    @property
    def fingerprint(self) -> str:
        """Hash of the content; being part of the key, it has a changed trajectory judged anew."""
        return self.content

    def rating(self, rater: str = "") -> Rating:
        """As it is attached to a trajectory: Rating("M/5f0c2a9be1d4", "critic", 4.0, "...")."""
        if self.score is None:
            raise ValueError(f"{self.trajectory_id}: was not judged ({self.error})")
        return Rating(rater or f"{self.model}/{self.rubric}", "critic", float(self.score), self.rationale)


def read_judgements(path: str | Path) -> Iterator[Judgement]:
    """The results of a file, in order; an error names the line: `next(read_judgements("ratings.jsonl")).score`."""
    return read_rows(path, Judgement, "ratings")


def attach(trajectory: Trajectory, judgements: dict[str, Judgement]) -> Trajectory:
    """The trajectory with its judge's rating added, an earlier one of the same rater replaced; unjudged stays so.

    Example: `attach(t, {one.trajectory_id: one for one in read_judgements("ratings.jsonl")}).quality`
    """
    judgement = judgements.get(trajectory.trajectory_id)
    if judgement is None or judgement.score is None:
        return trajectory
    rating = judgement.rating()
    kept = tuple(one for one in trajectory.quality if one.rater != rating.rater)
    return replace(trajectory, quality=(*kept, rating))


@dataclass
class Judge(Endpoint):
    """An endpoint with a rubric: `Judge("http://127.0.0.1:8000/v1", "M", concurrency=8)`."""

    attempts: int = 5
    max_tokens: int = 800
    rubric: Rubric = RUBRIC
    max_characters: int = 60_000  # of a trajectory; what is longer is shown without the middle of its texts
    max_cost: float | None = None  # nothing new is asked once so much is spent

    def request(self, trajectory: Trajectory) -> Request:
        """What is asked about a trajectory, and the key of its result."""
        messages = self.rubric.messages(trajectory, self.max_characters)
        content = fingerprint(json.dumps(messages))
        return (trajectory.trajectory_id, self.rubric.hash, self.model, content), messages

    async def judge(self, request: Request) -> Judgement:
        """The verdict, after one re-ask if the first answer was faulty."""
        (key, messages), began = request, time.monotonic()
        asked, prompt_tokens, completion_tokens, verdict, error = 0, 0, 0, None, ""
        while verdict is None and asked < 2:
            asked += 1
            reply = await self.complete(messages)
            prompt_tokens += reply.prompt_tokens
            completion_tokens += reply.completion_tokens
            if error := reply.error:
                break
            verdict, fault = self.rubric.read(reply.content)
            if verdict is None:
                error = f"faulty answer: {fault}: {reply.content[:200]!r}"[:500]
                messages = [*messages, {"role": "assistant", "content": reply.content or "(nothing)"}, _again(fault)]
        seconds = round(time.monotonic() - began, 3)
        result = Judgement(
            *key,
            error=error,
            asked=asked,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            seconds=seconds,
        )
        return _with_verdict(result, verdict) if verdict is not None else result


def _again(fault: str) -> dict[str, str]:
    text = f"Your answer is not what was asked for: {fault}. Answer again, with the one JSON object and nothing else."
    return {"role": "user", "content": text}


def _with_verdict(judgement: Judgement, verdict: Verdict) -> Judgement:
    return replace(judgement, score=verdict.score, criteria=verdict.criteria, rationale=verdict.rationale)


@dataclass
class Report:
    """What a run did: `report.line()` -> "12 judged (mean 3.9), 3 were there before, 1 failed; ..."."""

    scores: Counter[int] = field(default_factory=Counter)
    before: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    stopped: str = ""  # why not everything was asked

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        scores = {str(score): n for score, n in sorted(self.scores.items())}
        return {**vars(self), "scores": scores, "judged": self.judged, "mean": self.mean}

    @property
    def judged(self) -> int:
        """Verdicts of this run."""
        return sum(self.scores.values())

    @property
    def mean(self) -> float | None:
        """Mean score of this run's verdicts."""
        return round(sum(s * n for s, n in self.scores.items()) / self.judged, 3) if self.judged else None

    def line(self) -> str:
        """One line for people."""
        text = f"{self.judged} judged (mean {self.mean}), {self.before} were there before, {self.failed} failed; "
        text += f"{self.prompt_tokens} + {self.completion_tokens} tokens, cost {self.cost:.4f}, {self.seconds:.1f} s"
        return text + (f"; stopped: {self.stopped}" if self.stopped else "")

    def add(self, judgement: Judgement, judge: Judge) -> None:
        """Count one result, and see whether the judge is to be asked for more."""
        self.prompt_tokens += judgement.prompt_tokens
        self.completion_tokens += judgement.completion_tokens
        self.cost = judge.cost((self.prompt_tokens, self.completion_tokens))
        if judgement.score is None:
            self.failed += 1
        else:
            self.scores[judgement.score] += 1
        if judge.max_cost is not None and self.cost >= judge.max_cost:
            self.stopped = f"{judge.max_cost:g} is spent"
        if not self.judged and self.failed >= max(20, 2 * judge.concurrency):
            self.stopped = NO_VERDICT


def judge_all(
    trajectories: Iterable[Trajectory],
    judge: Judge,
    path: str | Path,
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """Judges what the file at `path` doesn't hold yet and appends it there; call it from a script or a notebook.

    Raises ClientError when the endpoint refuses or stops answering, JudgeError when no answer is a verdict; what is in
    the file stays.
    Example: `judge_all(read_jsonl("traj.jsonl"), Judge("http://127.0.0.1:8000/v1", "M"), "ratings.jsonl").mean`
    """
    report, began = Report(), time.monotonic()
    journal = Journal(path, Judgement, "ratings")
    with judge:
        for judgement in judge.each(_missing(trajectories, judge, journal, report), judge.judge, journal):
            report.add(judgement, judge)
            if progress is not None:
                progress(report)
    if report.stopped == NO_VERDICT:
        raise JudgeError(f"{judge.model!r} judged none of {report.failed}; last: {judgement.error}")
    report.seconds = round(time.monotonic() - began, 3)
    return report


def _missing(
    trajectories: Iterable[Trajectory], judge: Judge, journal: Journal[Judgement], report: Report
) -> Iterator[Request]:
    """Requests that have no verdict yet, until the report says stop."""
    taken: set[Key] = set()
    for trajectory in trajectories:
        key, messages = judge.request(trajectory)
        if key in journal.done or key in taken:
            report.before += 1
            continue
        taken.add(key)
        yield key, messages
        if report.stopped:
            return


PARAMETERS = {
    "api_key_env": (str, "name of the environment variable with the API key"),
    "concurrency": (int, "requests on their way at once"),
    "timeout": (float, "seconds an answer may take"),
    "attempts": (int, "tries of one request"),
    "max_tokens": (int, "length of an answer"),
    "temperature": (float, "0 is greedy"),
    "max_characters": (int, "of a trajectory; longer ones are shown without the middle of their texts"),
    "price_in": (float, "per million prompt tokens"),
    "price_out": (float, "per million completion tokens"),
    "max_cost": (float, "stop when so much is spent"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 0, 1 after an error, 3 when some could not be judged."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    return as_command(lambda: _run(options), status=1)


def _run(options: argparse.Namespace) -> int:
    try:
        rubric = load_rubric(options.rubric) if options.rubric else RUBRIC
    except ValueError as error:
        raise JudgeError(f"the rubric can't be read: {error}") from error
    settings = {name: getattr(options, name) for name in PARAMETERS}
    judge = Judge(options.base_url, options.model, rubric=rubric, **settings)
    report = judge_all(read_jsonl(options.input), judge, options.output, _show if sys.stderr.isatty() else None)
    print(report.line())
    print(json.dumps(report.to_dict()))
    return 3 if report.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m xlam_lib.data.quality.judge", description="Rate trajectories.")
    parser.add_argument("--input", required=True, help="trajectories, JSON Lines")
    parser.add_argument("--output", required=True, help="results, JSON Lines; appended to")
    parser.add_argument("--base-url", required=True, help="of the endpoint, ends with /v1")
    parser.add_argument("--model", required=True, help="its name there")
    parser.add_argument("--rubric", help="a JSON file with another rubric")
    for name, (kind, text) in PARAMETERS.items():
        default = getattr(Judge, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=f"{text} ({default})")
    return parser


def _show(report: Report) -> None:
    print(f"\r{report.line()}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
