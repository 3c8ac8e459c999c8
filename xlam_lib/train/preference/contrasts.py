"""Preference pairs from recorded trajectories: what a search tried and left, and where a good and a bad run part.

    python -m xlam_lib.train.preference.contrasts --branches toolbench=answers/ --data tau.jsonl --out pairs.jsonl

Three origins beside those of `pairs.py`, in the same file format (xLAM paper, section on preference data). "branch":
the search of an answer tree took one call on the accepted path and another one at the same state, which led nowhere; a
source whose module has `rejected_siblings` gives them. "outcome": two trajectories of one task, one with the higher
reward, success or rating, which went the same way until the agent called something else. Of these two only pairs whose
calls differ are made. "preference": rows of chosen and rejected answers (`sources/exchange/preferences.py`), raw or
unified, which may differ in words alone. What makes no pair is counted, by reason. Used before DPO.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlam_lib.codec import STYLES, PromptStyle, answer_of, parse_answer, prompts_of, render_answer, same_calls
from xlam_lib.data.accounting import Drop, Loss
from xlam_lib.data.convert import converted, raw_records
from xlam_lib.data.inputs import find_input
from xlam_lib.data.siblings import REJECTED, recorded_siblings
from xlam_lib.data.sources import SOURCES, find_source
from xlam_lib.errors import TrajectoryError, as_command
from xlam_lib.grading import failure_of, kind_of
from xlam_lib.train.preference.pairs import Pair, PairError, counts, split_of, write_pairs
from xlam_lib.trajectory import Trajectory, read_jsonl


@dataclass
class Contrasts:
    """Collects pairs and says why there are no more: `found.pairs`, `found.left_out`."""

    style: PromptStyle = STYLES["brief"]
    seed: int = 0
    held_out: float = 0.2
    pairs: list[Pair] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add_branches(self, trajectory: Trajectory, siblings: Iterable[Any]) -> None:
        """A pair for each answer that lost against a trajectory's step; see `data.siblings.Sibling`."""
        origin = "preference" if REJECTED in trajectory.extra else "branch"
        turns = {step: (prompt, answer) for step, prompt, answer in prompts_of(trajectory, self.style)}
        for sibling in siblings:
            if sibling.step_index not in turns:
                self.left_out[f"{origin}: the step is not to be learnt"] += 1
                continue
            prompt, answer = turns[sibling.step_index]
            rejected = render_answer(answer_of(sibling.rejected))
            self._add(origin, trajectory, sibling.step_index, prompt, answer, rejected, trajectory.trajectory_id)

    def add_outcomes(self, trajectories: Iterable[Trajectory]) -> None:
        """For each trajectory that ended worse than another of its task a pair, with the one it goes along longest."""
        tasks: dict[tuple[str, str], list[Trajectory]] = {}
        for one in trajectories:
            tasks.setdefault(task_key(one), []).append(one)
        for key, group in tasks.items():
            if len(group) == 1:
                self.left_out["outcome: the only trajectory of its task"] += 1
                continue
            for low in group:
                better = [high for high in group if is_better(high, low)]
                if not better:
                    self.left_out["outcome: no trajectory of its task ended better"] += 1
                    continue
                high = max(better, key=lambda one: first_difference(one, low)[0])
                step, why = first_difference(high, low)
                turns = {at: (prompt, answer) for at, prompt, answer in prompts_of(high, self.style)}
                if why or step not in turns:
                    self.left_out[f"outcome: {why or 'the step is not to be learnt'}"] += 1
                else:
                    rejected = render_answer(answer_of(low.steps[step]))
                    self._add("outcome", high, step, *turns[step], rejected, "/".join(key))

    def _add(
        self, origin: str, good: Trajectory, step: int, prompt: str, chosen: str, rejected: str, place: str
    ) -> None:
        expected, predicted = (parse_answer(text).answer.calls for text in (chosen, rejected))
        failure = failure_of(expected, predicted, good.tools)
        if not failure and origin == "preference" and chosen != rejected:
            failure = "words"  # people may prefer one wording to another
        if not failure:
            self.left_out[f"{origin}: the calls are the same"] += 1
            return
        split = split_of(place, self.seed, self.held_out)
        pair = Pair(prompt, chosen, rejected, origin, failure, good.trajectory_id, step, kind_of(good), split)
        if pair in self.pairs[-50:]:
            self.left_out[f"{origin}: the same pair again"] += 1
        else:
            self.pairs.append(pair)


def task_key(trajectory: Trajectory) -> tuple[str, str]:
    """(source, task): by the task's id where it has one, else by its first words of a user and the tools."""
    query = next((step.content for step in trajectory.steps if step.role == "user"), "")
    names = sorted(tool.name for tool in trajectory.tools)
    return trajectory.source.name, trajectory.task.task_id or json.dumps([query, names], ensure_ascii=False)


def is_better(one: Trajectory, other: Trajectory) -> bool:
    """By the first of reward, success and mean rating that both have; an infrastructure error says nothing."""
    if "infra_error" in (one.outcome.termination, other.outcome.termination):
        return False
    for a, b in zip(_scores(one), _scores(other), strict=True):
        if a is not None and b is not None:
            return a > b
    return False


def _scores(t: Trajectory) -> tuple[float | bool | None, ...]:
    ratings = [rating.score for rating in t.quality]
    return t.outcome.reward, t.outcome.success, sum(ratings) / len(ratings) if ratings else None


def first_difference(good: Trajectory, bad: Trajectory) -> tuple[int, str]:
    """(the first step that differs, why it makes no pair): `(3, "")` where the same happened and then calls differ.

    Thoughts may differ before, since what they led to is the same.
    """
    for index, (a, b) in enumerate(zip(good.steps, bad.steps, strict=False)):
        if a.role != b.role or (a.role != "assistant" and a.content != b.content):
            return index, "what the agent was told differs before what it did"
        if not same_calls(a.tool_calls, b.tool_calls):
            return index, ""
        if not a.tool_calls and a.content != b.content:
            return index, "they part in words, not in calls"
    return min(len(good.steps), len(bad.steps)), "one ends where the other goes on"


def branches(name: str, path: str | Path, found: Contrasts) -> None:
    """The pairs of a source's raw files, or a ValueError that lists the sources that have some."""
    source = find_source(name)
    if not hasattr(source, "rejected_siblings"):
        able = ", ".join(other for other, module in SOURCES.items() if hasattr(module, "rejected_siblings"))
        raise PairError(f"source {name!r} keeps no rejected branches; those that do: {able}")
    for trajectory, siblings in _search_trees(source, path, found.left_out):
        found.add_branches(trajectory, siblings)


def _search_trees(source: Any, path: str | Path, left_out: Counter[str]) -> Iterator[tuple[Trajectory, list[Any]]]:
    given = find_input(source, path)
    if given.hub:
        raise PairError(f"{given.name}: a data set of the hub; download it and give the folder")
    for file in given.files:
        for raw in raw_records(source, file):
            if isinstance(raw, Loss):
                left_out[f"branch: {raw.reason}"] += 1
                continue
            try:
                trajectory, siblings = converted(source.convert, raw)[0], source.rejected_siblings(raw.value, raw.where)
            except (Drop, TrajectoryError) as error:
                left_out[f"branch: {error.reason if isinstance(error, Drop) else 'fails validation'}"] += 1
                continue
            if not siblings:
                left_out["branch: a search without a rejected branch"] += 1
            yield trajectory, siblings


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: `main(["--data", "trajectories.jsonl", "--out", "pairs.jsonl"])` -> 0."""
    parser = argparse.ArgumentParser(
        prog="python -m xlam_lib.train.preference.contrasts", description="Pairs of trajectories."
    )
    parser.add_argument("--branches", nargs="+", default=[], metavar="SOURCE=PATH", help="raw records with searches")
    parser.add_argument("--data", nargs="+", default=[], help="trajectories as JSON Lines, to compare by task")
    parser.add_argument("--out", required=True, help="file of pairs to write")
    parser.add_argument("--style", choices=sorted(STYLES), default="brief", help="how prompts are written")
    parser.add_argument("--held-out", type=float, default=0.2, help="share of tasks that are never trained on")
    parser.add_argument("--seed", type=int, default=0, help="of what is held out")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for one in given.branches:
        if "=" not in one:
            parser.error(f"--branches {one}: expected SOURCE=PATH, such as toolbench=answers/")
    return as_command(lambda: _make(given))


def _make(given: argparse.Namespace) -> None:
    found = Contrasts(STYLES[given.style], given.seed, given.held_out)
    for one in given.branches:
        name, _, path = one.partition("=")
        branches(name, path, found)
    found.add_outcomes(_without_preferences((t for path in given.data for t in read_jsonl(path)), found))
    if not found.pairs:
        raise PairError(f"no pairs at all; left out: {dict(found.left_out)}")
    summary = {"pairs": write_pairs(given.out, found.pairs), **counts(found.pairs), "left_out": dict(found.left_out)}
    print(json.dumps(summary))


def _without_preferences(trajectories: Iterable[Trajectory], found: Contrasts) -> Iterator[Trajectory]:
    """The trajectories that keep no rejected answer; of those that do, the pairs are made at once."""
    for trajectory in trajectories:
        if siblings := recorded_siblings(trajectory):
            found.add_branches(trajectory, siblings)
        else:
            yield trajectory


if __name__ == "__main__":
    sys.exit(main())
