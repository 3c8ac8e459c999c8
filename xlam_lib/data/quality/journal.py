"""Where a judge's results are kept: one JSON object a line, appended as they come, read back on a rerun.

    {"trajectory_id": "demo-1", "rubric": "5f0c2a9be1d4", "model": "M", "content": "9c0f...", "score": 4, ...}

A result is known by trajectory, rubric, model and the content that was judged, so it can't be given to another one. A
last line that was cut off by a crash is cut away. Used by `judge.py` (notebook 01).
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xlam_lib.errors import XlamError
from xlam_lib.files import cut_torn_line
from xlam_lib.trajectory import Rating, Trajectory

log = logging.getLogger(__name__)


class JudgeError(XlamError, RuntimeError):
    """The judge can't be asked, or its results not kept."""


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
    def key(self) -> tuple[str, str, str, str]:
        """What the result belongs to."""
        return self.trajectory_id, self.rubric, self.model, self.content

    def rating(self, rater: str = "") -> Rating:
        """As it is attached to a trajectory: Rating("M/5f0c2a9be1d4", "critic", 4.0, "...")."""
        if self.score is None:
            raise ValueError(f"{self.trajectory_id}: was not judged ({self.error})")
        return Rating(rater or f"{self.model}/{self.rubric}", "critic", float(self.score), self.rationale)


class Journal:
    """The file of results: `Journal("ratings.jsonl").done` is the set of keys that have a verdict."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.done: set[tuple[str, str, str, str]] = set()
        if self.path.is_file():
            if torn := cut_torn_line(self.path):
                log.warning("%s: the last line is cut off (%d bytes); it is removed and asked again", self.path, torn)
            self.done = {one.key for one in read_judgements(self.path) if one.score is not None}

    def add(self, judgement: Judgement) -> None:
        """Appends one result, on the disk before the next one begins."""
        line = json.dumps(dataclasses.asdict(judgement), ensure_ascii=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab") as file:
                file.write(line.encode("utf-8", "surrogatepass"))
        except OSError as error:
            raise JudgeError(
                f"{self.path} can't be written ({error.strerror}); the results before are kept: make room and run again"
            ) from error
        if judgement.score is not None:
            self.done.add(judgement.key)


def read_judgements(path: str | Path) -> Iterator[Judgement]:
    """The results of a file, in order; an error names the line."""
    names = {field.name for field in dataclasses.fields(Judgement)}
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise JudgeError(f"{path}:{number}: not JSON ({error}); remove the line and run again") from error
            if not isinstance(row, dict) or set(row) != names:
                raise JudgeError(f"{path}:{number}: no line of ratings (expected {', '.join(sorted(names))})")
            yield Judgement(**row)


def attach(trajectory: Trajectory, judgements: dict[str, Judgement]) -> Trajectory:
    """The trajectory with its judge's rating added, an earlier one of the same rater replaced; unjudged stays so.

    Example: `attach(t, {one.trajectory_id: one for one in read_judgements("ratings.jsonl")}).quality`
    """
    judgement = judgements.get(trajectory.trajectory_id)
    if judgement is None or judgement.score is None:
        return trajectory
    rating = judgement.rating()
    kept = tuple(one for one in trajectory.quality if one.rater != rating.rater)
    return dataclasses.replace(trajectory, quality=(*kept, rating))
