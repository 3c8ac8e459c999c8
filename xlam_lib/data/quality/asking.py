"""Trajectories put to a judge, many at once: retries, one re-ask after a faulty answer, cost and time (notebook 01).

    report = judge_all(read_jsonl("traj.jsonl"), Judge("http://127.0.0.1:8000/v1", "M"), "ratings.jsonl")
    print(report.line())

`judge.py` is its command. Memory stays small: trajectories are taken from the stream as workers become free.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import openai
import tenacity

from xlam_lib.data.quality.journal import Journal, JudgeError, Judgement
from xlam_lib.data.quality.rubric import RUBRIC, Rubric, Verdict
from xlam_lib.trajectory import Trajectory

LOOPBACK = ("127.0.0.1", "localhost", "::1")  # spoken to directly, whatever proxy the environment names
SETTLED = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)  # asking again is no use
PASSING = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError, openai.ConflictError)


@dataclass(frozen=True)
class Judge:
    """Whom to ask and how: `Judge("http://127.0.0.1:8000/v1", "M", concurrency=8)`. Prices are per million tokens."""

    base_url: str
    model: str
    rubric: Rubric = RUBRIC
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout: float = 120.0  # seconds an answer may take
    attempts: int = 5  # for one request, with growing pauses between
    longest_pause: float = 30.0
    max_tokens: int = 800
    temperature: float = 0.0  # below 0: left out of the request, as is max_tokens of 0; some endpoints refuse them
    max_characters: int = 60_000  # of a trajectory; what is longer is shown without the middle of its texts
    price_in: float = 0.0
    price_out: float = 0.0
    max_cost: float | None = None  # nothing new is asked once so much is spent


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


def judge_all(
    trajectories: Iterable[Trajectory],
    judge: Judge,
    path: str | Path,
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """Judges what the file at `path` doesn't hold yet and appends it there; call it from a script or a notebook.

    Raises JudgeError when the endpoint refuses, or stops answering; what is in the file stays.
    Example: `judge_all(read_jsonl("traj.jsonl"), Judge("http://127.0.0.1:8000/v1", "M"), "ratings.jsonl").mean`
    """
    run = _Run(judge, Journal(path), progress)
    with ThreadPoolExecutor(1, thread_name_prefix="judge") as pool:  # a notebook's kernel already runs a loop here
        running = pool.submit(asyncio.run, run.all(iter(trajectories)))
        try:
            running.result()
        finally:  # after an interrupt from the keyboard the thread only finishes what is on its way
            run.stop("interrupted")
    return run.report


class _Run:
    """Workers that share one stream of trajectories, one journal, and give up together."""

    def __init__(self, judge: Judge, journal: Journal, progress: Callable[[Report], None] | None) -> None:
        self.judge, self.journal, self.progress = judge, journal, progress
        self.report = Report()
        self.stopped = False
        self.failed_in_a_row = 0
        self.taken: set[tuple[str, str, str, str]] = set()

    def stop(self, why: str) -> None:
        """Nothing new is asked from here on."""
        if not self.stopped:
            self.stopped, self.report.stopped = True, why

    async def all(self, trajectories: Iterator[Trajectory]) -> None:
        """Judge everything."""
        began = time.monotonic()
        options: dict[str, Any] = {"timeout": self.judge.timeout, "max_retries": 0}
        if urlparse(self.judge.base_url).hostname in LOOPBACK:
            options["http_client"] = openai.DefaultAsyncHttpxClient(trust_env=False)
        key = os.environ.get(self.judge.api_key_env) or "EMPTY"
        try:
            async with openai.AsyncOpenAI(base_url=self.judge.base_url, api_key=key, **options) as client:
                workers = (self._work(client, trajectories) for _ in range(self.judge.concurrency))
                ends = await asyncio.gather(*workers, return_exceptions=True)
        finally:
            self.report.seconds = round(time.monotonic() - began, 3)
        self.stopped = True
        for end in ends:
            if end is not None:
                raise end

    async def _work(self, client: openai.AsyncOpenAI, trajectories: Iterator[Trajectory]) -> None:
        try:
            while not self.stopped and (trajectory := next(trajectories, None)) is not None:
                await self._one(client, trajectory)
        except BaseException as error:  # the others finish what is on its way, so that nothing paid for is lost
            self.stop(str(error))
            raise

    async def _one(self, client: openai.AsyncOpenAI, trajectory: Trajectory) -> None:
        messages = self.judge.rubric.messages(trajectory, self.judge.max_characters)
        content = hashlib.sha256(json.dumps(messages).encode()).hexdigest()[:16]
        key = (trajectory.trajectory_id, self.judge.rubric.hash, self.judge.model, content)
        if key in self.journal.done or key in self.taken:
            self.report.before += 1
            return
        self.taken.add(key)
        judgement = await self._judge(client, key, messages)
        self.journal.add(judgement)
        self._count(judgement)

    async def _judge(
        self, client: openai.AsyncOpenAI, key: tuple[str, str, str, str], messages: list[dict[str, str]]
    ) -> Judgement:
        began, asked, tokens_in, tokens_out = time.monotonic(), 0, 0, 0
        verdict: Verdict | None = None
        error = ""
        try:
            for _ in range(2):
                asked += 1
                told = await self._ask(client, messages)
                tokens_in += told.usage.prompt_tokens if told.usage else 0
                tokens_out += told.usage.completion_tokens if told.usage else 0
                text = (told.choices[0].message.content if told.choices else "") or ""
                verdict, fault = self.judge.rubric.read(text)
                if verdict is not None:
                    break
                error = f"faulty answer: {fault}: {text[:200]!r}"
                messages = [*messages, {"role": "assistant", "content": text or "(nothing)"}, _again(fault)]
        except SETTLED as refusal:
            raise JudgeError(
                f"{self.judge.base_url} refused model {self.judge.model!r} with status {refusal.status_code}: "
                f"{refusal.message}; check --base-url, --model and the key in {self.judge.api_key_env}"
            ) from refusal
        except openai.APIStatusError as failure:
            error = f"status {failure.status_code}: {failure.message}"
        except openai.APITimeoutError:
            error = f"connection: no answer within {self.judge.timeout:g} s"
        except openai.APIConnectionError as failure:
            error = f"connection: {failure.__cause__ or failure}"
        except (openai.APIError, ValueError) as failure:
            error = f"broken answer: {failure}"
        found = (
            {"score": verdict.score, "criteria": verdict.criteria, "rationale": verdict.rationale} if verdict else {}
        )
        error = "" if verdict else error[:500]
        seconds = round(time.monotonic() - began, 3)
        return Judgement(
            *key,
            **found,
            error=error,
            asked=asked,
            prompt_tokens=tokens_in,
            completion_tokens=tokens_out,
            seconds=seconds,
        )

    async def _ask(self, client: openai.AsyncOpenAI, messages: list[dict[str, str]]) -> Any:
        """One answer; what may pass is tried again."""
        limit = {"max_tokens": self.judge.max_tokens} if self.judge.max_tokens else {}
        warmth = {"temperature": self.judge.temperature} if self.judge.temperature >= 0 else {}
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(PASSING),
            stop=tenacity.stop_any(tenacity.stop_after_attempt(self.judge.attempts), lambda state: self.stopped),
            wait=self._pause,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                told = await client.chat.completions.create(
                    model=self.judge.model, messages=messages, **limit, **warmth
                )
        return told

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """What the server asks for by Retry-After, else twice as long each time, never in step with the others."""
        failure = state.outcome.exception() if state.outcome else None
        if isinstance(failure, openai.APIStatusError):
            told = failure.response.headers.get("retry-after", "")
            if told.replace(".", "", 1).isdigit():
                return min(float(told), self.judge.longest_pause)
        return tenacity.wait_random_exponential(multiplier=0.5, max=self.judge.longest_pause)(state)

    def _count(self, judgement: Judgement) -> None:
        report, judge = self.report, self.judge
        report.prompt_tokens += judgement.prompt_tokens
        report.completion_tokens += judgement.completion_tokens
        report.cost = (report.prompt_tokens * judge.price_in + report.completion_tokens * judge.price_out) / 1e6
        if judgement.score is None:
            report.failed += 1
        else:
            report.scores[judgement.score] += 1
        if self.progress is not None:
            self.progress(report)
        if judge.max_cost is not None and report.cost >= judge.max_cost:
            self.stop(f"{judge.max_cost:g} is spent")
        lost = judgement.error.startswith(("connection", "status 5"))
        self.failed_in_a_row = self.failed_in_a_row + 1 if lost else 0
        if self.failed_in_a_row >= max(3, judge.concurrency):
            raise JudgeError(
                f"{judge.base_url} stopped answering: {judgement.error} ({self.failed_in_a_row} in a row); "
                f"{len(self.journal.done)} are kept in {self.journal.path}; start the server and run again"
            )
        if not report.judged and report.failed >= max(20, 2 * judge.concurrency):
            raise JudgeError(f"{judge.model!r} judged none of {report.failed}; last: {judgement.error}")


def _again(fault: str) -> dict[str, str]:
    text = f"Your answer is not what was asked for: {fault}. Answer again, with the one JSON object and nothing else."
    return {"role": "user", "content": text}
